"""Coverage: which messages their webhooks brought in time, in any order, and as the simulator itself counts them."""

import asyncio
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from golub import simulator
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.coverage import Gap, Tally, gaps_of
from golub.model import Delivery, Message, TimelineKind
from tests import village
from tests.conftest import SteppedClock
from tests.village import Village

PERIOD = 300 * SECOND


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village.village(database_url, tmp_path, clock) as made:
        yield made


async def rows(town: Village) -> dict[str, Message]:
    async with town.parts.store.read() as session:
        return {message.avito_id: message for message in await session.scalars(select(Message))}


async def tally(town: Village) -> Tally:
    return await town.coverage.tally(town.account_id, 0)


def by_the_simulator(town: Village) -> Tally:
    """Its own count, of the messages that buyers wrote since the account was connected."""
    said = {
        message.key
        for message in town.sim.world.walk()
        if not message.outgoing and message.delivery is not None and message.created * 1000 <= town.clock() - MINUTE
    }
    return Tally(len(said), len(said & town.sim.acked))


@pytest.mark.parametrize("bare", [False, True], ids=["token", "bare"])
async def test_of_thirty_percent_dropped_all_are_in_the_inbox_and_coverage_is_the_simulators_own_count(
    town: Village, bare: bool
) -> None:
    await town.register(f"{village.PUBLIC}/webhook/avito" if bare else "")
    town.clock.step(SECOND)
    town.sim.fault("webhook", times=None, share=0.3)
    dice = random.Random(3)
    chats: list[simulator.Chat] = []
    for number in range(72):
        if number % 6 == 0:
            chats.append(town.sim.add_chat(town.seller, f"Покупатель {number}"))
        chat = chats[number // 6] if number % 6 < 3 else dice.choice(chats)
        town.sim.buyer_says(chat, f"вопрос {number}")
        town.clock.step(dice.randrange(3) * SECOND)
        if number % 10 == 0:
            await town.turn(dice.randrange(4) * SECOND)
    await town.arrived()
    for chat in chats:  # what was lost stands first, in the middle and last
        assert chat.history
    lost = [[message.key not in town.sim.acked for message in chat.history] for chat in chats]
    assert any(one[0] for one in lost)
    assert any(one[-1] for one in lost)
    assert any(any(one[1:-1]) for one in lost if len(one) > 2)

    await town.pass_time(2 * PERIOD, by=2 * MINUTE)
    found = await rows(town)
    assert set(found) == {message.id for message in town.sim.world.walk()}
    async with town.parts.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 72
    counted = await tally(town)
    assert counted == by_the_simulator(town)
    assert (counted.sent, 12 <= counted.missed <= 30) == (72, True)


async def test_what_the_sweep_saw_first_is_covered_if_its_webhook_came_in_time(town: Village) -> None:
    await town.register()
    town.clock.step(SECOND)
    chat = town.sim.add_chat(town.seller)
    early = town.sim.buyer_says(chat, "сверка раньше", quiet=True)
    late = town.sim.buyer_says(chat, "слишком поздно", quiet=True)
    never = town.sim.buyer_says(chat, "никогда", quiet=True)
    await town.parts.accounts.pause(town.account_id)
    await town.parts.accounts.resume(town.account_id)  # makes the sweep due
    await town.work()
    assert {message.first_source for message in (await rows(town)).values()} == {1}
    town.clock.step(59 * SECOND)
    deliver(town, early)
    await town.arrived()
    town.clock.step(2 * SECOND)
    deliver(town, late)
    await town.arrived()
    town.clock.step(HOUR)
    assert await tally(town) == Tally(3, 1)
    found = await rows(town)
    assert SECOND * 59 <= (found[early.id].delivered_at or 0) - found[early.id].created_at < MINUTE
    assert found[never.id].delivered_at is None


def deliver(town: Village, message: simulator.Message) -> None:
    from golub.simulator.wire import webhook_body, webhook_value

    town.sim.emit(
        town.seller, webhook_body("00000000-0000-0000-0000-000000000000", message.created, webhook_value(message))
    )


@pytest.mark.row(17)
async def test_replays_duplicates_and_disorder_change_nothing(town: Village) -> None:
    await town.register()
    town.clock.step(SECOND)
    chat = town.sim.add_chat(town.seller)
    for number in range(6):
        message = town.sim.buyer_says(chat, f"вопрос {number}", quiet=number % 3 == 0)
        town.clock.step(10 * SECOND)
        if number % 2:
            deliver(town, message)  # again
        await town.arrived()
    await town.pass_time(PERIOD, by=MINUTE)
    before, counted = await rows(town), await tally(town)
    assert counted == Tally(6, 5)
    async with town.parts.store.read() as session:
        ids = list(await session.scalars(select(Delivery.id)))
    random.Random(1).shuffle(ids)
    town.clock.step(DAY)
    for one in ids:
        await town.parts.applier.replay([one])
    await town.parts.applier.replay(ids)
    assert {key: row.delivered_at for key, row in (await rows(town)).items()} == {
        key: row.delivered_at for key, row in before.items()
    }
    assert await tally(town) == counted


async def test_history_the_shops_own_words_and_the_last_minute_do_not_count(town: Village) -> None:
    chat = town.sim.add_chat(town.seller, created=town.clock() // 1000 - 7200)
    town.sim.buyer_says(chat, "давно", quiet=True, at=town.clock() // 1000 - 7200)
    await town.pass_time(PERIOD, by=MINUTE)
    town.sim.buyer_says(chat, "до вебхука", quiet=True)
    await town.pass_time(PERIOD, by=MINUTE)
    assert len(await rows(town)) == 2
    await town.register()
    town.clock.step(MINUTE)
    assert await tally(town) == Tally(0, 0)
    assert (await tally(town)).share is None
    town.sim.shop_said(chat, "Здравствуйте")
    town.sim.system(chat, "Авито предупреждает")
    town.sim.buyer_says(chat, "вопрос", quiet=True)
    await town.pass_time(PERIOD, by=MINUTE)
    assert await tally(town) == Tally(1, 0)
    town.sim.buyer_says(chat, "только что")
    await town.arrived()
    assert await tally(town) == Tally(1, 0)


async def test_days_tell_what_was_missed_when_and_why(town: Village) -> None:
    await town.register()
    midnight = (town.clock() // DAY + 1) * DAY
    town.clock.now = midnight + 14 * HOUR
    await town.turn(MINUTE)
    chat = town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "пришло")
    await town.arrived()
    # Nobody of ours lives for ten minutes: three messages go by.
    start = town.clock.step(MINUTE) // SECOND * SECOND
    for number in range(3):
        town.sim.buyer_says(chat, f"мимо {number}", quiet=True)
        town.clock.step(30 * SECOND)
    town.clock.step(8 * MINUTE)
    town.golub.silence._started = False  # as a new process
    await town.golub.silence.run_once()
    await town.pass_time(2 * PERIOD, by=MINUTE)
    yesterday, today = await town.coverage.days(town.account_id, [midnight - DAY, midnight])
    assert yesterday.tally == Tally(0, 0)
    assert today.tally == Tally(4, 1)
    (gap,) = today.gaps
    assert (gap.first, gap.last, gap.count, gap.cause) == (start, start + MINUTE, 3, TimelineKind.DOWN)
    found = next(entry for entry in await town.timeline() if entry.kind == TimelineKind.FOUND)
    assert (found.count, found.detail) == (3, f"{start} {start + MINUTE}")


def test_missed_messages_close_to_each_other_are_one_gap() -> None:
    minute = [n * MINUTE for n in (0, 1, 10, 30, 41, 51)]
    assert gaps_of(minute) == [
        Gap(0, 10 * MINUTE, 3),
        Gap(30 * MINUTE, 30 * MINUTE, 1),
        Gap(41 * MINUTE, 51 * MINUTE, 2),
    ]
    assert gaps_of([]) == []


async def test_the_numbers_are_shown_to_a_monitoring_system(town: Village) -> None:
    from prometheus_client import generate_latest

    from golub import metrics

    await town.register()
    town.clock.step(SECOND)
    chat = town.sim.add_chat(town.seller)
    for number in range(4):
        town.sim.buyer_says(chat, f"вопрос {number}", quiet=number == 0)
    await town.arrived()
    await town.pass_time(PERIOD, by=MINUTE)
    await asyncio.sleep(0)
    page = generate_latest(metrics.REGISTRY).decode()
    assert f'golub_coverage_share{{account="{town.seller.user_id}"}} 0.75' in page
    assert f'golub_coverage_missed{{account="{town.seller.user_id}"}} 1.0' in page
