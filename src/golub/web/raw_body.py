"""A delivery's bytes as text that a person can read and a browser cannot run: laid out when they are JSON, cut when
they are long, with every control character written out. Nothing of a value is changed, and no key that comes twice is
lost.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from golub.avito import wire_json
from golub.web.content import visible_lines

SHOWN = 64 * 1024  # characters, and bytes of what is no JSON
WHOLE = 1 << 20  # … where somebody asked for all of it; a body of 256 KiB may be four times as long laid out

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class RawBody:
    text: str
    size: int  # bytes, as received
    is_json: bool
    is_cut: bool
    has_replaced: bool  # bytes that are no UTF-8 stand as �


def read_raw(body: bytes, *, whole: bool = False) -> RawBody:
    """Never raises, whatever the bytes. `whole`: to the end, which is never far: ingest takes 256 KiB."""
    shown = WHOLE if whole else SHOWN
    try:
        wire_json.read(body, set())
    except wire_json.Refused:
        return _as_text(body, shown)
    text, is_cut = _take(_laid_out(body.decode("utf-8-sig")), shown)
    return RawBody(visible_lines(text), len(body), is_json=True, is_cut=is_cut, has_replaced=False)


def _as_text(body: bytes, shown: int) -> RawBody:
    text = body[:shown].decode(errors="replace")
    try:
        body.decode()
        replaced = False
    except UnicodeDecodeError:
        replaced = True
    return RawBody(visible_lines(text), len(body), is_json=False, is_cut=len(body) > shown, has_replaced=replaced)


def _take(pieces: Iterator[str], limit: int) -> tuple[str, bool]:
    """As much as is shown; the rest is not even laid out."""
    taken: list[str] = []
    size = 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > limit:
            return "".join(taken)[:limit], True
    return "".join(taken), False


def _laid_out(text: str) -> Iterator[str]:
    """JSON, known to be good, with a line for each value; numbers stay digit by digit as they were written."""
    depth, opened = 0, False
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if piece in "}]":
            depth -= 1
            yield piece if opened else "\n" + "  " * depth + piece
            opened = False
            continue
        if opened:
            yield "\n" + "  " * depth
            opened = False
        if piece in "{[":
            depth += 1
            opened = True
            yield piece
        elif piece == ",":
            yield ",\n" + "  " * depth
        else:
            yield ": " if piece == ":" else _readable(piece)


def _readable(piece: str) -> str:
    r"""«Да» instead of \u0414\u0430; what must be escaped stays so."""
    return json.dumps(json.loads(piece), ensure_ascii=False) if piece[0] == '"' and "\\" in piece else piece
