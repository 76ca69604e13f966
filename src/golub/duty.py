"""When new chats may be given to an operator, and how many he may have at once: days, hours and a limit.

Chosen on the operator's page; whoever gives chats out asks here. Hours are those of the shop's wall clock, so a
shift moves with summer time, and one that ends before it begins goes on into the next day.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from golub.clock import Millis
from golub.errors import Invalid
from golub.model import Operator

WEEK = "1234567"  # ISO's days, Monday first
MIDNIGHT = 24 * 60
MOST_CHATS = 1000


@dataclass(frozen=True, slots=True)
class Duty:
    """`begins` and `ends` are minutes of the day; a shift belongs to the day on which it begins. No `limit`: None."""

    days: str = WEEK
    begins: int = 0
    ends: int = MIDNIGHT
    limit: int | None = None

    @classmethod
    def of(cls, operator: Operator) -> "Duty":
        return cls(operator.work_days, operator.work_from, operator.work_to, operator.chat_limit)

    @classmethod
    def chosen(cls, days: Collection[str], begins: str, ends: str, limit: str) -> "Duty":
        """Out of a form: times as «09:00», both empty for the whole day; no limit is empty. Raises `Invalid`."""
        if not days or not set(days) <= set(WEEK):
            raise Invalid("Choose at least one day.", field="days")
        if bool(begins) != bool(ends):
            raise Invalid("Give both ends of the working hours, or neither.", field="ends")
        limit = limit.strip()
        if limit and not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_CHATS):
            raise Invalid("Between 1 and {most} chats, or nothing.", field="limit", most=MOST_CHATS)
        return cls(
            "".join(sorted(set(days))),
            _minutes(begins, "begins"),
            _minutes(ends, "ends") or MIDNIGHT,
            int(limit) if limit else None,
        )

    @property
    def all_day(self) -> bool:
        return self.begins == self.ends % MIDNIGHT

    def covers(self, at: Millis, zone: str) -> bool:
        """Whether a shift is on at that moment in the shop's zone."""
        shop: Any = ZoneInfo(zone)
        local = datetime.fromtimestamp(at / 1000, shop)
        minute, today = local.hour * 60 + local.minute, local.isoweekday()
        began_today = str(today) in self.days
        if self.begins < self.ends:
            return began_today and self.begins <= minute < self.ends
        began_yesterday = str(today - 1 or 7) in self.days
        return (began_today and minute >= self.begins) or (began_yesterday and minute < self.ends)


def _minutes(time: str, field: str) -> int:
    if not time:
        return 0
    hour, _, minute = time.partition(":")
    if not (len(time) <= 5 and time.isascii() and hour.isdigit() and minute.isdigit()):
        raise Invalid("A time looks like 22:00.", field=field)
    if int(hour) >= 24 or int(minute) >= 60:
        raise Invalid("A time looks like 22:00.", field=field)
    return int(hour) * 60 + int(minute)
