"""Nothing is deleted before it was drained, and an hour later; until then it can be offered again."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from golub.clock import DAY, HOUR
from golub.spool import Spool
from golub.spool.file import ROW_BYTES
from golub.spool.writer import KEPT_BYTES
from tests.conftest import SteppedClock
from tests.spool.opened import received, started


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
