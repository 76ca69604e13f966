"""The reader's language. Code and templates hold English texts; Russian lives in `locale/ru/*.po`, read once at start.

Texts have `{name}` places. `Words` is a language: call it for a text, `ngettext` for a text that counts.
"""

import gettext
import os
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from fastapi import Request
from markupsafe import Markup, escape

from golub.clock import Millis
from golub.web.parts import parts_of
from golub.web.session import operator_of

LOCALES = {"ru": "Русский", "en": "English"}
DEFAULT_LOCALE = "ru"
LOCALE_COOKIE = "locale"
ZONE_COOKIE = "tz"
DEFAULT_ZONE = ZoneInfo("Europe/Moscow")
FOLDER = Path(__file__).parent / "locale"


class Words:
    """`words("New message from {name}", name=buyer)`. Text that is already markup stays markup, the rest is escaped."""

    def __init__(self, translations: gettext.NullTranslations) -> None:
        self._translations = translations

    def __call__(self, message: str, **fields: Any) -> str:
        return _fill(self._translations.gettext(message), fields) if message else ""

    def ngettext(self, singular: str, plural: str, n: int, **fields: Any) -> str:
        return _fill(self._translations.ngettext(singular, plural, n), {"n": n, **fields})


def _fill(text: str, fields: dict[str, Any]) -> str:
    if not fields:
        return text
    if any(isinstance(value, Markup) for value in fields.values()):
        return Markup(escape(text)).format(**fields)  # noqa: S704 - escaped one call earlier
    return text.format(**fields)


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Marks a text that is put into words later."""
    return message


@cache
def words(locale: str) -> Words:
    """English needs no catalogue. All areas' catalogues together are one language."""
    if locale not in LOCALES or locale == "en":
        return Words(gettext.NullTranslations())
    return Words(gettext.GNUTranslations(_compiled(locale)))


def _compiled(locale: str) -> BytesIO:
    whole = Catalog(locale=locale)
    for path in sorted((FOLDER / locale).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=locale):
                if message.id and message.string:
                    whole.add(message.id, message.string)
    compiled = BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return compiled


@dataclass(frozen=True)
class Reader:
    """For whom a page is written: in which language, in which time zone, and when."""

    locale: str
    zone: ZoneInfo
    now: Millis

    @property
    def words(self) -> Words:
        return words(self.locale)


def reader_of(request: Request) -> Reader:
    """The operator's language, else the cookie's, else Russian."""
    operator = operator_of(request)
    locale = operator.locale if operator else request.cookies.get(LOCALE_COOKIE, "")
    return Reader(
        locale=locale if locale in LOCALES else DEFAULT_LOCALE,
        zone=zone_named(request.cookies.get(ZONE_COOKIE, "")),
        now=parts_of(request).clock(),
    )


def words_of_console(chosen: str) -> Words:
    """For a command: what was chosen, else the environment's `en_US.UTF-8`, else Russian."""
    name = chosen or os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    locale = name.partition(".")[0].partition("_")[0].lower()
    return words(locale if locale in LOCALES else DEFAULT_LOCALE)


def zone_named(name: str) -> ZoneInfo:
    """The zone that the browser's cookie names; anything else gives Moscow's."""
    return ZoneInfo(name) if name in _zones() else DEFAULT_ZONE


def zone_names() -> list[str]:
    return sorted(_zones())


@cache
def _zones() -> set[str]:
    return available_timezones()
