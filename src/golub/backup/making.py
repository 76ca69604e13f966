"""Makes one backup: the spool first, the main database second, so that whatever was acked before is in one of them.

A delivery that the spool's copy no longer has was committed to the main database before, and so is in the copy that is
taken after. Blocks, for seconds or minutes: give it a thread.
"""

import fcntl
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import make_url

from golub import __version__
from golub.backup import archive, folder, key, postgres, sqlite
from golub.backup.archive import Manifest, Writer
from golub.backup.folder import Backed, Reason
from golub.clock import Clock
from golub.errors import Conflict, Rejected, Unavailable
from golub.model import KEY_CHECK
from golub.room import has_room
from golub.settings import Settings
from golub.vault import Vault

# Worth nothing tomorrow, and to a thief something: who is signed in, links that sign in, whose passwords were guessed.
LEFT_OUT = ("sessions", "half_sign_ins", "one_time_links", "sign_in_failures")
# What lies readable in the database and may not in an archive: taken out, and put inside once more, sealed.
BLANKED = (("operators", "password_hash"),)
SEALED_KEY = "secret.key.sealed"
SEALED_TEXTS = "texts.sealed"
_STAGE = ".golub-backup-"


class Step(StrEnum):
    SPOOL = "spool"
    DATABASE = "database"
    PACKING = "packing"
    VERIFYING = "verifying"


Tell = Callable[[Step, float], None]  # the share of the step that is done, 0 to 1; may raise to end the work


@dataclass(frozen=True, slots=True)
class Order:
    """What to make. Without `to` it goes into the folder of backups, under its own name."""

    reason: Reason = Reason.BY_HAND
    to: Path | None = None
    passphrase: str = ""  # seals secret.key into the archive; none: it is left out
    media: bool = False


def make(settings: Settings, vault: Vault, order: Order, *, clock: Clock, tell: Tell) -> Backed:
    """Raises `Unavailable` where there is no room or a database does not answer, `Conflict` where another is made."""
    begun_at = clock()
    to = _target(settings, order, begun_at)
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = to.with_name(f"{_STAGE}{to.name}")
    sealed_key = key.seal(settings, order.passphrase) if order.passphrase else b""
    try:
        with _alone(to.parent), _stage(to.parent) as stage:
            room = _Room(to.parent)
            room.ask(_size_of(settings))
            made = _Made(settings, vault, order, stage, tell, room)
            with archive.writing(draft, room.moved) as writer:
                if sealed_key:
                    writer.add(SEALED_KEY, [sealed_key])
                made.add_all(writer)
                manifest = made.manifest(writer, begun_at, clock())
                archive.seal(writer, manifest)
            try:
                _verify(draft, tell)
                draft.replace(to)
            finally:
                draft.unlink(missing_ok=True)
            archive.sync_folder(to.parent)
    except OSError as error:
        raise Unavailable("The backup could not be written: {reason}", reason=str(error)) from error
    except sqlite3.Error as error:
        raise Unavailable("The backup could not be made: {reason}", reason=str(error)) from error
    return Backed(to, begun_at, to.stat().st_size, order.reason)


