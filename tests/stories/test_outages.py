"""Neither the main database nor Avito is needed to take a webhook: 200 within 2 s, and all is applied afterwards."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests import postgres
from tests.conftest import AtScale, StartGolub
from tests.stories.scene import Scene, Verdict, scene

pytestmark = pytest.mark.story

RATE = 20
HEALED = 5.0  # seconds after an outage until everything is applied …
SLACK = 10.0  # … on a machine that is doing nothing else


async def verdict_of(town: Scene) -> Verdict:
    assert await town.golub.stop() == 0
    verdict = await town.judge()
    assert verdict.acked == verdict.sent > 0, verdict
    assert set(verdict.statuses) == {200}, verdict
    assert verdict.slowest < 2000, verdict
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    return verdict


async def test_the_main_database_is_locked_by_another_process(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale
) -> None:
    async with scene(tmp_path, start_golub, seed=2) as town:
        async with town.talking(RATE):
            with closing(sqlite3.connect(town.golub.folder / "golub.db", isolation_level=None)) as outsider:
                outsider.execute("PRAGMA busy_timeout=5000")
                outsider.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(at_scale(3, 10))  # the outage lasts
                outsider.execute("ROLLBACK")
        await town.applied(HEALED + SLACK)
        await verdict_of(town)


@pytest.mark.postgres
async def test_postgresql_is_stopped_and_comes_back(tmp_path: Path, start_golub: StartGolub, at_scale: AtScale) -> None:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.own() as server:
        async with scene(tmp_path, start_golub, seed=3, database_url=server.create()) as town:
            async with town.talking(RATE):
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(at_scale(3, 30))  # the outage lasts
                await asyncio.to_thread(server.start)
            await town.applied(HEALED + SLACK)
            await verdict_of(town)


async def test_avito_s_api_hangs(tmp_path: Path, start_golub: StartGolub, at_scale: AtScale) -> None:
    async with scene(tmp_path, start_golub, seed=4) as town:
        town.simulator.faults.clear()
        town.simulator.fault("*", hang=True, times=None)
        async with town.talking(RATE):
            await asyncio.sleep(at_scale(3, 30))  # the outage lasts
        await town.applied(HEALED + SLACK)
        await verdict_of(town)
