"""Bytes from strangers to plain values, or the cause why not: cheap for 256 KiB of anything, and never an exception.

What comes out can be stored by both databases: strict UTF-8, at most 64 levels deep, no NaN, no lone surrogates, no
NUL. `wire` reads the fields.
"""

import json
import math
import re
import threading
from collections.abc import Sequence
from typing import Any, NoReturn, cast

from golub.model import Cause

DEPTH_LIMIT = 64  # real bodies have 8 levels
BIGGEST = 2**63 - 1  # what a database's integer holds
SURE_TO_FIT = 18  # digits

_BRACKETS = re.compile(rb'[\[{]|[\]}]|"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_ODD_ESCAPES = re.compile(r"\\u(?:0000|[dD][89a-fA-F])", re.ASCII)  # of NUL, or of half a pair
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACED = {"\x00": "\u2400"}  # NUL's own picture; half a surrogate pair is U+FFFD


class Refused(Exception):
    """Ends the reading of one delivery or one record. Stays inside the `wire` modules."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


class Huge(str):
    """An integer beyond 64 bits, as its digits: kept inside content, refused where a number is due."""

    __slots__ = ()


def read(body: bytes, flags: set[str]) -> Any:
    """The JSON value in `body`; adds what was odd to `flags`. Raises `Refused`.

    A byte order mark is dropped and flagged: RFC 8259 lets a reader do so, and the text behind it is beyond doubt. Of
    keys that come twice the last wins, as with Avito's own clients, and that is flagged too.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
        flags.add("byte_order_mark")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(Cause.NOT_UTF8, f"byte {error.start} is not UTF-8") from None
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT:
        _refuse_depth(body)

    _reader.doubled = _reader.beyond = False
    try:
        value = _reader.decoder.decode(text)
    except json.JSONDecodeError as error:
        raise Refused(Cause.NOT_JSON, f"{error.msg} at character {error.pos}") from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise Refused(Cause.BAD_VALUE, "a number has thousands of digits") from None
    if _reader.doubled:
        flags.add("duplicate_keys")
    # Only then it must be looked through value by value.
    return storable(value, flags) if _reader.beyond or ("\\u" in text and _ODD_ESCAPES.search(text)) else value


def storable(value: Any, flags: set[str], depth: int = 0) -> Any:
    """The same value with all in it that a database would refuse replaced, for JSON that the client has parsed too.

    Raises `Refused` for what is too deep or not a finite number.
    """
    if isinstance(value, str):
        return _storable_text(value, flags)
    if isinstance(value, dict):
        _refuse_level(depth)
        members = cast(dict[str, Any], value)
        return {_storable_text(key, flags): storable(inner, flags, depth + 1) for key, inner in members.items()}
    if isinstance(value, list):
        _refuse_level(depth)
        return [storable(inner, flags, depth + 1) for inner in cast(list[Any], value)]
    if isinstance(value, int) and not -BIGGEST <= value <= BIGGEST:
        return Huge(_digits(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(Cause.BAD_VALUE, "a number is out of range")
    return value


class _Reader(threading.local):
    """A decoder for each thread: making one costs as much as reading a message with it."""

    def __init__(self) -> None:
        self.doubled = False  # an object had the same key twice
        self.beyond = False  # a number may not fit
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=_refuse_constant,
            parse_int=self._integer,
            parse_float=self._fraction,
        )

    def _object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self.doubled = True
        return found

    def _integer(self, digits: str) -> int:
        if len(digits) > SURE_TO_FIT:
            self.beyond = True
        return int(digits)

    def _fraction(self, written: str) -> float:
        found = float(written)
        if not math.isfinite(found):
            self.beyond = True
        return found


def _storable_text(text: str, flags: set[str]) -> str:
    if text.isascii() and "\x00" not in text:
        return text
    clean = _UNSTORABLE.sub(lambda found: _REPLACED.get(found[0], "\ufffd"), text)
    if clean != text:
        flags.add("characters_replaced")
    return clean


def _refuse_depth(body: bytes) -> None:
    """`json` would meet Python's recursion limit: so count the levels first, outside of strings, and stop early."""
    depth = 0
    for found in _BRACKETS.finditer(body):
        mark = found[0]
        if mark in b"[{":
            depth += 1
            _refuse_level(depth - 1)
        elif mark in b"]}":
            depth -= 1


def _refuse_level(depth: int) -> None:
    if depth >= DEPTH_LIMIT:
        raise Refused(Cause.TOO_DEEP, f"more than {DEPTH_LIMIT} levels of nesting")


def _refuse_constant(name: str) -> NoReturn:
    raise Refused(Cause.NOT_JSON, f"{name} is not JSON")


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # longer than Python writes
        raise Refused(Cause.BAD_VALUE, "a number has thousands of digits") from None


_reader = _Reader()
