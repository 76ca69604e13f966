"""The page of accounts: connecting by keys, with refusals that say what to do; renaming; removing after a warning."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.accounts import COLOURS
from golub.model import Role
from golub.store import Store
from golub.web.parts import Parts
from tests import door
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import World
from tests.web.conftest import Browser, Visit

PAGE = "/admin/accounts"


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    async with door.world(store, clock, tmp_path, connected=False) as made:
        yield made


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


def keys(world: World, secret: str = "") -> dict[str, str]:
    return {"client_id": world.shop.client_id, "client_secret": secret or world.shop.client_secret}


async def connected(world: World) -> int:
    return (await world.accounts.connect(world.shop.client_id, world.shop.client_secret)).account.id


@ONE_DATABASE
async def test_the_empty_page_says_where_the_keys_are(admin: Browser) -> None:
    page = (await admin.get(PAGE)).text
    assert "No account yet" in page
    assert "“For professionals” → “API”" in page


async def test_connecting_starts_the_import_and_shows_both_halves(world: World, admin: Browser) -> None:
    answer = await admin.post(PAGE, keys(world))
    assert answer.status_code == 303
    assert world.backfill.times == 1
    page = (await admin.get(answer.headers["location"])).text
    assert "Велосипеды is connected" in page
    assert "Not registered" in page  # receiving
    assert "Working" in page  # sending
    assert "Coming in:" in page
    again = await admin.get((await admin.post(PAGE, keys(world))).headers["location"])
    assert "Велосипеды has new keys" in again.text


@ONE_DATABASE
async def test_refusals_say_what_to_do_and_never_repeat_the_secret(world: World, admin: Browser) -> None:
    wrong = await admin.post(PAGE, keys(world, "not-the-secret"))
    assert wrong.status_code == 400
    assert "Avito does not know these keys." in wrong.text
    assert "not-the-secret" not in wrong.text
    assert f'value="{world.shop.client_id}"' in wrong.text

    world.avito.fault("token", status=503)
    away = await admin.post(PAGE, keys(world))
    assert away.status_code == 503
    assert "Nothing was changed. Try again in a minute." in away.text

    world.avito.fault("self", status=402)
    unpaid = await admin.post(PAGE, keys(world))
    assert "not part of this account" in unpaid.text
    empty = await admin.post(PAGE, {"client_id": "", "client_secret": ""})
    assert "Enter the client id." in empty.text
    assert await world.accounts.list() == []


@ONE_DATABASE
async def test_an_unpaid_account_is_connected_and_says_so(world: World, admin: Browser) -> None:
    world.shop.paid = False
    page = (await admin.get((await admin.post(PAGE, keys(world))).headers["location"])).text
    assert "No access" in page
    assert "Most often the plan that includes it has run out." in page


@ONE_DATABASE
async def test_renaming_and_choosing_a_colour(world: World, admin: Browser) -> None:
    account_id = await connected(world)
    assert 'value="Велосипеды"' in (await admin.get(f"{PAGE}?edit={account_id}")).text
    answer = await admin.post(f"{PAGE}/{account_id}", {"name": "<b>Наш</b>", "colour": COLOURS[2]})
    page = (await admin.get(answer.headers["location"])).text
    assert "&lt;b&gt;Наш&lt;/b&gt;" in page
    assert f'fill="{COLOURS[2]}"' in page
    refused = await admin.post(f"{PAGE}/{account_id}", {"name": " ", "colour": COLOURS[2]})
    assert (refused.status_code, "Give the account a name." in refused.text) == (400, True)


async def test_removing_says_first_what_happens(world: World, admin: Browser) -> None:
    account_id = await connected(world)
    await world.subscriptions.register(account_id, world.subscriptions.recommended_url(), ["message"])
    async with world.applying() as applier:
        world.avito.buyer_says(world.avito.add_chat(world.shop), "Здравствуйте")
        await world.avito.idle()
        assert applier.wait_applied(10)
    warning = (await admin.get(f"{PAGE}/{account_id}/remove")).text
    assert "1 chat" in warning
    assert "1 message" in warning
    assert "At Avito nothing is deleted" in warning
    assert await world.accounts.list()
    answer = await admin.post(f"{PAGE}/{account_id}/remove")
    assert "The account was removed" in (await admin.get(answer.headers["location"])).text
    assert await world.accounts.list() == []
    assert world.shop.subscription is None
    assert (await admin.post(f"{PAGE}/{account_id}/remove")).status_code == 404


@ONE_DATABASE
async def test_the_history_tells_how_far_it_is(world: World, admin: Browser) -> None:
    account_id = await connected(world)
    history = (await admin.get(f"{PAGE}/{account_id}/history")).text
    assert "0 chats" in history
    assert "hx-get" in history
    async with world.store.write() as session:
        account = await session.get(type(await world.accounts.get(account_id)), account_id)
        assert account
        account.backfill_offset = None
    assert "hx-get" not in (await admin.get(f"{PAGE}/{account_id}/history")).text


@ONE_DATABASE
async def test_managers_do_not_come_here(world: World, visit: Visit) -> None:
    account_id = await connected(world)
    manager = await visit(Role.MANAGER)
    assert (await manager.get(PAGE)).status_code == 403
    assert (await manager.post(PAGE, keys(world))).status_code == 403
    assert (await manager.post(f"{PAGE}/{account_id}/remove")).status_code == 403
    assert await world.accounts.list()
