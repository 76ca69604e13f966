"""Chats that are older than the waits: their waits are worked out in small parts, once."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from golub.model import Mark, Wait
from golub.reports import Filling, find_progress
from golub.reports.filling import CHATS, MARK
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.talk import add_account, parts_for


@pytest.fixture
async def parts(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Parts]:
    async with (
        Simulator(clock=lambda: clock() / 1000) as sim,
        parts_for(database_url, tmp_path, clock, sim) as parts,
    ):
        yield parts


async def waits(parts: Parts) -> list[tuple[int, int, int | None]]:
    async with parts.store.read() as session:
        found = await session.execute(
            select(Wait.chat_id, Wait.began_at, Wait.ended_at).order_by(Wait.chat_id, Wait.began_at)
        )
        return [(chat, began, ended) for chat, began, ended in found]


async def progress(parts: Parts) -> float | None:
    async with parts.store.read() as session:
        return await find_progress(session)


async def test_what_is_there_from_before_is_worked_out_and_what_comes_meanwhile_stays(parts: Parts) -> None:
    talk = await add_account(parts)
    for number in range(CHATS + 5):
        await talk.says(f"u2i-{number}", "Здравствуйте")
        await talk.answers(f"u2i-{number}", "Добрый день")
    whole = await waits(parts)
    assert len(whole) == CHATS + 5
    async with parts.store.write() as session:
        await session.execute(delete(Wait))
    assert await progress(parts) == 0.0

    first = Filling(parts.store, parts.applier, parts.clock)
    assert await first.run_once() is not None
    assert await waits(parts) == whole[:CHATS]
    share = await progress(parts)
    assert share is not None
    assert 0 < share < 1

    second = Filling(parts.store, parts.applier, parts.clock)  # the first was cut off
    while await second.run_once() is not None:
        assert second is not first
    assert await waits(parts) == whole
    assert await progress(parts) is None
    async with parts.store.read() as session:
        assert (await session.get_one(Mark, MARK)).value == "all"


async def test_where_nothing_has_come_nothing_is_left_to_do(parts: Parts) -> None:
    filling = Filling(parts.store, parts.applier, parts.clock)
    assert await progress(parts) is None
    assert await filling.run_once() is not None
    assert await filling.run_once() is None
    assert await filling.run_once() is None