class _Made:
    """The members of one archive."""

    def __init__(self, settings: Settings, vault: Vault, order: Order, stage: Path, tell: Tell, room: "_Room") -> None:
        self._settings = settings
        self._vault = vault
        self._order = order
        self._stage = stage
        self._tell = tell
        self._room = room
        self._counts: dict[str, int] = {}
        self._columns: dict[str, list[str]] = {}
        self._schema = ""

    def add_all(self, writer: Writer) -> None:
        spool = self._copy(Step.SPOOL, self._settings.data_dir / "spool.db")
        if source := sqlite_file(self._settings):
            database = self._copy(Step.DATABASE, source)
            if database is None:
                raise Rejected("There is nothing to back up in {folder}.", folder=self._settings.data_dir)
            texts = sqlite.scrub(database, empty=LEFT_OUT, blank=BLANKED)
            sqlite.check(database)
            self._schema, self._counts = sqlite.revision(database), sqlite.counts(database)
            self._use(sqlite.mark(database, KEY_CHECK))
            self._pack(writer, spool, database)
        else:
            texts = self._add_tables(writer)
            self._pack(writer, spool)
        writer.add(SEALED_TEXTS, [self._vault.seal(json.dumps(texts))])
        self._keep_telling(Step.PACKING, 1.0)
        for path in self._kept_files():
            with _gone_is_gone():
                writer.add_file(str(path.relative_to(self._settings.data_dir)), path)

    def _use(self, check: str) -> None:
        """The key that sealed the rows, where we have several."""
        if self._vault.knows(check):
            self._vault.use(check)

    def manifest(self, writer: Writer, begun_at: int, ended_at: int) -> Manifest:
        return Manifest(
            version=__version__,
            schema=self._schema,
            database="sqlite" if sqlite_file(self._settings) else "postgresql",
            reason=self._order.reason,
            begun_at=begun_at,
            ended_at=ended_at,
            key_check=self._vault.check,
            has_key=bool(self._order.passphrase),
            has_media=self._order.media,
            counts=self._counts,
            columns=self._columns,
            members=writer.members,
        )

    def _copy(self, step: Step, source: Path) -> Path | None:
        if not source.exists():
            return None

        def told(share: float) -> None:
            self._room.ask()
            self._tell(step, share)

        self._tell(step, 0.0)
        to = self._stage / source.name
        sqlite.copy(source, to, told)
        return to

    def _pack(self, writer: Writer, *copies: Path | None) -> None:
        there = [path for path in copies if path]
        size, before = max(1, sum(path.stat().st_size for path in there)), self._room.through

        def share(_: int) -> None:
            self._tell(Step.PACKING, min(1.0, (self._room.through - before) / size))

        self._room.on_moved = share
        for path in there:
            writer.add_file("golub.db" if path.name != "spool.db" else "spool.db", path)
            path.unlink()  # its room is wanted
        self._room.on_moved = None

    def _keep_telling(self, step: Step, share: float) -> None:
        """Until something else is told: whoever is told may end the work, and a server that stops waits for that."""
        self._tell(step, share)
        self._room.on_moved = lambda _: self._tell(step, share)

    def _add_tables(self, writer: Writer) -> dict[str, list[tuple[int, str]]]:
        """Straight from the server into the archive."""
        with postgres.snapshot(self._settings.effective_database_url) as snapshot:
            self._schema, self._columns = snapshot.revision(), snapshot.columns
            self._use(snapshot.mark(KEY_CHECK))
            for number, table in enumerate(snapshot.columns):
                self._keep_telling(Step.DATABASE, number / len(snapshot.columns))
                if table not in LEFT_OUT:
                    rows = snapshot.rows(table, blank=[column for of, column in BLANKED if of == table])
                    writer.add(f"tables/{table}.copy", self._counted(table, rows))
            return {f"{table}.{column}": snapshot.texts(table, column) for table, column in BLANKED}

    def _counted(self, table: str, rows: Iterator[bytes]) -> Iterator[bytes]:
        self._counts[table] = 0
        for block in rows:
            self._counts[table] += block.count(b"\n")  # COPY writes a newline inside a value as two signs
            yield block

    def _kept_files(self) -> Iterator[Path]:
        """Photos that wait to be sent, always; what was fetched from Avito by choice, since Avito still has it."""
        for name in ("outgoing", *(["media"] if self._order.media else [])):
            for path in sorted((self._settings.data_dir / name).rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    yield path


class _Room:
    """Ends the work before it takes the room that deliveries need."""

    def __init__(self, place: Path) -> None:
        self.through = 0  # bytes that went into the archive
        self.on_moved: Callable[[int], None] | None = None
        self._place = place

    def ask(self, needed: int = 0) -> None:
        if not has_room(self._place, needed):
            raise Unavailable(
                "The disk of {folder} is nearly full: no backup was made, so that messages keep their room. "
                "Free some, or point GOLUB_BACKUP_DIR at another disk.",
                code="no_room",
                folder=self._place,
            )

    def moved(self, size: int) -> None:
        self.through += size
        self.ask()
        if self.on_moved:
            self.on_moved(size)


def _verify(draft: Path, tell: Tell) -> None:
    manifest = archive.read_manifest(draft)
    size, through = max(1, sum(member.bytes for member in manifest.members)), 0

    def moved(more: int) -> None:
        nonlocal through
        through += more
        tell(Step.VERIFYING, through / size)

    archive.verify(draft, manifest, moved)


def _target(settings: Settings, order: Order, begun_at: int) -> Path:
    if order.to is None:
        return settings.effective_backup_dir / folder.name_of(begun_at, order.reason)
    if order.to.is_dir():
        return order.to / folder.name_of(begun_at, order.reason)
    if order.to.exists():
        raise Conflict("{path} exists already.", path=order.to)
    return order.to


def _size_of(settings: Settings) -> int:
    """About what is needed at the most: the copies, and the archive beside them. PostgreSQL's rows are not copied."""
    files = [settings.data_dir / "spool.db", sqlite_file(settings)]
    return sum(path.stat().st_size for path in files if path and path.is_file()) * 3 // 2


def sqlite_file(settings: Settings) -> Path | None:
    """The main database's; None for PostgreSQL."""
    url = make_url(settings.effective_database_url)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


@contextmanager
def _alone(place: Path) -> Generator[None]:
    """One backup at a time in a folder; what a killed one left there goes."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another backup is being made in {folder}.", code="backup_running", folder=place) from error
        for left in place.glob(f"{_STAGE}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _stage(place: Path) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix=_STAGE, dir=place) as stage:
        yield Path(stage)


@contextmanager
def _gone_is_gone() -> Generator[None]:
    """A file that was sent or dropped between our looking and our reading is wanted no more."""
    try:
        yield
    except FileNotFoundError:
        return
