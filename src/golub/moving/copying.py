"""Rows on their way from SQLite: in PostgreSQL's types, without what it cannot hold, and their digest.

PostgreSQL's text holds no NUL, and neither text nor documents hold halves of surrogate pairs or numbers that are none.
Apply lets none of that in. Where a row has it all the same, U+FFFD stands there afterwards (null for the number), and
how often is told.

A table's digest is the sum of its rows' digests: the order, which the two databases see differently, does not count.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from decimal import Decimal
from hashlib import blake2b
from typing import Any, cast

from sqlalchemy import JSON, Boolean, LargeBinary
from sqlalchemy import Table as SQLTable

from golub.model import Mark, Table
from golub.search.catching_up import MARK as SEARCH

TABLES = Table.metadata.sorted_tables
AT_ONCE = 2000  # rows

_UNWANTED = re.compile("[\x00\ud800-\udfff]")
_FULL = 1 << 128

Row = tuple[Any, ...]


class Source:
    """SQLite's file under its write lock. `mended` counts the values that PostgreSQL cannot hold as they were."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.mended = 0
        self._connection = connection
        connection.text_factory = self._decode

    def count(self, table: SQLTable) -> int:
        (number,) = self._connection.execute(f'SELECT count(*) FROM "{table.name}"{_but(table)}').fetchone()  # noqa: S608
        return number

    def rows(self, table: SQLTable, digest: "Digest") -> Generator[Row]:
        """Each is counted into the digest as it passes."""
        kinds = [_reader(column.type, self) for column in table.columns]
        named = ", ".join(f'"{column.name}"' for column in table.columns)
        with closing(self._connection.execute(f'SELECT {named} FROM "{table.name}"{_but(table)}')) as found:  # noqa: S608
            while batch := found.fetchmany(AT_ONCE):
                for raw in batch:
                    row = tuple(
                        value if value is None or kind is None else kind(value)
                        for kind, value in zip(kinds, raw, strict=True)
                    )
                    digest.add(row)
                    yield row

    def document(self, text: str) -> str:
        """The same on both sides, however either spells it."""
        return canonical(_cleaned(json.loads(text, parse_constant=self._no_number), self))

    def text(self, value: Any) -> str:
        found = value if isinstance(value, str) else str(value)
        if "\x00" in found:
            self.mended += 1
            return found.replace("\x00", "�")
        return found

    def mend(self, text: str) -> str:
        if _UNWANTED.search(text) is None:
            return text
        self.mended += 1
        return _UNWANTED.sub("�", text)

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.mended += 1
            return raw.decode(errors="replace")

    def _no_number(self, _: str) -> None:
        self.mended += 1


class Digest:
    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, row: Row) -> None:
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(blake2b(repr(row).encode(), digest_size=16).digest())) % _FULL

    def __str__(self) -> str:
        return f"{self._sum:032x}"


def read_back(table: SQLTable, found: Iterable[Row], digest: Digest) -> None:
    """Counts PostgreSQL's rows, as `question` asks for them, into the digest."""
    documents = [place for place, column in enumerate(table.columns) if isinstance(column.type, JSON)]
    for row in found:
        values = list(row)
        for place in documents:
            if values[place] is not None:
                values[place] = canonical(json.loads(values[place], parse_float=Decimal))
        digest.add(tuple(values))


def question(table: SQLTable) -> str:
    fields = [f'"{one.name}"::text' if isinstance(one.type, JSON) else f'"{one.name}"' for one in table.columns]
    return f'SELECT {", ".join(fields)} FROM "{table.name}"'  # noqa: S608 - only our own names


def canonical(value: Any) -> str:
    """JSON with sorted names. PostgreSQL writes 1e2 as 100 and keeps 1.0: both are numbers of one value."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in cast(list[Any], value)]
    if isinstance(value, float | Decimal):
        number = Decimal(repr(value)) if isinstance(value, float) else value
        return int(number) if number == number.to_integral_value() else float(number)
    return value


def _cleaned(value: Any, source: Source) -> Any:
    if isinstance(value, str):
        return source.mend(value)
    if isinstance(value, dict):
        named = cast(dict[str, Any], value).items()
        return {source.mend(name): _cleaned(inner, source) for name, inner in named}
    if isinstance(value, list):
        return [_cleaned(inner, source) for inner in cast(list[Any], value)]
    return value


def _reader(kind: Any, source: Source) -> Callable[[Any], Any] | None:
    """What makes PostgreSQL's value of SQLite's; None: it is one already."""
    if isinstance(kind, Boolean):
        return bool
    if isinstance(kind, JSON):
        return source.document
    if isinstance(kind, LargeBinary):
        return bytes
    return source.text if kind.python_type is str else None


def _but(table: SQLTable) -> str:
    """Search reads everything anew, into an index of the other kind."""
    return f" WHERE name != '{SEARCH}'" if table.name == Mark.__tablename__ else ""
