"""What a report is asked: of which days, and of whose chats."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case
from sqlalchemy.orm import InstrumentedAttribute

from golub.clock import HOUR, MINUTE, SECOND, Millis
from golub.model import Wait

GRAIN = 30 * MINUTE  # zones change their hour on these


@dataclass(frozen=True)
class Period:
    """Whole days of the reader's, of which the last may still be on: nothing after `now` is of it."""

    first: date
    last: date
    zone: ZoneInfo
    now: Millis

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @cached_property
    def since(self) -> Millis:
        return midnight(self.first, self.zone)

    @cached_property
    def until(self) -> Millis:
        return min(midnight(self.last + timedelta(days=1), self.zone), self.now + 1)

    def before(self) -> "Period":
        """As many days before it, and no more of the last one than there is of this one's."""
        then = datetime.fromtimestamp(self.now / SECOND, self.zone) - timedelta(days=self.days)
        first, last = (day - timedelta(days=self.days) for day in (self.first, self.last))
        return Period(first, last, self.zone, int(then.timestamp() * SECOND))

    @cached_property
    def steps(self) -> Sequence[Millis]:
        """When each column of a chart begins: the hours of a single day, else days; those to come as well."""
        if self.days == 1:
            return range(self.since, midnight(self.last + timedelta(days=1), self.zone), HOUR)
        return [midnight(self.first + timedelta(days=number), self.zone) for number in range(self.days)]

    def step_of(self, at: Millis) -> int:
        return bisect_right(self.steps, at) - 1

    def hour_of(self, at: Millis) -> int:
        return datetime.fromtimestamp(at / SECOND, self.zone).hour

    def hour(self, column: InstrumentedAttribute[int]) -> ColumnElement[int]:
        """The hour of the reader's day, for the database to tell."""
        offsets = self._offsets()
        ahead = case(*((column >= at, by) for at, by in reversed(offsets[1:])), else_=offsets[0][1])
        return (column + (ahead if len(offsets) > 1 else offsets[0][1])) // HOUR % 24

    def _offsets(self) -> list[tuple[Millis, Millis]]:
        """From when on the zone is how far ahead of UTC."""
        found: list[tuple[Millis, Millis]] = []
        for at in range(self.since, max(self.until, self.since + 1), GRAIN):
            offset = datetime.fromtimestamp(at / SECOND, self.zone).utcoffset() or timedelta()
            ahead = int(offset.total_seconds()) * SECOND
            if not found or found[-1][1] != ahead:
                found.append((at, ahead))
        return found


@dataclass(frozen=True)
class Question:
    """`accounts`: those that the reader sees and has chosen. `target`: an answer within it is in time.
    `operator_id`: only what he answered."""

    period: Period
    accounts: tuple[int, ...]
    target: Millis
    operator_id: int | None = None
    item_id: int | None = None

    @property
    def now(self) -> Millis:
        return self.period.now

    def before(self) -> "Question":
        return replace(self, period=self.period.before())

    def waits(self) -> list[ColumnElement[bool]]:
        """Conditions for the waits that began in the period."""
        found: list[ColumnElement[bool]] = [
            Wait.account_id.in_(self.accounts),
            Wait.began_at >= self.period.since,
            Wait.began_at < self.period.until,
        ]
        if self.operator_id is not None:
            found.append(Wait.operator_id == self.operator_id)
        if self.item_id is not None:
            found.append(Wait.item_id == self.item_id)
        return found


def midnight(day: date, zone: ZoneInfo) -> Millis:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND
