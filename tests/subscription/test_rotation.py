"""Rotation: an old address closes when it is silent, when a person says so, and never while Avito may still use it."""

import asyncio
from pathlib import Path

import pytest

from golub.audit import By
from golub.clock import DAY, HOUR, MINUTE
from golub.live import Live
from golub.model import TimelineKind
from golub.simulator.wire import webhook_body, webhook_value
from golub.subscription import (
    RETIRED_FOR,
    ProbeFailed,
    token_of,
)
from golub.subscription.secrets import Secrets
from golub.subscription.url import hash_of
from tests import shop
from tests.conftest import SteppedClock
from tests.door import Answers, World


async def rotate(world: World) -> tuple[str, str]:
    """The old and the new address; nobody has written since."""
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    world.clock.step(MINUTE)
    await world.subscriptions.update(world.account_id, new)
    return old, new


async def written(world: World, *, to: str = "") -> None:
    """A buyer writes, and Avito calls that address, or the one that it was told last."""
    present = world.shop.subscription
    world.shop.subscription = to or present
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


async def test_a_changed_url_is_registered_and_the_old_secret_opens_three_days_more(world: World) -> None:
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    world.clock.step(MINUTE)
    webhook = await world.subscriptions.update(world.account_id, new)
    assert (await world.subscriptions.url_of(webhook), webhook.types) == (new, ["message"])
    assert world.shop.subscription == new
    await written(world)
    await world.subscriptions.run_once()
    world.clock.step(RETIRED_FOR - MINUTE)
    await world.subscriptions.run_once()
    assert await world.opens(old)
    world.clock.step(2 * MINUTE)
    assert not await world.opens(old)
    await world.subscriptions.run_once()
    assert world.spool.find_token(hash_of(token_of(old) or "")) is None
    assert await world.opens(new)
    world.clock.step(HOUR)
    await world.subscriptions.run_once()
    assert [token.hash for token in await world.tokens()] == [hash_of(token_of(new) or "")]


async def test_an_old_secret_opens_until_the_new_one_has_brought_its_first_delivery(world: World) -> None:
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    await written(world)
    world.clock.step(MINUTE)
    await world.subscriptions.update(world.account_id, new)  # it is probed, and a probe is no delivery
    for _ in range(10):
        world.clock.step(RETIRED_FOR // 12)
        await world.subscriptions.run_once()
    assert await world.opens(old)
    assert await world.opens(new)
    assert (await world.subscriptions.get(world.account_id)).rotating_since is not None

    await written(world)
    await world.subscriptions.run_once()
    assert (await world.subscriptions.get(world.account_id)).rotating_since is None
    assert await world.opens(old)  # what was under way still comes in
    world.clock.step(RETIRED_FOR)
    assert not await world.opens(old)
    assert await world.opens(new)
    kinds = [entry.kind for entry in reversed(await world.accounts.timeline(world.account_id))]
    assert kinds == [TimelineKind.REGISTERED, TimelineKind.REGISTERED, TimelineKind.ROTATED]


async def test_a_second_rotation_keeps_every_secret_that_may_still_be_called(world: World) -> None:
    urls = [world.subscriptions.recommended_url() for _ in range(3)]
    for url in urls:
        await world.subscriptions.register(world.account_id, url, ["message"])
        world.clock.step(HOUR * 2)
        await world.subscriptions.run_once()
    assert [await world.opens(url) for url in urls] == [True] * 3
    await written(world)
    await world.subscriptions.run_once()
    world.clock.step(RETIRED_FOR)
    assert [await world.opens(url) for url in urls] == [False, False, True]


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


async def test_whoever_keeps_writing_to_the_old_address_keeps_it_open_two_weeks_and_no_longer(world: World) -> None:
    old, new = await rotate(world)
    for _ in range(6):
        await written(world, to=old)
        await days(world, 2)
    assert await world.opens(old)
    await written(world)  # what ends the rotation gives the old address no more time
    await written(world, to=old)
    await days(world, 2)
    assert not await world.opens(old)
    assert await world.opens(new)


async def test_where_nobody_writes_to_the_new_address_the_old_one_closes_after_two_weeks_as_well(world: World) -> None:
    old, new = await rotate(world)
    for _ in range(7):
        assert await world.opens(old)
        await written(world, to=old)
        await days(world, 2)
    assert not await world.opens(old)
    assert await world.opens(new)
    closed, *_ = await world.accounts.timeline(world.account_id)
    assert (closed.kind, closed.detail) == (TimelineKind.OLD_CLOSED, "late")


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


async def test_secrets_of_registrations_that_were_given_up_are_retired(world: World) -> None:
    world.way.ends.append(Answers(404))
    given_up = world.subscriptions.recommended_url()
    with pytest.raises(ProbeFailed):
        await world.subscriptions.register(world.account_id, given_up, ["message"])
    world.clock.step(2 * HOUR)
    await world.subscriptions.run_once()
    assert await world.opens(given_up)
    world.clock.step(3 * DAY)
    assert not await world.opens(given_up)


async def test_a_new_spool_learns_the_secrets_from_the_database(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    digest = hash_of(token_of(url) or "")
    world.spool.drop_token(digest)
    await world.subscriptions.secrets.keep_in_step()
    assert world.spool.find_token(digest) is not None
