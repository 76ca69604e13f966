"""Webhooks: what Avito calls, what our door knows and what our rows say stay in step, whatever fails on the way."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.alerts import AlertKind
from golub.clock import DAY, HOUR, MINUTE
from golub.errors import Invalid, NotFound, Paced, Unavailable, WrongKeys
from golub.guarded import Failure
from golub.model import SubscriptionState, TimelineKind
from golub.store import Store
from golub.subscription import (
    RETIRED_FOR,
    ForeignSubscription,
    ProbeFailed,
    find_first_since,
    mask,
    read_traffic,
    token_of,
    walk,
)
from golub.subscription.repair import REPAIRS_AN_HOUR
from golub.subscription.url import hash_of
from tests import door, shop
from tests.conftest import SteppedClock
from tests.door import FOREIGN, PUBLIC, Answers, World


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    async with door.world(store, clock, tmp_path) as made:
        yield made


async def test_the_recommended_url_is_registered_and_opens_our_door(world: World) -> None:
    url = world.subscriptions.recommended_url()
    assert url.startswith(f"{PUBLIC}/webhook/avito/")
    assert url != world.subscriptions.recommended_url()

    webhook = await world.subscriptions.register(world.account_id, url, ["chat", "message"])
    assert (await world.subscriptions.url_of(webhook), webhook.types) == (url, ["message", "chat"])
    assert webhook.subscription == SubscriptionState.ACTIVE
    assert webhook.created_at == webhook.updated_at == world.clock()
    assert world.shop.subscription == url
    assert await world.opens(url)


async def test_a_secret_is_durable_before_avito_hears_of_it(world: World) -> None:
    url = world.subscriptions.recommended_url()
    world.avito.fault("postWebhookV3", status=500, times=None)
    with pytest.raises(Unavailable):
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert world.spool.find_token(hash_of(token_of(url) or "")) is not None
    (token,) = await world.tokens()
    assert shop.VAULT.open(token.token) == token_of(url)
    assert await world.subscriptions.find(world.account_id) is None


async def test_the_secret_is_in_no_row_in_the_clear_but_the_url(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    (token,) = await world.tokens()
    assert (token_of(url) or "").encode() not in token.token + token.hash


async def test_the_same_url_twice_is_harmless(world: World) -> None:
    url = world.subscriptions.recommended_url()
    first = await world.subscriptions.register(world.account_id, url, ["message"])
    world.clock.step(HOUR)
    again = await world.subscriptions.register(world.account_id, url, ["message", "user"])
    assert (again.id, again.created_at, again.types) == (first.id, first.created_at, ["message", "user"])
    assert again.updated_at == world.clock()
    assert len(await world.tokens()) == 1


async def test_an_answer_that_is_lost_is_looked_up(world: World) -> None:
    url = world.subscriptions.recommended_url()
    world.avito.fault("postWebhookV3", status=502, after=True)
    webhook = await world.subscriptions.register(world.account_id, url, ["message"])
    assert webhook.subscription == SubscriptionState.ACTIVE


async def test_another_services_url_is_named_and_replaced_only_after_consent(world: World) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    url = world.subscriptions.recommended_url()
    with pytest.raises(ForeignSubscription) as caught:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert caught.value.fields["host"] == "crm.example.com"
    with pytest.raises(ForeignSubscription):  # consent to replace one service is none to replace another
        await world.subscriptions.register(world.account_id, url, ["message"], replace_foreign="other.example.com")
    assert world.shop.subscription == FOREIGN
    assert world.called("postWebhookV3") == 0

    await world.subscriptions.register(world.account_id, url, ["message"], replace_foreign="crm.example.com")
    assert world.shop.subscription == url


@pytest.mark.parametrize("status", [404, 301, 500, 204])
async def test_a_url_that_does_not_answer_200_is_registered_only_all_the_same(world: World, status: int) -> None:
    world.way.ends.append(Answers(status))
    url = world.subscriptions.recommended_url()
    with pytest.raises(ProbeFailed) as caught:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert caught.value.call.status == status
    assert world.shop.subscription is None
    await world.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
    assert world.shop.subscription == url


async def test_a_bare_url_is_taken_and_needs_no_secret(world: World) -> None:
    webhook = await world.subscriptions.register(world.account_id, f"{PUBLIC}/webhook/avito/", ["message"])
    assert await world.subscriptions.url_of(webhook) == f"{PUBLIC}/webhook/avito"
    assert await world.tokens() == []


@pytest.mark.parametrize(
    "url",
    [
        f"{PUBLIC}/hooks",
        f"{PUBLIC}/webhook/avito/short",
        f"{PUBLIC}/webhook/avito/{'a' * 43}",
        f"{PUBLIC}/webhook/avito?x=1",
        "http://golub.example.ru/webhook/avito",
        "https://localhost/webhook/avito",
    ],
)
async def test_a_url_of_a_bad_shape_never_reaches_avito(world: World, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert caught.value.field == "url"
    assert world.avito.calls == []


@pytest.mark.parametrize(("types", "words"), [([], "Types must be"), (["message", "call"], "Invalid type: call.")])
async def test_types_are_checked(world: World, types: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), types)


async def test_the_secret_of_another_account_is_refused(world: World) -> None:
    other = await world.add_shop(7, "Лодки")
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(other, url, ["message"])
    with pytest.raises(Invalid, match="another account"):
        await world.subscriptions.register(world.account_id, url, ["message"])


async def test_types_alone_are_changed_without_a_word_to_avito(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    before = len(world.avito.calls)
    webhook = await world.subscriptions.update(world.account_id, types=["user", "message"])
    assert webhook.types == ["message", "user"]
    assert len(world.avito.calls) == before


async def test_a_changed_url_is_registered_and_the_old_secret_opens_three_days_more(world: World) -> None:
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    world.clock.step(MINUTE)
    webhook = await world.subscriptions.update(world.account_id, new)
    assert (await world.subscriptions.url_of(webhook), webhook.types) == (new, ["message"])
    assert world.shop.subscription == new
    await first_delivery(world)
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


async def first_delivery(world: World) -> None:
    async with world.applying() as applier:
        world.avito.buyer_says(world.avito.add_chat(world.shop), "Здравствуйте")
        await world.avito.idle()
        assert await asyncio.to_thread(applier.wait_applied, 10)


async def test_an_old_secret_opens_until_the_new_one_has_brought_its_first_delivery(world: World) -> None:
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    await first_delivery(world)
    world.clock.step(MINUTE)
    await world.subscriptions.update(world.account_id, new)  # it is probed, and a probe is no delivery
    for _ in range(10):
        world.clock.step(RETIRED_FOR // 12)
        await world.subscriptions.run_once()
    assert await world.opens(old)
    assert await world.opens(new)
    assert (await world.subscriptions.get(world.account_id)).rotating_since is not None

    await first_delivery(world)
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
    await first_delivery(world)
    await world.subscriptions.run_once()
    world.clock.step(RETIRED_FOR)
    assert [await world.opens(url) for url in urls] == [False, False, True]


async def checks(world: World, *, minutes: int) -> None:
    """As time goes by: the loop of checks takes a turn each half minute."""
    for _ in range(minutes * 2):
        world.clock.step(MINUTE // 2)
        await world.subscriptions.run_once()


@pytest.mark.parametrize("host", ["crm.example.com", ""])
async def test_a_lost_subscription_is_repaired_within_five_minutes_where_that_is_allowed(
    world: World, host: str
) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    await world.subscriptions.allow_self_repair(world.account_id, True)
    await checks(world, minutes=11)

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
    await checks(world, minutes=30)
    assert world.shop.subscription != url


async def test_against_a_service_that_fights_back_self_repair_rests_and_tells(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
    await world.subscriptions.allow_self_repair(world.account_id, True)
    before = world.called("postWebhookV3")
    for _ in range(50):
        world.avito.steal_subscription(world.shop, FOREIGN)
        await checks(world, minutes=1)
    assert world.called("postWebhookV3") - before == REPAIRS_AN_HOUR
    await world.alerts.run_once()
    opened = {alert.kind: alert.detail for alert in await world.alerts.list_open()}
    assert opened == {
        AlertKind.REPAIR_RESTS: "crm.example.com",
        AlertKind.SUBSCRIPTION_STOLEN: "crm.example.com",
    }
    await checks(world, minutes=70)  # it has rested, and nobody fights any more
    await world.alerts.run_once()
    assert await world.alerts.list_open() == []
    assert not world.shop.stolen


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


async def test_a_registration_that_ended_unseen_is_taken_over(world: World) -> None:
    """The process died between Avito's answer and our row: what Avito calls is what counts."""
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    world.shop.subscription = new
    webhook = await world.subscriptions.check(world.account_id)
    assert webhook is not None
    assert (await world.subscriptions.url_of(webhook), webhook.subscription) == (new, SubscriptionState.ACTIVE)
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


