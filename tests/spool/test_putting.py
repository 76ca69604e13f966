"""What was put is read back whole and in order, survives a crash, and has a number that is never given again."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from golub.errors import Unavailable
from golub.spool import Spool, TokenEntry
from golub.spool.writer import BATCH_ROWS
from tests.conftest import SteppedClock
from tests.spool.opened import QUOTA, held, received, started


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
    async with held(spool):
        before = spool._writer.commits
        puts = [asyncio.ensure_future(spool.put(received(), within=60)) for _ in range(3 * BATCH_ROWS)]
        await asyncio.sleep(0)  # each has queued its row
    await asyncio.gather(*puts)
    assert spool.pending == len(puts)
    assert spool._writer.commits - before == 1 + 3  # the one that was held, and theirs


@pytest.mark.promise("P2")
def test_every_commit_is_full(spool: Spool) -> None:
    assert spool._writer._connection
    assert spool._writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert spool._writer._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert spool._writer._connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)


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


async def test_who_follows_gets_what_is_new_once_out_of_memory_or_out_of_the_file(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [received(bytes([number])) for number in range(12)]
    followed: list[bytes] = []
    told = 0
    for number, one in enumerate(given):
        if number == 4:
            monkeypatch.setattr("golub.spool.writer.RECENT_BYTES", 0)  # nothing stays in memory
        if number == 8:
            monkeypatch.undo()
        await spool.put(one)
        rows, told = spool.read_new(told)
        followed += [row.id for row in rows]
        assert told == number + 1
        assert [row.seq for row in rows] == [told if 4 <= number < 8 else 0]
    assert followed == [one.id for one in given]
    assert spool.read_new(told) == ([], told)
    again: list[bytes] = []
    behind = 0
    while (found := spool.read_new(behind))[0]:
        again += [row.id for row in found[0]]
        behind = found[1]
    assert (again, behind) == (followed, told)  # who begins later misses nothing


async def test_one_timer_ends_the_waiting_of_all_who_are_no_coroutines(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("golub.spool.PUT_DEADLINE", 0.01)
    loop = asyncio.get_running_loop()
    async with held(spool):
        late = [loop.create_future() for _ in range(3)]
        for waiter in late:
            spool.put_for(waiter, received())
        for waiter in late:
            with pytest.raises(Unavailable, match="in time"):
                await waiter
    monkeypatch.setattr("golub.spool.PUT_DEADLINE", 20)
    for _ in range(2):
        stored = loop.create_future()
        spool.put_for(stored, received())
        await stored
