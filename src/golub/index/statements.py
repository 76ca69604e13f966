"""The index in the words of each database: FTS5 and `tsvector`. With `store`, the only module that knows a dialect.

Words come from `analyser` alone, and neither database takes them apart again: FTS5's `ascii` tokenizer splits at
spaces, a `tsvector` is given as its own literal. On SQLite stems, other spellings and facets are columns; on PostgreSQL
one vector holds them, each with its kind's letter in front.
"""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from golub.index.question import All, Any, Asked, Facet, Other
from golub.store.prepared import Prepared

_LAST_POSITION = 16_383  # of a word in a tsvector

_PUT_SQLITE = Prepared(
    lambda _: text(
        "INSERT OR REPLACE INTO search_entries (rowid, stems, others, facets) VALUES (:key, :stems, :others, :facets)"
    ),
    ("key", "stems", "others", "facets"),
)
_GIVEN = (
    "INSERT INTO search_entries (key, words) SELECT key, CAST(words AS tsvector) FROM "
    "unnest(CAST(:keys AS bigint[]), CAST(:words AS text[])) AS given (key, words) ON CONFLICT (key) DO "
)
_PUT_POSTGRES = text(_GIVEN + "UPDATE SET words = excluded.words")
_ADD_POSTGRES = text(_GIVEN + "NOTHING")
_REMOVE_SQLITE = text("DELETE FROM search_entries WHERE rowid = :key")
_REMOVE_POSTGRES = text("DELETE FROM search_entries WHERE key = ANY(CAST(:keys AS bigint[]))")
_REMOVE_MATCHING_SQLITE = text(
    "DELETE FROM search_entries WHERE rowid IN (SELECT rowid FROM search_entries WHERE search_entries MATCH :asked)"
)
_REMOVE_MATCHING_POSTGRES = text("DELETE FROM search_entries WHERE words @@ CAST(:asked AS tsquery)")
_FIND_SQLITE = (
    "SELECT rowid FROM search_entries WHERE search_entries MATCH :asked AND rowid BETWEEN :least AND :greatest "
    "ORDER BY rowid {order} LIMIT :limit"
)
_FIND_POSTGRES = (
    "SELECT key FROM search_entries WHERE words @@ CAST(:asked AS tsquery) AND key BETWEEN :least AND :greatest "
    "ORDER BY key {order} LIMIT :limit"
)


class Entry(Protocol):
    @property
    def key(self) -> int: ...
    @property
    def stems(self) -> Sequence[str]: ...
    @property
    def others(self) -> Sequence[str]: ...
    @property
    def facets(self) -> Sequence[str]: ...


def put(connection: Connection, entries: Sequence[Entry], *, over: bool = True) -> None:
    """Writes each entry; `over` False leaves those that are there as they are, where others may write meanwhile.

    In the order of their keys: out of it FTS5 begins a new segment with every step back.
    """
    if not entries:
        return
    ordered = sorted(entries, key=lambda entry: entry.key)
    if connection.dialect.name == "sqlite":  # whoever writes here is alone
        _PUT_SQLITE.run(
            connection,
            [
                {
                    "key": entry.key,
                    "stems": " ".join(entry.stems),
                    "others": " ".join(entry.others),
                    "facets": " ".join(entry.facets),
                }
                for entry in ordered
            ],
        )
    else:
        given = {"keys": [entry.key for entry in ordered], "words": [vector(entry) for entry in ordered]}
        connection.execute(_PUT_POSTGRES if over else _ADD_POSTGRES, given)


def remove(connection: Connection, keys: Sequence[int]) -> None:
    if not keys:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(_REMOVE_SQLITE, [{"key": key} for key in sorted(keys)])
    else:
        connection.execute(_REMOVE_POSTGRES, {"keys": sorted(keys)})


def remove_matching(connection: Connection, asked: Asked) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(_REMOVE_MATCHING_SQLITE, {"asked": fts5(asked)})
    else:
        connection.execute(_REMOVE_MATCHING_POSTGRES, {"asked": tsquery(asked)})


def remove_all(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    everything = "INSERT INTO search_entries (search_entries) VALUES ('delete-all')"
    connection.execute(text(everything if is_sqlite else "TRUNCATE search_entries"))


def find(
    connection: Connection, asked: Asked, *, least: int, greatest: int, limit: int, ascending: bool = False
) -> list[int]:
    """Keys between the two, both included, in their order. What it costs follows from `limit`, and not from how much
    there is; but for a cut word, which costs what all its words do: on SQLite one of more than eight letters."""
    is_sqlite = connection.dialect.name == "sqlite"
    statement = (_FIND_SQLITE if is_sqlite else _FIND_POSTGRES).format(order="ASC" if ascending else "DESC")
    given = {"least": least, "greatest": greatest, "limit": limit, "asked": (fts5 if is_sqlite else tsquery)(asked)}
    return list(connection.execute(text(statement), given).scalars())


def was_stopped(error: DBAPIError) -> bool:
    """Whether the statement took longer than `Store.read(within=…)` gives it."""
    return getattr(error.orig, "sqlstate", "") == "57014" or str(error.orig) == "interrupted"


def vector(entry: Entry) -> str:
    """A `tsvector` literal."""
    places: dict[str, list[str]] = {}
    for number, stem in enumerate(entry.stems, 1):
        places.setdefault(f"s{stem}", []).append(str(min(number, _LAST_POSITION)))
    words = [f"{_literal(word)}:{','.join(at)}" for word, at in places.items()]
    words += [_literal(f"o{word}") for word in entry.others]
    words += [_literal(f"f{name}") for name in entry.facets]
    return " ".join(words)


def tsquery(asked: Asked) -> str:
    """A `tsquery` literal."""
    if isinstance(asked, All | Any):
        return f"({(' & ' if isinstance(asked, All) else ' | ').join(map(tsquery, asked.parts))})"
    if isinstance(asked, Facet):
        return _literal(f"f{asked.name}")
    cut = ":*" if asked.cut else ""
    if isinstance(asked, Other):
        return _literal(f"o{asked.word}") + cut
    return f"({' <-> '.join(_literal(f's{stem}') for stem in asked.stems)}{cut})"


def _literal(word: str) -> str:
    """Words hold neither quotes nor backslashes; nothing here relies on it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def fts5(asked: Asked) -> str:
    """What stands behind MATCH."""
    if isinstance(asked, All | Any):
        return f"({(' AND ' if isinstance(asked, All) else ' OR ').join(map(fts5, asked.parts))})"
    if isinstance(asked, Facet):
        return f"facets : {_string(asked.name)}"
    cut = " *" if asked.cut else ""
    if isinstance(asked, Other):
        return f"others : {_string(asked.word)}{cut}"
    return f"stems : {_string(' '.join(asked.stems))}{cut}"


def _string(words: str) -> str:
    return '"' + words.replace('"', '""') + '"'
