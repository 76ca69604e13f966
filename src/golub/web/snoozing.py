"""Until when a chat may be snoozed, in the reader's zone: what is offered, and what he writes himself."""

from datetime import datetime, time, timedelta

from golub.clock import HOUR, SECOND, Millis
from golub.errors import Invalid
from golub.web.language import N_, Reader

EVENING, MORNING = time(18), time(9)
MONDAY = 0


def snooze_times(reader: Reader) -> list[tuple[str, str, Millis]]:
    """What is offered: a name, its words, and when it ends. The evening only while it is not there."""
    today = datetime.fromtimestamp(reader.now / SECOND, reader.zone)
    evening = _at(today, 0, EVENING)
    monday = _at(today, (MONDAY - today.weekday() - 1) % 7 + 1, MORNING)
    times = [("hour", N_("In an hour"), reader.now + HOUR)]
    if evening > reader.now + HOUR:
        times.append(("evening", N_("This evening"), evening))
    return [*times, ("morning", N_("Tomorrow morning"), _at(today, 1, MORNING)), ("monday", N_("On Monday"), monday)]


def _at(today: datetime, days: int, clock: time) -> Millis:
    """So many days on, by the calendar: a day has 23 hours or 25 where the clocks change."""
    day = today.date() + timedelta(days=days)
    return int(datetime.combine(day, clock, today.tzinfo).timestamp() * SECOND)


def moment_of(text: str, reader: Reader) -> Millis:
    """A local time as a browser writes it, "2026-11-23T09:00". Raises `Invalid`."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=reader.zone).timestamp() * SECOND)
    except (ValueError, OverflowError):
        raise Invalid("Choose a time that is still to come, within a year.", field="at") from None
