"""Both languages are whole: every text of the code and the templates is in the Russian catalogue, with its places."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract
from markupsafe import Markup

import golub
from golub import errors
from golub.clock import DAY, HOUR, MINUTE
from golub.web import moments
from golub.web.language import FOLDER, LOCALES, Reader, words, zone_named
from golub.web.page import initials

PACKAGE = Path(golub.__file__).parent
ERRORS = {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, Exception)}
CALLED = {"_", "N_", "words", "ngettext"} | ERRORS | {"Led", "NotSignedIn"}
PLACE = re.compile(r"\{(\w*)\}")

Texts = dict[str | tuple[str, ...], list[str]]


def texts() -> Texts:
    """Each text that a reader may see, and where it is said."""
    found: Texts = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        if "simulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) in CALLED and node.args:
                count = 2 if _name(node.func) == "ngettext" else 1
                for message in _messages(node.args[:count]):
                    found[message].append(f"{path.name}:{node.lineno}")
    for path in (PACKAGE / "web/templates").rglob("*.html"):
        with path.open("rb") as file:
            options: dict[str, Any] = {"encoding": "utf-8", "silent": "false"}
            for line, _, said, _ in babel_extract(file, ["_", "ngettext"], [], options):
                parts = tuple(part for part in (said if isinstance(said, tuple) else (said,)) if part)
                if parts:  # else the text is a variable's
                    found[parts[0] if len(parts) == 1 else parts].append(f"{path.name}:{line}")
    return found


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _messages(arguments: list[ast.expr]) -> Iterator[str | tuple[str, ...]]:
    """A text, or each of two that a condition chooses between; a plural's two together."""
    if len(arguments) == 2:
        parts = [str(part.value) for part in arguments if isinstance(part, ast.Constant)]
        if parts:  # else they are a caller's
            yield tuple(parts)
        return
    (argument,) = arguments
    if isinstance(argument, ast.IfExp):
        yield from _messages([argument.body])
        yield from _messages([argument.orelse])
    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str) and argument.value:
        yield argument.value


def test_every_text_is_in_the_russian_catalogue() -> None:
    catalogue = {message.id for path in catalogues() for message in read(path)}
    assert {message: where for message, where in texts().items() if message not in catalogue} == {}


@pytest.mark.parametrize("path", sorted((FOLDER / "ru").glob("*.po")), ids=lambda path: path.name)
def test_translations_are_whole_and_keep_their_places(path: Path) -> None:
    for message in read(path):
        given = message.id if isinstance(message.id, tuple) else (message.id,)
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        places = {place for text in given for place in PLACE.findall(text)}
        assert len(said) == (3 if len(given) == 2 else 1), message.id
        assert not message.fuzzy, message.id
        for text in said:
            assert text.strip(), message.id
            assert set(PLACE.findall(text)) | {"n"} == places | {"n"}, message.id


def test_no_text_has_two_translations() -> None:
    said: dict[Any, set[Any]] = defaultdict(set)
    for path in catalogues():
        for message in read(path):
            said[message.id].add(message.string)
    assert {text: strings for text, strings in said.items() if len(strings) > 1} == {}


def catalogues() -> list[Path]:
    return sorted((FOLDER / "ru").glob("*.po"))


