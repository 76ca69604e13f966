"""Statements of Core that are run with very many rows: put into the database's words once, after which each row goes to
the driver as it is.

By itself SQLAlchemy looks at every value of every row anew. Apply writes some eighty of them for a message, and that
took longer than the database needed to write them. Text, numbers, bytes and truth are what a driver takes; documents
are written as JSON here, so a column of another kind of value has no place in such a statement.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import JSON, Connection, Dialect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert

from golub.model import Table

Row = Mapping[str, Any]


class Prepared:
    """`make` gives the statement for a database by the dialect's name. `names` are all of the values that it takes from
    a row, in any order; `of` says which key of the row has one that goes by another name there. The documents that are
    `written` are JSON already."""

    def __init__(
        self,
        make: Callable[[str], Any],
        names: Sequence[str],
        *,
        of: Mapping[str, str] | None = None,
        written: Sequence[str] = (),
    ) -> None:
        self._make = make
        self._names = tuple(names)
        self._of = dict(of or {})
        self._written = frozenset(written)
        self._ready: dict[str, _Ready] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """With each of the rows. No rows are nothing to do."""
        if not rows:
            return
        ready = self._ready.get(connection.dialect.name)
        if ready is None:
            ready = self._ready[connection.dialect.name] = self._prepare(connection.dialect)
        connection.exec_driver_sql(ready.sql, ready.values(rows))

    def _prepare(self, dialect: Dialect) -> "_Ready":
        statement = self._make(dialect.name)
        keys = list(self._names) if isinstance(statement, Insert) else None
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        asked = list(compiled.positiontup if compiled.positional else compiled.binds)
        if set(asked) != set(self._names):
            raise TypeError(f"the statement takes {sorted(asked)}, and is given {sorted(self._names)}")
        documents: dict[int, Callable[[Any], Any]] = {}
        for place, name in enumerate(asked):
            kind = compiled.binds[name].type
            if isinstance(kind, JSON) and name not in self._written:
                documents[place] = cast(Any, kind.dialect_impl(dialect).bind_processor(dialect))
        return _Ready(str(compiled), itemgetter(*(self._of.get(name, name) for name in asked)), documents, asked)


def insert_into(dialect: str, table: type[Table]) -> Any:
    """What `Store.insert` gives, by the dialect's name."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def draw_ids(connection: Connection, table: type[Table], count: int) -> Sequence[int]:
    """Numbers for so many new rows, as the database itself would give them; those of SQLite are the caller's as long as
    it holds the write lock. So rows need not be asked for their numbers one by one when they are in."""
    name = table.__tablename__
    if connection.dialect.name == "sqlite":
        greatest = text(f"SELECT coalesce(max(id), 0) FROM {name}")  # noqa: S608 - a name of ours
        first = connection.execute(greatest).scalar_one() + 1
        return range(first, first + count)
    drawn = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    return connection.execute(drawn, {"name": name, "count": count}).scalars().all()


class _Ready:
    def __init__(
        self, sql: str, pick: Callable[[Row], Any], documents: Mapping[int, Callable[[Any], Any]], names: Sequence[str]
    ) -> None:
        self.sql = sql
        self._pick = pick
        self._documents = documents
        self._names = None if "%(" not in sql else tuple(names)

    def values(self, rows: Sequence[Row]) -> list[Any]:
        picked: list[Any] = [self._pick(row) for row in rows]
        for place, write in self._documents.items():
            picked = [(*row[:place], write(row[place]), *row[place + 1 :]) for row in picked]
        return picked if self._names is None else [dict(zip(self._names, row, strict=True)) for row in picked]
