"""A spool in a folder of its own, what is put into it, and the beginning of a process that has one."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from golub.spool import Received, Spool
from golub.spool.file import Tally
from tests.conftest import SteppedClock

QUOTA = 256 << 20


def received(body: bytes = b"{}", *, token: int | None = 7, at: int = 1) -> Received:
    return Received(os.urandom(16), at, 3 if token else None, token, "192.0.2.1", b'[["a","b"]]', body)


@contextmanager
def started(folder: Path, clock: SteppedClock, quota: int = QUOTA) -> Generator[Spool]:
    opened = Spool(folder, quota=quota, clock=clock)
    opened.start()
    try:
        yield opened
    finally:
        opened.close()


@asynccontextmanager
async def held(spool: Spool) -> AsyncGenerator[None]:
    """Its writer stands still in the middle of a commit; what is put meanwhile queues up."""
    standing, go_on = threading.Event(), threading.Event()

    def stand(_: sqlite3.Connection, __: Tally) -> Callable[[], None]:
        standing.set()
        go_on.wait()
        return lambda: None

    asking = asyncio.create_task(asyncio.to_thread(spool._writer.ask, stand))
    await asyncio.to_thread(standing.wait)
    try:
        yield
    finally:
        go_on.set()
        await asyncio.wait([asking])


@contextmanager
def locked(spool: Spool) -> Generator[None]:
    """Another process' write lock on the file."""
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        yield
        outsider.execute("ROLLBACK")


CHILD = """
import asyncio, json, os, sys
from pathlib import Path
from golub.spool import Received, Spool

spool = Spool(Path(sys.argv[1]), quota=1 << 28)
spool.start()

def received():
    return Received(os.urandom(16), 1, 3, 7, "192.0.2.1", b"[]", os.urandom(900))
"""
