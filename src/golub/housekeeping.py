"""Keeps what grows within bounds: the journal, timelines, alerts, replays, the audit, and SQLite's log.

Promises:
- Whatever waits stays, however old: a hint that nothing has confirmed, a delivery in quarantine or on its way to a
  relay, a notice that is still to be told. Only what is finished goes, and only past the age (or the size) that the
  owner chose; a journal's size never costs its last day.
- A turn is many short transactions with pauses between them, so neither apply nor a page waits for one. It may be cut
  off anywhere; the next one goes on.
- A clock that jumped removes nothing: it must have run evenly for an hour first.

Messages need no journal to stay single, since each is its own row: a delivery that Avito repeats after its first copy
was removed changes nothing. Sessions, links and throttles are tidied where they live (`operators`), relayed deliveries
in `relay`, pictures in `outbox`, media by their budget, logs by their size. What is removed from SQLite leaves room in
the file for the next rows; the file itself does not shrink (docs/operations.md says why, and how to).
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast

import structlog
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    Text,
    and_,
    delete,
    exists,
    func,
    select,
    tuple_,
)
from sqlalchemy import cast as as_type

from golub import audit, metrics
from golub.audit import ITSELF, Action
from golub.clock import DAY, SECOND, Clock, Millis
from golub.model import (
    Alert,
    AuditEntry,
    AutomaticAct,
    Delivery,
    DeliveryState,
    Draft,
    Mark,
    Notice,
    RelayedDelivery,
    Replay,
    Table,
    TimelineEntry,
)
from golub.runner import Loop
from golub.settings import Settings
from golub.store import Store

FINISHED = (
    DeliveryState.APPLIED,
    DeliveryState.IGNORED,
    DeliveryState.PROBE,
    DeliveryState.DISCARDED,
    DeliveryState.ERASED,
)

TURN_EVERY = 5.0  # seconds between two looks at SQLite's log …
REMOVE_EVERY = 600.0  # … and between two removals
TURN_LIMIT = 20.0  # seconds of one removal; what is left comes with the next turn
EVEN_FOR = 3600.0  # seconds that the clock must have run evenly
UNEVEN = 300.0  # seconds of difference that are a jump
BATCH = (20, 500)  # rows of a transaction: fewest, most
BATCH_TAKES = 0.04  # seconds that one should take
PAUSE = 0.02  # seconds between two: others go first
SAMPLE = 500  # deliveries by which the size of all is estimated
DRAFT_DAYS = 90  # that a draft which nobody touches is kept
ACT_DAYS = 90  # that it is known what a rule of the automation did; it looks back for hours
ROW_COST = 500  # bytes of a delivery beside its body and headers, indexes included

MARK = "housekeeping"  # JSON: when it last ran through, and what it removed then

Removed = dict[str, int]

log = structlog.get_logger(__name__)


class Housekeeping:
    def __init__(
        self, store: Store, settings: Settings, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._even_since = monotonic(), clock()
        self._remove_at = 0.0
        self._batch = BATCH[1]
        self._ends_at = 0.0

    async def run(self) -> None:
        await Loop("housekeeping", self._clock, longest_wait=TURN_EVERY).run(self.run_once)

    async def run_once(self) -> Millis | None:
        metrics.database_log_bytes.set(await asyncio.to_thread(self._store.shorten_log))
        if not self._is_even() or self._monotonic() < self._remove_at:
            return None
        removed, whole = await self.remove_old()
        if not whole:
            return self._clock()
        self._remove_at = self._monotonic() + REMOVE_EVERY
        if any(removed.values()):
            log.info("old rows were removed", **removed)
        return None

    async def remove_old(self) -> tuple[Removed, bool]:
        """What went, by kind, and whether that was all of it. Raises `Unavailable`."""
        now, keep = self._clock(), self._settings
        self._ends_at = self._monotonic() + TURN_LIMIT
        removed: Removed = {"deliveries": await self._remove_deliveries(now)}
        for name, table, old, days in (
            ("timeline", TimelineEntry, _old_entries, keep.timeline_keep_days),
            ("alerts", Alert, _old_alerts, keep.alerts_keep_days),
            ("replays", Replay, _old_replays, keep.deliveries_keep_days),
            ("drafts", Draft, _old_drafts, DRAFT_DAYS),
            ("automatic_acts", AutomaticAct, _old_acts, ACT_DAYS),
        ):
            removed[name] = await self._remove(table, old(now - days * DAY)) if days else 0
        removed["audit"] = await self._cut_audit(now)
        for name, count in removed.items():
            metrics.housekeeping_removed.labels(name).inc(count)
        whole = not self._is_over()
        if whole:
            await self._note(now, removed)
        return removed, whole

    async def _remove_deliveries(self, now: Millis) -> int:
        """By age; then, if they are still too many for the size that was chosen, the oldest of the rest."""
        days = self._settings.deliveries_keep_days
        count = await self._remove_finished(now - days * DAY, None) if days else 0
        if excess := await self._excess():
            count += await self._remove_finished(now - DAY, excess)
        return count

    async def _remove_finished(self, before: Millis, most: int | None) -> int:
        """From the oldest on, past those that stay; a delivery counts from its receipt and from its last applying."""
        place, count = (0, b""), 0
        while not self._is_over() and (most is None or count < most):
            size = self._batch if most is None else min(self._batch, most - count)
            page = (
                select(Delivery.received_at, Delivery.id)
                .where(
                    tuple_(Delivery.received_at, Delivery.id) > tuple_(*place),
                    Delivery.received_at < before,
                    Delivery.state.in_(FINISHED),
                )
                .order_by(Delivery.received_at, Delivery.id)
                .limit(size)
            )
            async with self._store.read() as session:
                found = [(at, key) for at, key in await session.execute(page)]
            if not found:
                break
            place = found[-1]
            count += await self._delete(delete(Delivery).where(_may_go([key for _, key in found], before)))
        return count

    async def _excess(self) -> int:
        """How many deliveries the journal holds beyond the size that was chosen, about."""
        if not self._settings.deliveries_keep_mb:
            return 0
        newest = (
            select((func.length(Delivery.body) + func.length(as_type(Delivery.headers, Text))).label("bytes"))
            .order_by(Delivery.received_at.desc(), Delivery.id.desc())
            .limit(SAMPLE)
            .subquery()
        )
        async with self._store.read() as session:
            each = float(await session.scalar(select(func.avg(newest.c.bytes))) or 0) + ROW_COST
            count = await session.scalar(select(func.count()).select_from(Delivery)) or 0
        return max(0, count - int((self._settings.deliveries_keep_mb << 20) / each))

    async def _remove(self, table: type[Table], old: Select[int]) -> int:
        count = 0
        key: ColumnElement[int] = table.__table__.c.id
        while not self._is_over():
            gone = await self._delete(delete(table).where(key.in_(old.limit(self._batch))))
            count += gone
            if not gone:
                break
        return count

    async def _cut_audit(self, now: Millis) -> int:
        """Once a day at most: each cut is an entry itself."""
        if not self._settings.audit_keep_days or self._is_over():
            return 0
        before = now - self._settings.audit_keep_days * DAY
        async with self._store.read() as session:
            oldest = await session.scalar(select(AuditEntry.at).order_by(AuditEntry.id).limit(1))
        if oldest is None or oldest >= before - DAY:
            return 0
        count = 0
        while not self._is_over():
            async with self._store.write() as session:
                gone = await audit.cut(session, before, limit=self._batch)
            count += gone
            if not gone:
                break
            await asyncio.sleep(PAUSE)
        if count:
            async with self._store.write() as session:
                await ITSELF.did(session, Action.AUDIT_CUT, "", after={"entries": count}, now=now)
        return count

    async def _delete(self, statement: Any) -> int:
        """In a transaction of its own; the next one is as large as this one was quick."""
        async with self._store.write() as session:
            began = time.perf_counter()
            gone = await session.execute(statement.execution_options(synchronize_session=False))
            await session.commit()
            took = time.perf_counter() - began
        fewest, most = BATCH
        self._batch = max(fewest, self._batch // 2) if took > BATCH_TAKES else min(most, self._batch * 2)
        await asyncio.sleep(PAUSE)
        return cast(CursorResult[Any], gone).rowcount

    async def _note(self, now: Millis, removed: Removed) -> None:
        metrics.housekeeping_ran_at.set(now / SECOND)
        told = json.dumps({"at": now, "removed": removed}, sort_keys=True)
        async with self._store.write() as session:
            fresh = self._store.insert(Mark).values(name=MARK, value=told)
            await session.execute(
                fresh.on_conflict_do_update(index_elements=["name"], set_={"value": fresh.excluded.value})
            )

    def _is_over(self) -> bool:
        return self._monotonic() >= self._ends_at

    def _is_even(self) -> bool:
        """Whether the clock has gone as fast as time does for an hour. After a jump the hour begins anew."""
        steady, wall = self._even_since
        passed = self._monotonic() - steady
        if abs((self._clock() - wall) / SECOND - passed) > UNEVEN:
            log.warning("the clock jumped: nothing is removed for an hour")
            self._even_since = self._monotonic(), self._clock()
            return False
        return passed >= EVEN_FOR


def _may_go(keys: list[bytes], before: Millis) -> ColumnElement[bool]:
    """Asked again in the statement that deletes: meanwhile a person may have had it applied again, or sent again."""
    queued = exists().where(RelayedDelivery.delivery_id == Delivery.id, RelayedDelivery.due_at.is_not(None))
    return and_(
        Delivery.id.in_(keys),
        Delivery.state.in_(FINISHED),
        Delivery.due_at.is_(None),
        Delivery.applied_at < before,
        ~queued,
    )


def _old_entries(before: Millis) -> Select[int]:
    """Of each account and kind the newest stays: it says how things are, and since when."""
    newest = select(func.max(TimelineEntry.id)).group_by(TimelineEntry.account_id, TimelineEntry.kind)
    return (
        select(TimelineEntry.id)
        .where(TimelineEntry.at < before, TimelineEntry.id.not_in(newest))
        .order_by(TimelineEntry.id)
    )


def _old_alerts(before: Millis) -> Select[int]:
    untold = exists().where(Notice.alert_id == Alert.id, Notice.due_at.is_not(None))
    return select(Alert.id).where(Alert.closed_at < before, ~untold).order_by(Alert.id)


def _old_replays(before: Millis) -> Select[int]:
    return select(Replay.id).where(Replay.finished_at < before).order_by(Replay.id)


def _old_acts(before: Millis) -> Select[int]:
    return select(AutomaticAct.id).where(AutomaticAct.at < before).order_by(AutomaticAct.id)


def _old_drafts(before: Millis) -> Select[int]:
    return select(Draft.id).where(Draft.saved_at < before).order_by(Draft.id)
