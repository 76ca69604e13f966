"""A 2xx outlives a power cut; and these tests would notice if it did not."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests import machine, postgres
from tests.conftest import AtScale, StartGolub
from tests.postgres import OwnPostgres
from tests.promises import Figures
from tests.stories.disk import Disk, disk
from tests.stories.scene import Scene, scene

pytestmark = [pytest.mark.story, pytest.mark.promise("P2")]

RATE = 100
CARELESS = (sys.executable, "-m", "tests.stories.careless")


@contextmanager
def held(town: Scene) -> Generator[None]:
    """Nothing can be applied meanwhile, so what was acked is in the spool alone."""
    if town.settings.database_url:
        gone = suppress(psycopg.OperationalError)  # the power went meanwhile
        with gone, psycopg.connect(town.settings.database_url) as outsider:
            outsider.execute("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
            yield
    else:
        with closing(sqlite3.connect(town.golub.folder / "golub.db", isolation_level=None, timeout=10)) as outsider:
            outsider.execute("BEGIN IMMEDIATE")
            yield


async def cut_power(town: Scene, drive: Disk, server: OwnPostgres | None = None) -> None:
    """Everything on that disk stops where it is, and starts again from what had reached it."""
    town.golub.freeze()
    if server:
        server.signal(signal.SIGSTOP)
    await asyncio.to_thread(drive.cut)
    await town.golub.kill()
    if server:
        server.signal(signal.SIGKILL)


async def power_up(town: Scene, drive: Disk, server: OwnPostgres | None = None) -> None:
    await asyncio.to_thread(drive.wake)
    if server:
        await asyncio.to_thread(server.start)
    files = ["spool.db"] if server else ["spool.db", "golub.db"]
    for name in files:
        with closing(sqlite3.connect(town.golub.folder / name)) as reader:
            assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def cuts(town: Scene, drive: Disk, number: int, server: OwnPostgres | None = None, *, hold: float = 0.5) -> None:
    """While buyers write, at moments that the seed chooses; with the main database held, or else applied at once."""
    async with town.talking(RATE):
        for turn in range(number):
            if turn:
                await town.golub.restart()
            await town.acked(20)
            await asyncio.sleep(town.rng.uniform(0, 1.5))  # the moment is the story's die
            if town.rng.random() < hold:
                with held(town):
                    await town.acked(20)
                    await asyncio.sleep(town.rng.uniform(0, 0.5))  # likewise
                    await cut_power(town, drive, server)
            else:
                await cut_power(town, drive, server)
            await power_up(town, drive, server)


async def test_a_power_cut_takes_nothing_that_was_acked(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    with disk() as drive:
        async with scene(tmp_path, start_golub, seed=seed, folder=drive.folder / "golub") as town:
            await cuts(town, drive, number := at_scale(1, 20))
            verdict = await town.judge()
    figures(cuts=number, **verdict.figures)
    assert verdict.acked > 20
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.postgres
async def test_a_power_cut_that_takes_postgresql_down_as_well_takes_nothing_that_was_acked(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    machine.must_have(machine.Need.OWN_POSTGRES)
    with disk() as drive, postgres.own(drive.folder) as server:
        os.sync()  # the server was made in a hurry
        folder = drive.folder / "golub"
        async with scene(tmp_path, start_golub, seed=seed, folder=folder, database_url=server.create()) as town:
            await cuts(town, drive, number := at_scale(1, 20), server)
            verdict = await town.judge()
    figures(cuts=number, **verdict.figures)
    assert verdict.acked > 20
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.parametrize("how", ["normal", "early"])
async def test_who_acks_without_a_sync_or_before_it_is_found_out(
    how: str, tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    with disk() as drive:
        folder = drive.folder / "golub"
        async with scene(tmp_path, start_golub, seed=seed, folder=folder, program=(*CARELESS, how)) as town:
            await cuts(town, drive, at_scale(2 if how == "normal" else 1, 5), hold=1)
            verdict = await town.judge()
    figures(lost_as_it_must=verdict.acked_missing)
    assert verdict.acked_missing > 0, "the power cut shows nothing: it is no test"
