"""The doorbell inside one process: rung from any thread, heard in any event loop.

A slow listener costs a bounded place and nothing else: rings of one chat become one, and a listener that fell too far
behind hears `EVERYTHING` instead.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Lock

PENDING_LIMIT = 4096  # chats that wait for one listener


@dataclass(frozen=True, slots=True)
class Ring:
    """A chat changed. `new_message`: a buyer's message appeared that no operator has seen."""

    account_id: int
    chat_id: int
    version: int
    new_message: bool = False


EVERYTHING = Ring(account_id=0, chat_id=0, version=0)
"""Heard alone: anything may have changed, so refetch whatever is shown."""


class Live:
    """Listeners of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listeners: set[_Listener] = set()
        self._closed = False

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def ring(self, rings: Iterable[Ring]) -> None:
        """From any thread; returns at once."""
        told = list(rings)
        if not told:
            return
        with self._lock:
            gone = [listener for listener in self._listeners if not listener.hear(told)]
            self._listeners.difference_update(gone)

    @asynccontextmanager
    async def subscribe(self) -> AsyncGenerator[AsyncIterator[list[Ring]]]:
        """What rings while the block lasts, in batches. The iterator ends when the hub closes."""
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            if self._closed:
                listener.close()
            else:
                self._listeners.add(listener)
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


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._woken = asyncio.Event()
        self._lock = Lock()
        self._pending: dict[int, Ring] = {}
        self._closed = False

    def hear(self, rings: list[Ring]) -> bool:
        """Whether the listener's loop still runs."""
        with self._lock:
            for ring in rings:
                self._add(ring)
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

    async def batches(self) -> AsyncIterator[list[Ring]]:
        while True:
            await self._woken.wait()
            self._woken.clear()
            with self._lock:
                batch, self._pending = list(self._pending.values()), {}
            if batch:
                yield batch
            if self._closed:
                return
