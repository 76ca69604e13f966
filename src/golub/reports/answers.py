"""How fast the team answers, in a period: counted from its waits, read once, in parts, whatever is drawn of them.

Times are counted, not kept: what a report takes of memory grows with the number of different times, not of waits.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import accumulate

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, SECOND, Millis
from golub.model import Wait, WaitKind
from golub.reports.question import GRAIN, Period, Question

MISSED_AFTER = DAY  # who was not answered for so long, at all, is missed
PART = 5000  # rows at once: fewer turns between two threads, and none that holds up an ack

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


async def count_answers(session: AsyncSession, question: Question) -> Answers:
    """All of it: one pass over the period's waits."""
    period = question.period
    found = Answers(period)
    places: dict[int, tuple[int, int]] = {}  # step and hour by grain: to ask a zone for each row would take longest
    columns = (
        Wait.account_id, Wait.item_id, Wait.kind, Wait.is_first, Wait.began_at, Wait.ended_at, Wait.seconds,
        Wait.operator_id,
    )  # fmt: skip
    connection = await session.connection()  # rows without the ORM's work on each
    rows = await connection.stream(select(*columns).where(*question.waits()), execution_options={"yield_per": PART})
    async for part in rows.partitions(PART):
        for account_id, item_id, kind, is_first, began_at, ended_at, seconds, operator_id in part:
            grain = began_at // GRAIN
            if (place := places.get(grain)) is None:
                place = places[grain] = period.step_of(began_at), period.hour_of(began_at)
            step, hour = place
            if is_first:
                found.new[step] += 1
            if seconds is None and ended_at is not None:
                found.closed_chats[step] += 1
                continue
            if seconds is None:
                is_call = kind == WaitKind.CALL
                if not (is_first or is_call):
                    continue
                waited = question.now - began_at
                if waited >= MISSED_AFTER:
                    (found.missed_calls if is_call else found.missed_chats)[step] += 1
                if waited > question.target:
                    found.all.never += 1
                    found.hours[hour].never += 1
                    found.accounts[account_id].never += 1
                    if item_id is not None:
                        found.items[item_id].never += 1
                continue
            found.all.seconds[seconds] += 1
            found.hours[hour].seconds[seconds] += 1
            found.operators[operator_id].seconds[seconds] += 1
            found.accounts[account_id].seconds[seconds] += 1
            if item_id is not None:
                found.items[item_id].seconds[seconds] += 1
    return found


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
