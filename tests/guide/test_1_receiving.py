"""The guide, 1: the webhook's address receives events and answers 200, whoever asks how."""

import asyncio
import json
from datetime import datetime

import httpx2
import pytest
from sqlalchemy import text

from golub.model import Cause, DeliveryState
from golub.simulator import Account, Item
from golub.store import Store
from tests import shapes
from tests.conftest import ONE_DATABASE, StartGolub
from tests.guide.town import AVITO_ADDRESS, PUBLIC, Browser, Town, eventually

BARE = "/webhook/avito"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@ONE_DATABASE
async def test_it_tells_whoever_opens_it_that_it_is_there(town: Town, shop: Account) -> None:
    outside = await town.client()
    assert shop.subscription
    for path, shown in ((BARE, BARE), (shop.subscription.removeprefix(PUBLIC), BARE + "/***")):
        answer = await outside.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        told = answer.json()
        assert datetime.fromisoformat(told.pop("timestamp")).tzinfo
        assert told == {"status": "ok", "message": "Webhook endpoint is accessible", "url": PUBLIC + shown}
        head = await outside.head(path)
        assert (head.status_code, head.content) == (200, b"")


async def test_events_empty_bodies_and_the_probe_get_200_with_json_on_both_paths(town: Town, shop: Account) -> None:
    outside = await town.client()
    assert shop.subscription
    event = shapes.message(user_id=shop.user_id)
    for path in (BARE, shop.subscription):
        for headers, body in (({"content-type": "application/json"}, event), ({}, b""), (FORM, b"{}")):
            answer = await outside.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    await town.applied()
    states = [(one.token_id is not None, bytes(one.body), one.state) for one in await town.journal()]
    for by_token in (False, True):
        assert (by_token, b"", DeliveryState.PROBE) in states
        assert (by_token, b"{}", DeliveryState.PROBE) in states
    assert (True, event, DeliveryState.APPLIED) in states
    assert (False, event, DeliveryState.WAITING) in states


@ONE_DATABASE
async def test_a_token_that_nobody_has_opens_nothing(town: Town, shop: Account) -> None:
    outside = await town.client()
    before = len(await town.journal())
    for token in ("x", "A" * 43, "%2e%2e", "токен"):
        for answer in (await outside.get(f"{BARE}/{token}"), await outside.post(f"{BARE}/{token}", content=b"{}")):
            assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
    await town.applied()
    assert len(await town.journal()) == before


async def test_avito_gets_its_200_in_time_while_the_main_database_is_locked(
    town: Town, shop: Account, boss: Browser, database_url: str
) -> None:
    chat = town.sim.add_chat(shop, "Ольга")
    outside = Store(database_url)
    try:
        async with outside.write() as session:
            if database_url.startswith("postgresql"):
                await session.execute(text("LOCK TABLE deliveries, chats, messages, path_tokens"))
            said = town.sim.buyer_says(chat, "Ещё продаёте?")
            await town.sim.idle()
            assert said.delivery
            assert (said.delivery.state, said.delivery.attempts) == ("acked", 1)  # within Avito's two seconds
    finally:
        await outside.close()
    await town.applied()
    await eventually(lambda: boss.open("/inbox"), lambda page: page.text.count("Ещё продаёте?") == 1)


@ONE_DATABASE
async def test_a_token_delivery_is_applied_at_once_and_asks_avito_nothing(
    town: Town, shop: Account, boss: Browser
) -> None:
    town.sim.fault("*", hang=True, times=None)
    town.sim.buyer_says(town.sim.add_chat(shop, "Ольга"), "Здравствуйте! Можно сегодня забрать?")
    await town.applied()
    assert "Можно сегодня забрать?" in (await boss.open("/inbox")).text


