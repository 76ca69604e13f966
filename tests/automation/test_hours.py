"""Working hours out of a form, by the shop's own clock, and where a stretch in which it is closed begins."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from golub.automation.hours import Hours, write_date
from golub.errors import Invalid

ZONE = "Europe/Moscow"
DAYS = ["9–13, 14:00-18:30", "9.00 — 18.00", "", "0-24", "10-20", "", ""]
HOURS = Hours.chosen(DAYS, "01.01, 24.11.2026")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("when", "is_open", "closed_since"),
    [
        ("2026-11-23T08:59", False, "2026-11-20T20:00"),  # a Monday morning: since Friday evening
        ("2026-11-23T09:00", True, ""),
        ("2026-11-23T13:00", False, "2026-11-23T13:00"),
        ("2026-11-23T18:29", True, ""),
        ("2026-11-24T10:00", False, "2026-11-23T18:30"),  # that Tuesday nobody works
        ("2026-12-01T10:00", True, ""),
        ("2026-11-26T23:59", True, ""),
        ("2026-11-27T00:00", False, "2026-11-27T00:00"),
        ("2027-01-01T12:00", False, "2027-01-01T00:00"),  # a Friday, but a holiday of every year
    ],
)
def test_open_and_closed(when: str, is_open: bool, closed_since: str) -> None:
    assert HOURS.open_at(at(when), ZONE) is is_open
    if closed_since:
        assert HOURS.closed_since(at(when), ZONE) == at(closed_since)


def test_what_is_kept_comes_back_into_the_form() -> None:
    again = Hours.of(HOURS.kept)
    assert again == HOURS
    assert [again.written(day) for day in (0, 2, 3)] == ["9:00–13:00, 14:00–18:30", "", "0:00–24:00"]
    assert Hours.chosen([again.written(day) for day in range(7)], "\n".join(map(write_date, again.holidays))) == again


@pytest.mark.parametrize(
    ("day", "holidays", "field"),
    [
        ("9-25", "", "day1"),
        ("18-9", "", "day1"),
        ("9-12, 11-14", "", "day1"),
        ("9:70-12", "", "day1"),
        ("утром", "", "day1"),
        ("٩-١٠", "", "day1"),
        (", ".join(f"{hour}-{hour + 1}" for hour in range(0, 14, 2)), "", "day1"),
        ("", "", "day1"),
        ("9-18", "31.02.2026", "holidays"),
        ("9-18", "завтра", "holidays"),
        ("9-18", " ".join(f"{day}.{month}.2026" for day in range(1, 28) for month in range(1, 5)), "holidays"),
    ],
)
def test_what_cannot_be_hours(day: str, holidays: str, field: str) -> None:
    with pytest.raises(Invalid) as told:
        Hours.chosen([day] + [""] * 6, holidays)
    assert told.value.field == field
