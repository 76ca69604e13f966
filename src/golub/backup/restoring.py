"""Brings a backup back: into an empty data folder, and into an empty database where that is PostgreSQL.

Everything is unpacked and checked beside its place first, and gets its name last; until then a file in the folder says
that a restore is under way, no server starts there, and the same command begins anew. The restored database is another
one than before: it loses its identity, so that spools offer again what they drained into the old one.
"""

import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import psycopg
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from golub import audit, migrations
from golub.apply.identity import MARK as IDENTITY
from golub.backup import archive, key, postgres, sqlite
from golub.backup.archive import Manifest
from golub.backup.making import BLANKED, SEALED_KEY, SEALED_TEXTS, Step, Tell, sqlite_file
from golub.clock import Clock, Millis
from golub.errors import Conflict, Invalid, Rejected, Unavailable
from golub.model import (
    KEY_CHECK,
    Action,
    Mark,
    OutgoingKind,
    OutgoingMessage,
    OutgoingState,
    PaceShare,
    Pacing,
    Sealed,
    Table,
    Webhook,
)
from golub.settings import Settings
from golub.spool import own
from golub.store import Store
from golub.vault import Vault

UNFINISHED = "restore.unfinished"
RESTORED = "restored_from"  # a mark: which archive filled this database

_STAGE = ".restoring"
_MAY_BE_THERE = {"secret.key", "backups", "logs", "ballast", "spool.lock", "spool.applying", UNFINISHED, _STAGE}
_LEFT_BEHIND = ("golub.db-wal", "golub.db-shm", "spool.db-wal", "spool.db-shm", "spool.drained-into", "spool.applying")
_PLACED = ("secret.key", "golub.db", "outgoing", "media", "spool.db")  # the spool last
Texts = dict[str, list[tuple[int, str]]]  # by "table.column": what was taken out of a row, by its id

