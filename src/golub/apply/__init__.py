"""Applies deliveries: from this process's spool into the main database, for as long as the process lives.

Promises, which ingest and every page rely on:
- One transaction stores deliveries in the journal and folds them into chats and messages; only then the spool may let
  go of them. Live rings after the commit.
- A row of its own fault is quarantined alone, with its cause and raw bytes; it never stops the next one. It is looked
  for in small parts, each in a transaction of its own: however many are bad, nobody waits for the lock longer than for
  a good batch. An outage (locked, disconnected, full, unmigrated) quarantines nothing: apply waits, and tries again.
- Each received delivery is told to `on_received` within a second, also while the main database is away.
- Batches are bounded, and whatever a person waits for (`submit`) goes in between two of them. In a burst they are
  few: acks go first (`giving_way`).

Two threads: one follows the spool and tells, the other has the database. On one node they are the only writers of
chats and messages.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from golub import metrics
from golub.apply import journal
from golub.apply.again import Replayed, replay
from golub.apply.batches import Batch, load_shops
from golub.apply.giving_way import PAUSE, GivingWay
from golub.apply.identity import Identity
from golub.clock import Clock, Millis, now
from golub.errors import Unavailable
from golub.fold import Observation, fold
from golub.fold.forgetting import FilesOf, Part, forget
from golub.live import Live, Ring
from golub.model import Cause, DeliveryState
from golub.signatures import Trial
from golub.spool import Received, Spool
from golub.store import Store, is_outage

__all__ = ["Applier", "Failure"]

BATCH_ROWS = 256
BATCH_BYTES = 1 << 20
PART_ROWS = 16  # applied one by one they cost about what a batch does
BACKOFF = (0.05, 2.0)  # seconds, first and longest, before an outage is looked at again
TELL_WITHIN = 0.5
CRASHES_SUSPECT = 2  # a delivery that was being applied at so many crashes is applied alone …
CRASHES_PROVEN = (
    5  # … and if it was so at three more, quarantined: others may kill the process as well, again and again
)

T = TypeVar("T")

_log = structlog.get_logger("apply")


@dataclass(frozen=True, slots=True)
class Failure:
    """Applying failed: of one delivery, which is quarantined now, or (`delivery_id` None) of all, for now."""

    delivery_id: bytes | None
    account_id: int | None
    cause: Cause
    reason: str = ""  # of an outage


class Applier:
    """`on_received`, `on_failed` and `on_relayed` (something is to be forwarded) are called from its threads; set them
    before `start`. Without a `trial` no signature is tried, and no rule about one holds."""

    def __init__(self, spool: Spool, store: Store, live: Live, clock: Clock = now, trial: Trial | None = None) -> None:
        self.on_received: Callable[[Sequence[Received]], None] = lambda _: None
        self.on_failed: Callable[[Failure], None] = lambda _: None
        self.on_relayed: Callable[[], None] = lambda: None
        self._spool = spool
        self._store = store
        self._live = live
        self._clock = clock
        self._trial = trial or Trial(None)
        self._identity = Identity(spool, store)
        self._lock = threading.Lock()  # guards the five below
        self._applying = False
        self._open = False
        self._failures = 0
        self._retry_at = 0.0
        self._rests_until = 0.0
        self._giving_way = GivingWay()
        self._identified = False
        self._warm = False  # whether a batch was applied since the start
        self._suspected = 0  # so many of the next rows were in a batch with a bad one: they are applied in small parts
        self._applied = threading.Condition()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="apply-watch", daemon=True)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="apply")

    def start(self) -> None:
        """Call it once the main database may be used; until it is migrated apply merely waits."""
        self._open = True
        self._watcher.start()

    def stop(self) -> None:
        """Finishes the batch that is on. What is left waits in the spool for the next start; who waits in `submit` gets
        `Unavailable`."""
        with self._lock:
            self._open = False
        self._stopping.set()
        self._spool.nudge()
        if self._watcher.ident:
            self._watcher.join()
        self._worker.shutdown()

    @property
    def failing(self) -> bool:
        """Whether the main database refused the last batch."""
        return self._failures > 0

    @property
    def stopped(self) -> bool:
        """Whether the thread that follows the spool ran once and does no more."""
        return bool(self._watcher.ident) and not self._watcher.is_alive()

    def drain(self) -> int:
        """Applies all that is pending, on the caller's thread, without `start`: `golub spool drain`. Raises
        `Unavailable` in an outage. Returns how many deliveries left the spool."""
        count = 0
        while number := self._apply_some():
            count += number
        return count

    def wait_applied(self, timeout: float) -> bool:
        """Blocks until nothing is pending."""
        with self._applied:
            return self._applied.wait_for(lambda: self._spool.pending == 0, timeout)

    async def submit(self, account_id: int, observations: Sequence[Observation]) -> list[Ring]:
        """Folds what backfill, outbox or an operator found out, in a transaction of its own. Raises `Unavailable`."""

        def change(connection: Connection) -> tuple[list[Ring], int]:
            rings = fold(connection, self._store, account_id, observations, self._clock())
            return rings, self._live.draw(connection) if rings else 0

        rings, number = await self._asked(change)
        self._live.ring(rings, number)
        return rings

    async def replay(
        self, delivery_ids: Sequence[bytes], *, dry: bool = False, also_discarded: bool = False
    ) -> Replayed:
        """Applies deliveries of the journal again: see `again`. `dry` only says what it would change. Give it some
        hundred at a time: normal batches wait meanwhile."""

        def change(connection: Connection) -> tuple[Replayed, int]:
            shops = load_shops(connection, self._trial)
            replayed = replay(connection, self._store, shops, delivery_ids, self._clock(), also_discarded)
            if dry:
                connection.rollback()
                return replayed, 0
            return replayed, self._live.draw(connection) if replayed.rings else 0

        replayed, number = await self._asked(change)
        if not dry:
            self._live.ring(replayed.rings, number)
        return replayed

    async def forget(self, chat_id: int, *, since: Millis, files_of: FilesOf, limit: int) -> Part:
        """Erases a part of a chat: see `fold.forgetting`. Repeat it until the last."""

        def change(connection: Connection) -> tuple[Part, int]:
            part = forget(connection, self._store, chat_id, self._clock(), since=since, files_of=files_of, limit=limit)
            return part, self._live.draw(connection) if part.ring else 0

        part, number = await self._asked(change)
        if part.ring:
            self._live.ring([part.ring], number)
        return part

    async def confirm(self, account_id: int, chat_avito_id: str, *, cause: Cause = Cause.NOT_CONFIRMED) -> int:
        """After backfill asked the API about a chat: its waiting hints that the API has borne out become applied, the
        others get `cause`. Returns the number of the former."""

        def change(connection: Connection) -> int:
            now = self._clock()
            count, delivered = journal.confirm_waiting(connection, account_id, chat_avito_id, cause, now)
            fold(connection, self._store, account_id, delivered, now)  # what nobody sees: it rings no bell
            return count

        return await self._asked(change)

    async def _asked(self, change: Callable[[Connection], T]) -> T:
        """Runs it on the thread that has the database, before the next batch."""

        def run() -> T:
            if self._stopping.is_set():
                raise Unavailable("Golub is starting or stopping.")
            with self._store.writing() as connection:
                return change(connection)

        try:
            future = self._worker.submit(run)
        except RuntimeError as error:
            raise Unavailable("Golub is starting or stopping.") from error
        return await asyncio.wrap_future(future)

    def _watch(self) -> None:
        """The first thread: tells what was received, and sees to it that it is applied."""
        told = 0
        while not self._stopping.is_set():
            self._spool.wait(told, self._until_retry())
            try:
                while not self._stopping.is_set():
                    rows, told = self._spool.read_new(told)
                    if not rows:
                        break
                    self._apply_soon()
                    self.on_received(rows)
            except Unavailable as error:
                _log.warning("The spool cannot be read.", reason=str(error))
                self._stopping.wait(TELL_WITHIN)
            except Exception:  # noqa: BLE001 - a log that cannot be written must not stop the drain
                _log.exception("Received deliveries could not be told.")
            self._apply_soon()

    def _until_retry(self) -> float:
        left = max(self._retry_at, self._rests_until) - time.monotonic()
        return min(left, TELL_WITHIN) if left > 0 else TELL_WITHIN

    def _apply_soon(self) -> None:
        if self._store.refusal:  # its own words, for pages: there is nothing to try, and nothing failed
            return
        with self._lock:
            if not self._open or self._applying or not self._spool.pending:
                return
            if time.monotonic() < max(self._retry_at, self._rests_until):
                return
            self._applying = True
            self._worker.submit(self._turn)

    def _turn(self) -> None:
        """The second thread: one batch, then whoever waits in `submit`, then the next batch."""
        if self._stopping.is_set():
            return
        try:
            self._apply_some()
            self._failures, self._retry_at = 0, 0.0
        except Exception as error:  # noqa: BLE001 - nothing may stop applying for ever
            self._put_off(error)
        rest = self._giving_way.rest(self._spool.newest)
        with self._lock:
            self._applying = False
            self._rests_until = time.monotonic() + rest if rest > PAUSE else 0.0
        with self._applied:
            self._applied.notify_all()
        if self._spool.pending and rest <= PAUSE:  # else the first thread goes on, and this one is free for `submit`
            self._stopping.wait(PAUSE)
            self._apply_soon()

    def _put_off(self, error: Exception) -> None:
        self._failures += 1
        self._identified = False  # who knows which database answers next
        metrics.apply_failures.inc()
        first, longest = BACKOFF
        wait = min(longest, first * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        self._retry_at = time.monotonic() + wait
        cause = error.__cause__ or error
        if not (is_outage(error) or isinstance(error, DBAPIError)):
            _log.error("Applying failed for a reason of our own.", exc_info=error)
        self.on_failed(Failure(None, None, Cause.NONE, type(getattr(cause, "orig", None) or cause).__name__))
        self._spool.nudge()

    def _apply_some(self) -> int:
        """Applies one batch, or of one with a bad row the first part that can be settled. Returns how many deliveries
        left the spool; 0: nothing is pending."""
        if not self._identified:
            if again := self._identity.check():
                _log.warning("This is another main database: the spool offers again what it keeps.", deliveries=again)
            self._identified = True
        while rows := self._next_rows():
            ids = [row.id for row in rows]
            started = time.perf_counter()
            try:
                batch = self._commit(rows)
            finally:
                self._spool.end(ids)
            if batch is None:
                self._suspected = len(rows)
                continue
            self._suspected = max(0, self._suspected - len(rows))
            self._warm = True
            self._count(batch, time.perf_counter() - started)
            self._live.ring(batch.rings, batch.number)
            if batch.relayed:
                self.on_relayed()
            self._spool.drained(ids)
            for row, verdict in batch.outcomes:
                if verdict.state is DeliveryState.QUARANTINED:
                    self.on_failed(Failure(row.id, verdict.account_id, verdict.cause))
            return len(ids)
        return 0

    def _count(self, batch: Batch, seconds: float) -> None:
        now = self._clock()
        metrics.apply_batch_seconds.observe(seconds)
        for state, number in Counter(verdict.state for _, verdict in batch.outcomes).items():
            metrics.apply_deliveries.labels(state).inc(number)
        for row, _ in batch.outcomes:
            metrics.apply_lag_seconds.observe(max(now - row.received_at, 0) / 1000)

    def _next_rows(self) -> list[Received]:
        """Up to a batch, and never together with a row that is suspected of killing the process.

        The first batch after a start takes far longer than a later one, and a process that others kill again and again
        mostly dies in it. So it has no suspects while anything else is pending: in a warm process they are at
        work for some milliseconds, and who dies just then was hardly killed by others."""
        limit = PART_ROWS if self._suspected else BATCH_ROWS
        if not self._warm:
            rows = self._spool.read(0, 2 * BATCH_ROWS, BATCH_BYTES)
            others = [row for row in rows if self._crashes(row) < CRASHES_SUSPECT]
            return others[:limit] or sorted(rows, key=self._crashes)[:1]
        rows = self._spool.read(0, limit, BATCH_BYTES)
        suspect = next((place for place, row in enumerate(rows) if self._crashes(row) >= CRASHES_SUSPECT), None)
        return rows if suspect is None else rows[:suspect] or rows[:1]

    def _commit(self, rows: Sequence[Received]) -> Batch | None:
        """All at once; where a row is at fault, one by one if they are few. None: they are many; nothing is done."""
        with self._store.writing() as connection:
            batch = Batch(connection, self._store, self._clock(), self._trial)
            self._spool.begin([row.id for row in rows])  # not before: while it waits for its turn, no row is at work
            if (crashes := self._crashes(rows[0])) >= CRASHES_PROVEN:
                batch.condemn(rows[0], Cause.CRASHED, f"{crashes} crashes while it was being applied")
            elif batch.attempt(rows):
                if len(rows) > PART_ROWS:
                    return None
                batch.apply_each(rows)
            batch.number = self._live.draw(connection) if batch.rings else 0
            return batch

    def _crashes(self, row: Received) -> int:
        return self._spool.crashes(row.id)
