"""Forwarding on the page of webhooks: adding, pausing, sending again, removing; and what a takeover keeps."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from golub.model import RelayedDelivery, RelayedState, RelayState, Role
from golub.relay import Standing
from golub.store import Store
from golub.web.parts import Parts
from tests.door import FOREIGN, Answers, World
from tests.web.conftest import Browser, Visit

PAGE = "/admin/webhooks"
CRM = "https://bot.example.com/in"


@pytest.fixture
async def store(sqlite_url: str) -> AsyncGenerator[Store]:
    """What the page stands on is looked at on each database, in tests/relay."""
    store = Store(sqlite_url)
    yield store
    await store.close()


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


@pytest.fixture
async def owner(visit: Visit) -> Browser:
    return await visit(Role.SUPER_ADMIN)


async def send(owner: Browser, path: str, **fields: Any) -> httpx2.Response:
    return await owner.client.post(f"/admin/{path}", data={"csrf": owner.csrf, **fields})


async def relays(world: World) -> list[Standing]:
    return (await world.relays.list_all()).get(world.account_id, [])


async def added(world: World) -> int:
    return (await world.relays.add(world.account_id, CRM)).id


async def delivered(world: World) -> None:
    """A buyer writes, and the delivery is in our journal."""
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.buyer_says(world.avito.add_chat(world.shop), "Ещё продаёте?")
    await world.avito.idle()
    async with world.applying() as applier:
        assert applier.wait_applied(10)


async def test_an_address_is_added_and_shown(world: World, owner: Browser) -> None:
    assert "Forwarding" in (await owner.get(PAGE)).text
    answer = await send(owner, f"webhooks/{world.account_id}/relays", address=CRM)
    assert answer.status_code == 303
    page = (await owner.get(answer.headers["location"])).text
    assert "From now on the messages of Велосипеды are forwarded there too." in page
    assert "bot.example.com/in" in page
    assert "Waits for a message" in page
    (standing,) = await relays(world)
    assert standing.relay.state == RelayState.WORKING


async def test_a_wrong_address_brings_the_form_back_with_words(world: World, owner: Browser) -> None:
    for url, words in (
        ("http://bot.example.com/in", "The address must start with https://."),
        ("https://10.0.0.7/in", "10.0.0.7 is an address inside a private network"),
        ("https://golub.example.ru/webhook/avito", "This is Golub&#39;s own address"),
        ('"><script>alert(1)</script>', "The address must start with https://"),
        ("", "Enter the address."),
    ):
        answer = await send(owner, f"webhooks/{world.account_id}/relays", address=url)
        assert answer.status_code == 400
        assert words in answer.text
        assert "<script>alert" not in answer.text
    assert await relays(world) == []


async def test_the_same_address_twice_is_said(world: World, owner: Browser) -> None:
    await added(world)
    answer = await send(owner, f"webhooks/{world.account_id}/relays", address=CRM)
    assert answer.status_code == 409
    assert "Messages are forwarded to this address already." in answer.text


async def test_pausing_resuming_and_removing(world: World, owner: Browser) -> None:
    relay_id = await added(world)
    await send(owner, f"relays/{relay_id}/pause")
    assert "Forwarding is paused" in (await owner.get(PAGE)).text
    await delivered(world)
    assert "1 waits" in (await owner.get(PAGE)).text
    await send(owner, f"relays/{relay_id}/resume")
    assert [standing.relay.state for standing in await relays(world)] == [RelayState.WORKING]
    answer = await send(owner, f"relays/{relay_id}/remove")
    assert "are no longer forwarded there" in (await owner.get(answer.headers["location"])).text
    assert await relays(world) == []
    assert (await send(owner, f"relays/{relay_id}/pause")).status_code == 404


async def test_what_fails_is_shown_with_its_reason_and_sent_again(world: World, owner: Browser) -> None:
    relay_id = await added(world)
    await delivered(world)
    world.way.ends.append(Answers(403))
    await world.relays.run_once()
    page = (await owner.get(PAGE)).text
    assert "Fails, tried again" in page
    assert "It answered 403: it does not let Golub in." in page
    async with world.store.write() as session:
        given_up = {"state": RelayedState.GIVEN_UP, "due_at": None, "finished_at": world.clock()}
        await session.execute(update(RelayedDelivery).values(given_up))
    assert "1 not delivered" in (await owner.get(PAGE)).text
    listed = (await owner.get(f"/admin/relays/{relay_id}/given-up")).text
    number = listed.partition('name="delivery" value="')[2].partition('"')[0]
    world.way.ends.append(good := Answers(200))
    answer = await send(owner, f"relays/{relay_id}/replay", delivery=number)
    assert "1 delivery is sent again." in (await owner.get(answer.headers["location"])).text
    await world.relays.run_once()
    assert len(good.requests) == 1
    assert "Working" in (await owner.get(PAGE)).text


async def test_a_span_of_time_is_sent_again(world: World, owner: Browser) -> None:
    relay_id = await added(world)
    await delivered(world)
    world.way.ends.append(good := Answers(200))
    await world.relays.run_once()
    sent = len(good.requests)
    assert sent
    await send(owner, f"relays/{relay_id}/replay", hours="24")
    await world.relays.run_once()
    assert len(good.requests) == 2 * sent
    assert (await send(owner, f"relays/{relay_id}/replay", hours="9999")).status_code == 422


@pytest.mark.parametrize("state", [RelayState.STALLED, RelayState.GONE])
async def test_what_stopped_by_itself_says_why_and_goes_on_with_a_click(
    world: World, owner: Browser, state: RelayState
) -> None:
    relay_id = await added(world)
    async with world.store.write() as session:
        relay = await session.get_one(type(await world.relays.get(relay_id)), relay_id)
        relay.state = state
    page = (await owner.get(PAGE)).text
    assert {"stalled": "Stopped: does not answer", "gone": "Switched off"}[state] in page
    await world.alerts.run_once()
    assert [alert.kind for alert in await world.alerts.list_open()] == ["relay_failing"]
    assert "messages do not reach bot.example.com" in (await owner.get("/admin/alerts")).text
    await send(owner, f"relays/{relay_id}/resume")
    await world.alerts.run_once()
    assert await world.alerts.list_open() == []


async def take_over(world: World, owner: Browser, **fields: Any) -> httpx2.Response:
    types = ["message"]
    return await send(
        owner,
        f"webhooks/{world.account_id}",
        url=world.subscriptions.recommended_url(),
        types=types,
        **fields,
    )


async def test_a_takeover_offers_to_forward_and_keeps_the_foreign_address(world: World, owner: Browser) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    asked = await take_over(world, owner)
    assert asked.status_code == 409
    assert 'name="forward" value="true" checked' in asked.text
    assert "Forward everything to crm.example.com as well" in asked.text
    assert await relays(world) == []
    done = await take_over(world, owner, foreign_host="crm.example.com", forward="true")
    assert done.status_code == 303
    assert [standing.url for standing in await relays(world)] == ["crm.example.com/hooks/avito"]
    world.avito.buyer_says(world.avito.add_chat(world.shop), "Ещё продаёте?")
    await world.avito.idle()
    async with world.applying() as applier:
        assert applier.wait_applied(10)
    world.way.ends.append(good := Answers(200))
    await world.relays.run_once()
    (request,) = {request.url.path: request for request in good.requests}.values()
    assert request.headers["host"] == "crm.example.com"
    assert request.url.path == "/hooks/avito"
    assert "Ещё продаёте?" in request.content.decode()
    assert request.headers["x-avito-messenger-signature"]


async def test_a_takeover_without_the_tick_forwards_nothing(world: World, owner: Browser) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    assert (await take_over(world, owner, foreign_host="crm.example.com")).status_code == 303
    assert await relays(world) == []


async def test_a_takeover_that_fails_leaves_no_relay_and_keeps_the_choice(world: World, owner: Browser) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    world.way.ends.append(Answers(404))
    asked = await take_over(world, owner, foreign_host="crm.example.com", forward="true")
    assert asked.status_code == 409
    assert 'type="hidden" name="forward" value="true"' in asked.text
    assert await relays(world) == []
    assert world.shop.subscription == FOREIGN


async def test_an_address_that_cannot_be_forwarded_to_is_said_before(world: World, owner: Browser) -> None:
    world.avito.steal_subscription(world.shop, "http://crm.example.com/hooks/avito")
    asked = await take_over(world, owner)
    assert 'name="forward"' not in asked.text
    assert "Golub cannot forward them to it either:" in asked.text
    assert (await take_over(world, owner, foreign_host="crm.example.com")).status_code == 303


async def test_a_stolen_place_is_taken_back_and_the_thief_goes_on_hearing(world: World, owner: Browser) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.steal_subscription(world.shop, FOREIGN)
    await world.subscriptions.check(world.account_id)
    assert 'name="forward" value="true" checked' in (await owner.get(PAGE)).text
    done = await send(owner, f"webhooks/{world.account_id}/again", foreign_host="crm.example.com", forward="true")
    assert done.status_code == 303
    assert [standing.relay.host for standing in await relays(world)] == ["crm.example.com"]


@pytest.mark.parametrize("forward", [True, False])
async def test_the_api_takes_over_and_forwards_where_asked_to(world: World, owner: Browser, forward: bool) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    asked = {"url": world.subscriptions.recommended_url(), "replace": True, "forward": forward}
    answer = await owner.client.post("/api/admin/webhooks", json=asked, headers={"x-csrf-token": owner.csrf})
    assert answer.status_code == 201
    assert [standing.relay.host for standing in await relays(world)] == ["crm.example.com"] * forward


async def test_the_page_is_whole_in_russian(world: World, visit: Visit) -> None:
    owner = await visit(Role.SUPER_ADMIN)
    assert owner.operator is not None
    async with world.store.write() as session:
        (await session.get_one(type(owner.operator), owner.operator.id)).locale = "ru"
    await added(world)
    page = (await owner.get(PAGE)).text
    assert "Пересылка" in page
    assert "Приостановить" in page
    assert "Ждёт первого сообщения" in page
