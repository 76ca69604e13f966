"""Accounts: keys are asked of Avito before they are kept, kept sealed, and refused in words that tell causes apart."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from golub.accounts import COLOURS
from golub.errors import Invalid, NoAccess, NotFound, Unavailable, WrongKeys
from golub.model import Account, AccountState, Chat, Delivery, Message
from golub.store import Store
from tests import door, shop
from tests.conftest import SteppedClock
from tests.door import World


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    async with door.world(store, clock, tmp_path, connected=False) as made:
        yield made


async def test_keys_make_an_account_and_are_sealed(world: World) -> None:
    connected = await world.accounts.connect(f" {world.shop.client_id}\n", world.shop.client_secret)
    account = connected.account
    assert not connected.renewed
    assert (account.user_id, account.name, account.state) == (shop.USER_ID, "Велосипеды", AccountState.WORKING)
    assert account.client_id == world.shop.client_id
    assert world.shop.client_secret.encode() not in account.client_secret
    assert shop.VAULT.open(account.client_secret) == world.shop.client_secret
    assert account.colour in COLOURS
    assert account.webhook is None


async def test_several_accounts_have_colours_of_their_own(world: World) -> None:
    other = world.avito.add_account(7, "Лодки")
    for keys in (world.shop, other):
        await world.accounts.connect(keys.client_id, keys.client_secret)
    accounts = await world.accounts.list()
    assert [account.name for account in accounts] == ["Велосипеды", "Лодки"]
    assert accounts[0].colour != accounts[1].colour


async def test_the_same_shop_again_renews_its_keys_and_keeps_the_rest(world: World) -> None:
    first = (await world.accounts.connect(world.shop.client_id, world.shop.client_secret)).account
    await world.accounts.rename(first.id, "Наш магазин", COLOURS[3])
    world.shop.client_secret = "issued anew"
    with pytest.raises(Invalid):
        await world.accounts.connect(world.shop.client_id, "issued anew")
    world.shop.client_secret = "issued-anew"
    again = await world.accounts.connect(world.shop.client_id, "issued-anew")
    assert again.renewed
    assert (again.account.id, again.account.name) == (first.id, "Наш магазин")
    assert shop.VAULT.open(again.account.client_secret) == "issued-anew"
    assert len(await world.accounts.list()) == 1


async def test_refusals_are_told_apart(world: World) -> None:
    with pytest.raises(WrongKeys):
        await world.accounts.connect(world.shop.client_id, "wrong")
    world.avito.fault("token", status=503)
    with pytest.raises(Unavailable):
        await world.accounts.connect(world.shop.client_id, world.shop.client_secret)
    world.avito.fault("self", status=402)
    with pytest.raises(NoAccess):
        await world.accounts.connect(world.shop.client_id, world.shop.client_secret)
    assert await world.accounts.list() == []


async def test_an_unpaid_messenger_is_seen_at_once(world: World) -> None:
    """Keys and profile are free at Avito; the messenger's own answer tells."""
    world.shop.paid = False
    account = (await world.accounts.connect(world.shop.client_id, world.shop.client_secret)).account
    assert account.state == AccountState.NO_ACCESS


@pytest.mark.parametrize(
    ("client_id", "secret", "field"),
    [("", "s", "client_id"), ("i", " ", "client_secret"), ("i d", "s", "client_id"), ("i", "ключ", "client_secret")],
)
async def test_what_cannot_be_a_key_is_not_sent(world: World, client_id: str, secret: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.accounts.connect(client_id, secret)
    assert caught.value.field == field
    assert world.avito.calls == []


async def test_renaming(world: World) -> None:
    account = (await world.accounts.connect(world.shop.client_id, world.shop.client_secret)).account
    await world.accounts.rename(account.id, "  Новое \n имя ", COLOURS[1])
    found = await world.accounts.get(account.id)
    assert (found.name, found.colour) == ("Новое имя", COLOURS[1])
    for name, colour in (("", COLOURS[0]), ("я" * 81, COLOURS[0]), ("ok", "red")):
        with pytest.raises(Invalid):
            await world.accounts.rename(account.id, name, colour)
    with pytest.raises(NotFound):
        await world.accounts.rename(account.id + 1, "ok", COLOURS[0])


async def test_removing_takes_its_messages_and_leaves_the_journal(world: World) -> None:
    account_id = (await world.accounts.connect(world.shop.client_id, world.shop.client_secret)).account.id
    await world.subscriptions.register(account_id, world.subscriptions.recommended_url(), ["message"])
    async with world.applying() as applier:
        world.avito.buyer_says(world.avito.add_chat(world.shop), "Здравствуйте")
        await world.avito.idle()
        assert applier.wait_applied(10)
    holdings = await world.accounts.holdings(account_id)
    assert (holdings.chats, holdings.messages, holdings.waiting) == (1, 1, 0)

    async with world.subscriptions.forgetting(account_id):
        await world.accounts.remove(account_id)
    with pytest.raises(NotFound):
        await world.accounts.get(account_id)
    async with world.store.read() as session:
        for table in (Account, Chat, Message):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
        kept = (await session.scalars(select(Delivery))).all()
    assert kept
    assert {delivery.account_id for delivery in kept} == {None}


async def test_what_was_on_its_way_when_its_account_went_is_kept(world: World) -> None:
    """Acked, then the account was removed, then applied: no row may name an account that is gone."""
    account_id = (await world.accounts.connect(world.shop.client_id, world.shop.client_secret)).account.id
    await world.subscriptions.register(account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.buyer_says(world.avito.add_chat(world.shop), "Здравствуйте")
    await world.avito.idle()
    async with world.subscriptions.forgetting(account_id):
        await world.accounts.remove(account_id)
    async with world.applying() as applier:
        assert applier.wait_applied(10)
    assert world.spool.pending == 0
    async with world.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Delivery)) == 2  # the probe, and the message
