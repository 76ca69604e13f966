"""Time, as everything here tells it: whole milliseconds since 1970, UTC.

One clock is chosen in `app.py` and handed down as a parameter, so a test can step it.
"""

import time
from collections.abc import Callable

Millis = int
Clock = Callable[[], Millis]

SECOND: Millis = 1000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR


def now() -> Millis:
    """The system's clock."""
    return time.time_ns() // 1_000_000
