"""Working hours by the shop's own clock, and what a form may say of them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from golub.duty import WEEK, Duty
from golub.errors import Invalid


def at(text: str, zone: str = "Europe/Moscow") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("begins", "ends", "days", "when", "on"),
    [
        ("09:00", "18:00", "12345", "2026-11-20T09:00", True),  # a Friday
        ("09:00", "18:00", "12345", "2026-11-20T17:59", True),
        ("09:00", "18:00", "12345", "2026-11-20T18:00", False),
        ("09:00", "18:00", "12345", "2026-11-20T08:59", False),
        ("09:00", "18:00", "12345", "2026-11-21T12:00", False),
        ("22:00", "06:00", "5", "2026-11-20T22:00", True),
        ("22:00", "06:00", "5", "2026-11-21T05:59", True),  # Friday's shift, on Saturday
        ("22:00", "06:00", "5", "2026-11-21T06:00", False),
        ("22:00", "06:00", "5", "2026-11-20T05:00", False),  # that was Thursday's
        ("22:00", "06:00", "7", "2026-11-23T01:00", True),  # Sunday's, on Monday
        ("", "", WEEK, "2026-11-22T00:00", True),
        ("", "", "7", "2026-11-22T23:59", True),
        ("", "", "7", "2026-11-23T00:00", False),
        ("09:00", "00:00", WEEK, "2026-11-20T23:59", True),
        ("09:00", "00:00", WEEK, "2026-11-20T00:00", False),
        ("09:00", "09:00", "5", "2026-11-21T08:59", True),  # a whole day from nine to nine
    ],
)
def test_a_shift_is_on_by_the_clock_on_the_wall(begins: str, ends: str, days: str, when: str, on: bool) -> None:
    assert Duty.chosen(days, begins, ends, "").covers(at(when), "Europe/Moscow") is on


def test_each_shop_has_its_own_clock_and_summer_time_moves_the_shift() -> None:
    duty = Duty.chosen(WEEK, "09:00", "18:00", "")
    moment = at("2026-11-20T08:00", "Europe/Moscow")
    assert not duty.covers(moment, "Europe/Moscow")
    assert duty.covers(moment, "Asia/Yekaterinburg")
    for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"):  # where the clocks are changed
        assert duty.covers(at(f"{day}T09:00", "Europe/Berlin"), "Europe/Berlin")
        assert not duty.covers(at(f"{day}T08:59", "Europe/Berlin"), "Europe/Berlin")


@pytest.mark.parametrize(
    ("days", "begins", "ends", "limit", "field"),
    [
        ("", "", "", "", "days"),
        ("08", "", "", "", "days"),
        (WEEK, "09:00", "", "", "ends"),
        (WEEK, "24:00", "25:00", "", "begins"),
        (WEEK, "٠٩:٠٠", "18:00", "", "begins"),
        (WEEK, "09:00", "9" * 9, "", "ends"),
        (WEEK, "09:00", "18:60", "", "ends"),
        (WEEK, "", "", "0", "limit"),
        (WEEK, "", "", "-1", "limit"),
        (WEEK, "", "", "1001", "limit"),
        (WEEK, "", "", "9" * 40, "limit"),
        (WEEK, "", "", "٧", "limit"),
    ],
)
def test_a_form_that_means_nothing_is_told_which_field(
    days: str, begins: str, ends: str, limit: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        Duty.chosen(list(days), begins, ends, limit)
    assert refused.value.field == field


def test_a_form_is_read_as_it_is_meant() -> None:
    assert Duty.chosen(["5", "1", "5"], "9:05", "0:00", " 12 ") == Duty("15", 545, 1440, 12)
    assert Duty.chosen(WEEK, "", "", "") == Duty()
    assert Duty().all_day
