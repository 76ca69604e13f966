"""Checks say what Avito says, and bring a lost subscription back where that is allowed."""

import asyncio

import pytest

from golub.alerts import AlertKind
from golub.clock import MINUTE, Millis
from golub.model import SubscriptionState, TimelineKind
from golub.subscription.repair import REPAIRS_AN_HOUR
from tests.door import FOREIGN, World


async def checks(world: World, *, minutes: int, by: Millis = MINUTE // 2) -> None:
    """As time goes by: the loop of checks takes a turn each half minute."""
    for _ in range(minutes * MINUTE // by):
        world.clock.step(by)
        await world.subscriptions.run_once()


async def test_the_check_says_what_avito_says(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])

    async def state() -> tuple[str, str]:
        webhook = await world.subscriptions.check(world.account_id)
        assert webhook is not None
        return webhook.subscription, webhook.foreign_host

    assert await state() == (SubscriptionState.ACTIVE, "")
    world.avito.steal_subscription(world.shop, FOREIGN)
    assert await state() == (SubscriptionState.FOREIGN, "crm.example.com")
    world.shop.subscription = None
    assert await state() == (SubscriptionState.MISSING, "")
    world.avito.fault("getSubscriptions", status=500)
    assert (await state())[0] == SubscriptionState.UNKNOWN
    world.shop.subscription = url
    assert await state() == (SubscriptionState.ACTIVE, "")


async def test_checks_are_made_when_due_and_not_before(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    before = world.called("getSubscriptions")
    await world.subscriptions.run_once()
    assert world.called("getSubscriptions") == before
    world.clock.step(10 * MINUTE)
    await world.subscriptions.run_once()
    await world.subscriptions.run_once()
    assert world.called("getSubscriptions") == before + 1


async def test_an_account_whose_api_hangs_holds_up_no_other_check(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    other = await world.add_shop(7, "Лодки")
    await world.subscriptions.register(other, world.subscriptions.recommended_url(), ["message"])
    hanging = world.avito.fault("getSubscriptions", hang=True, times=None, account=world.shop)
    checked_at = world.clock.step(10 * MINUTE)
    turn = asyncio.create_task(world.subscriptions.run_once())
    async with asyncio.timeout(60):
        while (await world.subscriptions.get(other)).checked_at < checked_at:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)  # until it has been checked
    assert hanging.hits == 1
    assert not turn.done()
    turn.cancel()
    await asyncio.wait([turn])


async def test_a_registration_that_ended_unseen_is_taken_over(world: World) -> None:
    """The process died between Avito's answer and our row: what Avito calls is what counts."""
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    world.shop.subscription = new
    webhook = await world.subscriptions.check(world.account_id)
    assert webhook is not None
    assert (await world.subscriptions.url_of(webhook), webhook.subscription) == (new, SubscriptionState.ACTIVE)
    assert await world.opens(new)


async def test_the_timeline_tells_changes_of_the_subscription_once(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    world.avito.steal_subscription(world.shop, FOREIGN)
    for status in (200, 500, 200):
        world.avito.fault("getSubscriptions", status=status) if status != 200 else None
        await world.subscriptions.check(world.account_id)
    world.shop.subscription, world.shop.stolen = url, False
    await world.subscriptions.check(world.account_id)
    await world.subscriptions.check(world.account_id)
    kinds = [entry.kind for entry in reversed(await world.accounts.timeline(world.account_id))]
    assert kinds == [TimelineKind.REGISTERED, TimelineKind.STOLEN, TimelineKind.SUBSCRIBED]


@pytest.mark.parametrize("host", ["crm.example.com", ""])
async def test_a_lost_subscription_is_repaired_within_five_minutes_where_that_is_allowed(
    world: World, host: str
) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    await world.subscriptions.allow_self_repair(world.account_id, True)
    await checks(world, minutes=12, by=2 * MINUTE)

    def lose() -> None:
        if host:
            world.avito.steal_subscription(world.shop, FOREIGN)
        else:
            world.shop.subscription = None

    lose()
    await checks(world, minutes=5)
    assert world.shop.subscription == url
    assert (await world.subscriptions.get(world.account_id)).subscription == SubscriptionState.ACTIVE
    repaired, lost, *_ = await world.accounts.timeline(world.account_id)
    assert (repaired.kind, repaired.detail) == (TimelineKind.REPAIRED, host)
    assert (lost.kind, lost.detail) == (TimelineKind.STOLEN if host else TimelineKind.UNSUBSCRIBED, host)
    assert world.called("postWebhookUnsubscribe") == 0

    await world.subscriptions.allow_self_repair(world.account_id, False)
    lose()
    await checks(world, minutes=30, by=2 * MINUTE)
    assert world.shop.subscription != url


async def test_against_a_service_that_fights_back_self_repair_rests_and_tells(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
    await world.subscriptions.allow_self_repair(world.account_id, True)
    before = world.called("postWebhookV3")
    for _ in range(12):
        world.avito.steal_subscription(world.shop, FOREIGN)
        await checks(world, minutes=4, by=2 * MINUTE)
    assert world.called("postWebhookV3") - before == REPAIRS_AN_HOUR
    await world.alerts.run_once()
    opened = {alert.kind: alert.detail for alert in await world.alerts.list_open()}
    assert opened == {
        AlertKind.REPAIR_RESTS: "crm.example.com",
        AlertKind.SUBSCRIPTION_STOLEN: "crm.example.com",
    }
    await checks(world, minutes=70, by=5 * MINUTE)  # it has rested, and nobody fights any more
    await world.alerts.run_once()
    assert await world.alerts.list_open() == []
    assert not world.shop.stolen
