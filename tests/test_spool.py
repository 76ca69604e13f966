"""The spool's promises: what `put` returned for is on the disk, numbers are never reused, nothing is deleted too early.

Crashes are real ones: a child process that is killed, or that leaves without a word.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from golub.clock import DAY, HOUR
from golub.errors import Conflict, Unavailable
from golub.spool import Received, Spool, TokenEntry
from golub.spool.ballast import PLENTY, SIZE
from golub.spool.file import ROW_BYTES
from golub.spool.writer import BATCH_ROWS, KEPT_BYTES, QUEUE_ROWS
from tests import machine
from tests.conftest import AtScale, SteppedClock

QUOTA = 256 << 20


def received(body: bytes = b"{}", *, token: int | None = 7, at: int = 1) -> Received:
    return Received(os.urandom(16), at, 3 if token else None, token, "192.0.2.1", b'[["a","b"]]', body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def spool(folder: Path, clock: SteppedClock) -> Generator[Spool]:
    with started(folder, clock) as opened:
        yield opened


@contextmanager
def started(folder: Path, clock: SteppedClock, quota: int = QUOTA) -> Generator[Spool]:
    opened = Spool(folder, quota=quota, clock=clock)
    opened.start()
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def locked(spool: Spool) -> Generator[None]:
    """Another process' write lock on the file."""
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        yield
        outsider.execute("ROLLBACK")


async def test_what_was_put_is_read_back_whole_and_in_order(spool: Spool) -> None:
    given = [received(bytes([number]) * number, token=None if number % 2 else 7, at=number) for number in range(130)]
    for one in given:
        await spool.put(one)
    read = spool.read(0)
    assert [(r.id, r.received_at, r.account_id, r.token_id, r.address, r.headers, r.body) for r in read] == [
        (r.id, r.received_at, r.account_id, r.token_id, r.address, r.headers, r.body) for r in given
    ]
    assert [r.seq for r in read] == list(range(1, 131))
    assert spool.pending == 130
    assert spool.bytes_pending == sum(r.size for r in given)
    assert spool.bare_bytes_pending == sum(r.size for r in given if r.token_id is None)
    assert spool.oldest_at == 0


async def test_reading_is_bounded_by_rows_and_bytes_and_never_gets_stuck_on_a_large_one(spool: Spool) -> None:
    for size in (10, 300_000, 10, 10):
        await spool.put(received(b"x" * size))
    assert [r.seq for r in spool.read(0, limit=2)] == [1, 2]
    assert [r.seq for r in spool.read(0, max_bytes=1000)] == [1]
    assert [r.seq for r in spool.read(1, max_bytes=1000)] == [2]
    assert [r.seq for r in spool.read(2, max_bytes=1000)] == [3, 4]
    assert spool.read(4) == []


async def test_ids_are_never_reused_after_the_spool_ran_empty(spool: Spool, folder: Path, clock: SteppedClock) -> None:
    for _ in range(3):
        await spool.put(received())
    spool.drained([r.id for r in spool.read(0)])
    clock.step(HOUR)
    assert spool.tidy() == 3
    with closing(sqlite3.connect(spool.path)) as outsider:
        assert outsider.execute("SELECT count(*) FROM received").fetchone() == (0,)
    await spool.put(received())
    assert [r.seq for r in spool.read(0)] == [4]
    spool.drained([r.id for r in spool.read(0)])
    clock.step(HOUR)
    assert spool.tidy() == 1
    spool.close()
    with started(folder, clock) as again:
        await again.put(received())
        assert [r.seq for r in again.read(0)] == [5]


async def test_rows_are_deleted_only_after_drained(spool: Spool, clock: SteppedClock) -> None:
    kept, gone = received(), received()
    await spool.put(kept)
    await spool.put(gone)
    clock.step(30 * DAY)
    assert spool.tidy() == 0
    spool.drained([gone.id])
    clock.step(HOUR)
    assert spool.tidy() == 1
    assert [r.id for r in spool.read(0)] == [kept.id]
    assert spool.offer_again() == 0


