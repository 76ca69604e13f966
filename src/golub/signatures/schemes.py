"""How a delivery may have been signed, and whether one was: pure functions over raw bytes.

A scheme is a header, a key, what is signed, and how. Avito does not publish its own, so every one that makes sense is
tried. Promises, which apply relies on:
- No header value, however hostile, raises.
- Digests are compared as bytes, in constant time; how they were written (hex or base64) is read before that.
- A key that others know (client id, user id), or none at all, shows only that the bytes arrived as they left. It proves
  no sender, and `is_keyed` says so.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

DIGEST_BYTES = 32  # SHA-256
OWN = "own-"  # begins the name of a secret that the owner set: `own-7`


class Key(StrEnum):
    CLIENT_SECRET = "client_secret"  # noqa: S105
    PATH_TOKEN = "path_token"  # noqa: S105
    CLIENT_ID = "client_id"
    USER_ID = "user_id"
    NOTHING = "nothing"


class Signed(StrEnum):
    """What is signed."""

    BODY = "body"
    STRIPPED_BODY = "stripped_body"  # without the newline at its end
    URL_BODY = "url_body"
    PATH_BODY = "path_body"
    EVENT_ID = "event_id"  # of the envelope
    MESSAGE_ID = "message_id"


class Digest(StrEnum):
    HMAC = "hmac"  # HMAC-SHA256
    PLAIN = "plain"  # SHA-256 of the key and what follows it


class Writing(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class Outcome(StrEnum):
    """What a delivery's signature is, where it is not a list of schemes that fit. Empty: nobody has tried."""

    ABSENT = "absent"  # none of the headers
    UNREADABLE = "unreadable"  # no 256 bits in hex or base64, or two that differ
    UNKNOWN = "unknown"  # no scheme that was tried fits