async def test_an_account_is_forgotten_also_with_dead_keys(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    world.avito.expire_tokens(world.shop)
    world.shop.client_secret = "another"
    with pytest.raises(WrongKeys):
        await world.subscriptions.remove(world.account_id)
    await world.subscriptions.forget(world.account_id)
    await world.accounts.remove(world.account_id)
    assert await world.tokens() == []
    assert world.spool.find_token(hash_of(token_of(url) or "")) is None
    assert not await world.opens(url)


async def test_forgetting_unsubscribes_where_it_can(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    await world.subscriptions.forget(world.account_id)
    assert world.shop.subscription is None


async def test_the_walk_finds_its_nonce_behind_our_own_door(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    async with world.applying() as applier:
        found = await walk(world.subscriptions, world.store, world.clock, world.account_id)
        assert found.call.address == "93.184.216.34"
        assert (found.answered, found.received, found.good) == (True, True, True)

        since = world.clock()
        assert await find_first_since(world.store, found.webhook, since) is None  # the nonce is no message
        assert (await read_traffic(world.store, found.webhook, since)).last_at is None
        world.clock.step(1000)
        world.avito.buyer_says(world.avito.add_chat(world.shop), "Ещё продаёте?")
        await world.avito.idle()
        assert applier.wait_applied(10)
        first = await find_first_since(world.store, found.webhook, since)
        assert first is not None
        assert first.received_at == world.clock()
        traffic = await read_traffic(world.store, found.webhook, world.clock())
        assert (traffic.last_at, traffic.last_day, traffic.failed_at) == (world.clock(), 1, None)
        world.avito.emit(world.shop, b"not json")
        await world.avito.idle()
        assert applier.wait_applied(10)
        assert (await read_traffic(world.store, found.webhook, world.clock())).failed_at == world.clock()


async def test_the_walk_is_not_deceived_by_a_stranger_who_answers_200(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.way.ends.append(Answers(200))
    async with world.applying():
        found = await walk(world.subscriptions, world.store, world.clock, world.account_id, wait=0.3)
    assert (found.answered, found.received, found.good) == (True, False, False)


async def test_the_walk_shows_a_stolen_subscription(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.steal_subscription(world.shop, FOREIGN)
    async with world.applying():
        found = await walk(world.subscriptions, world.store, world.clock, world.account_id)
    assert (found.received, found.good) == (True, False)
    assert found.webhook.foreign_host == "crm.example.com"


async def test_a_door_that_is_closed(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.way.ends.append(Answers(502))
    found = await walk(world.subscriptions, world.store, world.clock, world.account_id)
    assert (found.call.status, found.call.failure, found.received) == (502, Failure.NONE, False)


async def test_six_tries_a_minute_and_no_more(world: World) -> None:
    url = world.subscriptions.recommended_url()
    for _ in range(6):
        await world.subscriptions.probe(world.account_id, url)
    with pytest.raises(Paced):
        await world.subscriptions.probe(world.account_id, url)
    world.clock.step(MINUTE)
    await world.subscriptions.probe(world.account_id, url)


def test_a_masked_url_shows_no_secret() -> None:
    url = f"{PUBLIC}/webhook/avito/{'x' * 43}"
    assert mask(url) == f"{PUBLIC}/webhook/avito/••••••••"
    assert mask(f"{PUBLIC}/webhook/avito") == f"{PUBLIC}/webhook/avito"
