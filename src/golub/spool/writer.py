"""The thread that writes the spool, and the one that moves its log into its file.

It commits whatever is there while the next batch forms, always with `synchronous=FULL`; lingering for more would only
make everybody wait. What fails is refused, its connection is thrown away, and the same pages are not synced again;
after three failures in a row it gives up for good.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from golub import metrics
from golub.clock import HOUR, Clock
from golub.errors import Unavailable
from golub.spool import file
from golub.spool.ballast import SIZE as BALLAST_BYTES
from golub.spool.ballast import Ballast
from golub.spool.file import Received, Tally

CHANGE_DEADLINE = 5.0  # seconds for whatever is not an ack
BATCH_ROWS = 512
QUEUE_ROWS = 8192
QUEUE_BYTES = 32 << 20
KEPT = HOUR  # how long a drained row can be offered again …
KEPT_BYTES = 64 << 20  # … unless there are more of them than this
RECENT_BYTES = 4 << 20  # of the rows that stay in memory for whoever follows the spool
ACKS_NOTED = 1 << 16  # of a longer backlog the rest stays unknown
TIDY_EVERY = 1.0
REFILL_EVERY = 10.0  # seconds between two tries to get the ballast back
CHECKPOINT_EVERY = 0.2
LONG_LOG = 8192  # pages of write-ahead log at which the writer itself pauses to checkpoint
FAILURES_ALLOWED = 3

_KINDS = {5: "locked", 6: "locked", 13: "full"}  # SQLite's primary result codes; all others mean a sick disk or file

T = TypeVar("T")

_log = structlog.get_logger("spool")

# Runs its statements, brings the tally in line, and returns what is to be done once both are committed.
Change = Callable[[sqlite3.Connection, Tally], Callable[[], T]]


class Waiter(Protocol):
    """Who wants to know that a delivery is committed, or why not: a future, or what does the same for less. It is told
    in the event loop; any thread may ask whether it has ended."""

    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...
    def set_exception(self, error: Unavailable, /) -> None: ...


@dataclass(slots=True)
class Batch:
    rows: list[Received] = field(default_factory=list[Received])
    waiters: list[Waiter] = field(default_factory=list[Waiter])
    changes: list[tuple[Change[Any], Future[Any]]] = field(default_factory=list[tuple[Change[Any], "Future[Any]"]])


@dataclass(frozen=True, slots=True)
class Recent:
    """A commit's rows, which stand behind the number `before`, and their size in bytes."""

    before: int
    rows: list[Received]
    size: int


