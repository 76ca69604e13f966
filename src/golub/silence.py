"""Silence is not quiet: tells "nobody writes" from "the webhook is dead", for each account, and keeps its timeline.

When no webhook has come for longer than the account's own rhythm explains, Avito is asked once, cheaply (a sweep is one
request where nothing has changed; the subscription is one more). Only what Avito then shows makes an account deaf:
messages of buyers that no webhook brought. So a quiet night alarms nobody. While an account is deaf it is swept every
minute and its subscription is looked after; alerts and pages read `deaf_since`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from golub import metrics
from golub.clock import DAY, HOUR, MINUTE, SECOND, Clock, Millis
from golub.coverage import Coverage
from golub.errors import Unavailable
from golub.model import (
    Account,
    Delivery,
    DeliveryState,
    Mark,
    Message,
    SubscriptionState,
    TimelineEntry,
    TimelineKind,
    Webhook,
)
from golub.rhythm import SLOT, WINDOW, Rhythm
from golub.runner import Loop
from golub.store import Store

TURN = 15 * SECOND
GRACE = MINUTE  # a webhook may be this late, and a hint needs to be looked up
SURELY = 3  # messages in a row that no webhook brought: no rhythm is needed to know
RHYTHM_FOR = 6 * HOUR
AWAY_AFTER = 2 * MINUTE  # without a sign of life: Golub was down
LOOKS_BACK = 3 * DAY
MEASURED_EVERY = MINUTE  # it counts a day's messages
ONE_ENTRY = HOUR  # what sweeps find within it is told in one line
ALIVE = "alive"  # a mark: when a process of ours last lived

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Missed:
    count: int
    first: Millis
    last: Millis


class Silence:
    """`on_due` is told when an account is to be swept at once."""

    def __init__(self, store: Store, clock: Clock, on_due: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_due = on_due
        self._coverage = Coverage(store, clock)
        self._rhythms: dict[int, tuple[Millis, Rhythm]] = {}
        self._loop = Loop("silence", clock, longest_wait=TURN / SECOND)
        self._started = False
        self._measured_at: Millis = -MEASURED_EVERY

    async def run(self) -> None:
        await self._loop.run(self.run_once)

    async def run_once(self) -> Millis | None:
        now = self._clock()
        await self._live(now)
        async with self._store.write() as session:
            due = await self._store.claim(
                session, Account.watch_due_at, now=now, lease=TURN, limit=1000, only=(Account.paused_at.is_(None),)
            )
        for account_id in due:
            await self._watch(account_id, now)
        if not 0 <= now - self._measured_at < MEASURED_EVERY:
            self._measured_at = now
            await self._measure(now)
        return None

    async def _live(self, now: Millis) -> None:
        """Notes that we live; and at the start, for how long nobody did."""
        async with self._store.write() as session:
            new = self._store.insert(Mark).values(name=ALIVE, value=str(now))
            await session.execute(new.on_conflict_do_nothing())
            mark = await session.get_one(Mark, ALIVE, with_for_update=True)  # of several that start one tells
            if not self._started and now - int(mark.value) > AWAY_AFTER:
                for account_id in await session.scalars(select(Account.id)):
                    session.add(
                        TimelineEntry(account_id=account_id, kind=TimelineKind.DOWN, at=int(mark.value), until=now)
                    )
            mark.value = str(now)
        self._started = True

    async def _watch(self, account_id: int, now: Millis) -> None:
        async with self._store.read() as session:
            account = await session.scalar(
                select(Account).options(selectinload(Account.webhook)).where(Account.id == account_id)
            )
            if account is None or account.webhook is None:
                return
            brought = await session.scalar(_last_delivery(account_id)) or 0
        webhook = account.webhook
        heard_at = max(brought, webhook.updated_at, account.created_at)
        rhythm = await self._rhythm(account_id, now)
        silent = rhythm.is_silence(heard_at, now)
        missed = await self._missed(
            account_id, Message.created_at > heard_at, Message.created_at <= now - GRACE, since=heard_at
        )
        lost = webhook.subscription in (SubscriptionState.FOREIGN, SubscriptionState.MISSING)
        async with self._store.write() as session:
            await self._tell_found(session, account, now)
            open_silence = await session.scalar(
                select(TimelineEntry).where(
                    TimelineEntry.account_id == account_id,
                    TimelineEntry.kind == TimelineKind.SILENT,
                    TimelineEntry.until.is_(None),
                )
            )
            if open_silence and heard_at > open_silence.at:
                open_silence.until = heard_at
                open_silence = None
            if account.deaf_since is not None:
                if brought > account.deaf_since:
                    await _set(session, account_id, deaf_since=None)
                    session.add(TimelineEntry(account_id=account_id, kind=TimelineKind.HEARING, at=brought))
                    log.info("webhooks come again", account=account_id)
                return
            if missed.count >= SURELY or (missed.count and (silent or lost)):
                await _set(session, account_id, deaf_since=now)
                session.add(
                    TimelineEntry(account_id=account_id, kind=TimelineKind.DEAF, at=missed.first, count=missed.count)
                )
                if open_silence:
                    open_silence.detail = "deaf"
                await self._look(session, account_id)
                log.warning("buyers write and no webhook comes", account=account_id, messages=missed.count)
            elif silent and (account.looked_at <= heard_at or rhythm.is_silence(account.looked_at, now)):
                await _set(session, account_id, looked_at=now)
                if open_silence is None:
                    session.add(TimelineEntry(account_id=account_id, kind=TimelineKind.SILENT, at=heard_at))
                await self._look(session, account_id)
            elif open_silence and account.swept_at >= account.looked_at and now >= account.looked_at + GRACE:
                open_silence.detail = "no_buyers"

    async def _look(self, session: AsyncSession, account_id: int) -> None:
        await _set(session, account_id, sweep_due_at=0)
        await session.execute(update(Webhook).where(Webhook.account_id == account_id).values(check_due_at=0))
        self._on_due()

    async def _tell_found(self, session: AsyncSession, account: Account, now: Millis) -> None:
        """What a sweep found and no webhook has brought within its minute."""
        until = now - GRACE
        if not account.watched_at:
            await _set(session, account.id, watched_at=until)
            return
        found = await self._missed(
            account.id,
            Message.received_at > account.watched_at,
            Message.received_at <= until,
            since=account.watched_at - LOOKS_BACK,
            session=session,
        )
        await _set(session, account.id, watched_at=max(until, account.watched_at))
        if not found.count:
            return
        newest = await session.scalar(
            select(TimelineEntry)
            .where(TimelineEntry.account_id == account.id)
            .order_by(TimelineEntry.id.desc())
            .limit(1)
        )
        if newest and newest.kind == TimelineKind.FOUND and now - newest.at <= ONE_ENTRY:
            first = newest.detail.split()[0]
            newest.count += found.count
            newest.until, newest.detail = now, f"{min(int(first), found.first)} {found.last}"
        else:
            times = f"{found.first} {found.last}"
            session.add(
                TimelineEntry(account_id=account.id, kind=TimelineKind.FOUND, at=now, count=found.count, detail=times)
            )

    async def _missed(
        self, account_id: int, *which: ColumnElement[bool], since: Millis, session: AsyncSession | None = None
    ) -> Missed:
        """Messages of buyers that Avito has told of and no webhook."""
        statement = select(func.count(), func.min(Message.created_at), func.max(Message.created_at)).where(
            text("messages.direction = 'in'"),  # as the index says it
            Message.account_id == account_id,
            Message.created_at > since,
            Message.confirmed,
            Message.quiet.is_(False),
            Message.delivered_at.is_(None),
            *which,
        )
        if session is not None:
            row: Any = (await session.execute(statement)).one()
        else:
            async with self._store.read() as reading:
                row = (await reading.execute(statement)).one()
        return Missed(row[0], row[1] or 0, row[2] or 0)

    async def _rhythm(self, account_id: int, now: Millis) -> Rhythm:
        """From what buyers wrote, however it came: an outage of ours teaches nothing wrong, and imported history
        gives a new account its rhythm at once."""
        made_at, rhythm = self._rhythms.get(account_id, (-RHYTHM_FOR, Rhythm([], 0)))
        if not 0 <= now - made_at < RHYTHM_FOR:
            slot = Message.created_at // SLOT
            written = select(slot).distinct().where(
                text("messages.direction = 'in'"), Message.account_id == account_id,
                Message.created_at > now - WINDOW, Message.created_at <= now,
            )  # fmt: skip
            async with self._store.read() as session:
                rhythm = Rhythm([int(one) for one in await session.scalars(written)], now)
            self._rhythms[account_id] = now, rhythm
        return rhythm

    async def _measure(self, now: Millis) -> None:
        try:
            tallies = await self._coverage.all_since(now - DAY)
        except Unavailable:
            return
        async with self._store.read() as session:
            users = {key: str(user) for key, user in await session.execute(select(Account.id, Account.user_id))}
        metrics.coverage_share.clear()
        metrics.coverage_missed.clear()
        for account_id, tally in tallies.items():
            if (share := tally.share) is not None and account_id in users:
                metrics.coverage_share.labels(users[account_id]).set(share)
                metrics.coverage_missed.labels(users[account_id]).set(tally.missed)


def _last_delivery(account_id: int) -> Any:
    """Whoever knows the bare path can post to it: there only what Avito bore out counts."""
    return (
        select(Delivery.received_at)
        .where(
            Delivery.account_id == account_id,
            Delivery.state != DeliveryState.PROBE,
            or_(Delivery.token_id.is_not(None), Delivery.state == DeliveryState.APPLIED),
        )
        .order_by(Delivery.received_at.desc())
        .limit(1)
    )


async def _set(session: AsyncSession, account_id: int, **values: Any) -> None:
    await session.execute(
        update(Account).where(Account.id == account_id).values(**values).execution_options(synchronize_session=False)
    )
