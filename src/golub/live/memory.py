"""The doorbell inside one process: rung from any thread, heard in any event loop.

A slow listener costs a bounded place and nothing else: rings of one chat become one, and a listener that fell too far
behind hears `EVERYTHING` instead. Rings are numbered, and the newest are remembered, so that a listener who comes back
hears what he missed; where that is no longer known he hears `EVERYTHING`.

Who of the team is where (`presence`) is told to the same listeners, beside the rings and without a number.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Connection

from golub.live.presence import Beat, Here, Presence
from golub.runner import Loop

PENDING_LIMIT = 4096  # chats that wait for one listener
REMEMBERED = 4096  # rings of the past
EXPIRE_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Ring:
    """A chat changed. `new_message`: a buyer's message appeared that no operator has seen. `nudge`: a rule reminds of a
    buyer who waits."""

    account_id: int
    chat_id: int
    version: int
    new_message: bool = False
    nudge: bool = False


EVERYTHING = Ring(account_id=0, chat_id=0, version=0)
"""Heard alone: anything may have changed, so refetch whatever is shown."""


class Heard(list[Ring]):
    """What rang since the last batch. With `place` one may come back, to this process or another, and miss nothing.
    `moved`: chats at which somebody came, went, or began or ceased to type; ask `Live.here` who is there."""

    place = ""
    moved: frozenset[int] = frozenset()


class Live:
    """Listeners of this process. What is rung in it is heard in it alone."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = Lock()
        self._presence = Presence(monotonic)
        self._listeners: set[_Listener] = set()
        self._closed = False
        self._line = secrets.token_hex(4)  # numbers mean nothing outside it
        self._all_heard = 0  # every number up to here has been heard
        self._forgotten = 0  # rings up to this number are not remembered
        self._past: deque[tuple[int, Ring]] = deque()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @property
    def place(self) -> str:
        return f"{self._line}-{self._all_heard}"

    def draw(self, connection: Connection) -> int:  # noqa: ARG002 - other bells draw from the database
        """The number of the rings that follow this transaction; call it last in it. 0: `ring` gives one."""
        return 0

    def ring(self, rings: Iterable[Ring], number: int = 0) -> None:  # noqa: ARG002 - as in `draw`
        """From any thread; returns at once."""
        told = list(rings)
        if told:
            with self._lock:
                self._hear(self._all_heard + 1, told)
                self._all_heard += 1

    def meet(self, beat: Beat) -> None:
        """A tab says where it is. From any thread; returns at once, and costs no database anything."""
        with self._lock:
            self._move(self._presence.take(beat))

    def here(self, chat_id: int) -> Here:
        with self._lock:
            return self._presence.at(chat_id)

    async def run(self) -> None:
        """Forgets who fell silent; carries to and from other processes, where there are any."""
        await Loop("presence", longest_wait=EXPIRE_EVERY).run(self._expire)

    async def _expire(self) -> None:
        with self._lock:
            self._move(self._presence.expire())

    @asynccontextmanager
    async def subscribe(self, after: str = "") -> AsyncGenerator[AsyncIterator[Heard]]:
        """What rings while the block lasts, in batches, beginning behind the place `after`, and with everybody who is
        somewhere. The iterator ends when the hub closes."""
        listener = _Listener(asyncio.get_running_loop(), lambda: self.place)
        with self._lock:
            if self._closed:
                listener.close()
            else:
                self._listeners.add(listener)
                if missed := self._missed(after):
                    listener.hear(missed)
                if present := self._presence.chats:
                    listener.see(present)
        try:
            yield listener.batches()
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def close(self) -> None:
        """Ends every stream, so that none of them holds up a shutdown. From any thread."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.close()
            self._listeners.clear()

    def _hear(self, number: int, rings: list[Ring]) -> None:
        """Holding the lock. Whoever calls it says afterwards, by `_all_heard`, that the number was heard."""
        gone = [listener for listener in self._listeners if not listener.hear(rings)]
        self._listeners.difference_update(gone)
        self._remember(number, rings)

    def _move(self, chats: set[int]) -> None:
        """Holding the lock."""
        if chats:
            gone = [listener for listener in self._listeners if not listener.see(chats)]
            self._listeners.difference_update(gone)

    def _remember(self, number: int, rings: list[Ring]) -> None:
        self._past.extend((number, ring) for ring in rings)
        while len(self._past) > REMEMBERED:
            self._forgotten = max(self._forgotten, self._past.popleft()[0])

    def _missed(self, after: str) -> list[Ring]:
        line, _, number = after.rpartition("-")
        if not after:
            return []
        if line != self._line or not number.isdecimal() or len(number) > 18:
            return [EVERYTHING]
        if not self._forgotten <= int(number) <= self._all_heard:
            return [EVERYTHING]
        return [ring for rung, ring in self._past if rung > int(number)]


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop, place: Callable[[], str]) -> None:
        self._loop = loop
        self._place = place
        self._woken = asyncio.Event()
        self._lock = Lock()
        self._pending: dict[int, Ring] = {}
        self._moved = set[int]()
        self._closed = False

    def hear(self, rings: list[Ring]) -> bool:
        """Whether the listener's loop still runs."""
        with self._lock:
            for ring in rings:
                self._add(ring)
        return self._wake()

    def see(self, chats: set[int]) -> bool:
        """The same. However slow the listener is, this holds no more than the chats that have somebody, or had."""
        with self._lock:
            self._moved |= chats
        return self._wake()

    def _add(self, ring: Ring) -> None:
        if EVERYTHING.chat_id in self._pending:
            return
        if ring == EVERYTHING or (len(self._pending) >= PENDING_LIMIT and ring.chat_id not in self._pending):
            self._pending = {EVERYTHING.chat_id: EVERYTHING}
            return
        earlier = self._pending.get(ring.chat_id)
        if earlier is not None:
            ring = Ring(
                ring.account_id,
                ring.chat_id,
                max(ring.version, earlier.version),
                ring.new_message or earlier.new_message,
                ring.nudge or earlier.nudge,
            )
        self._pending[ring.chat_id] = ring

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:  # the loop is closed, and its listener with it
            return False
        return True

    async def batches(self) -> AsyncIterator[Heard]:
        while True:
            await self._woken.wait()
            self._woken.clear()
            with self._lock:  # a number counts as heard only once every listener has it: see `_hear`
                batch, self._pending = Heard(self._pending.values()), {}
                batch.place = self._place()
                batch.moved, self._moved = frozenset(self._moved), set[int]()
            if batch or batch.moved:
                yield batch
            if self._closed:
                return
