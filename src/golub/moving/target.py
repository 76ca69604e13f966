"""The PostgreSQL that a database moves into: whether it may, and what is done before and after the rows come.

Foreign keys and indexes of the fresh tables are taken away while rows are put in, and made again behind them: that
takes a fraction of the time, and the keys are checked all the same.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, insert, select, text

from golub.errors import Conflict, Rejected
from golub.migrations import upgrade_on
from golub.model import Mark

OLDEST = 15
AT_ONCE = 2000  # rows
MARK = "moving"  # the move's name and the old database's identity, until a server has come over

_UNHURRIED = ("statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "lock_timeout = '10s'")
_OURS = """
SELECT format('DROP %s IF EXISTS %s CASCADE', kind, name) FROM (
  SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, oid::regclass::text AS name, oid
    FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'S')
  UNION ALL SELECT 'FUNCTION', oid::regprocedure::text, oid
    FROM pg_proc WHERE pronamespace = current_schema()::regnamespace) AS found
WHERE NOT EXISTS (SELECT FROM pg_depend WHERE objid = found.oid AND deptype IN ('e', 'i'))
"""
_FOREIGN_KEYS = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY conname
"""
_INDEXES = """
SELECT format('DROP INDEX %I', indexname), indexdef FROM pg_indexes
WHERE schemaname = current_schema() AND NOT EXISTS (
  SELECT FROM pg_constraint WHERE conname = indexname AND connamespace = current_schema()::regnamespace)
ORDER BY tablename, indexname
"""


class Target:
    """The schema in it, in one transaction. Raises `Rejected` for a server that will not do, `Conflict` for a database
    that is not ours to fill."""

    def __init__(self, connection: Connection, identity: str) -> None:
        self.connection = connection
        self._identity = identity
        self._again: list[str] = []  # what `strip` took away
        for setting in _UNHURRIED:
            connection.execute(text(f"SET LOCAL {setting}"))
        self._must_do()
        self._must_be_free()
        upgrade_on(connection)

    def strip(self) -> None:
        """Leaves the tables without foreign keys and indexes, until `complete`."""
        for found in (_FOREIGN_KEYS, _INDEXES):
            for drop, create in self._driver.execute(found).fetchall():
                self._driver.execute(drop.encode())
                self._again.insert(0, create)  # the keys, which need the indexes, come last

    def complete(self, tell: Callable[[float], None]) -> None:
        """Makes what was stripped, and tells the planner what there is."""
        self._driver.execute("SET LOCAL maintenance_work_mem = '256MB'")
        for number, statement in enumerate(self._again):
            tell(number / len(self._again))
            self._driver.execute(statement.encode())
        self._driver.execute("ANALYZE")
        tell(1.0)

    def fill(self, table: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Puts the rows into the emptied table, and its counter behind the greatest id."""
        name, fields = sql.Identifier(table), list(columns)
        with self._driver.cursor() as cursor:
            cursor.execute(sql.SQL("DELETE FROM {}").format(name))  # what the migrations themselves put there
            listed = sql.SQL(", ").join(map(sql.Identifier, fields))
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, listed)) as copy:
                for row in rows:
                    copy.write_row(row)
            if "id" in fields:
                cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", (table,))
                if (found := cursor.fetchone()) and found[0]:
                    query = "SELECT setval(%s, greatest(max(id), 1), max(id) IS NOT NULL) FROM {}"
                    cursor.execute(sql.SQL(query).format(name), (found[0],))

    def rows(self, query: str) -> Generator[tuple[Any, ...]]:
        """Read through a cursor of the server's, a part at a time."""
        with self._driver.cursor(name="read_back", binary=True) as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(query.encode())
            yield from cursor

    def promise(self, move: str) -> None:
        """A server that starts here before the move is declared finished will not."""
        self.connection.execute(insert(Mark).values(name=MARK, value=f"{move} {self._identity}"))

    @property
    def _driver(self) -> "psycopg.Connection[Any]":
        raw: Any = self.connection.connection.driver_connection
        return raw

    def _must_do(self) -> None:
        version = int(self.connection.scalar(text("SHOW server_version_num")) or 0)
        if version < OLDEST * 10_000:
            raise Rejected(
                "That is PostgreSQL {version}; Golub needs {oldest} or newer.", version=version // 10_000, oldest=OLDEST
            )
        encoding = self.connection.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise Rejected(
                "The database's encoding is {encoding}: make it anew with ENCODING 'UTF8' TEMPLATE template0.",
                encoding=encoding,
            )

    def _must_be_free(self) -> None:
        """Empty, or what an earlier try of the same move left: that goes."""
        there = [row[0] for row in self._driver.execute(_OURS)]
        if not there:
            return
        left = ""
        if self.connection.scalar(text("SELECT to_regclass('marks')")):
            left = self.connection.scalar(select(Mark.value).where(Mark.name == MARK)) or ""
        if left.partition(" ")[2] != self._identity:
            raise Conflict(
                "That database is not empty, and what is in it is not of this move: give an empty one.",
                code="not_empty",
            )
        for statement in there:
            self._driver.execute(statement.encode())
