"""Every reader of foreign bytes, with bytes that nobody thought of: it reads them, or refuses in its own words.

2000 inputs in the suite, 200 000 with `--full`, shared out among the readers.
"""

import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from golub.alerts.smtp import Server
from golub.avito.wire import Event, Probe, Unreadable, read_chats, read_delivery, read_messages
from golub.composing.filling import NAMES, fill, find_places
from golub.errors import GolubError, Invalid, Rejected
from golub.guarded import Guarded
from golub.inbox import Place
from golub.index.question import ask
from golub.ingest import kept_headers
from golub.outbox.splitting import split
from golub.settings import Settings
from golub.web.address import client_address
from golub.web.csv_file import csv_file
from golub.web.headers import host_name
from golub.web.links import calm, read_link, split_text, visible
from golub.web.media import recode, voice_type
from golub.web.next_page import safe_next
from tests.conftest import AtScale
from tests.hostile.bodies import HOSTILE
from tests.shapes import message

NOW = 1_790_000_000_000
ODD = st.text(st.characters(), max_size=120)
SIGNS = st.text("/\\?#%@:&=.,;'\"<>[]{}()\r\n\t\0 -_*~|0123456789abcxhtpsЯ\u202e\u200b\ud800", max_size=80)
TEXT = ODD | SIGNS | st.builds("".join, st.lists(st.sampled_from(
    ["http://", "https://", "javascript:", "//", "\\", "@", "avito.ru", "127.0.0.1", "[::1]", "%0d%0a", "{buyer}"]
), max_size=6))  # fmt: skip
BYTES = st.binary(max_size=300) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))
SEEDS = [raw for raw, _ in HOSTILE.values() if len(raw) < 2000] + [message()]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body that is nearly right: some of its bytes others, missing or twice."""
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        raw[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["id", "author_id", "created", "type", "content", "text", "users", "context", "value", "last_message"]
    ) | TEXT, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def deliveries(raw: bytes) -> None:
    read = read_delivery(raw, NOW)
    assert isinstance(read, Event | Probe | Unreadable)
    if isinstance(read, Unreadable):
        read.detail.encode()


def answers(told: Any) -> None:
    read_chats(told, 7, NOW)
    read_messages(told, 7, "u2i-x", NOW)
    read_messages({"messages": [told]}, 7, "u2i-x", NOW)


def links(text: str) -> None:
    pieces = split_text(text)
    for piece in pieces:
        if not isinstance(piece, str):
            parsed = urlsplit(piece.url)
            assert parsed.scheme in ("http", "https")
            assert parsed.hostname
            assert not set(piece.url) & set("<>\"' \r\n\t\\")
    link = read_link(text, scheme="https")
    assert link is None or link.url.startswith(("http://", "https://"))
    assert "\u202e" not in visible(text)
    calm(text)


def cursors(text: str) -> None:
    try:
        place = Place.parse(text)
    except Invalid:
        return
    assert Place.parse(str(place)) == place


def questions(text: str) -> None:
    try:
        ask(text).marks(text)
    except Invalid:
        return


def redirects(text: str) -> None:
    wanted = safe_next(text)
    assert wanted.startswith("/")
    assert not urlsplit(wanted).netloc
    assert not set(wanted) & set("\\\r\n\t\0")
    assert wanted[1:2] not in ("/", "\\")


def addresses(raw: bytes) -> None:
    scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", raw), (b"host", raw)]}
    found = client_address(scope, (ip_network("127.0.0.0/8"),))
    assert set(found) <= set("0123456789abcdefABCDEF.:%") | set(found.partition("%")[2])
    host_name([raw.decode("latin-1")])
    json.loads(kept_headers([(b"x-signature", raw), (b"referer", raw), (raw[:40], raw)], "t" * 43))


def pictures(raw: bytes) -> None:
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"RIFF\x10\0\0\0WEBPVP8 "):
        for read in (lambda made: recode(made, 64), voice_type):
            try:
                read(head + raw)
            except Rejected:
                continue


def urls(text: str) -> None:
    try:
        Guarded().check_url(text)
    except Invalid:
        return


def settings_of(text: str) -> None:
    for name in ("public_url", "avito_url", "smtp_url", "trusted_proxies"):
        try:
            Settings.model_validate({name: text})
        except ValueError:
            continue
    try:
        Server.parse(text)
    except Invalid:
        return


def words(text: str) -> None:
    assert "".join("".join(split(text, 50)).split()) == "".join(text.split())
    fill(text, dict.fromkeys(NAMES, "x"))
    find_places(text)
    bytes(csv_file("x", [[text]]).body).decode("utf-8-sig")


READERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "deliveries": (BYTES | mutated(), deliveries),
    "answers of the API": (st.dictionaries(TEXT, JSON, max_size=3) | JSON, answers),
    "links and names": (TEXT, links),
    "cursors": (TEXT | st.from_regex(r"\A[0-9]{1,25}\.[0-9]{1,25}\Z"), cursors),
    "questions": (TEXT, questions),
    "pages to go to": (TEXT | SIGNS.map(lambda text: f"/{text}"), redirects),
    "addresses and headers": (BYTES, addresses),
    "pictures and voices": (st.binary(max_size=400), pictures),
    "urls to call": (TEXT, urls),
    "settings": (TEXT, settings_of),
    "words": (TEXT, words),
}


@pytest.mark.row(16, 22, 23, 24, 25)
@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_read_or_refused(name: str, at_scale: AtScale) -> None:
    inputs, read = READERS[name]

    @settings(
        max_examples=at_scale(2000, 200_000) // len(READERS),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(inputs)
    def whatever(given_: Any) -> None:
        try:
            read(given_)
        except GolubError as error:
            raise AssertionError(f"refused in words that nobody expected here: {error}") from error

    whatever()