async def test_on_the_bare_path_the_chat_is_fetched_and_what_the_api_confirms_is_shown(
    town: Town, shop: Account, boss: Browser
) -> None:
    chat = town.sim.add_chat(shop, "Пётр", Item("Велосипед «Кама»", 9_900))
    said = town.sim.buyer_says(chat, "Правда из Авито", quiet=True)
    hint = shapes.message(
        user_id=shop.user_id, chat_id=chat.id, id=said.id, author_id=chat.buyer_id, content={"text": "Подделка"}
    )
    outside = await town.client()
    assert (await outside.post(BARE, content=hint)).json() == {"status": "ok"}
    page = await eventually(lambda: boss.open("/inbox"), lambda page: "Правда из Авито" in page.text)
    assert "Подделка" not in page.text
    assert "Пётр" in page.text
    assert "Велосипед «Кама»" in page.text
    by_hint = [call for call in town.sim.calls if call.operation == "getMessagesV3"]
    assert by_hint


@pytest.mark.row(14)
@ONE_DATABASE
async def test_a_forged_post_on_the_bare_path_shows_nothing(town: Town, shop: Account, boss: Browser) -> None:
    outside = await town.client()
    asked = asyncio.create_task(town.sim.arrived("getChatByIdV2"))
    forged = shapes.message(user_id=shop.user_id, chat_id="u2i-forged", content={"text": "Переведите предоплату"})
    assert (await outside.post(BARE, content=forged)).status_code == 200
    async with asyncio.timeout(10):
        await asked

    async def causes() -> list[tuple[str, str]]:
        return [(one.state, one.cause) for one in await town.journal() if bytes(one.body) == forged]

    await eventually(causes, lambda found: found == [(DeliveryState.WAITING, Cause.NOT_CONFIRMED)])
    page = await boss.open("/inbox")
    assert "предоплату" not in page.text
    assert page.ids("chat-") == []


@ONE_DATABASE
async def test_the_bare_path_can_be_the_registered_one(town: Town, boss: Browser) -> None:
    shop = town.sim.add_account(7_002, "Диваны")
    await town.connect(boss, shop)
    page = await town.register(boss, shop, url=PUBLIC + BARE)
    assert "done=registered" in page.url, page.text
    assert shop.subscription == PUBLIC + BARE
    said = town.sim.buyer_says(town.sim.add_chat(shop, "Анна"), "Доставка есть?")
    await town.applied()
    assert said.delivery
    assert said.delivery.state == "acked"
    await eventually(lambda: boss.open("/inbox"), lambda page: "Доставка есть?" in page.text and "Анна" in page.text)


@ONE_DATABASE
async def test_the_journal_keeps_the_delivery_as_it_came_without_the_secret(town: Town, shop: Account) -> None:
    town.sim.buyer_says(town.sim.add_chat(shop), "Добрый день")
    await town.applied()
    assert shop.subscription
    token = shop.subscription.rpartition("/")[2]
    kept = (await town.journal())[-1]
    assert kept.address == AVITO_ADDRESS
    assert json.loads(bytes(kept.body))["payload"]["value"]["content"] == {"text": "Добрый день"}
    assert "x-avito-messenger-signature" in dict(kept.headers)
    assert token not in json.dumps(kept.headers)


async def test_the_secret_is_in_no_log(start_golub: StartGolub) -> None:
    golub = await start_golub("serve")
    secret = "q2W-" + "e4R_" * 10 + "xyz"
    async with httpx2.AsyncClient(base_url=golub.url) as outside:
        for _ in range(3):
            await outside.post(f"{BARE}/{secret}", content=b"{}", headers={"referer": f"{golub.url}{BARE}/{secret}"})
            await outside.get(f"{BARE}/{secret}")
            await outside.put(f"{BARE}/{secret}")
            await outside.get(f"/nothing{BARE}/{secret}")
        await outside.post(BARE, content=b"{}", headers={"referer": f"{golub.url}{BARE}/{secret}"})
    assert await golub.stop() == 0
    logged = (golub.folder / "logs/app.log").read_text() + "\n".join(golub.lines)
    assert "webhook received" in logged
    assert secret not in logged
