"""When this process is to make a backup by itself.

Alone it is a matter of the folder. Where several processes work on one PostgreSQL, one makes them: whoever made the
last one, as long as it does; when nothing has come of it for `OTHERS_LATER`, any other. A mark in the database holds
whose turn it is, so two never make one at a time, and all of them know when the last one was made.
"""

import asyncio
import json
from dataclasses import asdict, dataclass

from golub.backup import folder
from golub.clock import HOUR, MINUTE, Clock, Millis
from golub.model import Mark
from golub.settings import Settings
from golub.store import Store

MARK = "backup"
OTHERS_LATER = 15 * MINUTE
LONGEST = 6 * HOUR  # that a backup may take; whoever died making one has had its turn then


@dataclass(frozen=True, slots=True)
class _Turn:
    """The mark's JSON."""

    taken_at: Millis = 0  # of the newest one, in whatever folder it lies
    by: str = ""  # the node that made it
    busy_until: Millis = 0  # somebody makes one


class Schedule:
    """`node` is this process's name for good; `store` is None where there is nobody else."""

    def __init__(self, settings: Settings, clock: Clock, store: Store | None = None, node: str = "") -> None:
        self._settings = settings
        self._clock = clock
        self._store = store if store and not store.is_sqlite else None
        self._node = node

    async def newest_at(self) -> Millis | None:
        """When the newest backup began; of any process. Raises `Unavailable`."""
        mine = await asyncio.to_thread(folder.last, self._settings, until=self._clock())
        turn = await self._read()
        return max(turn.taken_at, mine.taken_at if mine else 0) or None

    async def due_at(self) -> Millis:
        """When this process is to begin one. Raises `Unavailable`."""
        mine = await asyncio.to_thread(folder.last, self._settings, until=self._clock())
        turn = await self._read()
        return self._due_at(turn, mine.taken_at if mine else 0)

    async def claim(self) -> bool:
        """Whether it is ours now: then no other process begins one before `made` or `failed`. Raises `Unavailable`."""
        if not self._store:
            return True
        now = self._clock()
        async with self._store.write() as session:
            new = self._store.insert(Mark).values(name=MARK, value=json.dumps(asdict(_Turn())))
            await session.execute(new.on_conflict_do_nothing())
            mark = await session.get_one(Mark, MARK, with_for_update=True)
            turn = self._valid(mark.value)
            if self._due_at(turn, 0) > now:
                return False
            mark.value = json.dumps(asdict(turn) | {"busy_until": now + LONGEST})
        return True

    async def made(self, taken_at: Millis) -> None:
        """One was made here, on time or by hand. Raises `Unavailable`."""
        await self._write(_Turn(taken_at, self._node))

    async def failed(self) -> None:
        """Ours came to nothing; another process may try. Raises `Unavailable`."""
        turn = await self._read()
        await self._write(_Turn(turn.taken_at, turn.by))

    def _due_at(self, turn: _Turn, mine: Millis) -> Millis:
        newest = max(turn.taken_at, mine)
        due = newest + int(self._settings.backup_every * HOUR) if newest else 0
        if newest and turn.by not in ("", self._node):
            due += OTHERS_LATER
        return max(due, turn.busy_until)

    async def _read(self) -> _Turn:
        if not self._store:
            return _Turn()
        async with self._store.read() as session:
            mark = await session.get(Mark, MARK)
        return self._valid(mark.value) if mark else _Turn()

    def _valid(self, value: str) -> _Turn:
        """Without what lies ahead of a clock that was set back."""
        turn, now = _Turn(**json.loads(value)), self._clock()
        return _Turn(
            turn.taken_at if turn.taken_at <= now + HOUR else 0,
            turn.by,
            turn.busy_until if turn.busy_until <= now + LONGEST + HOUR else 0,
        )

    async def _write(self, turn: _Turn) -> None:
        if not self._store:
            return
        new = self._store.insert(Mark).values(name=MARK, value=json.dumps(asdict(turn)))
        kept = new.on_conflict_do_update(index_elements=["name"], set_={"value": new.excluded.value})
        async with self._store.write() as session:
            await session.execute(kept)