def read(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return [message for message in read_po(file, locale="ru") if message.id]


RULE = (  # as gettext writes it: what counts like 1, like 2, and like 5
    "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"
)


@pytest.mark.parametrize("path", sorted((FOLDER / "ru").glob("*.po")), ids=lambda path: path.name)
def test_each_catalogue_counts_by_the_same_rule(path: Path) -> None:
    """What it says itself: the reader would put its own in the place of one that is missing."""
    header = path.read_text().partition("\n\n")[0]
    assert f'"Plural-Forms: {RULE}\\n"' in header
    assert "charset=utf-8" in header


@pytest.mark.parametrize(("n", "form"), [(0, 2), (1, 0), (2, 1), (5, 2), (11, 2), (21, 0), (112, 2), (104, 1)])
def test_russian_counts_as_russian_does(n: int, form: int) -> None:
    counted = 0
    for path in catalogues():
        for message in read(path):
            if isinstance(message.id, tuple):
                counted += 1
                fields = {place: "x" for place in PLACE.findall(message.id[1]) if place != "n"}
                said = words("ru").ngettext(message.id[0], message.id[1], n, **fields)
                assert said == message.string[form].format(n=n, **fields)
                assert not PLACE.search(said)
    assert counted > 30


def test_a_number_is_said_wherever_it_is_not_one() -> None:
    """«21 чат» takes the form of one: a text that leaves the number out there would say it of twenty-one as well."""
    for path in catalogues():
        for message in read(path):
            if isinstance(message.id, tuple):
                for form in message.string:
                    assert ("n" in PLACE.findall(form)) == ("n" in PLACE.findall(message.id[1])), message.id


def test_english_counts_as_english_does() -> None:
    for parts in texts():
        if isinstance(parts, tuple):
            fields = {place: "x" for place in PLACE.findall(parts[1]) if place != "n"}
            for n, form in ((0, 1), (1, 0), (2, 1), (5, 1), (11, 1), (21, 1)):
                assert words("en").ngettext(parts[0], parts[1], n, **fields) == parts[form].format(n=n, **fields)
            assert {*PLACE.findall(parts[0]), "n"} == {*PLACE.findall(parts[1]), "n"}


@pytest.mark.row(2)
def test_what_a_buyer_is_called_cannot_become_markup() -> None:
    say = words("en")
    assert say("Role of {name}", name="<b>{0}</b>") == "Role of <b>{0}</b>", "a plain text: the template escapes it"
    assert say("Role of {name}", name=Markup("<b>x</b>")) == Markup("Role of <b>x</b>")
    assert say("{a} <i>", a=Markup("<b>")) == Markup("<b> &lt;i&gt;")
    assert say("no places, {though}") == "no places, {though}"
    assert say("") == ""
    assert words("xx")("Inbox") == "Inbox"
    assert words("ru")("Inbox") == "Входящие"


NOW = int(datetime(2026, 11, 22, 12, 30, tzinfo=UTC).timestamp() * 1000)
RU, EN = (Reader(locale, ZoneInfo("Europe/Moscow"), NOW) for locale in LOCALES)


@pytest.mark.parametrize(
    ("write", "at", "russian", "english"),
    [
        (moments.ago, NOW - 20_000, "только что", "just now"),
        (moments.ago, NOW + HOUR, "только что", "just now"),
        (moments.ago, NOW - 5 * MINUTE, "5 минут назад", "5 minutes ago"),
        (moments.ago, NOW - 3 * DAY, "3 дня назад", "3 days ago"),
        (moments.clock_time, NOW, "15:30", "15:30"),
        (moments.day, NOW, "сегодня", "today"),
        (moments.day, NOW - 16 * HOUR, "вчера", "yesterday"),
        (moments.day, NOW - 19 * DAY, "3 ноября", "November 3"),
        (moments.day, NOW - 365 * DAY, "22 ноября 2025\N{NARROW NO-BREAK SPACE}г.", "November 22, 2025"),
        (moments.moment, NOW - 19 * DAY, "3 ноября, 15:30", "November 3, 15:30"),
        (moments.stamp, NOW - HOUR, "14:30", "14:30"),
        (moments.stamp, NOW - DAY, "вчера", "yesterday"),
        (moments.stamp, NOW - 3 * DAY, "чт", "Thu"),
        (moments.stamp, NOW - 19 * DAY, "3 нояб.", "3 Nov"),
        (moments.stamp, NOW - 365 * DAY, "22.11.25", "22.11.25"),
        (moments.iso, NOW, "2026-11-22T15:30:00+03:00", "2026-11-22T15:30:00+03:00"),
        (moments.number, 12500, "12\N{NO-BREAK SPACE}500", "12,500"),
    ],
)
def test_times_and_numbers_read_naturally(write: Any, at: int, russian: str, english: str) -> None:
    assert [write(RU, at), write(EN, at)] == [russian, english]


@pytest.mark.parametrize("at", [-(10**18), -1, 0, 2**63, 10**30])
def test_absurd_times_are_shown_somehow(at: int) -> None:
    for write in (moments.ago, moments.clock_time, moments.day, moments.moment, moments.stamp, moments.iso):
        assert write(RU, at)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "\x00", "europe/moscow", "a" * 5000])
def test_a_zone_that_is_none_is_moscow(name: str) -> None:
    assert zone_named(name).key == "Europe/Moscow"
    assert zone_named("Asia/Vladivostok").key == "Asia/Vladivostok"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Анна Ковалёва", "АК"),
        ("Пётр Ильич Чайковский", "ПЧ"),
        ("лена", "Л"),
        ("  ", "?"),
        ("🙂 ok", "O"),
        ("<b>", "?"),
    ],
)
def test_avatars_show_initials(name: str, letters: str) -> None:
    assert initials(name) == letters
