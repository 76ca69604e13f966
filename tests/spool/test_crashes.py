"""Crashes are real ones: a child process that is killed, or that leaves without a word."""

import asyncio
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from golub.errors import Conflict
from golub.spool import Spool
from tests.conftest import AtScale, SteppedClock
from tests.spool.opened import CHILD, QUOTA, received, started


async def test_a_log_that_was_left_behind_is_settled_before_anything_is_added_to_it(
    spool: Spool, tmp_path: Path, clock: SteppedClock
) -> None:
    await spool.put(received())
    left = tmp_path / "left"
    left.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(spool.path.with_name(name), left)
    assert (left / "spool.db-wal").stat().st_size > 0
    again = Spool(left, quota=QUOTA, clock=clock)
    assert (again.pending, (left / "spool.db-wal").stat().st_size) == (1, 0)
    again.close()


PUTS_UNTIL_KILLED = """
async def put():
    while True:
        one = received()
        await spool.put(one)
        os.write(1, one.id.hex().encode() + b"\\n")

async def main():
    await asyncio.gather(*(put() for _ in range(16)))

asyncio.run(main())
"""


@pytest.mark.promise("P1")
async def test_what_put_returned_for_survives_kill_9(folder: Path, clock: SteppedClock, at_scale: AtScale) -> None:
    promised: set[str] = set()
    for _ in range(at_scale(3, 30)):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD + PUTS_UNTIL_KILLED, folder, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout
        said = [await child.stdout.readline() for _ in range(300)]
        child.kill()
        said += [line async for line in child.stdout if line.endswith(b"\n")]
        await child.wait()
        promised |= {line.decode().strip() for line in said}
        with started(folder, clock) as spool:
            assert promised <= {r.id.hex() for r in spool.read(0, 1_000_000, 1 << 30)}
            with closing(sqlite3.connect(spool.path)) as outsider:
                assert outsider.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_second_process_on_the_folder_is_refused(spool: Spool, folder: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, folder, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    _, complaint = await child.communicate()
    assert child.returncode == 1
    assert f"Conflict: Another Golub (process {os.getpid()}) uses the folder".encode() in complaint
    with pytest.raises(Conflict):
        Spool(folder, quota=QUOTA)
    await spool.put(received())
    assert spool.pending == 1


DIES_APPLYING = """
ids = [bytes.fromhex(one) for one in sys.argv[2:]]
spool.begin([os.urandom(16)])
spool.end([])
spool.begin(ids)
os.kill(os.getpid(), 9)
"""


async def test_what_was_being_applied_at_a_crash_is_counted(folder: Path, clock: SteppedClock) -> None:
    rows = [received() for _ in range(3)]
    with started(folder, clock) as spool:
        for one in rows:
            await spool.put(one)
        spool.begin([r.id for r in rows])
        spool.end([r.id for r in rows])
    for victims in (rows[:2], rows[:1]):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD + DIES_APPLYING, folder, *(r.id.hex() for r in victims)
        )
        assert await child.wait() == -9
    for _ in range(2):  # counted once, however often it is started
        with started(folder, clock) as spool:
            assert [spool.crashes(r.id) for r in rows] == [2, 1, 0]
    with started(folder, clock) as spool:
        spool.drained([rows[0].id])
        assert spool.crashes(rows[0].id) == 0
    with started(folder, clock) as spool:
        assert [spool.crashes(r.id) for r in rows] == [0, 1, 0]


async def test_being_stopped_while_applying_is_no_crash(folder: Path, clock: SteppedClock) -> None:
    one = received()
    with started(folder, clock) as spool:
        await spool.put(one)
        spool.begin([one.id])
    with started(folder, clock) as spool:
        assert spool.crashes(one.id) == 0


async def test_a_spool_of_a_newer_release_can_be_used(spool: Spool, folder: Path, clock: SteppedClock) -> None:
    one = received()
    await spool.put(one)
    spool.close()
    with closing(sqlite3.connect(folder / "spool.db")) as newer:
        newer.executescript("CREATE TABLE what_comes_later (a); PRAGMA user_version = 9;")
    with started(folder, clock) as again:
        assert [r.id for r in again.read(0)] == [one.id]
        await again.put(received())
    with closing(sqlite3.connect(folder / "spool.db")) as outsider:
        assert outsider.execute("PRAGMA user_version").fetchone() == (9,)
