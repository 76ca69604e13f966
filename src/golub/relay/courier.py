"""Carries what is queued to the relays: at least once, in order per relay and chat, none waiting for another's trouble.

A delivery that fails holds back the later ones of its own chat and nothing else. One that was sent by a process that
died before it could write that down is sent again after its lease, under the same id.
"""

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, case, delete, func, or_, select, update

from golub import metrics
from golub.clock import DAY, HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Invalid, Unavailable
from golub.guarded import Call, Failure, Guarded
from golub.model import Delivery, Relay, RelayedDelivery, RelayedState, RelayState
from golub.relay.request import GONE, headers_of, hold_after, outcome_of, pause_after
from golub.runner import Loop, Start, finish
from golub.store import Store
from golub.vault import Vault

DEADLINE = 10.0  # seconds a receiver may take
AT_ONCE = 8  # to one relay …
AT_ONCE_IN_ALL = 32  # … and to all of them
CLAIMED = 32  # for one relay, so that a long backlog is looked through once for that many
LEASE = MINUTE  # of what is claimed: CLAIMED / AT_ONCE × DEADLINE, and room
PROBING_AFTER = 3  # failures in a row, after which a receiver gets one delivery at a time
RECOVERED_AFTER = 5 * MINUTE  # of failures: whatever waits for its next try then goes at once
STALLED_AFTER = 24 * HOUR  # of failures: the relay waits for a person
SENT_KEPT = 3 * DAY
GIVEN_UP_KEPT = 30 * DAY
TIDY_EVERY = MINUTE
TIDIED = 2000  # rows a turn

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Parcel:
    relayed_id: int
    relay_id: int
    delivery_id: bytes
    url: str
    headers: list[Any]
    body: bytes
    attempts: int
    failures: int  # of the relay, in a row