class Writer:
    """`put` belongs to one event loop, everything else to any thread. Owns the connection that it is given."""

    def __init__(self, connection: sqlite3.Connection, path: Path, quota: int, clock: Clock) -> None:
        self.on_fatal: Callable[[str], None] | None = None
        self.fatal = ""
        self.commits = 0
        self.tally = file.count(connection, Tally())
        self.acks: dict[bytes, int] = {}  # how long each pending delivery's answer took, in ms
        self._seq = file.last_seq(connection)
        self._connection: sqlite3.Connection | None = connection
        self._path = path
        self._clock = clock
        self._quota = self._limit = quota
        self._ballast = Ballast(path.with_name("ballast"))
        self._ballast.fill()
        self._lock = threading.Lock()  # guards the tally and what follows
        self._work = threading.Condition(self._lock)
        self._arrived = threading.Condition(self._lock)
        self._rows: deque[tuple[Received, Waiter]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # of whoever waits
        self._rows_bytes = 0
        self._changes: list[tuple[Change[Any], Future[Any]]] = []
        self._nudged = False
        self._open = False
        self._failures = 0
        self._log_is_long = False
        self._recent: deque[Recent] = deque()  # the last commits
        self._recent_bytes = 0
        self._tidy_at = 0.0
        self._refill_at = 0.0
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="spool", daemon=True),
            threading.Thread(target=self._checkpoint, name="spool-checkpoint", daemon=True),
        ]

    def start(self) -> None:
        self._open = True
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Commits what is queued."""
        with self._lock:
            self._open = False
            self._work.notify_all()
            self._arrived.notify_all()
        self._stopped.set()
        for thread in self._threads:
            if thread.ident:
                thread.join(CHANGE_DEADLINE)
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def put(self, received: Received, waiter: Waiter) -> None:
        """Queues a delivery; `waiter` is told once it is committed. Raises `Unavailable` where there is no room."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        size = received.size
        with self._lock:
            self._must_be_open()
            if len(self._rows) >= QUEUE_ROWS or self._rows_bytes + size > QUEUE_BYTES:
                raise Unavailable("Deliveries come faster than they can be stored.", code="spool_busy")
            if self.tally.pending_bytes + self._rows_bytes + size > self._limit:
                raise Unavailable("The spool is full: it waits for the main database.", code="spool_full")
            self._rows.append((received, waiter))
            self._rows_bytes += size
            self._work.notify()

    def ask(self, change: Change[T]) -> T:
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

    def tidy(self) -> int:
        """Deletes a portion of what may go, as it does every second by itself. Returns the number of rows."""
        return self.ask(self._forget)

    def wait(self, after: int, timeout: float) -> bool:
        with self._arrived:
            self._arrived.wait_for(lambda: self.tally.newest > after or self._nudged or not self._open, timeout)
            self._nudged = False
            return self.tally.newest > after

    def recent(self, after: int) -> tuple[list[Received], int] | None:
        """The rows of the commits behind `after`, and the last one's number; they are given once."""
        with self._lock:
            recent = self._recent
            while recent and recent[0].before < after:
                self._recent_bytes -= recent.popleft().size
            if not recent or recent[0].before != after:
                return None
            found = recent.popleft()
            self._recent_bytes -= found.size
        return found.rows, after + len(found.rows)

    def _remember(self, commit: Recent) -> None:
        self._recent.append(commit)
        self._recent_bytes += commit.size
        while self._recent_bytes > RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size

    def nudge(self) -> None:
        with self._arrived:
            self._nudged = True
            self._arrived.notify_all()

    def _must_be_open(self) -> None:
        if self.fatal:
            raise Unavailable("The spool's disk fails: {reason}", code="spool_failed", reason=self.fatal)
        if not self._open:
            raise Unavailable("Golub is starting or stopping.", code="spool_closed")

    def _run(self) -> None:
        """The writer's thread."""
        try:
            while batch := self._next_batch():
                self._commit(batch)
                if self._log_is_long and self._connection:
                    self._log_is_long = False
                    with suppress(sqlite3.Error):  # the next commit finds out whether the disk is sick
                        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            if self._open:
                self._give_up("the writer stopped")

    def _next_batch(self) -> Batch | None:
        """Everything that waits, up to a commit's size; None when the spool is closed and nothing does."""
        batch = Batch()
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
            if self.tally.drained:
                batch.changes.append((self._forget, Future()))
        return None if closed else batch

    def _commit(self, batch: Batch) -> None:
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
        self._note_acks(batch.rows)
        with self._lock:
            self.tally = tally
            if batch.rows:
                self._remember(Recent(self._seq, batch.rows, sum(row.size for row in batch.rows)))
            self._seq += len(batch.rows)
            self.commits += 1
            answers = [(answer, done()) for done, (_, answer) in zip(settle, batch.changes, strict=True)]
            self._arrived.notify_all()
        for answer, result in answers:
            answer.set_result(result)
        self._tell(batch.waiters, lambda waiter: waiter.set_result(None))

    def _note_acks(self, rows: list[Received]) -> None:
        """In memory: it must not cost the disk, and after a crash nobody knows which answers still went out."""
        moment = time.perf_counter()
        if len(self.acks) < ACKS_NOTED:
            self.acks.update((row.id, round((moment - row.began) * 1000)) for row in rows if row.began)

    def _forget(self, connection: sqlite3.Connection, tally: Tally) -> Callable[[], int]:
        number = file.forget(connection, tally, before=self._clock() - KEPT, keep_bytes=KEPT_BYTES)
        if number == file.FORGET_AT_ONCE:
            self._tidy_at = 0.0  # there is more: go on with the next commit
        return lambda: number

    def _transact(self, batch: Batch) -> tuple[Tally, list[Callable[[], Any]]]:
        """The one place where the spool is written."""
        started = time.perf_counter()
        if self._connection is None:
            self._connection = file.connect(self._path)
            # A commit that failed may have reached the disk all the same: count what is really there.
            self._seq, self.tally = file.last_seq(self._connection), file.count(self._connection, Tally())
        tally = replace(self.tally)
        self._connection.execute("BEGIN IMMEDIATE")
        file.insert(self._connection, tally, batch.rows, self._seq + 1)
        settle = [change(self._connection, tally) for change, _ in batch.changes]
        self._connection.execute("COMMIT")
        metrics.spool_commits.inc()
        metrics.spool_commit_seconds.observe(time.perf_counter() - started)
        return tally, settle

    def _failed(self, error: sqlite3.Error) -> str:
        """Throws the connection away, whatever it was: what is not committed must not be tried again through it."""
        kind = _KINDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "storage")
        metrics.spool_failures.labels(kind).inc()
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        if kind == "storage":
            self._failures += 1
            if self._failures >= FAILURES_ALLOWED:
                self._give_up(str(error))
        return kind

    def _refuse(self, batch: Batch, reason: str) -> None:
        refusal = Unavailable("The delivery could not be stored: {reason}", code="spool_failed", reason=reason)
        self._tell(batch.waiters, lambda waiter: waiter.set_exception(refusal))
        for _, answer in batch.changes:
            answer.set_exception(refusal)

    def _tell(self, waiters: list[Waiter], tell: Callable[[Waiter], None]) -> None:
        """One call into the event loop for a whole commit."""

        def each() -> None:
            for waiter in waiters:
                try:
                    if not waiter.done():
                        tell(waiter)
                except Exception:  # noqa: BLE001 - the others wait for theirs
                    _log.exception("Who waited for a delivery could not be told.")

        if waiters and self._loop:
            with suppress(RuntimeError):  # the loop is closed, and with it everybody who waited
                self._loop.call_soon_threadsafe(each)

    def _give_up(self, reason: str) -> None:
        """Nothing more is taken: a process that cannot store must not look alive."""
        with self._lock:
            first, self.fatal = not self.fatal, self.fatal or reason
            rest = Batch([row for row, _ in self._rows], [waiter for _, waiter in self._rows], self._changes)
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
        self._limit = min(self._quota, self.tally.pending_bytes + BALLAST_BYTES // 4)
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
            if seen == self.commits:
                continue
            seen = self.commits
            try:
                connection = connection or file.connect(self._path)
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
