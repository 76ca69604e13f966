"""The move itself, as the command makes it. It blocks for minutes."""

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psycopg
from sqlalchemy import Table as SQLTable
from sqlalchemy import func, insert, make_url, select
from sqlalchemy.exc import DBAPIError

from golub.apply.identity import MARK as IDENTITY
from golub.clock import Clock
from golub.errors import Conflict, Rejected, Unavailable
from golub.model import AttachedPicture, Node
from golub.moved import Moved, find_moved, moving, tell_moved
from golub.moving.copying import TABLES, Digest, Row, Source, question, read_back
from golub.moving.target import Target
from golub.nodes import folder_id
from golub.settings import ProcessRole, Settings
from golub.store import Store, is_outage

TOLD_EVERY = 2000  # rows
LOCK_WAIT = 60.0  # seconds for whoever writes at the moment; a server stops writing within one


class Step(StrEnum):
    WAITING = "waiting for the writers"
    COPYING = "copying"
    INDEXING = "making indexes"
    COMPARING = "comparing"


Tell = Callable[[Step, float], None]  # the share of the step that is done, 0 to 1


@dataclass(frozen=True, slots=True)
class Arrived:
    """`mended`: values that PostgreSQL cannot hold as they were. `digest`: of all tables, the same on both sides."""

    rows: int
    messages: int
    mended: int
    digest: str


def move(settings: Settings, url: str, *, clock: Clock, tell: Tell) -> Arrived:
    """Raises `Conflict` where the database moves or has moved already, or the target is not empty; `Rejected` where the
    target will not do, or what came out of it is not what went in; `Unavailable` where one of them does not answer.
    Nothing has happened then."""
    file = _source_of(settings, url)
    with moving(settings.data_dir) as ours:
        if not ours:
            raise Conflict("Another golub migrate-to is at work in {folder}.", folder=settings.data_dir)
        new = Store(url, patient=True)
        Store(settings.own_database_url).must_be_of_this_release()
        with _reasons_told():
            new.must_not_forget()
        tell(Step.WAITING, 0.0)
        with _held(file) as connection:
            tell(Step.WAITING, 1.0)
            if find_moved(settings.data_dir):
                raise Conflict("The database has moved already.", code="database_moved")
            try:
                return _move(settings, new, connection, clock, tell)
            finally:
                asyncio.run(new.close())


def has_come_over(settings: Settings, url: str, since: int) -> bool:
    """Whether a process of this folder has given its sign of life in the new database. Raises `Unavailable`."""
    store = Store(url, patient=True)
    mine = select(func.count()).where(Node.folder == folder_id(settings.data_dir), Node.started_at >= since)
    try:
        with store.writing() as connection:
            return bool(connection.scalar(mine))
    finally:
        asyncio.run(store.close())


def _source_of(settings: Settings, url: str) -> Path:
    if make_url(url).get_backend_name() != "postgresql":
        raise Rejected("Give PostgreSQL's address: postgresql+psycopg://user:password@host/database.")
    if settings.role is not ProcessRole.ALL or settings.effective_database_url != settings.own_database_url:
        raise Conflict(
            "Golub uses another database than golub.db in {folder} already: unset GOLUB_DATABASE_URL to move that one.",
            folder=settings.data_dir,
        )
    file = settings.data_dir.absolute() / "golub.db"
    if not file.exists():
        raise Rejected("There is no database in {folder}.", folder=settings.data_dir)
    return file


@contextmanager
def _held(file: Path) -> Generator[sqlite3.Connection]:
    """The database with nobody else writing, and as it was at one moment."""
    try:
        with closing(sqlite3.connect(file, timeout=LOCK_WAIT, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise Unavailable("{file} cannot be locked or read: {reason}", file=file, reason=str(error)) from error


def _move(settings: Settings, new: Store, connection: sqlite3.Connection, clock: Clock, tell: Tell) -> Arrived:
    source = Source(connection)
    row = connection.execute("SELECT value FROM marks WHERE name = ?", (IDENTITY,)).fetchone()
    moved = Moved(secrets.token_hex(16), new.url, clock())
    with _reasons_told(), new.writing() as writing:
        target = Target(writing, row[0] if row else "nobody")
        digests = _copy(source, target, tell)
        target.complete(lambda share: tell(Step.INDEXING, share))
        _compare(target, digests, tell)
        _take_pictures(settings.data_dir / "outgoing", target)
        target.promise(moved.move)
    tell_moved(settings.data_dir, moved)
    total = Digest()
    for name, digest in digests.items():
        total.add((name, str(digest)))
    rows = sum(digest.rows for digest in digests.values())
    return Arrived(rows, digests["messages"].rows, source.mended, str(total))


@contextmanager
def _reasons_told() -> Generator[None]:
    """What PostgreSQL says, and not only that it does not answer: a person stands before it."""
    try:
        yield
    except (Unavailable, DBAPIError, psycopg.Error) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", cause)).partition("\n")[0]  # what stands below may quote a row
        kind = Unavailable if isinstance(error, psycopg.OperationalError) or is_outage(error) else Rejected
        raise kind("Nothing has moved. PostgreSQL says: {reason}", reason=reason) from error


def _copy(source: Source, target: Target, tell: Tell) -> dict[str, Digest]:
    target.strip()
    whole, before = max(sum(source.count(table) for table in TABLES), 1), 0
    digests: dict[str, Digest] = {}
    for table in TABLES:
        digest = digests[table.name] = Digest()

        def passing(table: SQLTable = table, digest: Digest = digest, before: int = before) -> Generator[Row]:
            for row in source.rows(table, digest):
                if digest.rows % TOLD_EVERY == 0:
                    tell(Step.COPYING, (before + digest.rows) / whole)
                yield row

        target.fill(table.name, [column.name for column in table.columns], passing())
        before += digest.rows
    tell(Step.COPYING, 1.0)
    return digests


def _compare(target: Target, digests: dict[str, Digest], tell: Tell) -> None:
    whole, seen = max(sum(digest.rows for digest in digests.values()), 1), 0
    for table in TABLES:
        tell(Step.COMPARING, seen / whole)
        found, wanted = Digest(), digests[table.name]
        read_back(table, target.rows(question(table)), found)
        if (found.rows, str(found)) != (wanted.rows, str(wanted)):
            raise Rejected(
                "The table {table} did not arrive as it was: {wanted} rows left, {found} came. Nothing has moved.",
                table=table.name,
                wanted=wanted.rows,
                found=found.rows,
            )
        seen += found.rows
    tell(Step.COMPARING, 1.0)


def _take_pictures(folder: Path, target: Target) -> None:
    """Photos on their way to Avito: with PostgreSQL they are in the database (`outbox.pictures`)."""
    pictures = [path for path in sorted(folder.glob("*")) if path.suffix in (".jpg", ".png")]
    for path in pictures:
        small = path.with_suffix(".webp")
        with suppress(FileNotFoundError):  # it has been sent, or dropped
            values = {"name": path.name, "picture": path.read_bytes(), "small": small.read_bytes()}
            created_at = int(path.stat().st_mtime * 1000)
            target.connection.execute(insert(AttachedPicture).values(created_at=created_at, **values))
