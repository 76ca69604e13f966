"""The spool: deliveries that were acked and are not yet applied, on stable storage, in a file of this process.

Promises, which ingest and apply rely on:
- When `put` returns, the delivery survives a power cut. It needs neither the main database nor the network.
- One thread writes. It commits whatever is there while the next batch forms, with `synchronous=FULL`; lingering for
  more would only make everybody wait.
- `seq` is never reused, also after the spool ran empty, so apply may remember how far it got.
- A row is deleted only by that thread, only after `drained`, and an hour later: a restored database gets it again.
- What goes wrong goes closed: `Unavailable`, and never an ack without a commit. A connection that saw a failure is
  thrown away and the same pages are not synced again; after three failures in a row `on_fatal` is called.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from golub import metrics, spool_file
from golub.ballast import SIZE as BALLAST_BYTES
from golub.ballast import Ballast
from golub.clock import HOUR, Clock, now
from golub.errors import Rejected, Unavailable
from golub.spool_file import Received, Tally, TokenEntry

__all__ = ["Received", "Spool", "TokenEntry"]

PUT_DEADLINE = 1.5  # seconds; Avito allows 2 in all
CHANGE_DEADLINE = 5.0  # seconds for whatever is not an ack
BATCH_ROWS = 512
QUEUE_ROWS = 8192
QUEUE_BYTES = 32 << 20
KEPT = HOUR  # how long a drained row can be offered again …
KEPT_BYTES = 64 << 20  # … unless there are more of them than this
TIDY_EVERY = 1.0
REFILL_EVERY = 10.0  # seconds between two tries to get the ballast back
CHECKPOINT_EVERY = 0.2
LONG_LOG = 8192  # pages of write-ahead log at which the writer itself pauses to checkpoint
FAILURES_ALLOWED = 3

_KINDS = {5: "locked", 6: "locked", 13: "full"}  # SQLite's primary result codes; all others mean a sick disk or file

T = TypeVar("T")

# Runs its statements, brings the tally in line, and returns what is to be done once both are committed.
Change = Callable[[sqlite3.Connection, Tally], Callable[[], T]]


@dataclass(slots=True)
class _Batch:
    rows: list[Received] = field(default_factory=list[Received])
    waiters: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])
    changes: list[tuple[Change[Any], Future[Any]]] = field(default_factory=list[tuple[Change[Any], "Future[Any]"]])


class Spool:
    """One a process. `put` belongs to one event loop; everything else may be called from any thread, and blocks.

    Raises `Conflict` where another process owns the folder. Nothing is taken before `start`.
    """

    def __init__(self, folder: Path, *, quota: int, clock: Clock = now) -> None:
        self.path = folder / "spool.db"
        self.on_fatal: Callable[[str], None] | None = None  # called once, from a thread of ours
        self.fatal = ""
        self._clock = clock
        self._quota = self._limit = quota
        folder.mkdir(parents=True, exist_ok=True)
        self._owned = spool_file.own(folder)
        try:
            self._writer: sqlite3.Connection | None = spool_file.prepare(self.path)
            self._seq = spool_file.last_seq(self._writer)
            self._tally = spool_file.count(self._writer, Tally())
            self._applying = spool_file.Applying(folder / "spool.applying")
            self._crashes = self._applying.count_crashes(self._writer)
            self._tokens = {row[0]: TokenEntry(*row) for row in self._writer.execute("SELECT * FROM tokens")}
        except sqlite3.Error as error:
            os.close(self._owned)
            raise Rejected("{path} cannot be opened: {reason}", path=self.path, reason=str(error)) from error
        self._ballast = Ballast(folder / "ballast")
        self._ballast.fill()
        # Now, because a full disk may not let us later.
        self._reader: sqlite3.Connection | None = spool_file.connect(self.path, cache_kib=2048)
        self._read_lock = threading.Lock()
        self._lock = threading.Lock()  # guards everything below, and the tally
        self._work = threading.Condition(self._lock)
        self._arrived = threading.Condition(self._lock)
        self._rows: deque[tuple[Received, asyncio.Future[None]]] = deque()
        self._rows_bytes = 0
        self._changes: list[tuple[Change[Any], Future[Any]]] = []
        self._nudged = False
        self._open = False
        self._failures = 0
        self._commits = 0
        self._log_is_long = False
        self._tidy_at = 0.0
        self._refill_at = 0.0
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, name="spool", daemon=True),
            threading.Thread(target=self._checkpoint, name="spool-checkpoint", daemon=True),
        ]

    def start(self) -> None:
        self._open = True
        for thread in self._threads:
            thread.start()
        metrics.spool_pending.set_function(lambda: self.pending)
        metrics.spool_pending_bytes.set_function(lambda: self.bytes_pending)
        metrics.spool_oldest_seconds.set_function(lambda: (self._clock() - (self.oldest_at or self._clock())) / 1000)

    def close(self) -> None:
        """Commits what is queued, then lets the folder go. A second call does nothing."""
        if self._stopped.is_set():
            return
        with self._lock:
            self._open = False
            self._work.notify_all()
            self._arrived.notify_all()
        self._stopped.set()
        for thread in self._threads:
            if thread.ident:
                thread.join(CHANGE_DEADLINE)
        self._applying.close()
        with self._read_lock:
            for connection in (self._reader, self._writer):
                if connection:
                    connection.close()
            self._reader = self._writer = None
        os.close(self._owned)

    @property
    def pending(self) -> int:
        """Deliveries acked and not yet applied."""
        return self._tally.pending

    @property
    def bytes_pending(self) -> int:
        return self._tally.pending_bytes

    @property
    def bare_bytes_pending(self) -> int:
        """Those of them that came without a token."""
        return self._tally.bare_bytes

    @property
    def oldest_at(self) -> int | None:
        """When the oldest pending delivery was received."""
        if not self.pending:
            return None
        with self._reading() as reader:
            row = reader.execute("SELECT received_at FROM received WHERE seq = ?", (self._tally.lowest,)).fetchone()
        return row[0] if row else None

    async def put(self, received: Received) -> None:
        """Returns once the delivery is on stable storage.

        Raises `Unavailable` when the spool is full, failing, or slower than Avito would wait. Too late a delivery may
        be stored all the same: whoever gets no 200 sends again, and applying twice changes nothing.
        """
        waiter = asyncio.get_running_loop().create_future()
        size = received.size
        with self._lock:
            self._must_be_open()
            if len(self._rows) >= QUEUE_ROWS or self._rows_bytes + size > QUEUE_BYTES:
                raise Unavailable("Deliveries come faster than they can be stored.", code="spool_busy")
            if self._tally.pending_bytes + self._rows_bytes + size > self._limit:
                raise Unavailable("The spool is full: it waits for the main database.", code="spool_full")
            self._rows.append((received, waiter))
            self._rows_bytes += size
            self._work.notify()
        try:
            async with asyncio.timeout(PUT_DEADLINE):
                await waiter
        except TimeoutError as error:
            raise Unavailable("The disk did not confirm the delivery in time.", code="spool_late") from error

    def find_token(self, digest: bytes) -> TokenEntry | None:
        return self._tokens.get(digest)

    def put_token(self, entry: TokenEntry) -> None:
        """Lets a token in, durably: call it before its URL is registered."""

        def change(connection: sqlite3.Connection, _: Tally) -> Callable[[], None]:
            values = (entry.hash, entry.token_id, entry.account_id, entry.retired_at)
            connection.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)", values)
            return lambda: self._tokens.update({entry.hash: entry})

        self._ask(change)

    def drop_token(self, digest: bytes) -> None:
        def change(connection: sqlite3.Connection, _: Tally) -> Callable[[], TokenEntry | None]:
            connection.execute("DELETE FROM tokens WHERE hash = ?", (digest,))
            return lambda: self._tokens.pop(digest, None)

        self._ask(change)

    def read(self, after: int, limit: int = BATCH_ROWS, max_bytes: int = 4 << 20) -> list[Received]:
        """Pending deliveries behind `after`, in order, at least one if there is any."""
        found: list[Received] = []
        size = 0
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT id, received_at, account_id, token_id, address, headers, body, seq FROM progress "
                "JOIN received USING (seq) WHERE seq > ? AND drained_at IS NULL ORDER BY seq LIMIT ?",
                (max(after, self._tally.lowest - 1), limit),
            )
            with closing(rows):
                for row in rows:
                    received = Received(*row)
                    size += received.size
                    if found and size > max_bytes:
                        break
                    found.append(received)
        return found

    def wait(self, after: int, timeout: float) -> bool:
        """Blocks until a delivery behind `after` is pending; False after `timeout` seconds or a `nudge`."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._tally.newest > after or self._nudged or not self._open, timeout)
            self._nudged = False
            return self._tally.newest > after

    def nudge(self) -> None:
        """Ends the `wait` that is on, or else the next one: there is other work, or it is time to stop."""
        with self._arrived:
            self._nudged = True
            self._arrived.notify_all()

    def drained(self, ids: Sequence[bytes]) -> None:
        """The main database has committed these with FULL. Ids that are not pending are passed over."""

        def change(connection: sqlite3.Connection, tally: Tally) -> Callable[[], None]:
            spool_file.mark_drained(connection, tally, ids, self._clock())
            crashed = [(one,) for one in ids if one in self._crashes]
            connection.executemany("DELETE FROM crashes WHERE id = ?", crashed)

            def settle() -> None:
                for (one,) in crashed:
                    self._crashes.pop(one, None)

            return settle

        self._ask(change)

    def offer_again(self) -> int:
        """The main database was restored, or is another one: all that is still here becomes pending. Says how many."""

        def change(connection: sqlite3.Connection, tally: Tally) -> Callable[[], int]:
            again = tally.drained
            connection.execute("UPDATE progress SET drained_at = NULL WHERE drained_at IS NOT NULL")
            spool_file.count(connection, tally)
            return lambda: again

        return self._ask(change)

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
        return self._ask(self._forget)

    def _forget(self, connection: sqlite3.Connection, tally: Tally) -> Callable[[], int]:
        number = spool_file.forget(connection, tally, before=self._clock() - KEPT, keep_bytes=KEPT_BYTES)
        if number == spool_file.FORGET_AT_ONCE:
            self._tidy_at = 0.0  # there is more: go on with the next commit
        return lambda: number

    def _must_be_open(self) -> None:
        if self.fatal:
            raise Unavailable("The spool's disk fails: {reason}", code="spool_failed", reason=self.fatal)
        if not self._open:
            raise Unavailable("Golub is starting or stopping.", code="spool_closed")

    def _ask(self, change: Change[T]) -> T:
        """Has the writer do it with the next commit, and waits for that."""
        answer: Future[T] = Future()
        with self._lock:
            self._must_be_open()
            self._changes.append((change, answer))
            self._work.notify()
        try:
            return answer.result(CHANGE_DEADLINE)
        except TimeoutError as error:
            raise Unavailable("The spool's disk does not answer.", code="spool_late") from error

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._read_lock:
            try:
                if self._reader is None:
                    self._reader = spool_file.connect(self.path, cache_kib=2048)
                yield self._reader
            except sqlite3.Error as error:
                if self._reader:
                    self._reader.close()
                self._reader = None
                raise Unavailable("The spool cannot be read: {reason}", reason=str(error)) from error

    def _write(self) -> None:
        """The writer's thread."""
        try:
            while batch := self._next_batch():
                self._commit(batch)
                if self._log_is_long and self._writer:
                    self._log_is_long = False
                    with suppress(sqlite3.Error):  # the next commit finds out whether the disk is sick
                        self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            if self._open:
                self._give_up("the writer stopped")

    def _next_batch(self) -> _Batch | None:
        """Everything that waits, up to a commit's size; None when the spool is closed and nothing does."""
        batch = _Batch()
        with self._work:
            while self._open and not self._rows and not self._changes:
                if not self._work.wait(max(0.05, self._tidy_at - time.monotonic())):
                    break
            while self._rows and len(batch.rows) < BATCH_ROWS:
                received, waiter = self._rows.popleft()
                self._rows_bytes -= received.size
                if not waiter.done():  # it was answered 503 meanwhile
                    batch.rows.append(received)
                    batch.waiters.append(waiter)
            batch.changes, self._changes = self._changes, []
            closed = not self._open and not batch.rows and not batch.changes and not self._rows
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY
            self._restore_ballast()
            if self._tally.drained:
                batch.changes.append((self._forget, Future()))
        return None if closed else batch

    def _commit(self, batch: _Batch) -> None:
        if not batch.rows and not batch.changes:
            return
        try:
            try:
                tally, settle = self._transact(batch)
            except sqlite3.Error as error:
                if self._failed(error) != "full" or not self._release_ballast():
                    self._refuse(batch, str(error))
                    return
                tally, settle = self._transact(batch)
        except sqlite3.Error as error:
            self._failed(error)
            self._refuse(batch, str(error))
            return
        self._failures = 0
        with self._lock:
            self._tally = tally
            self._seq += len(batch.rows)
            self._commits += 1
            answers = [(answer, done()) for done, (_, answer) in zip(settle, batch.changes, strict=True)]
            self._arrived.notify_all()
        for answer, result in answers:
            answer.set_result(result)
        _tell(batch.waiters, lambda waiter: waiter.set_result(None))

    def _transact(self, batch: _Batch) -> tuple[Tally, list[Callable[[], Any]]]:
        """The one place where the spool is written."""
        started = time.perf_counter()
        tally = replace(self._tally)
        if self._writer is None:
            self._writer = spool_file.connect(self.path)
        self._writer.execute("BEGIN IMMEDIATE")
        spool_file.insert(self._writer, tally, batch.rows, self._seq + 1)
        settle = [change(self._writer, tally) for change, _ in batch.changes]
        self._writer.execute("COMMIT")
        metrics.spool_commits.inc()
        metrics.spool_commit_seconds.observe(time.perf_counter() - started)
        return tally, settle

    def _failed(self, error: sqlite3.Error) -> str:
        """Throws the connection away, whatever it was: what is not committed must not be tried again through it."""
        kind = _KINDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "storage")
        metrics.spool_failures.labels(kind).inc()
        if self._writer:
            with suppress(sqlite3.Error):
                self._writer.close()
        self._writer = None
        if kind == "storage":
            self._failures += 1
            if self._failures >= FAILURES_ALLOWED:
                self._give_up(str(error))
        return kind

    def _refuse(self, batch: _Batch, reason: str) -> None:
        refusal = Unavailable("The delivery could not be stored: {reason}", code="spool_failed", reason=reason)
        _tell(batch.waiters, lambda waiter: waiter.set_exception(refusal))
        for _, answer in batch.changes:
            answer.set_exception(refusal)

    def _give_up(self, reason: str) -> None:
        """Nothing more is taken: a process that cannot store must not look alive."""
        with self._lock:
            first, self.fatal = not self.fatal, self.fatal or reason
            rest = _Batch([row for row, _ in self._rows], [waiter for _, waiter in self._rows], self._changes)
            self._rows.clear()
            self._rows_bytes = 0
            self._changes = []
        self._refuse(rest, reason)
        if first and self.on_fatal:
            self.on_fatal(reason)

    def _release_ballast(self) -> bool:
        """The room is for everybody on this disk: the spool takes a quarter, which its log may double, and no more."""
        if not self._ballast.release():
            return False
        self._limit = min(self._quota, self._tally.pending_bytes + BALLAST_BYTES // 4)
        return True

    def _restore_ballast(self) -> None:
        if time.monotonic() >= self._refill_at:
            self._refill_at = time.monotonic() + REFILL_EVERY
            if self._ballast.fill():
                self._limit = self._quota

    def _checkpoint(self) -> None:
        """The checkpointer's thread: moves the log into the file, so that no ack ever waits for that."""
        connection: sqlite3.Connection | None = None
        seen = failures = 0
        while not self._stopped.wait(CHECKPOINT_EVERY):
            if seen == self._commits:
                continue
            seen = self._commits
            try:
                connection = connection or spool_file.connect(self.path)
                _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._log_is_long = pages > LONG_LOG
                failures = 0
            except sqlite3.Error as error:
                if connection:
                    connection.close()
                connection = None
                if _KINDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF) is None:
                    failures += 1
                if failures >= FAILURES_ALLOWED:
                    self._give_up(str(error))
        if connection:
            connection.close()


def _tell(waiters: list[asyncio.Future[None]], tell: Callable[[asyncio.Future[None]], None]) -> None:
    """One call into the event loop for a whole commit."""

    def each() -> None:
        for waiter in waiters:
            if not waiter.done():
                tell(waiter)

    if waiters:
        with suppress(RuntimeError):  # the loop is closed, and with it everybody who waited
            waiters[0].get_loop().call_soon_threadsafe(each)
