"""The guide, 2: event types, the panel's choice of them, and every kind of content."""

from typing import Any

import pytest

from golub.model import Cause, Delivery, DeliveryState
from golub.simulator import Account, Chat, Item
from golub.simulator import wire as avito
from tests import shapes
from tests.conftest import ONE_DATABASE
from tests.guide.town import Browser, Town, eventually

BUYER = 55_001


@pytest.fixture
async def chat(town: Town, shop: Account) -> Chat:
    return town.sim.add_chat(shop, "Ирина", Item("Самокат", 4_500), buyer_id=BUYER)


async def emit(town: Town, shop: Account, kind: str, value: dict[str, Any]) -> None:
    town.a_second_later()
    event = shapes.envelope({}, payload={"type": kind, "value": value}, timestamp=town.sim.now())
    town.sim.emit(shop, avito.encoded(event))
    await town.applied()


async def apply_again(boss: Browser, delivery: Delivery) -> str:
    """Presses the button on the journal's page of this delivery. Returns what the page says then."""
    page = await boss.open(f"/admin/deliveries/{delivery.id.hex()}")
    return (await boss.send(page, f"/admin/deliveries/{delivery.id.hex()}/replay")).text


async def fates(town: Town, kind: str) -> list[tuple[str, str]]:
    return [(one.state, one.cause) for one in await town.journal() if one.event_type == kind]


async def test_messages_new_updated_deleted(town: Town, boss: Browser, chat: Chat) -> None:
    first = town.sim.buyer_says(chat, "Торг есть?")
    await town.applied()
    page = await town.chat_page(boss, "Торг есть?")
    (row,) = page.ids("message-")
    assert "изменено" not in page.within(row)

    town.a_second_later()
    town.sim.edit(first, "Торг уместен?")
    await town.applied()
    # Where the chat was read just before, by a clock that is ahead of Avito's, Avito is asked once more.
    page = await eventually(lambda: boss.open(page.url), lambda page: "Торг уместен?" in page.within(row))
    assert page.ids("message-") == [row]
    assert "изменено" in page.within(row)
    assert "Торг есть?" not in page.text

    town.a_second_later()
    town.sim.delete(first)
    await town.applied()
    page = await boss.open(page.url)
    assert page.ids("message-") == [row]
    assert "Сообщение удалено" in page.within(row)
    assert "Торг" not in page.text


@ONE_DATABASE
async def test_chats_created_updated_archived_status_changed(
    town: Town, boss: Browser, shop: Account, chat: Chat
) -> None:
    named = {"chat_id": chat.id, "user_id": shop.user_id}
    town.sim.calls.clear()
    await emit(town, shop, "chat", {**named, "action": "created"})
    page = await eventually(lambda: boss.open("/inbox"), lambda page: "Ирина" in page.text)  # the API's truth
    assert "Самокат" in page.text
    assert "getChatByIdV2" in {call.operation for call in town.sim.calls}

    town.sim.calls.clear()
    chat.buyer = "Ирина Петровна"
    await emit(town, shop, "chat", {**named, "action": "updated"})
    await eventually(lambda: boss.open("/inbox"), lambda page: "Ирина Петровна" in page.text)

    for status in ("archived", "blocked"):
        await emit(town, shop, "chat", {**named, "status": status})
        page = await town.chat_page(boss, "Ирина")
        assert status in page.within("thread-head")
    await emit(town, shop, "chat", {"id": chat.id, "user_id": shop.user_id, "archived": False})
    head = (await boss.open(page.url)).within("thread-head")
    assert "archived" not in head
    assert "blocked" not in head
    assert await fates(town, "chat") == [(DeliveryState.APPLIED, Cause.NONE)] * 5


async def test_users_changed_blocked_unblocked_once_they_are_chosen(
    town: Town, boss: Browser, shop: Account, chat: Chat
) -> None:
    town.sim.buyer_says(chat, "Здравствуйте")
    await town.applied()
    page = await eventually(lambda: boss.open("/inbox"), lambda page: "Ирина" in page.text)
    page = await town.chat_page(boss, "Ирина")
    blocked = {"user_id": shop.user_id, "id": BUYER, "chat_id": chat.id, "status": "blocked"}
    await emit(town, shop, "user", blocked)
    assert await fates(town, "user") == [(DeliveryState.IGNORED, Cause.TYPE_NOT_CHOSEN)]
    assert "blocked" not in (await boss.open(page.url)).within("thread-head")

    account = town.accounts[shop.user_id]
    edit = await boss.open(f"/admin/webhooks?edit={account}")
    edit = await boss.send(edit, f"/admin/webhooks/{account}", types=["message", "chat", "user"])
    assert "done=changed" in edit.url
    (ignored,) = [one for one in await town.journal() if one.event_type == "user"]
    assert "Теперь доставка применена" in await apply_again(boss, ignored)
    assert "blocked" in (await boss.open(page.url)).within("thread-head")

    await emit(town, shop, "user", {**blocked, "status": "unblocked"})
    assert "blocked" not in (await boss.open(page.url)).within("thread-head")
    await emit(
        town, shop, "user", {"user_id": shop.user_id, "user": {"id": BUYER, "name": "Ирина Новая"}, "chat_id": chat.id}
    )
    assert await fates(town, "user") == [(DeliveryState.APPLIED, Cause.NONE)] * 3


