"""The spool: deliveries that were acked and are not yet applied, on stable storage, in a file of this process.

Promises, which ingest and apply rely on:
- When `put` returns, the delivery survives a power cut. It needs neither the main database nor the network.
- `seq` is never reused, also after the spool ran empty, so apply may remember how far it got.
- A row is deleted only by the spool's own thread, only after `drained`, and an hour later: a restored database gets it
  again.
- What goes wrong goes closed: `Unavailable`, and never an ack without a commit.

`writer` is the thread that commits, `file` the statements and the schema, `ballast` the room kept for a full disk.
"""

import asyncio
import math
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from golub import metrics
from golub.clock import Clock, now
from golub.errors import Rejected, Unavailable
from golub.spool import file
from golub.spool.file import Received, Tally, TokenEntry, own, owner_of, refuse_second
from golub.spool.writer import Waiter, Writer

__all__ = ["PUT_DEADLINE", "Received", "Spool", "TokenEntry", "Waiter", "own", "owner_of", "refuse_second"]

PUT_DEADLINE = 1.5  # seconds; Avito allows 2 in all
READ_ROWS = 512
READ_BYTES = 4 << 20


class Spool:
    """One a process. `put` belongs to one event loop; everything else may be called from any thread, and blocks.

    Raises `Conflict` where another process owns the folder. Nothing is taken before `start`.
    """

    def __init__(self, folder: Path, *, quota: int, clock: Clock = now) -> None:
        self.path = folder / "spool.db"
        self._clock = clock
        folder.mkdir(parents=True, exist_ok=True)
        self._owned = own(folder)
        try:
            connection = file.prepare(self.path)
            self._applying = file.Applying(folder / "spool.applying")
            self._crashes = self._applying.count_crashes(connection)
            self._tokens = {row[0]: TokenEntry(*row) for row in connection.execute("SELECT * FROM tokens")}
            # Now, because a full disk may not let us later.
            self._reader: sqlite3.Connection | None = file.connect(self.path, cache_kib=2048)
            self._writer = Writer(connection, self.path, quota, clock)
        except Rejected:
            os.close(self._owned)
            raise
        except sqlite3.Error as error:
            os.close(self._owned)
            raise Rejected("{path} cannot be opened: {reason}", path=self.path, reason=str(error)) from error
        self._read_lock = threading.Lock()
        self._due: deque[tuple[float, Waiter]] = deque()  # until when each may wait, in order
        self._due_timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        self._writer.start()
        metrics.spool_pending.set_function(lambda: self.pending)
        metrics.spool_pending_bytes.set_function(lambda: self.bytes_pending)
        metrics.spool_oldest_seconds.set_function(self._oldest_seconds)

    def close(self) -> None:
        """Commits what is queued, then lets the folder go. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._applying.close()
        with self._read_lock, suppress(sqlite3.Error):
            if self._reader:
                self._reader.close()
            self._reader = None
        os.close(self._owned)

    @property
    def on_fatal(self) -> Callable[[str], None] | None:
        """Called once, from a thread of ours, when the disk failed for good: a process that cannot store must end."""
        return self._writer.on_fatal

    @on_fatal.setter
    def on_fatal(self, tell: Callable[[str], None]) -> None:
        self._writer.on_fatal = tell

    @property
    def fatal(self) -> str:
        """Why nothing is taken any more, or nothing."""
        return self._writer.fatal

    @property
    def pending(self) -> int:
        """Deliveries acked and not yet applied."""
        return self._writer.tally.pending

    @property
    def newest(self) -> int:
        """The number (`seq`) of the newest of them; 0: there is none."""
        return self._writer.tally.newest

    @property
    def bytes_pending(self) -> int:
        return self._writer.tally.pending_bytes

    @property
    def bare_bytes_pending(self) -> int:
        """Those of them that came without a token."""
        return self._writer.tally.bare_bytes

    @property
    def oldest_at(self) -> int | None:
        """When the oldest pending delivery was received."""
        if not self.pending:
            return None
        with self._reading() as reader:
            row = reader.execute(
                "SELECT received_at FROM received WHERE seq = ?", (self._writer.tally.lowest,)
            ).fetchone()
        return row[0] if row else None

    async def put(self, received: Received, *, within: float = PUT_DEADLINE) -> None:
        """Returns once the delivery is on stable storage, at the latest `within` seconds from now.

        Raises `Unavailable` when the spool is full, failing, or slower than Avito would wait. Too late a delivery may
        be stored all the same: whoever gets no 200 sends again, and applying twice changes nothing.
        """
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self._writer.put(received, stored)
        late = loop.call_later(within, _give_up, stored)
        try:
            await stored
        finally:
            late.cancel()

    def put_for(self, waiter: Waiter, received: Received) -> None:
        """As `put`, for whoever is no coroutine: tells `waiter`, at the latest `PUT_DEADLINE` from now. One timer
        serves them all, since they are due in the order in which they came. Raises `Unavailable` where there is no
        room."""
        self._writer.put(received, waiter)
        loop, due = asyncio.get_running_loop(), self._due
        while due and due[0][1].done():
            due.popleft()
        due.append((loop.time() + PUT_DEADLINE, waiter))
        if self._due_timer is None:
            self._due_timer = loop.call_later(PUT_DEADLINE, self._end_waiting)

    def _end_waiting(self) -> None:
        loop, due = asyncio.get_running_loop(), self._due
        moment = loop.time()
        while due and (due[0][0] <= moment or due[0][1].done()):
            _give_up(due.popleft()[1])
        self._due_timer = loop.call_at(due[0][0], self._end_waiting) if due else None

    def find_token(self, digest: bytes) -> TokenEntry | None:
        return self._tokens.get(digest)

    def put_token(self, entry: TokenEntry) -> None:
        """Lets a token in, durably: call it before its URL is registered."""

        def change(connection: sqlite3.Connection, _: Tally) -> Callable[[], None]:
            values = (entry.hash, entry.token_id, entry.account_id, entry.retired_at)
            connection.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)", values)
            return lambda: self._tokens.update({entry.hash: entry})

        self._writer.ask(change)

    def drop_token(self, digest: bytes) -> None:
        def change(connection: sqlite3.Connection, _: Tally) -> Callable[[], TokenEntry | None]:
            connection.execute("DELETE FROM tokens WHERE hash = ?", (digest,))
            return lambda: self._tokens.pop(digest, None)

        self._writer.ask(change)

    def read(self, after: int, limit: int = READ_ROWS, max_bytes: int = READ_BYTES) -> list[Received]:
        """Pending deliveries behind `after`, in order, at least one if there is any."""
        found: list[Received] = []
        size = 0
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT id, received_at, account_id, token_id, address, headers, body, seq FROM progress "
                "JOIN received USING (seq) WHERE seq > ? AND drained_at IS NULL ORDER BY seq LIMIT ?",
                (max(after, self._writer.tally.lowest - 1), limit),
            )
            with closing(rows):
                for row in rows:
                    received = Received(*row, ack_ms=self._writer.acks.get(row[0]))
                    size += received.size
                    if found and size > max_bytes:
                        break
                    found.append(received)
        return found

    def read_new(self, after: int) -> tuple[Sequence[Received], int]:
        """Deliveries behind `after`, and the number of the last of them, for whoever follows the spool: out of memory
        while he keeps up (they have no `seq` then), else as `read` has them."""
        if found := self._writer.recent(after):
            return found
        rows = self.read(after)
        return rows, rows[-1].seq if rows else after

    def wait(self, after: int, timeout: float) -> bool:
        """Blocks until a delivery behind `after` is pending; False after `timeout` seconds or a `nudge`."""
        return self._writer.wait(after, timeout)

    def nudge(self) -> None:
        """Ends the `wait` that is on, or else the next one: there is other work, or it is time to stop."""
        self._writer.nudge()

    def drained(self, ids: Sequence[bytes]) -> None:
        """The main database has committed these with FULL. Ids that are not pending are passed over."""

        def change(connection: sqlite3.Connection, tally: Tally) -> Callable[[], None]:
            file.mark_drained(connection, tally, ids, self._clock())
            crashed = [(one,) for one in ids if one in self._crashes]
            connection.executemany("DELETE FROM crashes WHERE id = ?", crashed)

            def settle() -> None:
                for (one,) in crashed:
                    self._crashes.pop(one, None)
                for one in ids:
                    self._writer.acks.pop(one, None)

            return settle

        self._writer.ask(change)

    def offer_again(self) -> int:
        """The main database was restored, or is another one: all that is still here becomes pending. Says how many."""

        def change(connection: sqlite3.Connection, tally: Tally) -> Callable[[], int]:
            again = tally.drained
            connection.execute("UPDATE progress SET drained_at = NULL WHERE drained_at IS NOT NULL")
            file.count(connection, tally)
            return lambda: again

        return self._writer.ask(change)

    def begin(self, ids: Sequence[bytes]) -> None:
        """These are being applied from now on. Should the process die before `end`, `crashes` will count it."""
        self._applying.begin(ids)

    def end(self, ids: Sequence[bytes]) -> None:  # noqa: ARG002 - says at the call what ended
        self._applying.end()

    def crashes(self, one: bytes) -> int:
        """How many times the process died while this delivery was being applied."""
        return self._crashes.get(one, 0)

    def tidy(self) -> int:
        """Deletes a portion of what was drained an hour ago; the spool does so every second by itself."""
        return self._writer.tidy()

    def _oldest_seconds(self) -> float:
        try:
            oldest_at = self.oldest_at
        except Unavailable:
            return math.nan
        return (self._clock() - oldest_at) / 1000 if oldest_at is not None else 0.0

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._read_lock:
            try:
                if self._closed:
                    raise Unavailable("Golub is stopping.", code="spool_closed")
                if self._reader is None:
                    self._reader = file.connect(self.path, cache_kib=2048)
                yield self._reader
            except sqlite3.Error as error:
                if self._reader:
                    self._reader.close()
                self._reader = None
                raise Unavailable("The spool cannot be read: {reason}", reason=str(error)) from error


def _give_up(stored: Waiter) -> None:
    if not stored.done():
        stored.set_exception(Unavailable("The disk did not confirm the delivery in time.", code="spool_late"))
