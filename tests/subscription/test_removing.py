"""Removing a webhook, and forgetting all of an account that goes."""

import asyncio

import pytest
from sqlalchemy import event, func, select

from golub.audit import By
from golub.clock import Millis
from golub.errors import NotFound, Unavailable, WrongKeys
from golub.model import PathToken, SubscriptionState, Webhook
from golub.subscription import (
    token_of,
)
from golub.subscription.url import hash_of
from tests.door import FOREIGN, World


async def test_removing_unsubscribes_and_the_secret_opens_three_days_more(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    listed = await world.subscriptions.remove(world.account_id)
    assert (listed.ours, listed.foreign) == ((url,), ())
    assert world.shop.subscription is None
    assert await world.subscriptions.find(world.account_id) is None
    assert await world.opens(url)
    with pytest.raises(NotFound):
        await world.subscriptions.remove(world.account_id)


async def test_no_crash_leaves_half_of_a_removal_or_of_a_closed_address(world: World) -> None:
    """At the beginning of each transaction, which is where a process may have died before, all that was committed is
    whole: what has no webhook any more, or is closed by a person's word, opens for a while at most."""
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    await world.subscriptions.update(world.account_id, new)
    found: list[tuple[list[Millis | None], int]] = []  # webhooks (since when each rotates), secrets without an end

    def look(_: object) -> None:
        with world.store._look.connect() as connection:
            opens = select(func.count()).select_from(PathToken).where(PathToken.retired_at.is_(None))
            webhooks = list(connection.scalars(select(Webhook.rotating_since)))
            found.append((webhooks, connection.execute(opens).scalar_one()))

    event.listen(world.store._write.sync_engine, "begin", look)
    webhook = await world.subscriptions.get(world.account_id)
    await world.subscriptions.secrets.close_replaced(webhook, By())
    await world.subscriptions.remove(world.account_id)
    look(None)
    whole = [([webhook.rotating_since], 2), ([None], 1), ([], 0)]
    assert [state for number, state in enumerate(found) if state not in found[:number]] == whole


async def test_removing_never_touches_another_services_url(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.steal_subscription(world.shop, FOREIGN)
    listed = await world.subscriptions.remove(world.account_id)
    assert listed.foreign_host == "crm.example.com"
    assert world.shop.subscription == FOREIGN
    assert world.called("postWebhookUnsubscribe") == 0


async def test_while_avito_is_away_nothing_is_removed(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.fault("getSubscriptions", status=503, times=None)
    with pytest.raises(Unavailable):
        await world.subscriptions.remove(world.account_id)
    assert await world.subscriptions.find(world.account_id) is not None


async def test_an_account_is_forgotten_also_with_dead_keys(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    world.avito.expire_tokens(world.shop)
    world.shop.client_secret = "another"
    with pytest.raises(WrongKeys):
        await world.subscriptions.remove(world.account_id)
    async with world.subscriptions.forgetting(world.account_id):
        await world.accounts.remove(world.account_id)
    assert await world.tokens() == []
    assert world.spool.find_token(hash_of(token_of(url) or "")) is None
    assert not await world.opens(url)


async def test_forgetting_unsubscribes_where_it_can(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    async with world.subscriptions.forgetting(world.account_id):
        assert world.shop.subscription is None


async def test_a_removal_that_was_cut_short_leaves_the_account_whole_and_is_done_again(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    with pytest.raises(asyncio.CancelledError):  # as if the process had died
        async with world.subscriptions.forgetting(world.account_id):
            raise asyncio.CancelledError
    assert world.spool.find_token(hash_of(token_of(url) or "")) is None
    await world.subscriptions.secrets.keep_in_step()
    assert await world.opens(url)
    webhook = await world.subscriptions.check(world.account_id)
    assert webhook is not None
    assert webhook.subscription == SubscriptionState.MISSING

    async with world.subscriptions.forgetting(world.account_id):
        assert await world.opens(url)  # a delivery that comes in this moment has its secret looked up …
        await world.accounts.remove(world.account_id)
    assert world.spool.find_token(hash_of(token_of(url) or "")) is None  # … and that is forgotten as well
    assert not await world.opens(url)
    assert (await world.tokens(), await world.accounts.list()) == ([], [])