_WAS_SENT = "Golub was restored from a backup. The message may have been sent since."


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. `unsure` replies wait for a person: they may have been sent after the backup was made."""

    manifest: Manifest
    messages: int
    unsure: int
    with_key: bool
    removed: list[str]  # leftovers of an older database


def unfinished(data_dir: Path) -> bool:
    """Whether a restore began in this folder and did not end."""
    return (data_dir / UNFINISHED).exists()


async def restore(
    path: Path, settings: Settings, *, passphrase: str = "", lost_key: bool = False, clock: Clock, tell: Tell
) -> Restored:
    """Raises `Rejected` for an archive that is damaged, or of a newer Golub; `Conflict` where a server runs, or the
    place is not empty; `Invalid` where the key is missing and was not called lost; `Unavailable` where the disk or the
    database does not take it."""
    manifest = archive.read_manifest(path)
    _must_fit(manifest, settings)
    try:
        return await _restore(path, manifest, settings, passphrase, lost_key=lost_key, clock=clock, tell=tell)
    except OSError as error:
        raise Unavailable("The backup could not be restored: {reason}", reason=str(error)) from error


async def _restore(
    path: Path, manifest: Manifest, settings: Settings, passphrase: str, *, lost_key: bool, clock: Clock, tell: Tell
) -> Restored:
    target = settings.data_dir
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    owned = own(target)
    try:
        again = unfinished(target)
        if not again:
            _must_be_empty(target)
        stage = target / _STAGE
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        with archive.opened(path) as source:
            try:
                vault = _find_key(source, manifest, settings, stage, passphrase, lost_key=lost_key)
            except Invalid:
                shutil.rmtree(stage)
                raise
            (target / UNFINISHED).write_text(f"{path.name}\n")
            archive.sync_folder(target)
            _unpack(source, manifest, stage, tell)
            texts = _sealed_texts(source, manifest, vault)
            found = await _bring_back(
                path.name, source, manifest, settings, stage, texts, vault, clock(), tell, again=again
            )
        removed = _place(stage, target)
    finally:
        os.close(owned)
    return Restored(manifest, found[0], found[1], vault is not None, removed)


def _must_fit(manifest: Manifest, settings: Settings) -> None:
    if not migrations.knows(manifest.schema):
        raise Rejected("This backup was made by Golub {version}, which is newer.", version=manifest.version)
    to_sqlite = settings.effective_database_url.startswith("sqlite")
    if manifest.database == "postgresql" and to_sqlite:
        raise Invalid("This backup is of a PostgreSQL database: give --database-url with an empty one.")
    if manifest.database == "sqlite" and not to_sqlite:
        raise Invalid(
            "This backup is of a SQLite database and cannot go into PostgreSQL. Restore it without --database-url and "
            "GOLUB_DATABASE_URL; docs/nodes.md says how to move to PostgreSQL."
        )
    if to_sqlite and sqlite_file(settings) != (settings.data_dir / "golub.db").absolute():
        raise Invalid("A SQLite database is restored into the data folder: unset GOLUB_DATABASE_URL.")


def _must_be_empty(target: Path) -> None:
    there = sorted(path.name for path in target.iterdir())
    if foreign := [name for name in there if name not in _MAY_BE_THERE and name not in _LEFT_BEHIND]:
        raise Conflict("{folder} is not empty: {names}.", folder=target, names=", ".join(foreign[:5]))


def _find_key(
    source: ZipFile, manifest: Manifest, settings: Settings, stage: Path, passphrase: str, *, lost_key: bool
) -> Vault | None:
    """The key that sealed what is inside: given, or there already, or in the archive."""
    vault: Vault | None = None
    if settings.secret_key:
        vault = Vault.from_phrase(settings.secret_key.get_secret_value())
    elif (file := key.key_path(settings)) and file.exists():
        vault = Vault.from_file(file)
    elif passphrase and (member := manifest.member(SEALED_KEY)):
        unsealed = stage / "secret.key"
        with os.fdopen(os.open(unsealed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(key.unseal(b"".join(archive.read(source, member)), passphrase))
            out.flush()
            os.fsync(out.fileno())
        vault = Vault.from_file(unsealed)
    if vault and vault.knows(manifest.key_check):
        return vault
    if lost_key:
        return None
    if vault:
        raise Invalid("The key that is given here is not the one that sealed this backup's secrets.")
    if manifest.has_key:
        raise Invalid("The key is in this backup: give the passphrase that it was made with.")
    raise Invalid(
        "This backup has no key. Put its secret.key into {folder} first. If it is lost for good, give --lost-key: "
        "then accounts need their keys again, webhooks are registered anew, and operators choose new passwords.",
        folder=settings.data_dir,
    )


def _unpack(source: ZipFile, manifest: Manifest, stage: Path, tell: Tell) -> None:
    members = [
        one for one in manifest.members if not one.name.endswith(".sealed") and not one.name.startswith("tables")
    ]
    size, through = max(1, sum(member.bytes for member in members)), 0

    def moved(more: int) -> None:
        nonlocal through
        through += more
        tell(Step.PACKING, through / size)

    for member in members:
        archive.extract(source, member, stage / member.name, moved)
    for name in ("spool.db", "golub.db"):
        if (stage / name).exists():
            tell(Step.VERIFYING, 0.0)
            sqlite.check(stage / name, thorough=True)


def _sealed_texts(source: ZipFile, manifest: Manifest, vault: Vault | None) -> Texts:
    member = manifest.member(SEALED_TEXTS)
    if vault is None or member is None:
        return {}
    return json.loads(vault.open(Sealed(b"".join(archive.read(source, member)))))


async def _bring_back(
    path_name: str,
    source: ZipFile,
    manifest: Manifest,
    settings: Settings,
    stage: Path,
    texts: Texts,
    vault: Vault | None,
    now: Millis,
    tell: Tell,
    *,
    again: bool,
) -> tuple[int, int]:
    """The main database, in one transaction. Returns the numbers of messages, and of replies that are unsure."""
    on_sqlite = manifest.database == "sqlite"
    url = f"sqlite:///{(stage / 'golub.db').absolute()}" if on_sqlite else settings.effective_database_url
    name = f"{manifest.begun_at} {manifest.key_check[:16]} {manifest.counts.get('messages', 0)}"
    tell(Step.DATABASE, 0.0)
    async with _writing(url) as session:
        connection = await session.connection()
        if not on_sqlite:
            await session.execute(text("SET LOCAL statement_timeout = 0"))
            if not await postgres.is_empty(connection):
                if again and await _is_from(session, name):
                    return await _numbers(session)
                raise Conflict("The database is not empty: restore into a new one.")
            await connection.run_sync(migrations.upgrade_on, manifest.schema)
            for number, (table, columns) in enumerate(manifest.columns.items()):
                tell(Step.DATABASE, number / len(manifest.columns))
                if member := manifest.member(f"tables/{table}.copy"):
                    await postgres.fill(connection, table, columns, archive.read(source, member))
        await connection.run_sync(migrations.upgrade_on)
        await _settle(session, texts, with_key=vault is not None, now=now)
        session.add(Mark(name=RESTORED, value=name))
        told = {"begun_at": manifest.begun_at, "key": "restored" if vault else "lost"}
        await audit.CONSOLE.did(session, Action.RESTORED, path_name, after=told, now=now)
        return await _numbers(session)


@asynccontextmanager
async def _writing(url: str) -> AsyncGenerator[AsyncSession]:
    store = Store(url)
    try:
        async with store.write() as session:
            yield session
    except (Unavailable, psycopg.Error) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", cause)).partition("\n")[0]  # what stands below may quote a row
        raise Unavailable("The database could not be restored: {reason}", reason=reason) from error
    finally:
        await store.close()


async def _settle(session: AsyncSession, texts: Texts, *, with_key: bool, now: Millis) -> None:
    """What was true of the old database and is not of this one."""
    gone = [IDENTITY, RESTORED, *([] if with_key else [KEY_CHECK])]
    await session.execute(delete(Mark).where(Mark.name.in_(gone)))
    for table in (PaceShare, Pacing):  # what the old house's processes took of Avito's budget
        await session.execute(delete(table))
    for name, column in BLANKED:
        table = Table.metadata.tables[name]
        for row, value in texts.get(f"{name}.{column}", ()):
            await session.execute(update(table).where(table.c.id == row).values({column: value}))
    if not with_key:  # their secrets still let deliveries in, and can be read by nobody
        await session.execute(delete(Webhook))
    # Since the backup they may have left: they are looked up in the chat, and never sent blindly.
    can_be_found = (OutgoingMessage.kind == OutgoingKind.TEXT) | (OutgoingMessage.image_avito_id != "")
    on_the_way = OutgoingMessage.state.in_((OutgoingState.QUEUED, OutgoingState.SENDING))
    unsure = {
        "state": OutgoingState.UNCONFIRMED,
        "started_at": func.coalesce(OutgoingMessage.started_at, OutgoingMessage.created_at),
        "attempts": 0,
        "error_code": "restored",
        "error": _WAS_SENT,
    }
    await session.execute(update(OutgoingMessage).where(on_the_way, can_be_found).values(due_at=now, **unsure))
    await session.execute(update(OutgoingMessage).where(on_the_way).values(due_at=None, **unsure))


async def _is_from(session: AsyncSession, name: str) -> bool:
    try:
        mark = await session.get(Mark, RESTORED)
    except SQLAlchemyError:  # somebody else's tables
        return False
    return mark is not None and mark.value == name


async def _numbers(session: AsyncSession) -> tuple[int, int]:
    messages = await session.scalar(text("SELECT count(*) FROM messages"))
    unsure = select(func.count()).select_from(OutgoingMessage).where(OutgoingMessage.error_code == "restored")
    return messages or 0, await session.scalar(unsure) or 0


def _place(stage: Path, target: Path) -> list[str]:
    """Gives everything its name, in the folder itself."""
    removed = [name for name in _LEFT_BEHIND if (target / name).exists()]
    for name in removed:
        (target / name).unlink()
    (target / "spool.drained-into").write_text("a database before the restore")
    for name in _PLACED:
        if (stage / name).exists():
            if (target / name).is_dir():
                shutil.rmtree(target / name)
            (stage / name).replace(target / name)
    archive.sync_folder(target)
    shutil.rmtree(stage)
    (target / UNFINISHED).unlink()
    archive.sync_folder(target)
    return [name for name in removed if name.endswith(("-wal", "-shm"))]
