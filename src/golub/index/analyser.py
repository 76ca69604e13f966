"""Reads a text as search does: into stems, and into the other spellings by which each of its words may be asked for.

«Доставки», «доставка» and «ДОСТАВКУ» have one stem; ё is е; «iPhone13» is «iphone 13»; «45 000» is also 45000; a phone
is found by its digits from the first on or by any four of them in a row, however it was written. Messages and questions
are read by this one function, and the databases see nothing but its results: both match alike. What it makes is stored:
whoever changes that gives `VERSION` the next number, and everything is read anew in the background.
"""

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

import Stemmer

VERSION = 2

TEXT_LIMIT = 20_000  # characters of a text that are read; PostgreSQL takes 1 MiB of words
WORD_LIMIT = 64  # characters of a word that count
LEAST_PHONE_PART = 4  # digits

# Neither letters nor space: stress, joiners and soft hyphens, which nobody types into a search.
_UNHEARD = "\u0300-\u036f\u0483-\u0487\u00ad\u200b-\u200d\u2060\ufe0e\ufe0f\ufeff"
_TOKEN = re.compile(
    rf"[^\W\d_]+(?:[{_UNHEARD}]+[^\W\d_]*)*|\d+"
    "|[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)
_SILENT = re.compile(f"[{_UNHEARD}]")
_GAP = r"[\s\-–().]{0,3}"
_PHONE = re.compile(
    rf"(?<!\d)(?:\+{_GAP}7|[78])(?P<ours>(?:{_GAP}\d){{10}})(?!\d)"
    rf"|(?P<foreign>\+(?:{_GAP}\d){{8,15}})(?!\d)"
    rf"|(?<![\d+])(?P<bare>9(?:{_GAP}\d){{9}})(?!\d)"
)
_THOUSANDS = re.compile(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f.,']\d{3})+(?!\d)")
_DIGIT = re.compile(r"\d")
_CYRILLIC = re.compile("[\u0400-\u052f]")

# Marks in front of digits. A word never mixes letters and digits, so nothing else reads like them.
PHONE = "n"  # a whole number without its country's 7 or 8
PHONE_PART = "t"  # … and each end of it


def _stemmer(language: str) -> Callable[[str], str]:
    return cast(Any, Stemmer).Stemmer(language, 0).stemWord  # it comes without types


class _Stemmers(threading.local):
    """A stemmer may be used by one thread at a time. Its own memory is switched off: `_word` has the better one."""

    def __init__(self) -> None:
        self.russian = _stemmer("russian")
        self.english = _stemmer("english")


_stemmers = _Stemmers()


class Token(NamedTuple):
    """A word of the text, from `start` to `end`. `form` is the word itself, `stem` what its forms have in common."""

    start: int
    end: int
    form: str
    stem: str


class Spelling(NamedTuple):
    """Another way to ask for the text from `start` to `end`."""

    start: int
    end: int
    word: str


@dataclass(frozen=True, slots=True)
class Reading:
    tokens: list[Token]
    spellings: list[Spelling]

    @property
    def others(self) -> list[str]:
        """All that is asked for beside stems, each once."""
        found = dict.fromkeys(token.form for token in self.tokens if token.form != token.stem)
        return list(found | dict.fromkeys(one.word for one in self.spellings))


def read(text: str) -> Reading:
    """Any text; the positions are those of the text itself."""
    text = text[:TEXT_LIMIT]
    tokens = list(_tokens(text))
    return Reading(tokens, list(_spellings(text)) if _DIGIT.search(text) else [])


def read_words(text: str) -> tuple[list[str], list[str]]:
    """The stems of a text and `Reading.others`, without their places: for what is stored."""
    text = text[:TEXT_LIMIT]
    words = [_word(written) for written in _TOKEN.findall(text)]
    others = [form for form, stem in words if form != stem]
    if _DIGIT.search(text):
        others += [one.word for one in _spellings(text)]
    return [stem for _, stem in words], list(dict.fromkeys(others))


def national(digits: str) -> str:
    """Of a Russian number what its country's 7 or 8 stands before; of another all of it."""
    return digits[1:] if len(digits) == 11 and digits[0] in "78" else digits


def _tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        form, stem = _word(found[0])
        yield Token(*found.span(), form, stem)


@lru_cache(maxsize=20_000)
def _word(written: str) -> tuple[str, str]:
    """Its form and its stem. Sellers' talk is a few thousand words over and over: remembered, a word costs a tenth."""
    form = written.lower()
    if not form.isascii():
        form = _SILENT.sub("", unicodedata.normalize("NFC", form).replace("ё", "е"))
        if form.isdigit():
            form = _plain_digits(form)
    form = form[:WORD_LIMIT]
    if form.isascii():
        return form, _stemmers.english(form)
    return form, _stemmers.russian(form) if _CYRILLIC.search(form) else form


def _plain_digits(written: str) -> str:
    """Arabic or full-width digits as those that everybody types."""
    return "".join(str(unicodedata.digit(digit, 0)) for digit in written)


def _spellings(text: str) -> Iterator[Spelling]:
    for found in _THOUSANDS.finditer(text):
        yield Spelling(found.start(), found.end(), _digits(found[0])[:WORD_LIMIT])
    for found in _PHONE.finditer(text):
        number = national(_digits(found["ours"] or found["foreign"] or found["bare"]))
        yield Spelling(found.start(), found.end(), PHONE + number)
        for start in range(len(number) - LEAST_PHONE_PART + 1):
            yield Spelling(found.start(), found.end(), PHONE_PART + number[start:])


def _digits(written: str) -> str:
    return _plain_digits("".join(filter(str.isdigit, written)))
