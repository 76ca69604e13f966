"""A connection to SQLite as we want it: how it begins, what it keeps safe, and when it is thrown away."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from golub.errors import Unavailable
from golub.moved import FILE

LONG_LOG = 16 << 20  # bytes of the log that are shortened
MOVED = "The database has moved to PostgreSQL: nothing is written here any more. Start Golub again."

_DISK_FAILED = 10  # SQLITE_IOERR


def prepare(
    engine: Engine, lock_wait: float, *, begin: str | Callable[[Connection], None], read_only: bool = False
) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver would start reading, then fail to write
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={int(lock_wait * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "mmap_size=0",
            "trusted_schema=OFF",
            f"journal_size_limit={LONG_LOG}",
            *(["query_only=ON"] if read_only else []),
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        connection.create_function("lower", 1, _lower, deterministic=True)
        if raw := getattr(connection, "driver_connection", None):
            # Stopped twice, as when a task is cancelled twice, its thread would answer the first alone, and the process
            # would wait for ever to end.
            raw.stop = cache(raw.stop)

    folder = Path(engine.url.database or "").parent

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        begin(connection) if callable(begin) else connection.exec_driver_sql(begin)
        if not read_only and (folder / FILE).exists():  # it is written under the lock that we have now
            raise Unavailable(MOVED, code="moved")

    @event.listens_for(engine, "handle_error")
    def _discard(context: ExceptionContext) -> None:
        """After a failed sync the kernel takes the pages for clean: through this connection all would seem well."""
        if getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF == _DISK_FAILED:
            context.is_disconnect = True


def _lower(words: str | None) -> str | None:  # SQLite's own folds the letters of ASCII alone, PostgreSQL's all of them
    return words and words.lower()
