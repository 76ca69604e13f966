"""How fast the team answers, in a period: counted from its waits, read once, in parts, whatever is drawn of them.

Times are counted, not kept: what a report takes of memory grows with the number of different times, not of waits.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, SECOND, Millis
from golub.model import Wait, WaitKind
from golub.reports.question import GRAIN, Period, Question

MISSED_AFTER = DAY  # who was not answered for so long, at all, is missed
PART = 5000  # rows at once: fewer turns between two threads, and none that holds up an ack

Of = TypeVar("Of")

# A lead is whoever writes in a chat for the first time, or calls: those must not be lost. The end of a talk («спасибо»)
# needs no answer, so what was never answered later in a chat is held against nobody.
MISSABLE = or_(Wait.is_first.is_(True), Wait.kind == WaitKind.CALL)


# Ended by closing the chat, and by no answer.
CLOSED = Wait.ended_at.is_not(None), Wait.seconds.is_(None)


@dataclass(slots=True)
class Times:
    """Answers by the seconds they took. `never`: leads that wait longer than the target, and have no answer yet."""

    seconds: Counter[int] = field(default_factory=Counter[int])
    never: int = 0

    @property
    def count(self) -> int:
        return self.seconds.total()

    @property
    def asked(self) -> int:
        """Answers, and those that ought to have been."""
        return self.count + self.never

    @property
    def median(self) -> int | None:
        return self.within(0.5)

    @property
    def p90(self) -> int | None:
        return self.within(0.9)

    def within(self, share: float) -> int | None:
        """The shortest time in which at least that share of the answers came. None: there was none."""
        ordered = sorted(self.seconds.items())
        wanted = share * self.count
        reached = accumulate(number for _, number in ordered)
        return next((took for (took, _), so_far in zip(ordered, reached, strict=True) if so_far >= wanted), None)

    def in_time(self, target: Millis) -> float | None:
        """The share of what was answered, or ought to have been, that was answered within the target."""
        quick = sum(number for took, number in self.seconds.items() if took * SECOND <= target)
        return quick / self.asked if self.asked else None


@dataclass(slots=True)
class Answers:
    """`new`, `missed_chats`, `missed_calls`, `closed_chats`: by the period's steps. The last are waits that an operator
    ended by closing the chat, where nothing was left to answer; they are no answers, and nobody was missed."""

    period: Period
    all: Times = field(default_factory=Times)
    hours: defaultdict[int, Times] = field(default_factory=lambda: defaultdict(Times))
    operators: defaultdict[int | None, Times] = field(default_factory=lambda: defaultdict(Times))
    accounts: defaultdict[int, Times] = field(default_factory=lambda: defaultdict(Times))
    items: defaultdict[int, Times] = field(default_factory=lambda: defaultdict(Times))
    new: Counter[int] = field(default_factory=Counter[int])
    missed_chats: Counter[int] = field(default_factory=Counter[int])
    missed_calls: Counter[int] = field(default_factory=Counter[int])
    closed_chats: Counter[int] = field(default_factory=Counter[int])

    @property
    def closed(self) -> int:
        return self.closed_chats.total()

    @property
    def missed(self) -> int:
        return self.missed_chats.total() + self.missed_calls.total()


class _Places(dict[int, tuple[int, int]]):
    """The step and the hour of a grain: to ask a zone for each row would take longest."""

    def __init__(self, period: Period) -> None:
        super().__init__()
        self._period = period

    def __missing__(self, grain: int) -> tuple[int, int]:
        at = grain * GRAIN
        # The first step may begin within its grain, where nothing that is asked for comes before it.
        place = self[grain] = max(self._period.step_of(at), 0), self._period.hour_of(at)
        return place


async def count_answers(session: AsyncSession, question: Question) -> Answers:
    """All of it: one pass over the period's waits. Most of them are answered, and these no line of ours looks at."""
    found = Answers(question.period)
    places = _Places(question.period)
    hours: Counter[tuple[int, int]] = Counter()  # with the seconds, as the others
    operators: Counter[tuple[int | None, int]] = Counter()
    accounts: Counter[tuple[int, int]] = Counter()
    items: Counter[tuple[int | None, int]] = Counter()
    columns = (
        Wait.began_at // GRAIN, Wait.operator_id, Wait.account_id, Wait.item_id, Wait.seconds,
        Wait.is_first, Wait.kind, Wait.began_at, Wait.ended_at,
    )  # fmt: skip
    connection = await session.connection()  # rows without the ORM's work on each
    rows = await connection.stream(select(*columns).where(*question.waits()), execution_options={"yield_per": PART})
    async for part in rows.partitions(PART):
        if answered := [row[:5] for row in part if row[4] is not None]:
            grains, who, where, about, seconds = zip(*answered, strict=True)
            hours.update(zip([places[grain][1] for grain in grains], seconds, strict=True))
            operators.update(zip(who, seconds, strict=True))
            accounts.update(zip(where, seconds, strict=True))
            items.update(zip(about, seconds, strict=True))
        for grain, _, account_id, item_id, seconds, is_first, kind, began_at, ended_at in [
            row for row in part if row[5] or row[4] is None
        ]:
            step, hour = places[grain]
            if is_first:
                found.new[step] += 1
            if seconds is None and ended_at is not None:
                found.closed_chats[step] += 1
            elif seconds is None and (is_first or kind == WaitKind.CALL):
                waited = question.now - began_at
                if waited >= MISSED_AFTER:
                    (found.missed_calls if kind == WaitKind.CALL else found.missed_chats)[step] += 1
                if waited > question.target:
                    found.all.never += 1
                    found.hours[hour].never += 1
                    found.accounts[account_id].never += 1
                    if item_id is not None:
                        found.items[item_id].never += 1
    _give_out(hours, found.hours)
    _give_out(operators, found.operators)
    _give_out(accounts, found.accounts)
    for (item_id, seconds), number in items.items():
        if item_id is not None:
            found.items[item_id].seconds[seconds] = number
    for times in found.accounts.values():
        found.all.seconds.update(times.seconds)
    return found


def _give_out(counted: Mapping[tuple[Of, int], int], by: defaultdict[Of, Times]) -> None:
    for (one, seconds), number in counted.items():
        by[one].seconds[seconds] = number


@dataclass(frozen=True, slots=True)
class Totals:
    """A period in one line, to compare another with."""

    new: int
    missed: int
    closed: int
    times: Times


async def count_totals(session: AsyncSession, question: Question) -> Totals:
    """The database adds up, which is quicker than to read each wait."""
    waits = question.waits()
    answered = select(Wait.seconds, func.count()).where(*waits, Wait.seconds.is_not(None)).group_by(Wait.seconds)
    times = Times(Counter({int(took or 0): number for took, number in await session.execute(answered)}))

    async def count(*conditions: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(Wait).where(*waits, and_(*conditions))
        return await session.scalar(statement) or 0

    new = await count(Wait.is_first.is_(True))
    times.never = await count(*unanswered(question.now - question.target - 1))
    missed = await count(*unanswered(question.now - MISSED_AFTER))
    return Totals(new, missed, await count(*CLOSED), times)


def unanswered(before: Millis) -> tuple[ColumnElement[bool], ...]:
    """Leads that nobody has answered, from that moment or earlier."""
    return MISSABLE, Wait.ended_at.is_(None), Wait.began_at <= before