PUBLIC = frozenset({Key.CLIENT_ID.value, Key.USER_ID.value, Key.NOTHING.value})

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_FULL = re.compile(r"[a-z0-9-]+:[a-z0-9_-]+:[a-z_]+:[a-z]+:[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Scheme:
    """Written as `header:key:signed:digest:writing`, in rows and in forms."""

    header: str  # lower case
    key: str  # a `Key`, or a secret of the owner's
    signed: Signed
    digest: Digest
    writing: Writing

    def __str__(self) -> str:
        return f"{self.header}:{self.key}:{self.signed}:{self.digest}:{self.writing}"

    @classmethod
    def parse(cls, text: str) -> "Scheme":
        """Raises `ValueError`."""
        if not _FULL.fullmatch(text):
            raise ValueError(text)
        header, key, signed, digest, writing = text.split(":")
        return cls(header, key, Signed(signed), Digest(digest), Writing(writing))

    @property
    def is_keyed(self) -> bool:
        """Whether a stranger could not have made it."""
        return self.key not in PUBLIC

    @property
    def covers_text(self) -> bool:
        """Whether a changed body would show."""
        return self.signed not in (Signed.EVENT_ID, Signed.MESSAGE_ID)


@dataclass(frozen=True, slots=True)
class Own:
    """A secret of the owner's, and what he says of it; None: whatever fits."""

    name: str
    header: str
    secret: bytes
    signed: Signed | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """What an account's deliveries may be signed with. `url` is the address that this very delivery came to."""

    shared: Mapping[str, bytes]  # by `Key`: tried with every header
    own: Sequence[Own] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Bytes:
    """A delivery as far as a signature may cover it."""

    body: bytes
    event_id: str = ""
    message_id: str = ""

    def of(self, signed: Signed, url: str) -> bytes | None:
        """None: there is no such thing, or it is the bare body over again."""
        if signed is Signed.BODY:
            return self.body
        if signed is Signed.STRIPPED_BODY:
            stripped = self.body.rstrip(b"\r\n")
            return stripped if stripped != self.body else None
        if signed in (Signed.EVENT_ID, Signed.MESSAGE_ID):
            name = self.event_id if signed is Signed.EVENT_ID else self.message_id
            return name.encode("utf-8", "replace") or None
        if not url:
            return None
        return (url if signed is Signed.URL_BODY else path_of(url)).encode("utf-8", "replace") + self.body


Found = tuple[str, Writing, bytes]  # the header, how the value is written, and the digest


def read_headers(raw: bytes, names: Sequence[str]) -> tuple[list[Found], bool]:
    """The digests under these names (lower case), and whether there was anything under one of them. One that comes
    twice with other bytes is none. `raw` is as ingest keeps it: a JSON array of pairs."""
    wanted: dict[str, set[tuple[Writing, bytes] | None]] = {}
    for name, value in _pairs(raw):
        if (lower := name.lower()) in names:
            wanted.setdefault(lower, set()).add(read_digest(value))
    found = [(name, *one) for name, values in wanted.items() if len(values) == 1 and (one := next(iter(values)))]
    return found, bool(wanted)


def read_digest(value: str) -> tuple[Writing, bytes] | None:
    """256 bits in hex of either case or in base64 of either alphabet; a `sha256=` before them is passed over."""
    text = value.strip()
    if text[:7].lower() == "sha256=":
        text = text[7:]
    if _HEX.fullmatch(text):
        return Writing.HEX, bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        try:
            found = base64.b64decode(text.rstrip("=").translate(_URL_SAFE) + "=", validate=True)
        except (binascii.Error, ValueError):
            return None
        return (Writing.BASE64, found) if len(found) == DIGEST_BYTES else None
    return None


_URL_SAFE = str.maketrans("-_", "+/")


def candidates(header: str, writing: Writing, keys: Keys) -> Generator[tuple[Scheme, bytes]]:
    """Every scheme that is worth trying on this header, with its key; the likely ones first."""
    for own in keys.own:
        if own.header == header:
            for signed in (own.signed,) if own.signed else Signed:
                for digest in (own.digest,) if own.digest else Digest:
                    yield Scheme(header, own.name, signed, digest, writing), own.secret
    for name, key in keys.shared.items():
        for signed in Signed:
            for digest in Digest:
                yield Scheme(header, name, signed, digest, writing), key
    for signed in (Signed.BODY, Signed.STRIPPED_BODY):
        yield Scheme(header, Key.NOTHING, signed, Digest.PLAIN, writing), b""


def most_candidates(keys: Keys) -> int:
    """How many there can be for one header."""
    return (len(keys.own) + len(keys.shared)) * len(Signed) * len(Digest) + 2


def find_key(scheme: Scheme, keys: Keys) -> bytes | None:
    """That of this one scheme, where the account has it."""
    if scheme.key == Key.NOTHING:
        return b""
    if scheme.key in keys.shared:
        return keys.shared[scheme.key]
    return next((own.secret for own in keys.own if own.name == scheme.key and own.header == scheme.header), None)


def fits(scheme: Scheme, key: bytes, bytes_: Bytes, url: str, value: bytes) -> bool:
    """`value` is the digest that the header held."""
    message = bytes_.of(scheme.signed, url)
    return message is not None and hmac.compare_digest(digest_of(scheme.digest, key, message), value)


def digest_of(digest: Digest, key: bytes, message: bytes) -> bytes:
    if digest is Digest.HMAC:
        return hmac.digest(key, message, "sha256")
    whole = hashlib.sha256(key)
    whole.update(message)
    return whole.digest()


def written(scheme: Scheme, key: bytes, bytes_: Bytes, url: str = "") -> str:
    """What the header would say."""
    made = digest_of(scheme.digest, key, bytes_.of(scheme.signed, url) or b"")
    return made.hex() if scheme.writing is Writing.HEX else base64.b64encode(made).decode()


def openssl_line(scheme: Scheme) -> str:
    """A line for a shell with the key in `$KEY`, the body in `body.json`, and the address or the id in a variable."""
    first = {
        Signed.BODY: "cat body.json",
        Signed.STRIPPED_BODY: 'printf %s "$(cat body.json)"',
        Signed.URL_BODY: 'printf %s "$URL"; cat body.json',
        Signed.PATH_BODY: 'printf %s "$URL_PATH"; cat body.json',
        Signed.EVENT_ID: 'printf %s "$EVENT_ID"',
        Signed.MESSAGE_ID: 'printf %s "$MESSAGE_ID"',
    }[scheme.signed]
    plain = scheme.digest is Digest.PLAIN
    if plain and scheme.key != Key.NOTHING:
        first = f'printf %s "$KEY"; {first}'
    sign = "openssl dgst -sha256" + ("" if plain else ' -hmac "$KEY"')
    return f"({first}) | {sign}" + ("" if scheme.writing is Writing.HEX else " -binary | openssl base64")


def path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def of_token(url: str, token: str) -> str:
    """A webhook's masked URL with this secret at its end."""
    return f"{url.rpartition('/')[0]}/{token}"


def with_token(keys: Keys, masked_url: str, token: str) -> Keys:
    """The keys for a delivery that came with this path token."""
    shared = {**keys.shared, Key.PATH_TOKEN.value: token.encode()}
    return replace(keys, shared=shared, url=of_token(masked_url, token) if masked_url else "")


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        found: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return []
    pairs = cast(list[Any], found) if isinstance(found, list) else []
    kept = [cast(list[Any], pair) for pair in pairs if isinstance(pair, list)]
    return [(str(pair[0]), str(pair[1])) for pair in kept if len(pair) == 2]