@ONE_DATABASE
async def test_a_type_that_is_not_chosen_is_kept_ignored_and_can_be_replayed(
    town: Town, boss: Browser, shop: Account, chat: Chat
) -> None:
    account = town.accounts[shop.user_id]
    edit = await boss.open(f"/admin/webhooks?edit={account}")
    await boss.send(edit, f"/admin/webhooks/{account}", types=["chat"])
    town.sim.buyer_says(chat, "Это не выбрано")
    await town.applied()
    assert (await fates(town, "message"))[-1] == (DeliveryState.IGNORED, Cause.TYPE_NOT_CHOSEN)
    assert "Это не выбрано" not in (await boss.open("/inbox")).text

    edit = await boss.open(f"/admin/webhooks?edit={account}")
    await boss.send(edit, f"/admin/webhooks/{account}", types=["message", "chat"])
    ignored = (await town.journal())[-1]
    key = ignored.id.hex()
    row = (await boss.open("/admin/deliveries?state=ignored")).within(f"delivery-{key}")
    assert "Этот тип событий не выбран" in row
    assert "Теперь доставка применена" in await apply_again(boss, ignored)
    assert "Это не выбрано" in (await boss.open("/inbox")).text
    assert "Ничего не изменилось" in await apply_again(boss, ignored)
    assert len((await town.chat_page(boss, "Это не выбрано")).ids("message-")) == 1


@ONE_DATABASE
async def test_unknown_types_and_fields_are_kept_raw_and_shown(
    town: Town, boss: Browser, shop: Account, chat: Chat
) -> None:
    await emit(town, shop, "promotion", {"user_id": shop.user_id, "novelty": [1, 2]})
    kept = (await town.journal())[-1]
    assert (kept.event_type, kept.state, kept.cause) == ("promotion", DeliveryState.IGNORED, Cause.UNKNOWN_TYPE)
    assert b'"novelty":[1,2]' in bytes(kept.body)
    assert "promotion" in (await boss.open("/admin/deliveries?kind=other")).within(f"delivery-{kept.id.hex()}")
    page = await boss.open(f"/admin/deliveries/{kept.id.hex()}")
    assert "Golub не знает такого типа событий" in page.text
    assert '"novelty": [ 1, 2 ]' in page.within("body")

    town.sim.buyer_says(chat, type="hologram", content={"hologram": {"depth": 3}})
    await town.applied()
    page = await town.chat_page(boss, "")
    (row,) = page.ids("message-")
    assert "hologram" in page.within(row)
    assert '"depth": 3' in page.within(row)
    await emit(town, shop, "message", shapes.value(user_id=shop.user_id, chat_id=chat.id, id="x1", mood="хорошее"))
    kept = (await town.journal())[-1]
    assert '"mood": "хорошее"' in (await boss.open(f"/admin/deliveries/{kept.id.hex()}")).within("body")
    assert shapes.CONTENTS["text"]["text"] in (await boss.open(page.url)).text


DRAWN = {
    "text": "Добрый день, ещё продаёте?",
    "image": "",
    "voice": "",
    "location": "Невский, 60",
    "link": "О примере",
    "item": "1 200 ₽",
    "call": "Пропущенный звонок",
    "system": "Скидка включена",
    "video": "Видео",
    "file": "Файл",
    "appCall": "Покупатель звонил: горячий лид",
    "deleted": "Сообщение удалено",
}


async def test_every_kind_of_content_has_a_drawing(town: Town, boss: Browser, chat: Chat) -> None:
    assert DRAWN.keys() == shapes.CONTENTS.keys()
    for kind, content in shapes.CONTENTS.items():
        ours = kind in ("image", "voice")  # whose files this Avito has
        town.sim.buyer_says(chat, type=kind, content=None if ours else content)
    await town.applied()
    page = await eventually(lambda: town.chat_page(boss, ""), lambda page: len(page.ids("message-")) == len(DRAWN))
    drawn: dict[str, str] = {}
    for row in page.ids("message-"):
        kind = page.all("li", id=row)[0]["class"].partition("kind-")[2]
        drawn[kind] = drawn.get(kind, "") + page.within(row).replace("\xa0", " ")
    for kind, words in DRAWN.items():
        assert words in drawn["call" if kind == "appCall" else kind], kind
    assert "Открыть в Авито" in drawn["video"]
    assert "Открыть в Авито" in drawn["file"]
    assert "Открыть в Авито" in drawn["call"]
    for link in page.all("a", **{"class": "in-avito"}):
        assert link["href"].startswith("https://www.avito.ru/profile/messenger/channel/u2i-")
    (photo,) = [one["src"] for one in page.all("img", loading="lazy") if one.get("alt")]
    (voice,) = [one["src"] for one in page.all("audio")]
    for url, kind in ((photo, "image/"), (voice, "audio/")):  # by way of us: no browser is sent to another host
        answer = await boss.client.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
