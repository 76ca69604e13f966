"""Writers of one process take turns, and none of them leaves anything behind that never ends."""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from golub.errors import Unavailable
from golub.store import Store
from golub.store.turns import Turns

pytestmark = pytest.mark.anyio

HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def held_elsewhere(path: Path) -> AsyncGenerator[None]:
    """Another process writes: within one, SQLite's libraries do not see each other."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert process.stdin
    assert await process.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def test_threads_and_tasks_go_in_the_order_in_which_they_came() -> None:
    turns, order = Turns(10), list[str]()
    came = threading.Semaphore(0)

    def thread(name: str) -> None:
        came.release()
        with turns.held():
            order.append(name)

    async def task(name: str) -> None:
        async with turns.awaited():
            order.append(name)

    threads: list[threading.Thread] = []
    tasks: list[asyncio.Task[None]] = []
    with turns.held():
        for number in range(6):
            waiting = len(turns._waiting)
            if number % 2:
                tasks.append(asyncio.create_task(task(f"{number}")))
            else:
                threads.append(threading.Thread(target=thread, args=(f"{number}",)))
                threads[-1].start()
            async with asyncio.timeout(10):
                while len(turns._waiting) == waiting:  # noqa: ASYNC110 - a thread comes, and tells nobody
                    await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    for one in threads:
        await asyncio.to_thread(one.join)
    assert order == [str(number) for number in range(6)]
    with turns.held():
        pass


async def test_who_waits_too_long_or_goes_away_takes_no_turn() -> None:
    turns = Turns(0.05)
    async with turns.awaited():
        with pytest.raises(Unavailable):
            async with turns.awaited():
                pass
        with pytest.raises(Unavailable):
            await asyncio.to_thread(turns.held().__enter__)
        leaving = asyncio.create_task(turns.awaited().__aenter__())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()
    with turns.held():
        pass
    assert not turns._taken


async def test_a_writer_has_its_turn_beside_one_that_never_pauses(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/golub.db")
    store.migrate()
    ends, written, waited_for = threading.Event(), list[int](), list[int]()

    def keep_on() -> None:
        while not ends.is_set():
            with store.writing() as connection:
                connection.exec_driver_sql("INSERT OR REPLACE INTO marks VALUES ('busy', '')")
                written.append(1)

    busy = asyncio.create_task(asyncio.to_thread(keep_on))
    try:
        for _ in range(50):
            before = len(written)
            async with store.write():
                waited_for.append(len(written) - before)
    finally:
        ends.set()
        await busy
    assert sum(waited_for) >= 25, "it was busy"
    assert max(waited_for) < 20, "whoever has waited longest comes first"
    await store.close()


async def test_a_writer_that_is_cancelled_twice_ends(tmp_path: Path) -> None:
    """As when its patience is over, and then the process stops: `asyncio.run` waits for every task."""
    store = Store(f"sqlite:///{tmp_path}/golub.db")
    store.migrate()
    before = asyncio.all_tasks()

    async def write() -> None:
        async with store.write():
            pass

    async with held_elsewhere(tmp_path / "golub.db"):
        for _ in range(5):
            writing = asyncio.create_task(write())
            await asyncio.sleep(0.3)  # until it waits for the lock
            writing.cancel()
            await asyncio.sleep(0.05)  # until it closes its connection
            writing.cancel()
            await asyncio.wait([writing])
    if left := asyncio.all_tasks() - before:
        for one in left:
            one.cancel()
        _, left = await asyncio.wait(left, timeout=10)
    assert not left
    async with store.write():
        pass
    await store.close()
