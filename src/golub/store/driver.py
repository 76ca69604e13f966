"""aiosqlite, where a statement goes to the connection's thread and back once: it is executed, read and done with there.
By itself the driver goes four times, each way waits for two threads to be woken, and a page has dozens of statements.
Where nothing is written, nobody waits for a transaction's beginning and end either: the thread does what it is told in
order. There neither waits for a lock; were the disk to fail under one, the statements behind it fail too.

The store relies on it for every connection that asyncio uses. What has very many rows is read on as it is asked for.
"""

import sqlite3
from collections.abc import Callable, Sequence
from threading import Thread
from types import CoroutineType
from typing import Any, Self, cast

import aiosqlite
from sqlalchemy import Connection

AT_ONCE = 1000  # rows


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """For SQLAlchemy's `async_creator_fn`. It opens when it is awaited."""
    return _Connection(database, options)


def connect_reading(database: str, **options: Any) -> aiosqlite.Connection:
    """The same for connections that never write; `begin_reading` begins their transactions."""
    return _ReadingConnection(database, options)


def begin_reading(connection: Connection) -> None:
    """For SQLAlchemy's `begin`."""
    cast(_ReadingConnection, connection.connection.driver_connection).begin()


class _Connection(aiosqlite.Connection):
    """What it takes from its parent is private there: the tests of this module hold it against the pinned release."""

    _thread: Thread
    _execute: "Callable[..., CoroutineType[Any, Any, Any]]"

    def __init__(self, database: str, options: dict[str, Any]) -> None:
        super().__init__(lambda: sqlite3.connect(database, **options), iter_chunk_size=AT_ONCE)
        self._thread.daemon = True  # as SQLAlchemy has it for connections that it makes itself

    def cursor(self) -> Any:
        return _Cursor(self)

    async def in_thread(self, function: Callable[..., None], *given: Any) -> None:
        await self._execute(function, *given)

    @property
    def plain(self) -> sqlite3.Connection:
        return self._conn


class _ReadingConnection(_Connection):
    _tx: Any

    def begin(self) -> None:
        self._tell(self._begin)

    async def rollback(self) -> None:
        self._tell(self._end)

    def _tell(self, function: Callable[[], None]) -> None:
        """The thread does it in its turn, and nobody hears of it."""
        self._tx.put_nowait((None, function))

    # What follows runs in the connection's thread.

    def _begin(self) -> None:
        self.plain.execute("BEGIN")

    def _end(self) -> None:
        self.plain.rollback()


class _Cursor:
    """What SQLAlchemy asks of a cursor of asyncio's, and nothing more."""

    arraysize = 1

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._open: sqlite3.Cursor | None = None  # while there may be more rows than were read
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        await self._connection.in_thread(self._run, "execute", statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        await self._connection.in_thread(self._run, "executemany", statement, parameters)

    async def fetchone(self) -> Any:
        return next(iter(await self.fetchmany(1)), None)

    async def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        size = size or self.arraysize
        if self._open and len(self._rows) < size:
            await self._connection.in_thread(self._read, max(size, AT_ONCE))
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    async def fetchall(self) -> Sequence[Any]:
        if self._open:
            await self._connection.in_thread(self._read, None)
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []
        if self._open:
            await self._connection.in_thread(self._done)

    # What follows runs in the connection's thread.

    def _run(self, how: str, statement: str, parameters: Sequence[Any]) -> None:
        self._done()
        self._open = cursor = self._connection.plain.cursor()
        try:
            getattr(cursor, how)(statement, parameters)
            self.description = cursor.description
            self._rows = []
            self._read(AT_ONCE)
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        except BaseException:
            self._done()
            raise

    def _read(self, number: int | None) -> None:
        """So many rows more; None: all."""
        if self._open is None:
            return
        if self.description:
            rows = self._open.fetchall() if number is None else self._open.fetchmany(number)
            self._rows += rows
            if number is not None and len(rows) == number:
                return
        self._done()

    def _done(self) -> None:
        if self._open:
            self._open.close()
            self._open = None
