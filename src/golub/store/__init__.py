"""The main database: SQLite by default, PostgreSQL by choice. The only module that knows which one it is.

Web code reads and writes through asyncio (`read`, `write`); apply owns a thread and writes through `writing`.
All three wait at most about a second for a lock or a connection and then raise `Unavailable`, so that no page hangs.
On SQLite the writers of a process take turns, whoever has waited longest first: its own lock goes to whoever asks at
the right moment, which is never somebody who waits beside a busy apply.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    event,
    extract,
    func,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy import Table as SQLTable
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute, Mapper
from sqlalchemy.pool import NullPool

from golub.clock import Millis
from golub.errors import Rejected, Unavailable
from golub.model import Table
from golub.store import driver
from golub.store.hosts import Hosts
from golub.store.lite import LONG_LOG, prepare
from golub.store.shadow import Shadow, copied
from golub.store.turns import Turns

LOCK_WAIT = 1.0  # seconds a writer waits for another one
STEPS_UNWATCHED = 20_000  # of SQLite's machine, between two looks at the clock: well below a millisecond
LOG_WAIT = 0.03, 0.5  # seconds that writers wait while readers leave it: as a rule, and where it is twice as long
CHECKOUT_WAIT = 1.4  # seconds until a page is told that the database is away
PATIENCE = 30.0  # seconds for both, where nobody waits on a page: a command beside a busy server

# By itself SQLAlchemy writes a Russian letter of a document as six.
_ON_SQLITE: dict[str, Any] = {
    "hide_parameters": True,
    "json_serializer": json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode,
}
_POSTGRES_OPTIONS = (
    "-c synchronous_commit=on -c statement_timeout=10000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
)
# A host that is gone says nothing, and the kernel would wait for it for a quarter of an hour; for an answer, for ever.
_POSTGRES_LINE = {"keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 5000}


class Store:
    """Engines on one database. Opening a `Store` connects to nothing; the first statement does. One that is `patient`
    waits long for its turn to write."""

    def __init__(self, url: str, *, patient: bool = False) -> None:
        self.url = url
        self.refusal = ""  # why nothing is written for now; an English text of the catalogue
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        lock_wait, self._checkout_wait = (PATIENCE, PATIENCE + 1) if patient else (LOCK_WAIT, CHECKOUT_WAIT)
        self._turns = Turns(lock_wait) if self.is_sqlite else None
        if self.is_sqlite:
            plain, through_asyncio = parsed.set(drivername="sqlite"), parsed.set(drivername="sqlite+aiosqlite")
            pooled: dict[str, Any] = {"max_overflow": 0, "pool_timeout": lock_wait, **_ON_SQLITE}
            self._apply = create_engine(plain, pool_size=1, **pooled)
            pooled["pool_use_lifo"] = True  # each keeps pages and statements of its own: rather few that know all
            reading, writing = ({"async_creator_fn": way} for way in (driver.connect_reading, driver.connect))
            self._read = create_async_engine(through_asyncio, pool_size=8, connect_args=reading, **pooled)
            self._write = create_async_engine(through_asyncio, pool_size=1, connect_args=writing, **pooled)
            self._look = create_engine(plain, poolclass=NullPool, **_ON_SQLITE)
            prepare(self._apply, lock_wait, begin="BEGIN IMMEDIATE")
            prepare(self._look, lock_wait, begin="BEGIN", read_only=True)
            prepare(self._read.sync_engine, lock_wait, begin=driver.begin_reading, read_only=True)
            prepare(self._write.sync_engine, lock_wait, begin="BEGIN IMMEDIATE")
        else:
            url_psycopg = parsed.set(drivername="postgresql+psycopg")
            options_of = f"{_POSTGRES_OPTIONS} -c lock_timeout={int(lock_wait * 1000)}"
            arguments = {"options": options_of, "connect_timeout": 2, **_POSTGRES_LINE}
            options: dict[str, Any] = {
                "connect_args": arguments,
                "pool_pre_ping": True,
                "pool_timeout": lock_wait,
                "hide_parameters": True,
            }
            self._apply = create_engine(url_psycopg, pool_size=2, max_overflow=0, **options)
            self._read = create_async_engine(url_psycopg, pool_size=10, max_overflow=5, **options)
            self._write = self._read
            self._look = create_engine(url_psycopg, hide_parameters=True, poolclass=NullPool, connect_args=arguments)
            hosts = Hosts()
            for engine in (self._apply, self._read.sync_engine, self._look):
                _keep_rows_out_of_errors(engine)
                hosts.watch(engine)
        self._read_session = async_sessionmaker(self._read, expire_on_commit=False)
        self._write_session = async_sessionmaker(self._write, expire_on_commit=False)

    @asynccontextmanager
    async def read(self, *, within: float | None = None) -> AsyncGenerator[AsyncSession]:
        """A session that sees one snapshot (SQLite) and may not write. `within`: seconds after which the database is
        stopped in the middle of a statement, for questions that a person may ask of any amount of rows."""
        async with self._session(self._read_session) as session:
            if within is None:
                yield session
            else:
                async with self._bounded(session, within):
                    yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncSession]:
        """`read`, where everything is as it was at one moment on PostgreSQL too."""
        async with self.read() as session:
            if not self.is_sqlite:
                await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            yield session

    @asynccontextmanager
    async def _bounded(self, session: AsyncSession, seconds: float) -> AsyncGenerator[None]:
        if not self.is_sqlite:
            await session.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
            yield
            return
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        end = time.monotonic() + seconds
        await raw.set_progress_handler(lambda: time.monotonic() > end, STEPS_UNWATCHED)
        try:
            yield
        finally:
            await raw.set_progress_handler(None, 0)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession]:
        """A session in one transaction: committed on leaving, rolled back on an exception. Keep it short, await no
        network in it: on SQLite it holds the only write lock."""
        self._must_be_open()
        began = time.monotonic()
        async with (
            self._turns.awaited() if self._turns else nullcontext(),
            self._session(self._write_session, waited=time.monotonic() - began) as session,
        ):
            yield session
            await session.commit()

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """The same for a thread: one transaction on a plain connection. For apply, and for commands."""
        self._must_be_open()
        turn = self._turns.held() if self._turns else nullcontext()
        with turn, _outages_told(), self._apply.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _session(
        self, make: async_sessionmaker[AsyncSession], *, waited: float = 0
    ) -> AsyncGenerator[AsyncSession]:
        """`waited`: seconds of its patience that are over already."""
        with _outages_told():
            async with make() as session:
                try:
                    async with asyncio.timeout(self._checkout_wait - waited):
                        await session.connection()
                except TimeoutError as error:
                    raise Unavailable("The database does not answer. Try again in a moment.") from error
                yield session

    def _must_be_open(self) -> None:
        if self.refusal:
            raise Unavailable(self.refusal, code="moving")

    async def close(self) -> None:
        await self._read.dispose()
        if self._write is not self._read:
            await self._write.dispose()
        self._apply.dispose()

    @property
    def moment(self) -> ColumnElement[int]:
        """The database's own time in milliseconds, as an expression: the clocks of several hosts differ."""
        if self.is_sqlite:
            return cast_to(func.unixepoch("subsec") * 1000, BigInteger)
        return cast_to(extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    @contextmanager
    def shadow(self, *tables: type[Table]) -> Generator[Shadow]:
        """A connection of its own, on which statements about these tables meet temporary copies, empty at first. What
        is real can only be read, and writers wait for nothing."""
        parsed = make_url(self.url)
        if self.is_sqlite:
            file = f"file:{quote(parsed.database or '')}"
            place = parsed.set(drivername="sqlite", database=file, query={"mode": "ro", "uri": "true"})
            engine = create_engine(place, **_ON_SQLITE)
            prepare(engine, LOCK_WAIT, begin="BEGIN")
        else:
            options = f"{_POSTGRES_OPTIONS} -c statement_timeout=60000"
            engine = create_engine(parsed.set(drivername="postgresql+psycopg"), connect_args={"options": options})
        temporary = "temp" if self.is_sqlite else "pg_temp"
        try:
            with _outages_told(), engine.connect() as connection:
                real = "main" if self.is_sqlite else connection.scalar(text("SELECT current_schema()"))
                copied([cast(SQLTable, table.__table__) for table in tables], temporary).create_all(
                    connection, checkfirst=False
                )
                if not self.is_sqlite:
                    connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
                connection.commit()
                connection.execution_options(schema_translate_map={None: temporary})
                yield Shadow(connection, {None: real})
        finally:
            engine.dispose()

    def insert(self, table: type[Table]) -> Any:
        """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`, the same words on both."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def claim(
        self,
        session: AsyncSession,
        due_at: InstrumentedAttribute[Any],
        *,
        now: Millis,
        lease: Millis,
        limit: int,
        only: Sequence[Any] = (),
    ) -> list[Any]:
        """Takes up to `limit` rows whose `due_at` has come, puts it off by `lease`, and returns their primary keys.

        Two claimers never get the same row: SQLite has one writer, PostgreSQL skips rows that are locked. A claimer
        that dies gives its rows back when the lease is over. `only` narrows with further conditions.
        """
        mapper = cast(Mapper[Any], due_at.parent)
        table: type[Any] = mapper.class_
        key = cast(Column[Any], mapper.primary_key[0])
        chosen = (
            select(key)
            .where(due_at.is_not(None), due_at <= now, *only)
            .order_by(due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(table)
            .where(key.in_(chosen))
            .values({due_at.key: now + lease})
            .returning(key)
            .execution_options(synchronize_session=False)
        )
        return list((await session.execute(statement)).scalars())

    def shorten_log(self) -> int:
        """SQLite's write-ahead log: moved into the file and cut off where it has grown long. Returns its size, or 0.

        Where readers never pause, the log cannot start anew by itself. Writers wait for this, well within their own
        patience: what a connection still uses then stays until the next try. It takes its turn among them, since a busy
        apply would leave SQLite's own lock for moments only.
        """
        if self._turns is None:
            return 0
        path = Path(make_url(self.url).database or "")
        log = path.with_name(f"{path.name}-wal")
        if (size := _size(log)) > LONG_LOG:
            connection = sqlite3.connect(path, timeout=LOG_WAIT[size > 2 * LONG_LOG], isolation_level=None)
            with closing(connection), suppress(sqlite3.OperationalError, Unavailable):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                with self._turns.held():
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return _size(log)

    def version(self) -> str:
        """The database's own name and version, for people."""
        with _outages_told(), self._look.connect() as connection:
            if self.is_sqlite:
                return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
            return f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"

    def revision(self) -> str:
        """The schema's; empty before the first migration."""
        from golub.migrations import revision_of

        with _outages_told(), self._look.connect() as connection:
            return revision_of(connection) or ""

    def upgrade_is_due(self) -> bool:
        """Whether the database holds rows under an older schema than this release's."""
        from golub.migrations import Schema, schema_of

        with _outages_told(), self._look.connect() as connection:
            return schema_of(connection) is Schema.OLDER

    def must_be_of_this_release(self) -> None:
        """Raises `Rejected` for a schema that this release's statements may not fit, `Unavailable` in an outage."""
        from golub.migrations import must_be_of_this_release

        with _outages_told(), self._look.connect() as connection:
            must_be_of_this_release(connection)

    def migrate(self) -> None:
        """Brings the schema up to this release. Raises `Rejected` where a newer one shuts this release out."""
        from golub.migrations import upgrade  # Alembic is slow to import, and the first acks need no schema

        with _outages_told():
            if not self.is_sqlite:
                self.must_not_forget()
            upgrade(self._apply)

    def must_not_forget(self) -> None:
        """Raises `Rejected` for a PostgreSQL whose commit is no promise.

        Of the three we ask for the last one ourselves, with each connection; a pooler between may drop that."""
        with self._apply.connect() as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                if connection.scalar(text(f"SHOW {setting}")) == "off":
                    raise Rejected(
                        "The database would lose what it confirmed: {setting} is off. Switch it on in its settings.",
                        code="database_forgets",
                        setting=setting,
                    )


def is_outage(error: BaseException) -> bool:
    """Whether the database is locked, full, away or undecided, so that the same statement may succeed later.

    Everything else is the statement's own fault (a value it cannot hold, a broken constraint).
    """
    if isinstance(error, Unavailable | OperationalError | InterfaceError | InternalError | PoolTimeout | OSError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


@contextmanager
def _outages_told() -> Generator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if is_outage(error):
            raise Unavailable("The database does not answer. Try again in a moment.") from error
        raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _keep_rows_out_of_errors(engine: Engine) -> None:
    """PostgreSQL quotes the row that it refuses behind the first line of its words, and errors go into the log. (What
    the statement was given, SQLAlchemy hides by itself where it is told so, on either database.)"""

    @event.listens_for(engine, "handle_error")
    def _shorten(context: ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args:
                error.args = (str(error.args[0]).partition("\n")[0], *error.args[1:])
