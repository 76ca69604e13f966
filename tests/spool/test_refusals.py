"""What goes wrong goes closed: a spool that is full, locked or on a failing disk refuses and acks nothing."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from golub.errors import Unavailable
from golub.spool import PUT_DEADLINE, Spool
from golub.spool.ballast import PLENTY, SIZE
from golub.spool.writer import QUEUE_ROWS
from tests import machine
from tests.conftest import SteppedClock
from tests.spool.opened import CHILD, held, locked, received, started


async def test_when_it_is_full_it_refuses_until_rows_are_drained(folder: Path, clock: SteppedClock) -> None:
    with started(folder, clock, quota=100_000) as spool:
        for _ in range(9):
            await spool.put(received(b"x" * 10_000))
        with pytest.raises(Unavailable) as refusal:
            await spool.put(received(b"x" * 10_000))
        assert refusal.value.code == "spool_full"
        assert spool.pending == 9
        spool.drained([spool.read(0)[0].id])
        await spool.put(received(b"x" * 10_000))
        assert spool.pending == 9


async def test_a_locked_spool_refuses_in_time_and_stores_again_afterwards(spool: Spool) -> None:
    assert PUT_DEADLINE < 2  # seconds that Avito waits
    with locked(spool), pytest.raises(Unavailable):
        await spool.put(received())
    one = received()
    await spool.put(one)
    assert one.id in {r.id for r in spool.read(0)}
    assert not spool.fatal


async def test_when_the_queue_is_full_it_refuses_at_once(spool: Spool) -> None:
    one = received()
    async with held(spool):
        puts = [asyncio.ensure_future(spool.put(one, within=60)) for _ in range(QUEUE_ROWS + 1)]
        (refused,), waiting = await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
        refusal = refused.exception()
        assert isinstance(refusal, Unavailable)
        assert refusal.code == "spool_busy"
        for put in waiting:
            put.cancel()


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[int], Path]]:
    """A filesystem of its own, of so many MiB, in memory."""
    machine.must_have(machine.Need.MEMORY_DISK)
    mounted: list[Path] = []

    def mount(mib: int) -> Path:
        path = tmp_path_factory.mktemp("disk")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "golub", path], check=True)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


async def test_a_full_disk_refuses_and_harms_nothing_and_taking_goes_on_when_there_is_room(
    small_disk: Callable[[int], Path], clock: SteppedClock
) -> None:
    disk = small_disk(2)
    filler = disk / "filler"
    with started(disk, clock) as spool:
        kept = [received(b"x" * 1000) for _ in range(20)]
        for one in kept:
            await spool.put(one)
        fill(filler)
        refused = False
        for _ in range(1000):
            one = received(b"x" * 10_000)
            try:
                await spool.put(one)
                kept.append(one)
            except Unavailable:
                refused = True
                break
        assert refused
        assert [r.id for r in spool.read(0, 10_000)] == [r.id for r in kept]
        assert not spool.fatal
        filler.unlink()
        await spool.put(received())
        with closing(sqlite3.connect(spool.path)) as outsider:
            assert outsider.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with started(disk, clock) as again:
        assert again.pending == len(kept) + 1


async def test_on_a_full_disk_the_ballast_goes_first_and_most_of_it_is_left_to_others(
    small_disk: Callable[[int], Path], clock: SteppedClock
) -> None:
    disk = small_disk((PLENTY + 2 * SIZE) >> 20)
    with started(disk, clock) as spool:
        assert (disk / "ballast").stat().st_size == SIZE
        await spool.put(received())
        fill(disk / "filler")
        taken, code = 0, ""
        while not code:
            try:
                await spool.put(received(b"x" * 200_000))
                taken += 200_000
            except Unavailable as refusal:
                code = refusal.code
        assert code == "spool_full"
        assert not (disk / "ballast").exists()
        assert SIZE // 8 < taken <= SIZE // 4
        free = os.statvfs(disk)
        assert free.f_bavail * free.f_frsize > SIZE // 4
        (disk / "filler").unlink()
        spool.drained([r.id for r in spool.read(0, 100_000, 1 << 30)])
        await spool.put(received())


def fill(path: Path) -> None:
    """Takes all the room that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


FAILS = """
import resource, signal

async def main():
    said = []
    spool.on_fatal = said.append
    await spool.put(received())
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))  # from now on each write fails
    outcomes, writers = [], []
    for _ in range(5):
        writers.append(spool._writer._connection)
        try:
            await spool.put(received())
            outcomes.append("stored")
        except Exception as error:
            outcomes.append(f"{type(error).__name__} {error.code}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        await spool.put(received())
        outcomes.append("stored")
    except Exception as error:
        outcomes.append(f"{type(error).__name__} {error.code}")
    print(json.dumps([outcomes, said, spool.pending, len(set(map(id, writers)) - {id(None)})]))

asyncio.run(main())
"""


async def test_a_failing_disk_refuses_discards_the_connection_and_ends_the_process_after_three_errors(
    folder: Path, clock: SteppedClock
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD + FAILS, folder, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    outcomes, said, pending, writers = json.loads(out)
    assert outcomes == ["Unavailable spool_failed"] * 6  # also when the disk seems well again: a new process decides
    assert said == ["disk I/O error"]
    assert pending == 1
    assert writers == 1  # the one that failed is never used again
    with started(folder, clock) as spool:
        assert spool.pending == 1
        await spool.put(received())