async def test_drained_rows_are_kept_an_hour_and_offered_again(spool: Spool, clock: SteppedClock) -> None:
    rows = [received(token=None), received(), received()]
    for one in rows:
        await spool.put(one)
    before = (spool.bytes_pending, spool.bare_bytes_pending)
    spool.drained([r.id for r in rows])
    assert (spool.pending, spool.bytes_pending, spool.bare_bytes_pending, spool.oldest_at) == (0, 0, 0, None)
    assert spool.read(0) == []
    clock.step(HOUR - 1)
    assert spool.tidy() == 0
    assert spool.offer_again() == 3
    assert [r.id for r in spool.read(0)] == [r.id for r in rows]
    assert (spool.pending, spool.bytes_pending, spool.bare_bytes_pending) == (3, *before)
    spool.drained([r.id for r in rows])
    clock.step(HOUR)
    assert spool.tidy() == 3
    assert spool.offer_again() == 0


async def test_drained_rows_beyond_the_size_that_is_kept_go_at_once_oldest_first(spool: Spool) -> None:
    size = 200_000
    rows = [received(b"x" * size) for _ in range(KEPT_BYTES // size + 10)]
    for one in rows:
        await spool.put(one)
    spool.drained([r.id for r in rows])
    while spool.tidy():
        pass
    kept = spool.offer_again()
    assert KEPT_BYTES - size < kept * (size + ROW_BYTES) <= KEPT_BYTES
    assert {r.id for r in spool.read(0, 10_000, 1 << 30)} < {r.id for r in rows}
    assert min(r.seq for r in spool.read(0, 10_000, 1 << 30)) == len(rows) - kept + 1


async def test_draining_in_another_order_and_twice_does_no_harm(spool: Spool) -> None:
    rows = [received() for _ in range(5)]
    for one in rows:
        await spool.put(one)
    spool.drained([rows[3].id, rows[1].id])
    assert [r.id for r in spool.read(0)] == [rows[0].id, rows[2].id, rows[4].id]
    spool.drained([rows[3].id, rows[0].id, os.urandom(16)])
    assert [r.id for r in spool.read(0)] == [rows[2].id, rows[4].id]
    assert spool.wait(3, 0)
    spool.drained([rows[4].id])
    assert spool.pending == 1
    assert not spool.wait(3, 0)


async def test_a_restart_finds_what_was_pending_and_what_was_drained(
    spool: Spool, folder: Path, clock: SteppedClock
) -> None:
    rows = [received(token=None), received(), received(token=None)]
    for one in rows:
        await spool.put(one)
    spool.drained([rows[0].id])
    before = (spool.pending, spool.bytes_pending, spool.bare_bytes_pending)
    spool.close()
    with started(folder, clock) as again:
        assert (again.pending, again.bytes_pending, again.bare_bytes_pending) == before
        assert [r.id for r in again.read(0)] == [rows[1].id, rows[2].id]
        assert again.offer_again() == 1


async def test_close_commits_what_is_queued(folder: Path, clock: SteppedClock) -> None:
    with started(folder, clock) as first:
        puts = [asyncio.ensure_future(first.put(received())) for _ in range(100)]
        await asyncio.sleep(0)  # each has queued its row
    await asyncio.gather(*puts)
    with started(folder, clock) as again:
        assert again.pending == 100


async def test_wait_is_ended_by_a_delivery_and_by_a_nudge_and_by_closing(folder: Path, clock: SteppedClock) -> None:
    with started(folder, clock) as spool:
        assert not spool.wait(0, 0)
        waiting = asyncio.create_task(asyncio.to_thread(spool.wait, 0, 30))
        await spool.put(received())
        assert await waiting
        waiting = asyncio.create_task(asyncio.to_thread(spool.wait, 1, 30))
        spool.nudge()
        assert not await waiting
        waiting = asyncio.create_task(asyncio.to_thread(spool.wait, 1, 30))
    assert not await waiting


async def test_many_deliveries_share_a_commit_and_a_commit_is_bounded(spool: Spool) -> None:
    with locked(spool):  # so that they queue up
        puts = [asyncio.ensure_future(spool.put(received())) for _ in range(3 * BATCH_ROWS)]
        await asyncio.sleep(0)
    before = spool._writer.commits
    await asyncio.gather(*puts)
    assert spool.pending == len(puts)
    assert 3 <= spool._writer.commits - before <= 6  # the first one may have left with few


@pytest.mark.promise("P2")
def test_every_commit_is_full(spool: Spool) -> None:
    assert spool._writer._connection
    assert spool._writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert spool._writer._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert spool._writer._connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)


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


async def test_the_log_is_moved_into_the_file_by_itself(spool: Spool) -> None:
    for _ in range(20):
        await spool.put(received(b"x" * 100_000))
    checkpointed = 0
    with closing(sqlite3.connect(spool.path)) as outsider:
        while checkpointed < 400:  # pages; ends in the test's time limit when nobody checkpoints
            await spool.put(received())
            size = spool.path.stat().st_size
            checkpointed = size // 4096
        assert outsider.execute("PRAGMA integrity_check").fetchone() == ("ok",)


CHILD = """
import asyncio, json, os, sys
from pathlib import Path
from golub.spool import Received, Spool, TokenEntry
from golub.spool.ballast import PLENTY, SIZE
from golub.spool.file import ROW_BYTES
from golub.spool.writer import BATCH_ROWS, KEPT_BYTES, QUEUE_ROWS

spool = Spool(Path(sys.argv[1]), quota=1 << 28)
spool.start()

def received():
    return Received(os.urandom(16), 1, 3, 7, "192.0.2.1", b"[]", os.urandom(900))
"""

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
    loop = asyncio.get_running_loop()
    with locked(spool):
        began = loop.time()
        with pytest.raises(Unavailable):
            await spool.put(received())
        assert loop.time() - began < 1.9
    one = received()
    await spool.put(one)
    assert one.id in {r.id for r in spool.read(0)}
    assert not spool.fatal


async def test_when_the_queue_is_full_it_refuses_at_once(spool: Spool) -> None:
    one = received()
    more = QUEUE_ROWS + BATCH_ROWS + 1  # one commit's rows may have left the queue already
    with locked(spool):
        puts = [asyncio.ensure_future(spool.put(one)) for _ in range(more)]
        done, waiting = await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
        assert waiting
        for refused in done:
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


async def test_a_token_is_on_the_disk_before_put_token_returns(spool: Spool, folder: Path, clock: SteppedClock) -> None:
    entry = TokenEntry(os.urandom(32), 5, 6, None)
    retired = TokenEntry(os.urandom(32), 7, 8, 9)
    for one in (entry, retired):
        assert spool.find_token(one.hash) is None
        spool.put_token(one)
        with closing(sqlite3.connect(spool.path)) as outsider:
            assert outsider.execute("SELECT count(*) FROM tokens WHERE hash = ?", (one.hash,)).fetchone() == (1,)
        assert spool.find_token(one.hash) == one
    spool.drop_token(retired.hash)
    assert spool.find_token(retired.hash) is None
    spool.close()
    with started(folder, clock) as again:
        assert again.find_token(entry.hash) == entry
        assert again.find_token(retired.hash) is None


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


async def test_a_closed_spool_takes_nothing(folder: Path, clock: SteppedClock) -> None:
    spool = Spool(folder, quota=QUOTA, clock=clock)
    with pytest.raises(Unavailable):
        await spool.put(received())
    spool.start()
    await spool.put(received())
    spool.close()
    with pytest.raises(Unavailable):
        await spool.put(received())
    with pytest.raises(Unavailable):
        spool.drained([])