class Courier:
    """One instance in each process that works; two never get the same row."""

    def __init__(self, store: Store, vault: Vault, guarded: Guarded, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._guarded = guarded
        self._clock = clock
        self._loop = Loop("relay", clock)
        self._on_way: defaultdict[int, set[int]] = defaultdict(set)  # by relay
        self._places: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._places_in_all = asyncio.Semaphore(AT_ONCE_IN_ALL)
        self._tidied_at: Millis | None = None

    def nudge(self) -> None:
        """Something was queued. From any thread."""
        self._loop.nudge()

    async def run(self) -> None:
        await self._loop.run_starting(self._turn)

    async def run_once(self) -> Millis | None:
        """Sends what is due now and waits for it; returns when the next is due."""
        return await finish(self._turn)

    async def _turn(self, start: Start) -> Millis | None:
        now = self._clock()
        if self._tidied_at is None or not 0 <= now - self._tidied_at < TIDY_EVERY:  # the clock may have been set back
            self._tidied_at = now
            await self._tidy(now)
        async with self._store.read() as session:
            working = select(Relay.id, Relay.held_until, Relay.failures).where(Relay.state == RelayState.WORKING)
            relays = (await session.execute(working)).all()
        dues: list[Millis] = []
        for relay_id, held_until, failures in relays:
            if held_until > self._clock():
                dues.append(held_until)
            elif len(self._on_way[relay_id]) < (1 if failures >= PROBING_AFTER else AT_ONCE):
                due = await self._start(relay_id, 1 if failures >= PROBING_AFTER else CLAIMED, start)
                dues += [] if due is None else [due]
        return min(dues, default=None)

    async def _start(self, relay_id: int, limit: int, start: Start) -> Millis | None:
        """Starts what is due for a relay: the oldest delivery of each of its chats. Returns when the next one is."""
        now = self._clock()
        heads = (
            select(func.min(RelayedDelivery.id))
            .where(RelayedDelivery.relay_id == relay_id, RelayedDelivery.due_at.is_not(None))
            .group_by(RelayedDelivery.chat_key)
        )
        async with self._store.read() as session:
            waiting = (
                select(RelayedDelivery.id, RelayedDelivery.due_at)
                .where(RelayedDelivery.id.in_(heads), RelayedDelivery.id.not_in(list(self._on_way[relay_id])))
                .order_by(RelayedDelivery.due_at, RelayedDelivery.id)
                .limit(limit)
            )
            found = (await session.execute(waiting)).all()
        due = [key for key, due_at in found if due_at is not None and due_at <= now]
        if not due:
            return found[0].due_at if found else None
        async with self._store.write() as session:
            claimed = await self._store.claim(
                session,
                RelayedDelivery.due_at,
                now=now,
                lease=LEASE,
                limit=len(due),
                only=(RelayedDelivery.id.in_(due),),
            )
        for relayed_id in sorted(claimed):
            self._on_way[relay_id].add(relayed_id)
            start(self._attend(relay_id, relayed_id, now + LEASE))
        return None

    async def _attend(self, relay_id: int, relayed_id: int, until: Millis) -> None:
        try:
            async with self._places[relay_id], self._places_in_all:
                parcel = await self._find(relayed_id, until)
                if parcel is not None:
                    await self._deliver(parcel)
        except Unavailable as error:  # our own database: the row keeps its lease, and is sent again after it
            log.warning("a forwarded delivery waits", relay=relay_id, reason=str(error))
        except Exception:  # a mistake of ours about one row must not stop the others
            log.exception("a delivery could not be forwarded", relay=relay_id, relayed=relayed_id)
        finally:
            self._on_way[relay_id].discard(relayed_id)
            self.nudge()

    async def _find(self, relayed_id: int, until: Millis) -> _Parcel | None:
        """None where it is not to be sent any more, or not by us."""
        now = self._clock()
        if now + DEADLINE * SECOND > until:
            return None  # too late: another may take it while we send
        async with self._store.read() as session:
            found = (
                await session.execute(
                    select(RelayedDelivery, Relay, Delivery.headers, Delivery.body)
                    .join(Relay, Relay.id == RelayedDelivery.relay_id)
                    .join(Delivery, Delivery.id == RelayedDelivery.delivery_id)
                    .where(RelayedDelivery.id == relayed_id, RelayedDelivery.due_at == until)
                )
            ).one_or_none()
        if found is None:
            return None
        relayed, relay, headers, body = found
        if relay.state != RelayState.WORKING or relay.held_until > now:  # since it was claimed
            await self._give_back(relayed_id, until)
            return None
        url = self._vault.open(relay.url)
        return _Parcel(
            relayed_id,
            relay.id,
            bytes(relayed.delivery_id),
            url,
            headers,
            bytes(body),
            relayed.attempts,
            relay.failures,
        )

    async def _give_back(self, relayed_id: int, until: Millis) -> None:
        async with self._store.write() as session:
            await session.execute(
                update(RelayedDelivery)
                .where(RelayedDelivery.id == relayed_id, RelayedDelivery.due_at == until)
                .values(due_at=self._clock())
            )

    async def _deliver(self, parcel: _Parcel) -> None:
        headers = headers_of(parcel.headers, parcel.delivery_id)
        try:
            call = await self._guarded.post(parcel.url, content=parcel.body, headers=headers, deadline=DEADLINE)
        except Invalid:  # the address was allowed once
            call = Call(failure=Failure.CLOSED)
        if call.succeeded:
            await self._record_success(parcel)
        elif call.status == GONE:
            await self._record_gone(parcel)
        else:
            await self._record_failure(parcel, call)

    async def _record_success(self, parcel: _Parcel) -> None:
        metrics.relay_sends.labels("sent").inc()
        async with self._store.write() as session:  # the relay's row first, everywhere: two nodes never wait in a ring
            now = self._clock()
            before = await session.get(Relay, parcel.relay_id, with_for_update={"key_share": True})
            if before is None:
                return
            failing_since = before.failing_since
            before.last_ok_at, before.failing_since, before.failures, before.held_until = now, None, 0, 0
            await session.execute(
                update(RelayedDelivery)
                .where(RelayedDelivery.id == parcel.relayed_id)
                .values(
                    state=RelayedState.SENT, due_at=None, finished_at=now, attempts=parcel.attempts + 1, last_error=""
                )
            )
            if failing_since is not None and failing_since <= now - RECOVERED_AFTER:
                await session.execute(
                    update(RelayedDelivery)
                    .where(
                        RelayedDelivery.relay_id == parcel.relay_id,
                        RelayedDelivery.due_at > now,
                        RelayedDelivery.last_error != "",
                        RelayedDelivery.id.not_in(list(self._on_way[parcel.relay_id])),
                    )
                    .values(due_at=now)
                )
                log.info("a relay is well again", relay=parcel.relay_id)

    async def _record_gone(self, parcel: _Parcel) -> None:
        metrics.relay_sends.labels("failed").inc()
        now, error = self._clock(), str(GONE)
        async with self._store.write() as session:
            await session.execute(
                update(Relay)
                .where(Relay.id == parcel.relay_id)
                .values(state=RelayState.GONE, last_error=error, last_error_at=now)
            )
            await session.execute(
                update(RelayedDelivery)
                .where(RelayedDelivery.relay_id == parcel.relay_id, RelayedDelivery.due_at.is_not(None))
                .values(state=RelayedState.GIVEN_UP, due_at=None, finished_at=now, last_error=error)
            )
        log.warning("a relay was switched off: its receiver answered 410", relay=parcel.relay_id)

    async def _record_failure(self, parcel: _Parcel, call: Call) -> None:
        metrics.relay_sends.labels("failed").inc()
        error, attempts = outcome_of(call), parcel.attempts + 1
        async with self._store.write() as session:
            now = self._clock()  # not before its turn to write: set back meanwhile, nobody would move what is due
            pause = pause_after(attempts, call, now, random.random())  # noqa: S311 - jitter
            hold = hold_after(parcel.failures + 1, call, now)
            stalled = (Relay.state == RelayState.WORKING) & (Relay.failing_since <= now - STALLED_AFTER)
            await session.execute(
                update(Relay)
                .where(Relay.id == parcel.relay_id)
                .values(
                    last_error=error,
                    last_error_at=now,
                    failing_since=func.coalesce(Relay.failing_since, now),
                    failures=Relay.failures + 1,
                    held_until=now + hold if hold else Relay.held_until,
                    state=case((stalled, RelayState.STALLED.value), else_=Relay.state),
                )
            )
            given_up = {"state": RelayedState.GIVEN_UP, "due_at": None, "finished_at": now}
            await session.execute(
                update(RelayedDelivery)
                .where(RelayedDelivery.id == parcel.relayed_id, RelayedDelivery.due_at.is_not(None))
                .values(attempts=attempts, last_error=error, **(given_up if pause is None else {"due_at": now + pause}))
            )
        log.info("a delivery was not forwarded", relay=parcel.relay_id, error=error, attempt=attempts)

    async def _tidy(self, now: Millis) -> None:
        """Removes what is long done, and counts what is not."""
        done = (
            select(RelayedDelivery.id)
            .where(
                RelayedDelivery.finished_at <= now - SENT_KEPT,
                or_(RelayedDelivery.state == RelayedState.SENT, RelayedDelivery.finished_at <= now - GIVEN_UP_KEPT),
            )
            .limit(TIDIED)
        )
        waiting = select(func.count()).select_from(RelayedDelivery).where(RelayedDelivery.due_at.is_not(None))
        async with self._store.read() as session:
            metrics.relay_waiting.set(await session.scalar(waiting) or 0)
            old = (await session.scalars(done)).all()
            misjudged = (await session.scalars(select(Relay.id).where(_is_misjudged(now)))).all()
        if old:
            async with self._store.write() as session:
                await session.execute(delete(RelayedDelivery).where(RelayedDelivery.id.in_(old)))
        if misjudged:
            async with self._store.write() as session:
                state = case((Relay.state == RelayState.STALLED, RelayState.WORKING.value), else_=Relay.state)
                since = case((Relay.failing_since > now, now), else_=Relay.failing_since)
                await session.execute(update(Relay).where(_is_misjudged(now)).values(state=state, failing_since=since))
            log.warning("relays were judged by a clock that was ahead; judged anew", relays=list(misjudged))
        if len(old) == TIDIED:
            self._tidied_at = None


def _is_misjudged(now: Millis) -> ColumnElement[bool]:
    """A relay that was stopped, or began to fail, by a clock that has been set back since."""
    stalled = (Relay.state == RelayState.STALLED) & (Relay.failing_since > now - STALLED_AFTER)
    return or_(Relay.failing_since > now, stalled)
