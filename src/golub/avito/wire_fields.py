"""Single fields of Avito's records, read as tolerantly as can be without guessing what was meant.

Each reader raises `Refused` with the field's name, or where a field may be missing drops it and flags that.
"""

import re
from datetime import UTC, datetime
from typing import Any, cast

from golub.avito.wire_json import BIGGEST, Huge, Refused
from golub.clock import DAY, Millis
from golub.model import Cause

Json = dict[str, Any]

ID_LIMIT = 255  # characters; real ids have 26 and 32, and an index entry must stay small
_NOBODY = (0, 1)  # authors of Avito's own words: never a buyer's key
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


def an_object(value: Any, name: str) -> Json:
    if not isinstance(value, dict):
        raise Refused(Cause.BAD_VALUE, f"{name} is {'missing' if value is None else 'not an object'}")
    return cast(Json, value)


def object_or_empty(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def list_or_empty(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def text_or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""


def name_or_empty(value: Any, name: str) -> str:
    """An id that Avito writes as a string. A number becomes its digits; `true` is no id. "" where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool | Huge) or not isinstance(value, str | int):
        raise Refused(Cause.BAD_VALUE, f"{name} is not an id")
    found = str(value)
    if len(found) > ID_LIMIT:
        raise Refused(Cause.BAD_VALUE, f"{name} has {len(found)} characters")
    return found if found.strip() else ""


def name_of(value: Any, name: str) -> str:
    found = name_or_empty(value, name)
    if not found:
        raise Refused(Cause.BAD_VALUE, f"{name} is missing")
    return found


def number_or_none(value: Any, name: str) -> int | None:
    """An id that Avito writes as a number; digits in a string are one too. None where it is missing or null."""
    if value is None:
        return None
    if isinstance(value, str) and not isinstance(value, Huge) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= BIGGEST:
        raise Refused(Cause.BAD_VALUE, f"{name} is not a number from 0 to 2^63-1")
    return value


def optional_number(value: Any, name: str, flags: set[str]) -> int | None:
    """The same for a field that we can do without: what is no number is dropped."""
    try:
        return number_or_none(value, name)
    except Refused:
        flags.add(f"{name}_dropped")
        return None


def person_or_none(value: Any, name: str) -> int | None:
    """An author: 0, 1 and nothing are nobody."""
    found = number_or_none(value, name)
    return None if found in _NOBODY else found


def moment(value: Any, name: str, flags: set[str], *, latest: Millis) -> Millis | None:
    """Unix seconds as Avito writes them, as milliseconds; None where there is no such time.

    Milli-, micro- and nanoseconds are told by their size. A time more than a day after `latest` (when we received it)
    becomes `latest`, so that a wrong one cannot keep a chat at the top of the list.
    """
    if value is None:
        return None
    if isinstance(value, str) and not isinstance(value, Huge):
        found = _from_text(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        found = None
    else:
        found = _to_millis(value)
    if found is None or found <= 0:
        flags.add(f"{name}_dropped")
        return None
    if found > latest + DAY:
        flags.add(f"{name}_clamped")
        return latest
    return found


def _to_millis(value: float) -> Millis:
    size = abs(value)
    if size < 10**11:  # seconds, up to the year 5138
        return int(value * 1000)
    if size < 10**14:
        return int(value)
    return int(value // 1000) if size < 10**17 else int(value // 1_000_000)


def _from_text(text: str) -> Millis | None:
    """RFC 3339 (`published_at`), or digits."""
    if _DIGITS.fullmatch(text):
        return _to_millis(int(text))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (OverflowError, ValueError):
        return None
