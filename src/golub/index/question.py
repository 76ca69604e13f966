"""What a person asks for, as a tree of words that `statements` puts into either database's language.

All words must be there, in any order; a word finds its other forms, and from three letters on also the words that
begin with it; what stands in quotes is a phrase, in which nothing is cut. Digits are looked for as they stand, as a
number with its thousands apart, and as part of a phone. Only letters, digits and signs ever get out of here: there is
no way to write an operator of a database.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from golub.errors import Invalid
from golub.index.analyser import LEAST_PHONE_PART, PHONE, PHONE_PART, Reading, Token, national, read

LONGEST = 200  # characters of a question …
MOST_WORDS = 12  # … and words and phrases in it
LEAST_CUT = 3  # letters by which a longer word is found
LEAST_STEM = 4  # letters by which other forms are found, where a stem is cut too far
LEAST_CUT_NUMBER = 4  # digits: 128 shall not find 12800

_PART = re.compile(
    r'"(?P<q1>[^"]*)"|«(?P<q2>[^»]*)»|[“„](?P<q3>[^“”]*)[“”]'
    r"|(?P<digits>(?<![^\W_])\+?\(?\d+(?:[\s\-–().,]{1,3}\d+)*(?![^\W_]))"
    r'|(?P<chunk>[^\s"«»“”„,;/|!?()…]+)'
)
_THOUSANDS = re.compile(r"\d{1,3}([ \u00a0\u202f.,']\d{3})+")


@dataclass(frozen=True, slots=True)
class Words:
    """These stems, one after the other; with `cut` the last one may go on."""

    stems: tuple[str, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Other:
    """Another spelling; with `cut` it may go on."""

    word: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Facet:
    """Not a word of the text: `entries` says which there are."""

    name: str


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Asked", ...]


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple["Asked", ...]


Asked = Words | Other | Facet | All | Any


@dataclass(frozen=True, slots=True)
class Question:
    """`asked` None: nothing was. `text` is what was typed, without spaces around it."""

    text: str
    asked: Asked | None

    def marks(self, text: str) -> list[tuple[int, int]]:
        """Where the text holds what was asked for: places in order, apart from each other."""
        if self.asked is None:
            return []
        reading = read(text)
        found: list[tuple[int, int]] = []
        for start, end in sorted(place for leaf in _leaves(self.asked) for place in _places(leaf, reading)):
            if found and start <= found[-1][1]:
                found[-1] = found[-1][0], max(end, found[-1][1])
            else:
                found.append((start, end))
        return found


def ask(text: str) -> Question:
    """Raises `Invalid`, in words for the person who typed it."""
    text = " ".join(text.split())
    if len(text) > LONGEST:
        raise Invalid("That is too much to look for: {limit} characters at most.", field="q", limit=LONGEST)
    parts = tuple(dict.fromkeys(_parts(text)))
    if len(parts) > MOST_WORDS:
        raise Invalid("Look for fewer words at once: {limit} at most.", field="q", limit=MOST_WORDS)
    if text and not parts:
        raise Invalid("Search looks for words and numbers. Type some letters or digits.", field="q")
    if parts and len(text) == 1 and text.isalpha():
        raise Invalid("One letter is too little to look for. Type two or more.", field="q")
    return Question(text, All(parts) if parts else None)


def _parts(text: str) -> Iterator[Asked]:
    for found in _PART.finditer(text):
        quoted = found["q1"] or found["q2"] or found["q3"]
        if quoted:
            if tokens := read(quoted).tokens:
                yield Words(tuple(token.stem for token in tokens))
        elif found["digits"]:
            yield _number(found["digits"])
        elif found["chunk"] and (tokens := read(found["chunk"]).tokens):
            yield _chunk(tokens)


def _chunk(tokens: Sequence[Token]) -> Asked:
    """A word; or several that were written as one, as in wi-fi or 128гб, which stand one after the other."""
    last = tokens[-1]
    stems = tuple(token.stem for token in tokens)
    if not last.form.isalpha() or len(last.form) < LEAST_CUT:
        return Words(stems)
    if len(tokens) > 1:
        return Any((Words(stems), Words((*stems[:-1], last.form), cut=True)))
    form, stem = last.form, last.stem
    # Snowball takes «диваны» for a verb and leaves «дива», but «диван» of «диванов»: such a stem may go on.
    is_short = len(stem) >= LEAST_STEM and len(form) - len(stem) >= 2
    ways = [Words(stems, cut=is_short and stem[-1] in "ая"), Words((form,), cut=True), Other(form, cut=True)]
    if is_short:
        ways.append(Other(stem, cut=True))
    return Any(tuple(ways))


def _number(written: str) -> Asked:
    groups = [token.form for token in read(written).tokens]
    digits = "".join(groups)
    ways: list[Asked] = [All(tuple(Any((Words((group,)), Other(group))) for group in groups))]
    if _THOUSANDS.fullmatch(written):
        ways.append(Any((Words((digits,)), Other(digits))))
    if len(digits) >= LEAST_CUT_NUMBER and len(groups) == 1:
        ways += [Words((digits,), cut=True), Other(digits, cut=True)]
    if len(digits) >= LEAST_PHONE_PART:
        ways += [Other(PHONE_PART + part, cut=True) for part in dict.fromkeys((digits, national(digits)))]
    rest = digits[1:] if digits[0] in "78" else digits if written.startswith("+") else ""
    if len(rest) >= LEAST_CUT:
        ways.append(Other(PHONE + rest, cut=True))
    return Any(tuple(ways))


def _leaves(asked: Asked) -> Iterator[Words | Other]:
    if isinstance(asked, All | Any):
        for part in asked.parts:
            yield from _leaves(part)
    elif not isinstance(asked, Facet):
        yield asked


def _places(leaf: Words | Other, reading: Reading) -> Iterator[tuple[int, int]]:
    tokens = reading.tokens
    if isinstance(leaf, Other):
        for token in tokens:
            if _fits(token.form, leaf.word, leaf.cut):
                yield token.start, token.end
        for spelling in reading.spellings:
            if _fits(spelling.word, leaf.word, leaf.cut):
                yield spelling.start, spelling.end
        return
    *first, last = leaf.stems
    for place in range(len(tokens) - len(first)):
        end = tokens[place + len(first)]
        if _fits(end.stem, last, leaf.cut) and all(
            tokens[place + number].stem == stem for number, stem in enumerate(first)
        ):
            yield tokens[place].start, end.end


def _fits(word: str, asked: str, cut: bool) -> bool:
    return word.startswith(asked) if cut else word == asked
