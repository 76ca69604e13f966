"""Copies of SQLite files that are in use: `VACUUM INTO`, never a copy of the file's bytes.

One snapshot, without the remains of deleted rows that a file keeps in its free pages. Writers go on meanwhile; now and
then the copying syncs what it wrote, so that no ack's own sync has to wait for all of it. It does not pause for them:
measured on one core, acks beside it were no faster for that, and the copy took half as long again.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from golub.errors import Rejected, Unavailable

STEPS = 20_000  # of SQLite's machine between two looks: about a millisecond's work
SYNCED_EVERY = 8 << 20  # bytes

Told = Callable[[float], None]  # the share that is done, 0 to 1; may raise to end the work


def copy(source: Path, to: Path, told: Told) -> None:
    """Raises `Unavailable` for a source that is locked, missing or unreadable."""
    if not source.exists():
        raise Unavailable("There is no file {path}.", path=source)
    steps: _Steps | None = None
    try:
        with closing(sqlite3.connect(source, timeout=5.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            steps = _Steps(to, max(1, (pages - free) * size), told)
            connection.set_progress_handler(steps, STEPS)
            try:
                connection.execute("VACUUM INTO ?", (str(to),))
            finally:
                steps.close()
    except sqlite3.Error as error:
        if steps and steps.error:
            raise steps.error from None
        raise Unavailable("{path} could not be copied: {reason}", path=source, reason=str(error)) from error
    to.chmod(0o600)


class _Steps:
    """What happens between two steps. SQLite swallows exceptions here, so the one that ended the work is kept."""

    def __init__(self, to: Path, size: int, told: Told) -> None:
        self.error: Exception | None = None
        self._to = to
        self._size = size
        self._told = told
        self._file = -1
        self._synced = 0

    def __call__(self) -> int:
        try:
            if self._file < 0 and self._to.exists():
                self._file = os.open(self._to, os.O_RDONLY)
            written = os.fstat(self._file).st_size if self._file >= 0 else 0
            if written - self._synced >= SYNCED_EVERY:
                self._synced = written
                os.fdatasync(self._file)
            self._told(min(1.0, written / self._size))
        except Exception as error:  # noqa: BLE001 - raised again by `copy`
            self.error = error
            return 1
        return 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def scrub(path: Path, *, empty: Sequence[str], blank: Sequence[tuple[str, str]]) -> dict[str, list[tuple[int, str]]]:
    """Empties tables and blanks columns, leaving no trace of either in the file.

    Returns what stood in the columns, as (id, text) by "table.column".
    """
    taken: dict[str, list[tuple[int, str]]] = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=MEMORY")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("BEGIN")
        there = set(tables(connection))
        for table in there & set(empty):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - only our own words, here and below
        for table, column in blank:
            if table in there:
                chosen = f"SELECT id, {column} FROM {table} WHERE {column} != ''"  # noqa: S608
                taken[f"{table}.{column}"] = connection.execute(chosen).fetchall()
                connection.execute(f"UPDATE {table} SET {column} = ''")  # noqa: S608
        connection.execute("COMMIT")
    return taken


def check(path: Path, *, thorough: bool = False) -> None:
    """Raises `Rejected` for a file that is not sound. Thorough compares every index with its table as well."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            found = connection.execute(f"PRAGMA {'integrity_check' if thorough else 'quick_check'}(5)").fetchall()
    except sqlite3.Error as error:
        raise Rejected("{path} is damaged: {reason}", path=path.name, reason=str(error)) from error
    if found != [("ok",)]:
        raise Rejected("{path} is damaged: {reason}", path=path.name, reason="; ".join(row[0] for row in found))


def revision(path: Path) -> str:
    """The schema's; empty where there is none."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if "alembic_version" not in tables(connection):
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else ""


def mark(path: Path, name: str) -> str:
    """Empty where there is none."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if "marks" not in tables(connection):
            return ""
        row = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""


def counts(path: Path) -> dict[str, int]:
    """Rows of every table."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        count = "SELECT count(*) FROM {}"
        return {table: connection.execute(count.format(f'"{table}"')).fetchone()[0] for table in tables(connection)}


def tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return sorted(row[0] for row in found)
