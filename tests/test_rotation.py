"""Rotation: an old address closes when it is silent, when a person says so, and never while Avito may still use it."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.audit import By
from golub.clock import DAY, HOUR, MINUTE
from golub.live import Live
from golub.model import TimelineKind
from golub.simulator.wire import webhook_body, webhook_value
from golub.store import Store
from golub.subscription import RETIRED_FOR, token_of
from golub.subscription.secrets import Secrets
from golub.subscription.url import hash_of
from tests import door, shop
from tests.conftest import SteppedClock
from tests.door import World


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    async with door.world(store, clock, tmp_path) as made:
        yield made


async def rotate(world: World) -> tuple[str, str]:
    """The old and the new address; nobody has written since."""
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    world.clock.step(MINUTE)
    await world.subscriptions.update(world.account_id, new)
    return old, new


async def written(world: World, *, to: str) -> None:
    """A buyer writes, and Avito calls that address."""
    present, world.shop.subscription = world.shop.subscription, to
    async with world.applying() as applier:
        chat = world.avito.add_chat(world.shop)
        message = world.avito.buyer_says(chat, "Здравствуйте", quiet=True)
        world.avito.emit(world.shop, webhook_body("0" * 8, message.created, webhook_value(message)))
        await world.avito.idle()
        assert await asyncio.to_thread(applier.wait_applied, 10)
    world.shop.subscription = present


async def days(world: World, count: float) -> None:
    for _ in range(round(count * 3)):
        world.clock.step(8 * HOUR)
        await world.subscriptions.run_once()


async def kinds(world: World) -> list[str]:
    return [entry.kind for entry in reversed(await world.accounts.timeline(world.account_id))]


async def test_where_nobody_writes_the_old_address_closes_after_three_silent_days(world: World) -> None:
    old, new = await rotate(world)
    await days(world, 2.7)
    assert await world.opens(old)
    await written(world, to=old)  # Avito still calls it: so it is needed
    await days(world, 2.7)
    assert await world.opens(old)
    await days(world, 0.7)
    assert not await world.opens(old)
    assert await world.opens(new)
    assert (await world.subscriptions.get(world.account_id)).rotating_since is None
    assert (await kinds(world))[-1] == TimelineKind.OLD_CLOSED
    assert [token.hash for token in await world.tokens()] == [hash_of(token_of(new) or "")]


async def test_an_old_address_that_still_brings_deliveries_stays_open_three_days_longer(world: World) -> None:
    old, new = await rotate(world)
    await written(world, to=new)
    await days(world, 2)
    await written(world, to=old)
    await days(world, 2)
    assert await world.opens(old)
    webhook = await world.subscriptions.get(world.account_id)
    replaced = await world.subscriptions.secrets.replaced(webhook)
    assert replaced.count == 1
    assert replaced.until == (replaced.used_at or 0) + RETIRED_FOR
    await days(world, 1.5)
    assert not await world.opens(old)


async def test_a_person_closes_the_old_address_at_once_and_another_node_follows(
    world: World, tmp_path: Path, clock: SteppedClock
) -> None:
    old, new = await rotate(world)
    async with shop.applier(world.store, clock, tmp_path / "other", Live()) as (_, other):
        away = Secrets(world.store, other, shop.VAULT, clock)
        await away.keep_in_step()
        assert other.find_token(hash_of(token_of(old) or "")) is not None
        webhook = await world.subscriptions.get(world.account_id)
        secrets = world.subscriptions.secrets
        assert ((await secrets.replaced(webhook)).count, (await secrets.replaced(webhook)).until) == (1, None)

        await secrets.close_replaced(webhook, By())
        assert not await world.opens(old)
        assert await world.opens(new)
        assert (await secrets.replaced(webhook)).count == 0
        await away.keep_in_step()
        assert other.find_token(hash_of(token_of(old) or "")) is None
        assert other.find_token(hash_of(token_of(new) or "")) is not None
    await secrets.close_replaced(webhook, By())  # twice is harmless
    assert (await kinds(world)).count(TimelineKind.OLD_CLOSED) == 1
    await days(world, 0.5)
    assert len(await world.tokens()) == 1
    world.clock.step(10 * DAY)
    assert await world.opens(new)
