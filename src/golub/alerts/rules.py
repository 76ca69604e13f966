"""When alerts may be told: the quiet hours in the owner's zone, and how often an open one is called to mind."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from golub.clock import HOUR, Millis
from golub.errors import Invalid

MARK = "alert_rules"
DAY_MINUTES = 24 * 60
LONGEST_REMINDER = 7 * 24


@dataclass(frozen=True, slots=True)
class Rules:
    """Minutes of the day; equal ones: there are no quiet hours. `remind_hours` 0: nobody is reminded."""

    quiet_from: int = 0
    quiet_to: int = 0
    zone: str = "Europe/Moscow"
    remind_hours: int = 24

    @classmethod
    def load(cls, text: str | None) -> "Rules":
        return cls(**json.loads(text)) if text else cls()

    @classmethod
    def chosen(cls, quiet_from: str, quiet_to: str, zone: str, remind_hours: int) -> "Rules":
        """Out of a form: times as «22:00», both empty for none. Raises `Invalid`."""
        if bool(quiet_from) != bool(quiet_to):
            raise Invalid("Give both ends of the quiet hours, or neither.", field="quiet_to")
        if zone not in available_timezones():
            raise Invalid("This time zone is not known.", field="zone")
        if not 0 <= remind_hours <= LONGEST_REMINDER:
            raise Invalid("Between 0 and 168 hours.", field="remind_hours")
        return cls(_minutes(quiet_from, "quiet_from"), _minutes(quiet_to, "quiet_to"), zone, remind_hours)

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @property
    def has_quiet_hours(self) -> bool:
        return self.quiet_from != self.quiet_to

    @property
    def remind_every(self) -> Millis:
        return self.remind_hours * HOUR

    def earliest(self, at: Millis) -> Millis:
        """`at`, or the end of the quiet hours that it lies in."""
        if not self.has_quiet_hours:
            return at
        zone: Any = ZoneInfo(self.zone)
        local = datetime.fromtimestamp(at / 1000, zone)
        length = (self.quiet_to - self.quiet_from) % DAY_MINUTES
        passed = (local.hour * 60 + local.minute - self.quiet_from) % DAY_MINUTES
        if passed >= length:
            return at
        end = local.replace(hour=self.quiet_to // 60, minute=self.quiet_to % 60, second=0, microsecond=0)
        if end <= local:
            end += timedelta(days=1)  # on the wall's clock, as a person means it
        return int(end.timestamp() * 1000)


def _minutes(time: str, field: str) -> int:
    if not time:
        return 0
    hour, _, minute = time.partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
        raise Invalid("A time looks like 22:00.", field=field)
    return int(hour) * 60 + int(minute)
