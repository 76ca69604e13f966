"""Who else serves this database: each process says every few seconds that it lives, and how much waits in its spool.

Shares of Avito's request budget hang on that word (`avito.shares`): a process that could not give it for `LEASE`
seconds holds nothing any more, and begins again under another name. The pages of state, alerts and the doctor read the
rest: a spool on another machine can be seen from here in no other way. On SQLite there is one process, and nothing is
written.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.orm import aliased

from golub import __version__
from golub.clock import DAY, MINUTE, SECOND, Clock, Millis
from golub.errors import Unavailable
from golub.model import Node
from golub.runner import Loop
from golub.settings import ProcessRole, Settings
from golub.store import Store

BEAT = 5.0  # seconds
LEASE = 20.0  # seconds that a beat is good for
FORGOTTEN_AFTER = 5 * MINUTE  # a process that ended well, or was started again; its shares have long run out
MISSED_FOR = 30 * DAY  # one that never came back: its spool may hold what nobody else has

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Load:
    """What waits in a spool."""

    waiting: int = 0
    size: int = 0
    oldest_at: Millis | None = None


class Nodes:
    """`load` looks into this process's spool. `lease` is shorter in tests alone."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, load: Callable[[], Load] = Load, *, lease: float = LEASE
    ) -> None:
        self.id = secrets.token_hex(16)
        self.folder = folder_id(settings.data_dir)
        self.halted = ""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._load = load
        self._lease = lease
        self._started_at = clock()
        self._alive_until = 0.0
        self._beating = asyncio.Lock()

    @property
    def alive(self) -> bool:
        """Whether the others believe that we live; for a while longer than this they count what we hold."""
        return time.monotonic() < self._alive_until

    async def run(self) -> None:
        if self._store.is_sqlite:
            return
        try:
            await Loop("nodes", self._clock, longest_wait=BEAT).run(self._say)
        finally:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(1):
                    await self._leave()

    async def _say(self) -> None:
        try:
            await self.beat()
        except Unavailable as error:  # no longer pause than usual: soon nobody would believe that we live
            log.warning("could not say that this process lives", reason=str(error))

    async def beat(self) -> None:
        """Raises `Unavailable`."""
        async with self._beating:
            if self._alive_until and not self.alive:
                self.id = secrets.token_hex(16)
            began = time.monotonic()
            values = {name: value for name, value in self._row().items() if name != "id"}
            values["seen_at"] = self._store.moment
            async with self._store.write() as session:
                await session.execute(
                    self._store.insert(Node)
                    .values(id=self.id, **values)
                    .on_conflict_do_update(index_elements=["id"], set_=values)
                )
                await session.execute(delete(Node).where(_is_forgotten(self._store)))
            self._alive_until = began + self._lease

    async def list_all(self) -> Sequence[Node]:
        """Every process that serves this database or did and may have left something behind; this one first, as it is
        now, then by name. `seen_at` is the database's time. Raises `Unavailable`."""
        mine = Node(**self._row(), seen_at=self._clock(), stopped_at=None)
        if self._store.is_sqlite:
            return [mine]
        async with self._store.read() as session:
            others = await session.scalars(select(Node).where(Node.id != self.id).order_by(Node.name, Node.started_at))
            return [mine, *others]

    async def rank(self) -> int:
        """How many living processes come before this one, workers first: where one speaks for all, the first does.
        Raises `Unavailable`."""
        if self._store.is_sqlite:
            return 0
        lately = Node.seen_at > self._store.moment - int(LEASE * SECOND)
        async with self._store.read() as session:
            living = await session.execute(select(Node.role, Node.folder).where(Node.stopped_at.is_(None), lately))
            mine = self._settings.role is ProcessRole.WEB, self.folder
            return sum((role == ProcessRole.WEB, folder) < mine for role, folder in living)

    def _row(self) -> dict[str, object]:
        load = self._load()
        return {
            "id": self.id,
            "folder": self.folder,
            "name": f"{socket.gethostname()}:{self._settings.port}",
            "role": str(self._settings.role),
            "version": __version__,
            "started_at": self._started_at,
            "halted": self.halted,
            "spool_waiting": load.waiting,
            "spool_bytes": load.size,
            "spool_oldest_at": load.oldest_at,
        }

    async def _leave(self) -> None:
        load = self._load()
        async with self._store.write() as session:
            await session.execute(
                update(Node)
                .where(Node.id == self.id)
                .values(seen_at=self._store.moment, stopped_at=self._store.moment, spool_waiting=load.waiting)
            )


def _is_forgotten(store: Store) -> ColumnElement[bool]:
    later = aliased(Node)
    replaced = exists().where(later.folder == Node.folder, later.started_at > Node.started_at)
    ended = or_(and_(Node.stopped_at.is_not(None), Node.spool_waiting == 0), replaced)
    return or_(and_(Node.seen_at < store.moment - FORGOTTEN_AFTER, ended), Node.seen_at < store.moment - MISSED_FOR)


def folder_id(folder: Path) -> str:
    """A name of the data folder for good: whoever starts in it takes over its spool."""
    path = folder / "node.id"
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    draft = path.with_suffix(".new")
    draft.write_text(secrets.token_hex(16))
    draft.replace(path)
    return path.read_text().strip()
