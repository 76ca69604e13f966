"""Times and numbers as people write them, in the reader's language and zone. Each is a filter in templates."""

from datetime import date, datetime, timedelta
from functools import lru_cache

from babel.dates import format_date, format_skeleton, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from golub.clock import MINUTE, SECOND, Millis
from golub.web.language import Reader

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def ago(reader: Reader, at: Millis) -> str:
    """«5 минут назад». A time ahead of ours, from a clock that is wrong somewhere, is now."""
    passed = reader.now - max(at, 0)
    if passed < MINUTE:
        return reader.words("just now")
    return format_timedelta(timedelta(milliseconds=-passed), add_direction=True, locale=reader.locale)


def clock_time(reader: Reader, at: Millis) -> str:
    return _local(reader, at).strftime("%H:%M")


def day(reader: Reader, at: Millis) -> str:
    """«сегодня», «вчера», «3 ноября», and with its year when that is another one."""
    moment, today = _local(reader, at).date(), _local(reader, reader.now).date()
    if moment == today:
        return reader.words("today")
    if moment == today - timedelta(days=1):
        return reader.words("yesterday")
    if moment.year == today.year:
        return _as_skeleton(moment, "MMMMd", reader.locale)
    return _as_pattern(moment, "long", reader.locale)


def date_short(reader: Reader, at: Millis) -> str:
    """«3.11.» or «11/3», for an axis."""
    return _as_skeleton(_local(reader, at).date(), "Md", reader.locale)


def moment(reader: Reader, at: Millis) -> str:
    """«3 ноября, 14:05»."""
    return f"{day(reader, at)}, {clock_time(reader, at)}"


def exact(reader: Reader, at: Millis) -> str:
    """«3 ноября, 14:05:07», for those who compare it with a log."""
    return f"{day(reader, at)}, {_local(reader, at).strftime('%H:%M:%S')}"


def stamp(reader: Reader, at: Millis) -> str:
    """As short as a chat list wants it: «14:05», «вчера», «пн», «3 нояб.», «03.11.25»."""
    then, today = _local(reader, at).date(), _local(reader, reader.now).date()
    if then >= today:
        return clock_time(reader, at)
    if then == today - timedelta(days=1):
        return reader.words("yesterday")
    if then > today - timedelta(days=7):
        return _as_pattern(then, "EEE", reader.locale)
    return _as_pattern(then, "d MMM" if then.year == today.year else "dd.MM.yy", reader.locale)


def iso(reader: Reader, at: Millis) -> str:
    """For `<time datetime=…>`."""
    return _local(reader, at).isoformat(timespec="seconds")


def number(reader: Reader, value: float) -> str:
    """«12 500», with spaces that do not break."""
    return format_decimal(value, locale=reader.locale)


def duration(reader: Reader, seconds: float) -> str:
    """«45 с», «2 мин 5 с», «12 мин», «1 ч 5 мин», «2 дн. 3 ч»: two units at most; it never breaks."""
    left = int(seconds)
    place = next((place for place, (_, one) in enumerate(_UNITS) if left >= one), len(_UNITS) - 1)
    unit, one = _UNITS[place]
    said = [format_unit(left // one, f"duration-{unit}", length="short", locale=reader.locale)]
    if place < 2 or (place == 2 and left < 10 * MINUTE // SECOND):
        smaller, other = _UNITS[place + 1]
        if rest := left % one // other:
            said.append(format_unit(rest, f"duration-{smaller}", length="short", locale=reader.locale))
    return " ".join(said).replace(" ", "\N{NO-BREAK SPACE}")


def percent(reader: Reader, share: float) -> str:
    """«98,5 %»."""
    return format_percent(
        share, "#,##0.#\N{NO-BREAK SPACE}%" if reader.locale == "ru" else "#,##0.#%", locale=reader.locale
    )


def change(reader: Reader, share: float) -> str:
    """«+12 %», «−5 %»: of what was before."""
    told = percent(reader, round(abs(share), 2))
    return told if share == 0 else f"{'+' if share > 0 else '−'}{told}"


# A list says the same few days hundreds of times, and a calendar takes its time.
@lru_cache(4096)
def _as_skeleton(day: date, skeleton: str, locale: str) -> str:
    return format_skeleton(skeleton, day, locale=locale)


@lru_cache(4096)
def _as_pattern(day: date, pattern: str, locale: str) -> str:
    return format_date(day, pattern, locale=locale)


def _local(reader: Reader, at: Millis) -> datetime:
    """Times come from far away and may be absurd; the nearest one that a calendar holds is shown."""
    seconds = min(max(at / 1000, 0), 253_370_764_800)  # 1970 to 9999
    return datetime.fromtimestamp(seconds, reader.zone)
