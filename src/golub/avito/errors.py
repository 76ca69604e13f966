"""What Avito's refusals mean, as our errors.

Avito has three shapes of error, its gateway may answer in HTML, and what is in front of both may answer in anything.
`refusal` reads them all and never fails. The client and `auth` rely on it.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, cast

from golub.clock import Millis
from golub.errors import GolubError, NoAccess, NotFound, Paced, Rejected, Unavailable

REASON_LIMIT = 300  # characters of Avito's own words that we keep
_SECRET = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])", re.ASCII)  # at the end of a webhook's URL, which they may quote
SHORTEST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 300.0
USUAL_PAUSE = 5.0  # where a 429 names no time


class Down(Unavailable):
    """Avito itself failed, or what is in front of it; not our database. The pace counts these."""


class Expired(NoAccess):
    """401 or 403: the token may have expired (Avito says 403 then), or we may have no right at all."""


def decode(body: bytes) -> Any:
    """The JSON of an answer. Raises `Down` for what is none: something stands between us and Avito."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Down("Avito's answer cannot be read.") from None


def reason(body: bytes) -> str:
    """Avito's own words in a refusal, out of any of its shapes; empty where there are none."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    answer = _object(document)
    for part in (answer.get("error"), answer.get("result"), answer):
        if isinstance(part, str):
            return _short(answer.get("error_description")) or _short(part)
        if words := _short(_object(part).get("message")):
            return ": ".join([words, *(_short(word) for word in _object(_object(part).get("fields")).values())])[
                :REASON_LIMIT
            ]
    return ""


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, now: Millis) -> GolubError:
    """The error for an answer that is not 2xx. 5xx is `Down`; the client knows when that is too hopeful."""
    words = reason(body)
    if status == 429:
        return Paced("Avito asks us to slow down.", retry_after=retry_after(headers, now))
    if status == 402:
        return NoAccess("Avito's messenger access is not paid for this account.", code="not_paid")
    if status in (401, 403):
        if not _is_json(body):
            return Down("Something in front of Avito's API refuses us (HTTP {status}).", status=status)
        return Expired("Avito refuses access for this account: {reason}", reason=words or f"HTTP {status}")
    if status == 404:
        return NotFound("Avito does not know this: {reason}", reason=words or "HTTP 404")
    if 400 <= status < 500 and status not in (408, 425):
        return Rejected("Avito refuses this: {reason}", reason=words or f"HTTP {status}")
    return Down("Avito's API fails (HTTP {status}). Golub tries again by itself.", status=status)


def retry_after(headers: Mapping[str, str], now: Millis) -> float:
    """Seconds to leave Avito alone, from `Retry-After` as a number or a date, kept between 1 s and 5 min."""
    given = headers.get("retry-after", "").strip()
    if not given:
        return USUAL_PAUSE
    try:
        seconds = float(given)
    except ValueError:
        try:
            date = parsedate_to_datetime(given)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now / 1000
        except (ValueError, OverflowError):
            return USUAL_PAUSE
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE) if math.isfinite(seconds) else USUAL_PAUSE


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _short(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return _SECRET.sub("••••", "".join(c for c in value if c.isprintable()))[:REASON_LIMIT]
