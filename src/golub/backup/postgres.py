"""Copies of a PostgreSQL database that is in use: one REPEATABLE READ snapshot of every table, through COPY.

It needs no program of PostgreSQL's, goes into any server that Golub works with, older or newer, and holds rows alone:
the tables are made by our own migrations when it is restored.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from golub.errors import Unavailable

VERSIONS = "alembic_version"
BLOCK = 1 << 18

_OPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=5000 -c timezone=UTC"


class Snapshot:
    """Every table at one moment, in an order in which they can be filled again."""

    def __init__(self, connection: psycopg.Connection[Any], tables: Sequence[str]) -> None:
        self._connection = connection
        self.columns = {table: self._columns(table) for table in tables}

    def revision(self) -> str:
        row = self._connection.execute(
            sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(VERSIONS))
        ).fetchone()
        return str(row[0]) if row else ""

    def mark(self, name: str) -> str:
        """Empty where there is none."""
        if "marks" not in self.columns:
            return ""
        row = self._connection.execute("SELECT value FROM marks WHERE name = %s", (name,)).fetchone()
        return str(row[0]) if row else ""

    def rows(self, table: str, *, blank: Sequence[str] = ()) -> Generator[bytes]:
        """The table in COPY's text format, a row a line; the columns in `blank` hold empty text."""
        fields = [
            sql.SQL("'' AS {}").format(sql.Identifier(column)) if column in blank else sql.Identifier(column)
            for column in self.columns[table]
        ]
        query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(sql.SQL(", ").join(fields), sql.Identifier(table))
        gathered = bytearray()
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for block in copy:
                gathered += block
                if len(gathered) >= BLOCK:
                    yield bytes(gathered)
                    gathered.clear()
        yield bytes(gathered)

    def texts(self, table: str, column: str) -> list[tuple[int, str]]:
        """What stands in a column, by id."""
        query = sql.SQL("SELECT id, {1} FROM {0} WHERE {1} != ''").format(sql.Identifier(table), sql.Identifier(column))
        return list(self._connection.execute(query))

    def _columns(self, table: str) -> list[str]:
        found = self._connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = '' ORDER BY attnum",
            (f'"{table}"',),
        )
        return [row[0] for row in found]


@contextmanager
def snapshot(url: str) -> Generator[Snapshot]:
    """Raises `Unavailable` where the server does not answer, or goes away meanwhile."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, options=_OPTIONS, connect_timeout=5) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield Snapshot(connection, _tables(url))
    except psycopg.OperationalError as error:
        raise Unavailable("The database could not be copied: {reason}", reason=str(error).strip()) from error


async def is_empty(connection: AsyncConnection) -> bool:
    """Whether nobody has made a table in it."""
    found = await connection.execute(text("SELECT 1 FROM pg_tables WHERE schemaname = current_schema() LIMIT 1"))
    return found.first() is None


async def fill(connection: AsyncConnection, table: str, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    """Puts the rows into the emptied table, in the caller's transaction, and its counter behind the greatest id."""
    raw = await connection.get_raw_connection()
    driver = cast("psycopg.AsyncConnection[Any]", raw.driver_connection)
    name, fields = sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    async with driver.cursor() as cursor:
        await cursor.execute(sql.SQL("DELETE FROM {}").format(name))  # what the migrations themselves put there
        async with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, fields)) as copy:
            for block in rows:
                await copy.write(block)
        if "id" in columns:
            await cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", (table,))
            if (row := await cursor.fetchone()) and row[0]:
                query = sql.SQL("SELECT setval(%s, greatest(max(id), 1), max(id) IS NOT NULL) FROM {}").format(name)
                await cursor.execute(query, (row[0],))


def _tables(url: str) -> list[str]:
    """A table stands behind those that it refers to."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        ordered = inspect(engine).get_sorted_table_and_fkc_names()
    finally:
        engine.dispose()
    return [name for name, _ in ordered if name and name != VERSIONS]
