"""A full disk, and one that fails: no ack without a commit, nothing broken, and well again by itself or anew."""

import asyncio
import os
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests import machine
from tests.conftest import AtScale, StartGolub
from tests.processes import PATIENCE
from tests.promises import Figures
from tests.stories.panel import operator, signed_in
from tests.stories.scene import Scene, scene
from tests.stories.tracing import failing, synced_again

pytestmark = pytest.mark.story

WELL_AGAIN = 10.0  # seconds
RATE = 40
MEGABYTE = 1 << 20


@contextmanager
def memory_disk(folder: Path, size: int) -> Generator[Path]:
    machine.must_have(machine.Need.MEMORY_DISK)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill_up(path: Path) -> None:
    """Takes all the room that is left."""
    with path.open("ab") as file, suppress(OSError):
        for portion in (MEGABYTE, 4096):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), portion)


async def answered(town: Scene, status: int, more: int = 5) -> None:
    """Until Avito has got that answer so many times more."""
    before = statuses(town)[status]
    async with asyncio.timeout(PATIENCE):
        while statuses(town)[status] < before + more:  # noqa: ASYNC110 - the oracle tells nobody
            await asyncio.sleep(0.05)  # between two looks


def statuses(town: Scene) -> Counter[int | None]:
    return Counter(r["status"] for r in town.simulator.deliveries.oracle.records if r["kind"] == "answer")


def integrity(town: Scene) -> list[str]:
    found: list[str] = []
    for name in ("spool.db", "golub.db"):
        with closing(sqlite3.connect(town.golub.folder / name)) as reader:
            found += [row[0] for row in reader.execute("PRAGMA integrity_check")]
    return found


@pytest.mark.promise("P8")
async def test_a_full_disk_is_a_503_and_soon_over_when_there_is_room(
    tmp_path: Path, start_golub: StartGolub, seed: int, figures: Figures
) -> None:
    with memory_disk(tmp_path / "disk", 400 * MEGABYTE) as disk:
        async with scene(tmp_path, start_golub, seed=seed, folder=disk / "golub") as town, operator(town) as client:
            ballast, filler = disk / "golub/ballast", disk / "filler"
            assert ballast.stat().st_size == 64 * MEGABYTE
            async with town.talking(RATE):
                fill_up(filler)
                async with asyncio.timeout(PATIENCE):
                    while ballast.exists():  # noqa: ASYNC110
                        await asyncio.sleep(0.05)  # another process: nothing tells us
                await town.acked(5)
                async with signed_in(town):  # the ballast was let go for this
                    pass
                fill_up(filler)
                await answered(town, 503)
                assert (await client.get("/inbox")).status_code == 200
                assert (await client.get("/healthz/live")).status_code == 200
                filler.unlink()
                began = asyncio.get_running_loop().time()
                await town.acked(1)
                async with signed_in(town):
                    pass
                well_again = asyncio.get_running_loop().time() - began
            await town.applied(WELL_AGAIN)
            assert await town.golub.stop() == 0
            whole = integrity(town)
            verdict = await town.judge()
    figures(well_again=round(well_again, 1), **verdict.figures)
    assert well_again < WELL_AGAIN
    assert whole == ["ok", "ok"]
    assert set(verdict.statuses) == {200, 503}
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.promise("P8")
async def test_writes_that_find_no_room_are_a_503_and_break_nothing(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    machine.must_have(machine.Need.STRACE)
    slowest = 0.0
    async with scene(tmp_path, start_golub, seed=seed) as town:
        async with town.talking(RATE):
            for turn in range(at_scale(1, 5)):
                await town.acked(10)
                async with failing(town.golub, "pwrite64", "ENOSPC", tmp_path / f"calls-{turn}"):
                    await answered(town, 503)
                began = asyncio.get_running_loop().time()
                await town.acked(1)
                slowest = max(slowest, asyncio.get_running_loop().time() - began)
        await town.applied(WELL_AGAIN)
        assert await town.golub.stop() == 0
        whole = integrity(town)
        verdict = await town.judge()
    figures(well_again=round(slowest, 1), **verdict.figures)
    assert slowest < WELL_AGAIN
    assert whole == ["ok", "ok"]
    assert set(verdict.statuses) <= {200, 503, None}  # None: Avito waits 2 s, and being traced is slow
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.promise("P9")
async def test_a_disk_that_fails_ends_the_process_and_what_was_acked_is_there_at_the_next_start(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    machine.must_have(machine.Need.STRACE)
    again: list[str] = []
    async with scene(tmp_path, start_golub, seed=seed) as town:
        async with town.talking(RATE):
            for turn in range(at_scale(1, 10)):
                await town.acked(10)
                await asyncio.sleep(town.rng.uniform(0, 0.5))  # the moment is the story's die
                calls = tmp_path / f"calls-{turn}"
                async with asyncio.timeout(PATIENCE), failing(town.golub, "fdatasync,fsync", "EIO", calls):
                    assert await town.golub.process.wait() == 1
                again += synced_again(calls)
                await town.golub.line("the spool cannot be written")
                await town.golub.restart()
        assert await town.golub.stop() == 0
        whole = integrity(town)
        verdict = await town.judge()
    figures(**verdict.figures)
    assert again == []
    assert whole == ["ok", "ok"]
    assert verdict.statuses[503] > 0
    assert set(verdict.statuses) <= {200, 503, None}
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
