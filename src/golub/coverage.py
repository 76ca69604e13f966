"""Coverage: the share of Avito's messages whose webhook came within a minute of being sent.

Counted from messages, at the moment of asking: a buyer's message that Avito's API has told of, that is no history, and
when its first webhook came (`messages.delivered_at`, kept by `fold`, whether the sweep saw the message before or after
it, with a token in the URL or without). So replays, restores and disorder change nothing. Pages and metrics rely on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Boolean, ColumnExpressionArgument, case, func, literal_column, select

from golub.clock import MINUTE, Clock, Millis
from golub.model import Account, Message, TimelineEntry, TimelineKind, Webhook
from golub.store import Store

IN_TIME = MINUTE
GRAIN = 30 * MINUTE  # days begin on half hours in every zone
TOGETHER = 10 * MINUTE  # missed messages no further apart than this are told as one gap
SEEN_LATE = 10 * MINUTE  # a lost subscription is noticed this late
MOST_MISSED = 5000  # of which the times are looked at

_LOST = (TimelineKind.STOLEN, TimelineKind.UNSUBSCRIBED, TimelineKind.DEAF)
_FOUND = (TimelineKind.SUBSCRIBED, TimelineKind.REPAIRED, TimelineKind.REGISTERED, TimelineKind.HEARING)


_IN_TIME_ONE = Message.delivered_at <= Message.created_at + IN_TIME
_IN_TIME_COUNT = func.coalesce(func.sum(case((_IN_TIME_ONE, 1), else_=0)), 0)


@dataclass(frozen=True, slots=True)
class Tally:
    sent: int = 0
    in_time: int = 0

    @property
    def missed(self) -> int:
        return self.sent - self.in_time

    @property
    def share(self) -> float | None:
        """None: nobody wrote."""
        return self.in_time / self.sent if self.sent else None

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.sent + other.sent, self.in_time + other.in_time)


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that no webhook brought in time, close to each other. `cause`: what the timeline knows, or empty."""

    first: Millis
    last: Millis
    count: int
    cause: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    begins: Millis
    tally: Tally
    gaps: Sequence[Gap] = ()


class Coverage:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def tally(self, account_id: int, since: Millis, until: Millis | None = None) -> Tally:
        return sum((tally for _, tally in await self._grains(account_id, since, until)), Tally())

    async def days(self, account_id: int, begins: Sequence[Millis]) -> list[Day]:
        """For each of these midnights, oldest first, the day until the next one (the last: until now)."""
        grains = await self._grains(account_id, begins[0], None)
        gaps = await self._gaps(account_id, begins[0])
        days: list[Day] = []
        for place, start in enumerate(begins):
            end = begins[place + 1] if place + 1 < len(begins) else self._clock() + 1
            tally = sum((one for at, one in grains if start <= at < end), Tally())
            days.append(Day(start, tally, [gap for gap in gaps if start <= gap.first < end]))
        return days

    async def all_since(self, since: Millis) -> dict[int, Tally]:
        """Of every account that was written to; for metrics."""
        until = self._clock() - IN_TIME
        counted = (
            select(Message.account_id, func.count(), _IN_TIME_COUNT)
            .where(*_of_avito(since, until))
            .group_by(Message.account_id)
        )
        async with self._store.read() as session:
            return {account: Tally(sent, in_time) for account, sent, in_time in await session.execute(counted)}

    async def _grains(self, account_id: int, since: Millis, until: Millis | None) -> list[tuple[Millis, Tally]]:
        """A message younger than a minute does not count yet: its webhook may still be in time."""
        latest = self._clock() - IN_TIME
        grain = Message.created_at // GRAIN
        counted = (
            select(grain, func.count(), _IN_TIME_COUNT)
            .where(
                Message.account_id == account_id,
                *_of_avito(since, latest if until is None else min(until, latest)),
            )
            .group_by(grain)
        )
        async with self._store.read() as session:
            rows = await session.execute(counted)
            return [(int(at) * GRAIN, Tally(sent, in_time)) for at, sent, in_time in rows]

    async def _gaps(self, account_id: int, since: Millis) -> list[Gap]:
        missed = (
            select(Message.created_at)
            .where(
                Message.account_id == account_id,
                _IN_TIME_ONE.is_not(True),
                *_of_avito(since, self._clock() - IN_TIME),
            )
            .order_by(Message.created_at.desc())
            .limit(MOST_MISSED)
        )
        told = select(TimelineEntry).where(TimelineEntry.account_id == account_id).order_by(TimelineEntry.at)
        async with self._store.read() as session:
            times = sorted(await session.scalars(missed))
            entries = (await session.scalars(told)).all()
        return [_explained(gap, entries) for gap in gaps_of(times)]


def gaps_of(times: Sequence[Millis]) -> list[Gap]:
    """Times in order, those close to each other as one."""
    gaps: list[Gap] = []
    for at in times:
        if gaps and at - gaps[-1].last <= TOGETHER:
            gaps[-1] = Gap(gaps[-1].first, at, gaps[-1].count + 1)
        else:
            gaps.append(Gap(at, at, 1))
    return gaps


def _explained(gap: Gap, entries: Sequence[TimelineEntry]) -> Gap:
    """Down explains best: then nobody else is to blame."""
    lost: TimelineEntry | None = None
    for entry in entries:
        if (
            entry.kind == TimelineKind.DOWN
            and entry.at <= gap.last
            and gap.first <= (entry.until or entry.at) + IN_TIME
        ):
            return Gap(gap.first, gap.last, gap.count, TimelineKind.DOWN)
        if entry.kind in _LOST and entry.at - SEEN_LATE <= gap.last:
            lost = entry
        elif entry.kind in _FOUND and entry.at < gap.first:
            lost = None
    if lost is None:
        return gap
    return Gap(gap.first, gap.last, gap.count, lost.kind, lost.detail)


def _of_avito(since: Millis, until: Millis) -> Sequence[ColumnExpressionArgument[bool]]:
    """Messages that a webhook should have brought: since one was first registered for the account."""
    registered = (
        select(func.min(TimelineEntry.at))
        .where(TimelineEntry.account_id == Message.account_id, TimelineEntry.kind == TimelineKind.REGISTERED)
        .correlate(Message)
        .scalar_subquery()
    )
    created = select(Webhook.created_at).where(Webhook.account_id == Message.account_id).correlate(Message)
    connected = select(Account.created_at).where(Account.id == Message.account_id).correlate(Message)
    return (
        literal_column("messages.direction = 'in'", Boolean()),  # as the index says it: SQLite looks into no parameter
        Message.created_at >= since,
        Message.created_at <= until,
        Message.confirmed,
        Message.quiet.is_(False),
        Message.created_at > connected.scalar_subquery(),
        Message.created_at > func.coalesce(registered, created.scalar_subquery()),
    )
