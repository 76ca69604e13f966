"""Where the main database went: a file in the data folder says that it is in PostgreSQL now, and at which address.

`golub migrate-to` writes it while it holds SQLite's write lock, and that is the moment of the move: whoever begins to
write `golub.db` later finds the file first, and does not. From then on every process of this folder uses the address in
it, unless its settings name another one; so the old database is used again only by somebody who takes the file away.

While a database is being moved the command holds a lock on a second file. The kernel lets that go whatever becomes of
the command, so nothing has to be cleaned up.
"""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "golub.moved"
LOCK = "golub.moving"


@dataclass(frozen=True, slots=True)
class Moved:
    move: str  # a random name, which the new database knows as well
    url: str  # with its password: the file is for its owner alone
    at: int  # milliseconds, as everywhere


def find_moved(folder: Path) -> Moved | None:
    """Raises `ValueError` for a file that holds something else."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Moved(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / FILE} is damaged: it must say where the database is") from error


def tell_moved(folder: Path, moved: Moved) -> None:
    """On stable storage when it returns."""
    draft = folder / f"{FILE}.new"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(moved), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


@contextmanager
def moving(folder: Path) -> Generator[bool]:
    """Holds the lock; False: another process moves this database."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _locked(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def is_moving(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
