"""Rebuild: what the journal makes of our messages is what they are; and where it is not, it says so."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from typer.testing import CliRunner

from golub.cli import cli
from golub.clock import MINUTE
from golub.model import Chat, Delivery, Message
from golub.rebuild import Fault, Report, rebuild
from golub.rebuild.compare import compare
from golub.rebuild.telling import MEANS, lines
from golub.store import Store
from tests.conftest import ONE_DATABASE, AtScale, SteppedClock
from tests.village import Village, village


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village(database_url, tmp_path, clock) as made:
        yield made


async def looked(town: Village) -> Report:
    return await asyncio.to_thread(rebuild, town.parts.store, town.clock())


async def change(town: Village, statement: Any) -> None:
    """What no code of ours would do: somebody at the database itself."""
    async with town.parts.store.write() as session:
        await session.execute(statement)


async def say(town: Village, number: int) -> None:
    """A lively day: messages by webhook and by API alone, edits, deletions, readings, our own words, disorder."""
    chats = [town.sim.add_chat(town.seller) for _ in range(4)]
    for turn in range(number):
        chat = chats[turn % len(chats)]
        message = town.sim.buyer_says(chat, f"вопрос {turn}", quiet=turn % 5 == 4)
        if turn % 7 == 3:
            town.sim.shop_said(chat, f"ответ {turn}")
        if turn % 11 == 5:
            town.sim.delete(message)
        elif turn % 11 == 7:
            town.sim.edit(message, f"вопрос {turn}, яснее")
        town.clock.step(1000)
    await town.arrived()
    await town.pass_time(10 * MINUTE, by=5 * MINUTE)


@ONE_DATABASE
async def test_an_empty_journal_has_no_difference(town: Village) -> None:
    report = await looked(town)
    assert (report.is_good, report.deliveries, report.complete_from) == (True, 0, None)
    assert "it is empty" in "\n".join(lines(report))


async def test_what_arrived_makes_the_rows_that_we_have(town: Village, at_scale: AtScale) -> None:
    await town.register()
    await say(town, at_scale(60, 3000))
    before = await everything(town)
    steps: list[tuple[str, float]] = []
    report = await asyncio.to_thread(rebuild, town.parts.store, town.clock(), lambda *step: steps.append(step))
    assert report.faults == {}, report.differences
    assert report.compared >= 40
    assert report.api_only > 0, "the quiet ones"
    assert report.older == 0
    assert dict(steps) == {"folding": 1, "comparing": 1}
    assert await everything(town) == before, "nothing real is touched"
    assert report.complete_from == min(row["received_at"] for row in before["deliveries"])


async def everything(town: Village) -> dict[str, list[dict[str, Any]]]:
    async with town.parts.store.read() as session:
        return {
            table.__tablename__: [
                dict(row) for row in (await session.execute(select(table.__table__).order_by("id"))).mappings()
            ]
            for table in (Chat, Message, Delivery)
        }


PLANTED: dict[Fault, Any] = {
    Fault.MISSING: delete(Message),
    Fault.OLDER: update(Message).values(observed_at=1),
    Fault.OTHER: update(Message).values(text="not what he said"),
    Fault.UNTOLD: update(Message).values(observed_at=Message.observed_at + 1),
    Fault.LOST: update(Message).values(delivered_at=None),
    Fault.INCONSISTENT: update(Message).values(unread=False, seen=False),
}


async def test_each_kind_of_difference_is_found_and_the_command_ends_with_1(town: Village) -> None:
    await town.register()
    chat = town.sim.add_chat(town.seller)
    said = {fault: town.sim.buyer_says(chat, f"вопрос {fault}").id for fault in PLANTED}
    await town.arrived()
    assert (await looked(town)).is_good
    assert (await command(town))[0] == 0
    for fault, planted in PLANTED.items():
        await change(town, planted.where(Message.avito_id == said[fault]))
    report = await looked(town)
    assert report.faults == dict.fromkeys(PLANTED, 1)
    assert {one.fault: one.message_avito_id for one in report.differences} == said
    code, told = await command(town)
    assert (code, told["good"], told["faults"]) == (1, False, report.faults)
    for fault in PLANTED:
        assert MEANS[fault] in "\n".join(lines(report))


async def command(town: Village) -> tuple[int, Any]:
    """`golub rebuild --json` beside the server that runs."""
    where = {
        "GOLUB_DATA_DIR": str(town.parts.settings.data_dir),
        "GOLUB_DATABASE_URL": town.parts.store.url,
    }
    ended = await asyncio.to_thread(CliRunner().invoke, cli, ["rebuild", "--json"], env=where)
    return ended.exit_code, json.loads(ended.stdout)


@ONE_DATABASE
async def test_the_day_from_which_the_journal_is_complete(town: Village) -> None:
    await town.register()
    chat = town.sim.add_chat(town.seller)
    for number in range(4):
        town.sim.buyer_says(chat, f"вопрос {number}")
        town.clock.step(MINUTE)
        await town.arrived()
    async with town.parts.store.read() as session:
        times = list(await session.scalars(select(Delivery.received_at).order_by(Delivery.received_at)))
    await change(town, delete(Delivery).where(Delivery.received_at <= times[1]))  # as retention does
    report = await looked(town)
    assert report.is_good
    assert (report.older, report.compared, report.complete_from) == (2, 2, times[2])


@ONE_DATABASE
async def test_a_confirmed_hint_is_no_hole(town: Village) -> None:
    await town.register("https://golub.example.ru/webhook/avito")
    chat = town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "по адресу без секрета")
    await town.arrived()
    await town.pass_time(5 * MINUTE, by=MINUTE)
    async with town.parts.store.read() as session:
        assert set(await session.scalars(select(Delivery.state))) == {"applied"}
    report = await looked(town)
    assert (report.is_good, report.older, report.api_only) == (True, 0, 1)


async def test_it_can_only_read_what_is_real(store: Store) -> None:
    with store.shadow(Chat, Message) as shadow:
        assert shadow.read(select(Message.id)).all() == []
        with pytest.raises(Exception, match=r"readonly|read-only"):
            shadow.read(text("DELETE FROM accounts"))


def test_every_fault_has_words() -> None:
    assert set(MEANS) == set(Fault)
    assert compare(None, {}, journal_is_whole=True) is Fault.MISSING
