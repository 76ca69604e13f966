"""When buyers usually write to an account, by hour of the week, so that a silence can be told from a night.

Time is measured in messages that were to be expected: at night it hardly passes, at noon it runs. A silence is one in
which so much of that time has passed that the account's own past, with all its quiet Sundays, knows hardly any longer.
"""

from collections.abc import Sequence
from itertools import pairwise

from golub.clock import DAY, HOUR, MINUTE, Millis

SLOT = 2 * MINUTE  # what is written within it is one sign of life: a buyer who types five lines is one buyer
WINDOW = 28 * DAY
LEAST_SLOTS = 40  # fewer tell no rhythm
LEAST_EXPECTED = 6.0  # e⁻⁶: at least so unlikely, if buyers came independently
RARE = 0.995  # they do not quite: the gap that 995 of 1000 do not reach …
MARGIN = 1.5  # … and half as much again
MOST_SLOTS = 5000  # of which gaps are measured

_WEEK = 168


class Rhythm:
    """`slots`: numbers of the slots since 1970 in which somebody wrote, in the window that ends at `now`."""

    def __init__(self, slots: Sequence[int], now: Millis) -> None:
        self._rates = [0.0] * _WEEK  # slots with a message in an hour
        self._limit = 0.0
        if len(slots) < LEAST_SLOTS:
            return
        ordered = sorted(slots)
        weeks = max((now - ordered[0] * SLOT) / (7 * DAY), 1 / 7)
        by_hour = [0] * _WEEK
        for slot in ordered:
            by_hour[_hour(slot * SLOT)] += 1
        for hour in range(_WEEK):
            alike = sum(by_hour[hour % 24 :: 24]) / (7 * weeks)  # the same hour of all days, a week in weight
            self._rates[hour] = (by_hour[hour] + alike) / (weeks + 1)
        newest = ordered[-MOST_SLOTS:]
        gaps = sorted(self.expected(earlier * SLOT, later * SLOT) for earlier, later in pairwise(newest))
        self._limit = max(LEAST_EXPECTED, MARGIN * gaps[int(RARE * len(gaps))])

    def expected(self, since: Millis, until: Millis) -> float:
        """How many slots with a message this time usually has."""
        total, at = 0.0, max(since, until - WINDOW)
        while at < until:
            end = min((at // HOUR + 1) * HOUR, until)
            total += self._rates[_hour(at)] * (end - at) / HOUR
            at = end
        return total

    def is_silence(self, since: Millis, until: Millis) -> bool:
        """Whether nothing since then is unusual. An account without a rhythm is never silent."""
        return self._limit > 0 and self.expected(since, until) > self._limit


def _hour(at: Millis) -> int:
    return at // HOUR % _WEEK
