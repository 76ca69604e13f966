"""Silence: a night is none, a dead webhook is found by what buyers wrote, and what was stolen comes back by itself."""

import asyncio
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import select

from golub.alerts import AlertKind
from golub.clock import DAY, HOUR, MINUTE, SECOND, Millis
from golub.coverage import Tally
from golub.model import Account, AccountState, Message, SubscriptionState, TimelineEntry, TimelineKind
from golub.rhythm import SLOT, Rhythm
from golub.silence import Silence
from golub.store import Store
from tests import shop, village
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import FOREIGN
from tests.village import Village

WEEK = 7 * DAY
MONDAY = 1_790_553_600_000  # 2026-09-28, 00:00 UTC

# Messages an hour that a shop gets, by hour of a day in Moscow; on Sundays fewer, and they begin late.
USUAL = (0.05, 0, 0, 0, 0, 0, 0.1, 0.6, 2, 4, 6, 7, 7, 6, 6, 6, 7, 7, 6, 5, 4, 3, 1.5, 0.5)


def writes(since: Millis, until: Millis, dice: random.Random, share: float = 1.0) -> list[Millis]:
    """When buyers write: by the hour, in little bursts, and some days are slower than others."""
    found: list[Millis] = []
    for hour in range(since // HOUR, until // HOUR):
        local = hour + 3
        day = random.Random(local // 24).uniform(0.5, 1.4)
        sunday = 0.4 if local // 24 % 7 == 3 else 1.0
        for minute in range(60):
            if dice.random() < share * USUAL[local % 24] * day * sunday / 60 / 2:
                start = hour * HOUR + minute * MINUTE
                found += [start + part * 20 * SECOND for part in range(dice.choice((1, 1, 2, 4)))]
    return [at for at in found if since <= at < until]


def rhythm_of(times: list[Millis], now: Millis) -> Rhythm:
    return Rhythm(sorted({at // SLOT for at in times}), now)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [1.0, 0.2, 8.0], ids=["usual", "small", "busy"])
def test_in_a_usual_week_no_night_and_hardly_a_day_is_a_silence(seed: int, share: float) -> None:
    dice = random.Random(seed)
    past = writes(MONDAY - 4 * WEEK, MONDAY, dice, share)
    rhythm = rhythm_of(past, MONDAY)
    week = writes(MONDAY, MONDAY + WEEK, dice, share)
    heard = past[-1]
    silences: list[Millis] = []
    for now in range(MONDAY, MONDAY + WEEK, 5 * MINUTE):
        while week and week[0] <= now:
            heard = week.pop(0)
        if rhythm.is_silence(heard, now):
            silences.append(now)
            heard = now  # one look, and then anew
    at_night = [at for at in silences if (at // HOUR + 3) % 24 < 8]
    assert at_night == []
    assert len(silences) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_a_webhook_that_dies_at_noon_is_a_silence_within_some_hours_and_at_night_none(seed: int) -> None:
    past = writes(MONDAY - 4 * WEEK, MONDAY, random.Random(seed))
    rhythm = rhythm_of(past, MONDAY)
    noon = MONDAY + 9 * HOUR
    assert not rhythm.is_silence(noon, noon + 10 * MINUTE)
    assert rhythm.is_silence(noon, noon + 4 * HOUR)
    late = MONDAY + 19 * HOUR + 30 * MINUTE  # 22:30 in Moscow
    assert not rhythm.is_silence(late, late + 9 * HOUR)
    assert rhythm.is_silence(late, late + 16 * HOUR)


def test_an_account_that_is_hardly_written_to_has_no_rhythm() -> None:
    rhythm = rhythm_of([MONDAY - n * DAY for n in range(20)], MONDAY)
    assert not rhythm.is_silence(MONDAY, MONDAY + 3 * WEEK)


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    """Its shop has a week of history."""
    clock.now = MONDAY + 8 * HOUR
    async with village.village(database_url, tmp_path, clock) as made:
        chats = [made.sim.add_chat(made.seller, created=(clock.now - 5 * WEEK) // 1000) for _ in range(5)]
        for number, at in enumerate(writes(MONDAY - WEEK, MONDAY, random.Random(1))):
            made.sim.buyer_says(chats[number % 5], "вопрос", quiet=True, at=at // 1000)
        await made.pass_time(6 * MINUTE, by=2 * MINUTE)
        await made.register()
        await made.turn()
        yield made


async def account(town: Village) -> Account:
    return await shop.account(town.parts.store, town.account_id)


async def kinds(town: Village) -> list[str]:
    return [entry.kind for entry in await town.timeline()][2:]  # after connecting and registering


@ONE_DATABASE
async def test_a_silence_without_buyers_costs_one_cheap_look_and_alarms_nobody(town: Village) -> None:
    await town.pass_time(5 * HOUR, by=20 * MINUTE)
    assert await kinds(town) == [TimelineKind.SILENT]
    *_, entry = await town.timeline()
    assert (entry.detail, entry.until) == ("no_buyers", None)
    assert (await account(town)).deaf_since is None
    await town.parts.alerts.run_once()
    assert await town.parts.alerts.list_open() == []

    town.sim.buyer_says(next(iter(town.seller.chats.values())), "А вот и я")
    await town.turn()
    *_, entry = await town.timeline()
    assert entry.until is not None


@pytest.mark.promise("P28")
async def test_a_webhook_that_died_is_found_polled_for_and_told_until_it_comes_again(town: Village) -> None:
    chat = next(iter(town.seller.chats.values()))
    town.sim.fault("webhook", times=None)
    for _ in range(3):
        town.sim.buyer_says(chat, "вопрос")
        await town.pass_time(5 * MINUTE, by=MINUTE)
    assert (await account(town)).deaf_since is not None
    assert TimelineKind.DEAF in await kinds(town)
    await town.parts.alerts.run_once()
    assert [alert.kind for alert in await town.parts.alerts.list_open()] == [AlertKind.WEBHOOK_SILENT]

    before = len(town.sim.calls)
    late = town.sim.buyer_says(chat, "ещё вопрос")
    await town.pass_time(2 * MINUTE, by=MINUTE)  # much sooner than a sweep's usual five
    assert late.id in await inbox(town)
    assert len(town.sim.calls) - before < 12

    town.sim.faults.clear()
    town.sim.buyer_says(chat, "дошло")
    await town.turn()
    assert (await account(town)).deaf_since is None
    assert (await kinds(town))[-1] == TimelineKind.HEARING
    await town.parts.alerts.run_once()
    assert await town.parts.alerts.list_open() == []


@ONE_DATABASE
async def test_a_single_message_is_enough_once_the_silence_is_unusual(town: Village) -> None:
    town.sim.fault("webhook", times=None)
    await town.pass_time(4 * HOUR, by=20 * MINUTE)
    assert (await account(town)).deaf_since is None
    town.sim.buyer_says(next(iter(town.seller.chats.values())), "вопрос")
    await town.pass_time(8 * MINUTE, by=2 * MINUTE)
    assert (await account(town)).deaf_since is not None


async def test_theft_is_mended_without_a_person_within_five_minutes_and_nothing_is_lost(town: Village) -> None:
    await town.parts.subscriptions.allow_self_repair(town.account_id, True)
    await town.pass_time(12 * MINUTE, by=3 * MINUTE)
    url = town.seller.subscription
    chat = next(iter(town.seller.chats.values()))
    town.sim.steal_subscription(town.seller, FOREIGN)
    stolen_at = town.clock()
    said = [town.sim.buyer_says(chat, f"вопрос {number}") for number in range(3)]
    while town.seller.stolen:
        assert town.clock() < stolen_at + 5 * MINUTE
        await town.turn()
    assert town.seller.subscription == url
    said.append(town.sim.buyer_says(chat, "снова сразу"))
    await town.arrived()
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert await town.coverage.tally(town.account_id, stolen_at - 1000) == Tally(4, 1)
    webhook = await town.parts.subscriptions.get(town.account_id)
    assert webhook.subscription == SubscriptionState.ACTIVE
    found = await kinds(town)
    assert found.index(TimelineKind.STOLEN) < found.index(TimelineKind.REPAIRED)
    assert TimelineKind.FOUND in found


@ONE_DATABASE
async def test_a_dead_webhook_whose_subscription_stands_is_registered_again_once(town: Village) -> None:
    await town.parts.subscriptions.allow_self_repair(town.account_id, True)
    await town.turn()
    registered = sum(call.operation == "postWebhookV3" for call in town.sim.calls)
    town.sim.fault("webhook", times=None)
    chat = next(iter(town.seller.chats.values()))
    for _ in range(10):
        town.sim.buyer_says(chat, "вопрос")
        await town.turn(3 * MINUTE)
    assert sum(call.operation == "postWebhookV3" for call in town.sim.calls) == registered + 1


@ONE_DATABASE
async def test_an_account_that_is_paused_receives_and_asks_nothing(town: Village) -> None:
    await town.turn(DAY // 24)
    await town.parts.accounts.pause(town.account_id)
    town.sim.gate.calls.clear()
    chat = next(iter(town.seller.chats.values()))
    message = town.sim.buyer_says(chat, "пишу на паузе")
    missed = town.sim.buyer_says(chat, "и мимо", quiet=True)
    await town.pass_time(3 * HOUR, by=30 * MINUTE)
    assert town.sim.calls == []
    await town.parts.alerts.run_once()
    assert await town.parts.alerts.list_open() == []
    assert await inbox(town) & {message.id, missed.id} == {message.id}

    await town.parts.accounts.resume(town.account_id)
    await town.turn()
    assert await inbox(town) >= {message.id, missed.id}
    assert (await account(town)).state == AccountState.WORKING
    assert {TimelineKind.PAUSED, TimelineKind.RESUMED} <= set(await kinds(town))


async def inbox(town: Village) -> set[str]:
    async with town.parts.store.read() as session:
        return set(await session.scalars(select(Message.avito_id)))


@pytest.mark.postgres
async def test_of_several_processes_that_start_at_once_one_notes_the_time_away(
    postgres_url: str, clock: SteppedClock
) -> None:
    store = Store(postgres_url)
    async with store.write() as session:
        session.add(Account(user_id=1, name="Кедр", client_id="id", client_secret=b"", created_at=clock()))
    await Silence(store, clock, lambda: None).run_once()
    clock.step(HOUR)
    await asyncio.gather(*(Silence(store, clock, lambda: None).run_once() for _ in range(6)))
    async with store.read() as session:
        entries = (await session.scalars(select(TimelineEntry).where(TimelineEntry.kind == TimelineKind.DOWN))).all()
    assert [entry.until for entry in entries] == [clock()]
    await store.close()
