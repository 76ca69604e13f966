"""Signatures in words: what a scheme is, what a delivery's signature turned out to be, and an example to check it by.

The pages of webhooks and of the journal rely on it. Texts are the catalogue's English keys.
"""

from dataclasses import dataclass

from golub.signatures import Bytes, Digest, Key, Outcome, Scheme, Signed, Writing, openssl_line, written
from golub.web.language import N_

KEYS: dict[str, str] = {
    Key.CLIENT_SECRET: N_("the client secret"),
    Key.PATH_TOKEN: N_("the secret at the end of the webhook's address"),
    Key.CLIENT_ID: N_("the client id, which others may know"),
    Key.USER_ID: N_("the account's number, which everybody knows"),
    Key.NOTHING: N_("no key at all"),
}
OWN_KEY = N_("your own secret no. {number}")

SIGNED: dict[Signed, str] = {
    Signed.BODY: N_("the body"),
    Signed.STRIPPED_BODY: N_("the body without the newline at its end"),
    Signed.URL_BODY: N_("the address and the body"),
    Signed.PATH_BODY: N_("the address's path and the body"),
    Signed.EVENT_ID: N_("the event's id, without its text"),
    Signed.MESSAGE_ID: N_("the message's id, without its text"),
}

DIGESTS: dict[Digest, str] = {
    Digest.HMAC: "HMAC-SHA256",
    Digest.PLAIN: "SHA-256",
}

OUTCOMES: dict[str, str] = {
    "": N_("not looked at"),
    Outcome.ABSENT: N_("there is none"),
    Outcome.UNREADABLE: N_("it is not readable: not 64 hexadecimal digits and not base64, or there are two"),
    Outcome.UNKNOWN: N_("there is one, and no way of signing that Golub knows fits"),
}
FITS = N_("it fits")
FITS_PUBLIC = N_("it fits, and proves only that the bytes are whole")

EXAMPLE_KEY = "golub-example-key"
EXAMPLE = Bytes(b'{"id":"example","text":"\xd0\x94\xd0\xb0"}', "example-event", "example-message")
EXAMPLE_URL = "https://golub.example.ru/webhook/avito/example"
DEFAULT = Scheme("x-signature", Key.CLIENT_SECRET, Signed.BODY, Digest.HMAC, Writing.HEX)


@dataclass(frozen=True, slots=True)
class Words:
    """Of one scheme. `key` may have a place for `number`."""

    header: str
    key: str
    number: str
    signed: str
    digest: str
    writing: str


@dataclass(frozen=True, slots=True)
class Example:
    """With a key that is no secret: what whoever signs in this way must come to."""

    line: str  # for a shell
    settings: tuple[tuple[str, str], ...]  # its variables
    body: str
    result: str


def words_of(scheme: Scheme) -> Words:
    return Words(
        scheme.header,
        KEYS.get(scheme.key, OWN_KEY),
        scheme.key.rpartition("-")[2],
        SIGNED[scheme.signed],
        DIGESTS[scheme.digest],
        scheme.writing,
    )


def example_of(scheme: Scheme) -> Example:
    key = b"" if scheme.key == Key.NOTHING else EXAMPLE_KEY.encode()
    settings = {
        "KEY": EXAMPLE_KEY if key else "",
        "URL": EXAMPLE_URL if scheme.signed is Signed.URL_BODY else "",
        "URL_PATH": EXAMPLE_URL.partition(".ru")[2] if scheme.signed is Signed.PATH_BODY else "",
        "EVENT_ID": EXAMPLE.event_id if scheme.signed is Signed.EVENT_ID else "",
        "MESSAGE_ID": EXAMPLE.message_id if scheme.signed is Signed.MESSAGE_ID else "",
    }
    body = EXAMPLE if scheme.signed is not Signed.STRIPPED_BODY else Bytes(EXAMPLE.body + b"\n")
    return Example(
        openssl_line(scheme),
        tuple((name, value) for name, value in settings.items() if value),
        EXAMPLE.body.decode(),
        written(scheme, key, body, EXAMPLE_URL),
    )


def told_of(signature: str) -> tuple[str, list[Words]]:
    """A delivery's, as the journal keeps it: what it is, and by which schemes."""
    if signature in OUTCOMES:
        return OUTCOMES[signature], []
    schemes: list[Scheme] = []
    for part in signature.split():
        try:
            schemes.append(Scheme.parse(part))
        except ValueError:  # of a later release
            continue
    return FITS if any(scheme.is_keyed for scheme in schemes) else FITS_PUBLIC, [words_of(one) for one in schemes]
