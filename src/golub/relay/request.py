"""What a relay is sent, and what its answer means. Pure functions, by the Standard Webhooks' rules for senders."""

import math
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, cast

from golub.clock import HOUR, MINUTE, SECOND, Millis
from golub.guarded import Call
from golub.settings import RELAYED_HEADER

# After each failed try; with the first one that makes ten, over some three days.
PAUSES = (
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
JITTER = 0.1  # of a pause, added at most
LONGEST_HOLD = HOUR  # that `Retry-After` may ask for

GONE = 410
_THROTTLES = (429, 502, 503, 504)
_REFUSALS = (400, 406, 413, 414, 415, 422, 431)  # of these very bytes: they will not get better
_REFUSAL_TRIES = 3  # … and must not hold back their chat for days

# Between two neighbours only (RFC 9110), about the way to us, or ours to say.
_DROPPED = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "expect",
        "cookie",
        "authorization",
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
    }
)
_DROPPED_PREFIXES = ("x-forwarded-", "cf-", "x-golub-")


def headers_of(received: Sequence[Any], delivery_id: bytes) -> list[tuple[str, str]]:
    """Those of a journaled delivery that were meant for its last receiver, and the delivery's id."""
    pairs = [(str(pair[0]), str(pair[1])) for pair in received if _is_pair(pair)]
    named = {word.strip().lower() for name, value in pairs if name.lower() == "connection" for word in value.split(",")}
    kept = [
        (name, value)
        for name, value in pairs
        if (plain := name.lower()) not in _DROPPED | named and not plain.startswith(_DROPPED_PREFIXES)
    ]
    return [*kept, (RELAYED_HEADER, delivery_id.hex())]


def _is_pair(found: object) -> bool:
    return isinstance(found, list) and len(cast(list[object], found)) == 2


def outcome_of(call: Call) -> str:
    """Empty for a success; else what is shown to people: an HTTP status, or where the call ended."""
    if call.succeeded:
        return ""
    return str(call.status) if call.status is not None else call.failure.value


def pause_after(attempts: int, call: Call, now: Millis, chance: float) -> Millis | None:
    """Milliseconds until the next try, after `attempts` of them; None: that was the last. `chance` is in [0, 1)."""
    if attempts > len(PAUSES) or (call.status in _REFUSALS and attempts >= _REFUSAL_TRIES):
        return None
    pause = PAUSES[attempts - 1]
    return max(round(pause * (1 + JITTER * chance)), hold_asked(call, now))


def hold_after(failures: int, call: Call, now: Millis) -> Millis:
    """How long the receiver is left alone after so many failures in a row. It may be down, and many chats wait."""
    if asked := hold_asked(call, now):
        return asked
    if failures < 3 or call.status in _REFUSALS:
        return 0
    return min(SECOND << min(failures, 20), 5 * MINUTE)


def hold_asked(call: Call, now: Millis) -> Millis:
    """`Retry-After` of a receiver that throttles, as a number or a date; 0 where there is none, or nonsense."""
    given = call.retry_after.strip()
    if call.status not in _THROTTLES or not given:
        return 0
    try:
        seconds = float(given)
    except ValueError:
        try:
            date = parsedate_to_datetime(given)
        except (ValueError, OverflowError):
            return 0
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now / SECOND
    if not math.isfinite(seconds) or seconds <= 0:
        return 0
    return min(round(seconds * SECOND), LONGEST_HOLD)
