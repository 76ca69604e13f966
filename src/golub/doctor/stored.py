"""What Golub keeps: whether the database answers, fits this release and the key, and forgets nothing; and the spool.

Read by statements and files alone, so the command sees as much beside a running server as the page does inside it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, MINUTE, Clock, Millis
from golub.doctor import ground_faults as faults
from golub.doctor.finding import N_, Check, Fault, Finding, after, unseen, well
from golub.doctor.shop_faults import QUARANTINE_MUCH, QUARANTINE_SOME
from golub.errors import Unavailable
from golub.migrations import Schema, head, revision_of, schema_of
from golub.model import KEY_CHECK, AlertChannel, Delivery, DeliveryState, Mark
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from golub.vault import Vault

STUCK_AFTER = MINUTE
SPOOL_FILLED = 0.8
QUARANTINED_MUCH = 5  # within a day
SQLITE_NEEDED = (3, 51, 3)
POSTGRES_NEEDED = 15

_BY_DATABASE = (Check.QUARANTINE, Check.DURABILITY, Check.DATABASE_VERSION)
_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of the spool: deliveries that are not applied."""

    count: int
    size: int
    oldest_at: Millis | None


class Stored:
    """`vault` is None where the key could not be read; `spool` is the running server's own."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, vault: Vault | None, spool: Spool | None
    ) -> None:
        self._settings = settings
        self._folder = settings.data_dir.absolute()
        self._store = store
        self._clock = clock
        self._vault = vault
        self._spool = spool
        self.hindered = Check.DATABASE  # why the database cannot be read, while `answers` is false
        self.answers = False

    async def look(self) -> AsyncGenerator[Finding]:
        for one in await self._database():
            yield one
        for one in await self._spooled():
            yield one

    async def later(self) -> AsyncGenerator[Finding]:
        """What nobody looks at first."""
        if not self.answers:
            for one in after(self.hindered, *_BY_DATABASE):
                yield one
            return
        async with self._store.read() as session:
            yield await self._quarantine(session)
        yield await self._durability()
        yield await self._version()

    async def tells_somebody(self) -> Finding | None:
        """What is said of the alerts' channels in the database; None where that has none."""
        if not self.answers:
            return None
        async with self._store.read() as session:
            channels = (await session.scalars(select(AlertChannel))).all()
        broken = [channel for channel in channels if channel.last_error]
        if broken:
            return self._found(faults.ALERTS_FAIL, kind=broken[0].kind, reason=broken[0].last_error)
        if any(channel.options for channel in channels):
            return well(Check.ALERTS, N_("By {kinds}"), kinds=", ".join(one.kind for one in channels if one.options))
        return None

    async def _database(self) -> list[Finding]:
        if not is_there(self._store):
            never = unseen(Check.DATABASE, N_("There is none yet: Golub was never started with this folder."))
            return [never, *after(Check.DATABASE, Check.SCHEMA, Check.KEY)]
        try:
            async with self._store.read() as session:
                connection = await session.connection()
                schema, revision = await connection.run_sync(lambda plain: (schema_of(plain), revision_of(plain)))
        except (Unavailable, SQLAlchemyError, OSError) as error:
            reason = _first_line(error)
            return [self._found(faults.DATABASE_AWAY, reason=reason), *after(Check.DATABASE, Check.SCHEMA, Check.KEY)]
        found = [well(Check.DATABASE, "SQLite" if self._store.is_sqlite else "PostgreSQL")]
        self.hindered = Check.SCHEMA
        if schema is Schema.TOO_NEW:
            found.append(self._found(faults.SCHEMA_NEWER, revision=revision or "?"))
            return [*found, *after(Check.SCHEMA, Check.KEY)]
        if schema in (Schema.EMPTY, Schema.OLDER):
            found.append(self._found(faults.SCHEMA_OLDER, revision=revision or "0", wanted=head()))
            return [*found, *after(Check.SCHEMA, Check.KEY)]
        self.answers = True
        found.append(well(Check.SCHEMA, N_("Schema {revision}"), revision=revision or "?"))
        return [*found, await self._key()]

    async def _key(self) -> Finding:
        path = self._settings.secret_key_file or self._folder / "secret.key"
        if self._vault is None:
            return self._found(faults.KEY_MISSING, path=path)
        async with self._store.read() as session:
            mark = await session.get(Mark, KEY_CHECK)
        if mark is not None and not self._vault.knows(mark.value):
            return self._found(faults.KEY_WRONG)
        return well(Check.KEY, N_("It fits the database."))

    async def _spooled(self) -> list[Finding]:
        if self._spool is not None and self._spool.fatal:
            return [self._found(faults.SPOOL_FATAL, reason=self._spool.fatal), *after(Check.SPOOL, Check.APPLY)]
        path = self._folder / "spool.db"
        if not path.exists():
            return [unseen(check, N_("Nothing was ever received here.")) for check in (Check.SPOOL, Check.APPLY)]
        try:
            waiting = await asyncio.to_thread(read_waiting, path)
        except sqlite3.Error as error:
            return [self._found(faults.SPOOL_UNREADABLE, reason=str(error)), *after(Check.SPOOL, Check.APPLY)]
        return list(self._waiting(waiting))

    def _waiting(self, waiting: Waiting) -> Iterator[Finding]:
        quota = self._settings.spool_quota_mb
        filled = waiting.size / (quota << 20)
        share = round(100 * filled)
        if filled > SPOOL_FILLED:
            yield self._found(faults.SPOOL_FULL, figures={"filled_percent": share}, share=share, twice=2 * quota)
        else:
            yield well(
                Check.SPOOL, N_("{share} % of its quota is used"), figures={"filled_percent": share}, share=share
            )
        age = self._clock() - waiting.oldest_at if waiting.oldest_at is not None else 0
        figures = {"waiting": waiting.count, "oldest_seconds": age // 1000}
        if age > STUCK_AFTER:
            yield self._found(faults.SPOOL_STUCK, figures=figures, count=waiting.count, minutes=age // MINUTE)
        elif waiting.count:
            yield well(Check.APPLY, N_("{count} deliveries are being applied."), figures=figures, count=waiting.count)
        else:
            yield well(Check.APPLY, N_("Nothing waits."), figures=figures)

    async def _quarantine(self, session: AsyncSession) -> Finding:
        quarantined = Delivery.state == DeliveryState.QUARANTINED
        count = await session.scalar(select(func.count()).where(quarantined)) or 0
        if not count:
            return well(Check.QUARANTINE, N_("The quarantine is empty."))
        lately = await session.scalar(
            select(func.count()).where(quarantined, Delivery.received_at > self._clock() - DAY)
        )
        figures = {"quarantined": count, "last_day": lately or 0}
        if (lately or 0) >= QUARANTINED_MUCH:
            return self._found(QUARANTINE_MUCH, figures=figures, count=lately)
        return self._found(QUARANTINE_SOME, figures=figures, count=count)

    async def _durability(self) -> Finding:
        """On a connection that writes, since that is whose promise counts."""
        try:
            what = await asyncio.to_thread(self._forgets)
        except (Unavailable, SQLAlchemyError) as error:
            return unseen(Check.DURABILITY, N_("Could not be asked: {reason}"), reason=_first_line(error))
        if what:
            return self._found(faults.DATABASE_FORGETS, what=", ".join(what))
        return well(Check.DURABILITY, N_("Every commit is synced before it counts."))

    def _forgets(self) -> list[str]:
        with self._store.writing() as connection:
            return _sqlite_forgets(connection) if self._store.is_sqlite else _postgres_forgets(connection)

    async def _version(self) -> Finding:
        async with self._store.read() as session:
            version = str(
                await session.scalar(
                    text("SELECT sqlite_version()" if self._store.is_sqlite else "SHOW server_version")
                )
            )
        numbers = tuple(int(part) for part in version.split(maxsplit=1)[0].split(".") if part.isdigit())
        if self._store.is_sqlite and numbers < SQLITE_NEEDED:
            return self._found(faults.OLD_SQLITE, version=version)
        if not self._store.is_sqlite and numbers[:1] < (POSTGRES_NEEDED,):
            return self._found(faults.OLD_POSTGRES, version=version)
        name = "SQLite" if self._store.is_sqlite else "PostgreSQL"
        return well(Check.DATABASE_VERSION, "{name} {version}", name=name, version=version)

    def _found(self, fault: Fault, *, figures: dict[str, Any] | None = None, **fields: Any) -> Finding:
        places = {"folder": self._folder, "port": self._settings.port}
        return fault.found({**places, **fields}, figures=figures)


def is_there(store: Store) -> bool:
    """SQLite would make the file that we ask for."""
    return not store.is_sqlite or Path(make_url(store.url).database or "").exists()


def read_waiting(path: Path) -> Waiting:
    """Beside the spool's owner, by a connection that can change nothing. Raises `sqlite3.Error`."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as connection:
        count, size, lowest = connection.execute(
            "SELECT count(*), coalesce(sum(size), 0), min(seq) FROM progress WHERE drained_at IS NULL"
        ).fetchone()
        oldest = connection.execute("SELECT received_at FROM received WHERE seq = ?", (lowest,)).fetchone()
    return Waiting(count, size, oldest[0] if oldest else None)


def _sqlite_forgets(connection: Connection) -> list[str]:
    journal = str(connection.scalar(text("PRAGMA journal_mode")))
    synchronous = int(connection.scalar(text("PRAGMA synchronous")) or 0)
    found: list[str] = []
    if journal.lower() not in {"wal", "delete", "truncate", "persist"}:
        found.append(f"journal_mode={journal}")
    if synchronous < 2:
        found.append(f"synchronous={_SYNCHRONOUS.get(synchronous, synchronous)}")
    return found


def _postgres_forgets(connection: Connection) -> list[str]:
    wanted = {"fsync": {"on"}, "full_page_writes": {"on"}, "synchronous_commit": {"on", "remote_apply", "remote_write"}}
    told = {name: str(connection.scalar(text(f"SHOW {name}"))) for name in wanted}
    return [f"{name}={value}" for name, value in told.items() if value not in wanted[name]]


def _first_line(error: BaseException) -> str:
    """Of a database's own words; what stands behind it may show a statement."""
    cause = error.__cause__ or error
    original = getattr(cause, "orig", None) or cause
    return (str(original).strip().splitlines() or [type(original).__name__])[0][:200]
