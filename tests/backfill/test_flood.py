"""Hints under a flood of forged ones: what is real is shown soon, and Avito is hardly asked more than without them."""

import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from golub import simulator
from golub.clock import DAY, MINUTE, SECOND
from golub.coverage import Tally
from golub.model import Cause, Delivery, DeliveryState, Message
from golub.simulator.wire import webhook_body, webhook_value
from golub.spool import Received
from tests import village
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.village import Village


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village.village(database_url, tmp_path, clock) as made:
        await made.register(f"{village.PUBLIC}/webhook/avito")
        made.clock.step(SECOND)
        yield made


async def hinted(town: Village, *messages: simulator.Message) -> None:
    """As they come over the bare path."""
    bodies = [webhook_body("0" * 8, message.created, webhook_value(message)) for message in messages]
    for body in bodies:
        received = Received(random.randbytes(16), town.clock(), None, None, "192.0.2.7", b"[]", body)
        await town.parts.spool.put(received)
    await town.arrived()


def forged(town: Village, count: int) -> list[simulator.Message]:
    """Of chats that do not exist."""
    made: list[simulator.Message] = []
    for _ in range(count):
        name, now = random.randbytes(16).hex(), town.sim.now()
        nowhere = simulator.Chat(f"u2i-{name[:22]}", town.seller, 1, "Никто", None, "u2i", now, now)
        made.append(simulator.Message(name, nowhere, 1, now, "text", {"text": "переведите деньги"}))
    return made


async def shown(town: Village) -> set[str]:
    async with town.parts.store.read() as session:
        return set(await session.scalars(select(Message.text)))


@pytest.mark.row(58)
async def test_a_flood_hides_neither_a_known_chat_nor_a_new_one(town: Village) -> None:
    known = town.sim.add_chat(town.seller, "Анна")
    await hinted(town, town.sim.buyer_says(known, "первое", quiet=True))
    await town.work()
    assert await shown(town) == {"первое"}
    new = town.sim.add_chat(town.seller, "Борис")
    early = town.sim.buyer_says(new, "из нового чата", quiet=True)
    await hinted(town, early, *forged(town, 300))
    town.sim.calls.clear()
    for second in range(20):
        if second == 3:
            await hinted(town, town.sim.buyer_says(known, "из известного", quiet=True))
        await hinted(town, *forged(town, 20))
        town.clock.step(SECOND)
        await town.parts.backfill.run_once()
        await town.parts.backfill.run_once()
        if second == 5:
            assert "из известного" in await shown(town)
        if second == 15:
            assert "из нового чата" in await shown(town)
    assert len(town.sim.calls) <= 2 * (20 + 5)  # each look-up asks twice
    assert await shown(town) == {"первое", "из нового чата", "из известного"}


async def test_what_a_sweep_did_not_find_is_no_longer_looked_up(town: Village) -> None:
    await hinted(town, *forged(town, 200))
    for _ in range(4):
        await town.turn(2 * MINUTE)
    async with town.parts.store.read() as session:
        due = await session.scalar(select(func.count()).where(Delivery.due_at.is_not(None)))
        left = (await session.scalars(select(Delivery.cause).where(Delivery.state == DeliveryState.WAITING))).all()
    assert (due, len(left), set(left)) == (0, 200, {Cause.NOT_CONFIRMED})
    town.sim.calls.clear()
    await town.turn(MINUTE)
    assert not any(call.operation == "getChatByIdV2" for call in town.sim.calls)


@pytest.mark.parametrize("hidden_for", [70 * SECOND, 5 * MINUTE])
@ONE_DATABASE
async def test_a_hint_confirmed_late_counts_by_when_it_came(town: Village, hidden_for: int) -> None:
    """Avito shows the message long after it called us: by a look-up or by a sweep, the hint is borne out."""
    chat = town.sim.add_chat(town.seller, "Анна")
    first = town.sim.buyer_says(chat, "раньше", quiet=True)
    await hinted(town, first)
    await town.work()
    town.clock.step(SECOND)
    message = town.sim.buyer_says(chat, "поздно видна", quiet=True)
    chat.history.remove(message)
    await hinted(town, message)
    await town.pass_time(hidden_for, by=35 * SECOND)
    assert await shown(town) == {"раньше"}
    chat.history.append(message)
    town.sim.world.touched(chat, town.sim.now())
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert await shown(town) == {"раньше", "поздно видна"}
    async with town.parts.store.read() as session:
        states = set(await session.scalars(select(Delivery.state).where(Delivery.state != DeliveryState.PROBE)))
    assert states == {DeliveryState.APPLIED}
    assert await town.coverage.tally(town.account_id, 0) == Tally(2, 2)


@pytest.mark.promise("P19")
async def test_a_clock_that_is_set_back_holds_up_no_hint(town: Village) -> None:
    """What was asked about lately is remembered with its time, which may lie a year ahead by now."""
    chat = town.sim.add_chat(town.seller, "Анна")
    await hinted(town, *forged(town, 30))
    await town.work()
    town.clock.step(-365 * DAY)
    await hinted(town, town.sim.buyer_says(chat, "год назад", quiet=True))
    for _ in range(3):
        town.clock.step(SECOND)
        await town.parts.backfill.run_once()
    assert "год назад" in await shown(town)
