"""Cuts a long reply where a person would: after a paragraph, a sentence, a line or a word.

Avito counts code points (1000 a message). A part never ends inside what is one sign on the screen: an emoji with its
colour of skin, a family joined by zero-width joiners, a flag, a letter with its accents.
"""

import re
import unicodedata

# Where a part may end: after `kept`, and the blanks that follow go. The better ends first.
_ENDS = (
    re.compile(r"(?P<kept>)\n[^\S\n]*\n\s*"),  # a paragraph
    re.compile(r"(?P<kept>(?<=[.!?…])[»”\")\]]*(?=\s)|(?=\n))\s+"),  # a sentence, or a line
    re.compile(r"(?P<kept>)\s+"),  # a word
)
_LEAST = (0.5, 0.3, 0.0)  # of the limit: a part is not made shorter than that for a better end
_JOINER = "\u200d"
_NON_JOINER = "\u200c"


def split(text: str, limit: int) -> list[str]:
    """Parts of at most `limit` code points, none empty, nothing lost but the blanks where it was cut."""
    text = text.replace("\r\n", "\n").strip()
    parts: list[str] = []
    while len(text) > limit:
        end, begin = _cut(text, limit)
        parts.append(text[:end].rstrip())
        text = text[begin:].lstrip()
    return [*parts, text] if text else parts


def _cut(text: str, limit: int) -> tuple[int, int]:
    """Where the first part ends, and where the next one begins."""
    for pattern, least in zip(_ENDS, _LEAST, strict=True):
        ends = [
            (end, found.end())
            for found in pattern.finditer(text, 0, limit + 1)
            if least * limit < (end := found.end("kept")) <= limit
        ]
        if ends:
            return ends[-1]
    end = limit
    while end > 0 and not _between_signs(text, end):
        end -= 1
    return (end, end) if end else (limit, limit)  # one sign of a thousand code points is nobody's writing


def _between_signs(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if after in (_JOINER, _NON_JOINER) or before == _JOINER:
        return False
    if unicodedata.combining(after) or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return False  # accents, and the selectors that make an emoji coloured
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return False  # colours of skin; the tags of a region's flag
    if _is_flag_letter(before) and _is_flag_letter(after):
        run = 0
        while run < place and _is_flag_letter(text[place - 1 - run]):
            run += 1
        return run % 2 == 0  # flags are pairs
    return True


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
