"""Working hours as a team has them: several blocks a day, another plan for each weekday, days on which nobody works.

Kept as `{"week": [[[540, 1080], …], …], "holidays": ["2026-12-31", "01-01"]}`: minutes of the shop's day by weekday,
Monday first, and dates, those without a year for every year. Blocks end with their day: a night is two of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from golub.clock import Millis
from golub.errors import Invalid

MIDNIGHT = 24 * 60
BLOCKS = 6  # a day
HOLIDAYS = 100
LOOKED_BACK = 14  # days for which a shop may be closed at a stretch; a longer one begins anew

_BLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*[-–—]\s*(\d{1,2})(?:[:.](\d{2}))?", re.ASCII)
_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})(?:\.(\d{4}))?|(?:(\d{4})-)?(\d{1,2})-(\d{1,2})", re.ASCII)

Block = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hours:
    week: tuple[tuple[Block, ...], ...]
    holidays: tuple[str, ...] = ()

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Hours":
        week = tuple(tuple((begins, ends) for begins, ends in day) for day in kept["week"])
        return cls(week, tuple(kept["holidays"]))

    @classmethod
    def chosen(cls, days: Sequence[str], holidays: str) -> "Hours":
        """Out of a form: each day as «9–13, 14:30–18», empty where it is free; dates as «31.12.2026» or «01.01».
        Raises `Invalid`, for the field `day1` … `day7` or `holidays`."""
        week = tuple(_blocks(text, f"day{number}") for number, text in enumerate(days, 1))
        if not any(week):
            raise Invalid("Give the hours of at least one day.", field="day1")
        return cls(week, _dates(holidays))

    @property
    def kept(self) -> dict[str, Any]:
        return {"week": [[list(block) for block in day] for day in self.week], "holidays": list(self.holidays)}

    def open_at(self, at: Millis, zone: str) -> bool:
        local = _local(at, zone)
        minute = local.hour * 60 + local.minute
        return any(begins <= minute < ends for begins, ends in self.blocks_on(local.date()))

    def closed_since(self, at: Millis, zone: str) -> Millis:
        """When the stretch began in which the shop is closed at that moment."""
        local = _local(at, zone)
        minute, day = local.hour * 60 + local.minute, local.date()
        for _ in range(LOOKED_BACK):
            if ends := [end for _, end in self.blocks_on(day) if end <= minute]:
                shop: Any = ZoneInfo(zone)
                midnight = datetime(day.year, day.month, day.day, tzinfo=shop)
                return int((midnight + timedelta(minutes=max(ends))).timestamp()) * 1000
            day, minute = day - timedelta(days=1), MIDNIGHT
        return at - LOOKED_BACK * MIDNIGHT * 60_000

    def blocks_on(self, day: date) -> tuple[Block, ...]:
        iso = day.isoformat()
        return () if iso in self.holidays or iso[5:] in self.holidays else self.week[day.weekday()]

    def written(self, weekday: int) -> str:
        """The day as the form takes it; Monday is 0."""
        return ", ".join(f"{_time(begins)}–{_time(ends)}" for begins, ends in self.week[weekday])


def write_date(kept: str) -> str:
    """A holiday as the form takes it."""
    return ".".join(reversed(kept.split("-")))


def _local(at: Millis, zone: str) -> datetime:
    shop: Any = ZoneInfo(zone)
    return datetime.fromtimestamp(at / 1000, shop)


def _blocks(text: str, field: str) -> tuple[Block, ...]:
    wrong = Invalid("Write the hours like 9:00–13:00, 14:00–18:00.", field=field)
    found: list[Block] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        if not (match := _BLOCK.fullmatch(part)):
            raise wrong
        begins = _minute(match[1], match[2])
        ends = _minute(match[3], match[4])
        if not begins < ends <= MIDNIGHT or max(int(match[2] or 0), int(match[4] or 0)) >= 60:
            raise wrong
        found.append((begins, ends))
    found.sort()
    if len(found) > BLOCKS or any(later[0] < earlier[1] for earlier, later in pairwise(found)):
        raise Invalid("The hours of a day may not overlap, and at most {count} blocks fit.", field=field, count=BLOCKS)
    return tuple(found)


def _minute(hour: str, minute: str | None) -> int:
    return int(hour) * 60 + int(minute or 0)


def _dates(text: str) -> tuple[str, ...]:
    found = sorted(set(_read_dates(text)))
    if len(found) > HOLIDAYS:
        raise Invalid("At most {count} holidays can be kept.", field="holidays", count=HOLIDAYS)
    return tuple(found)


def _read_dates(text: str) -> Iterator[str]:
    for word in re.split(r"[\s,;]+", text.strip()):
        if not word:
            continue
        match = _DATE.fullmatch(word)
        try:
            if not match:
                raise ValueError(word)
            year, month, day = match[3] or match[4], int(match[2] or match[5]), int(match[1] or match[6])
            iso = date(int(year or 2028), month, day).isoformat()  # a leap year: every date may come again
        except ValueError:
            raise Invalid("Write a date like 31.12.2026, or 01.01 for every year.", field="holidays") from None
        yield iso if year else iso[5:]


def _time(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02}"
