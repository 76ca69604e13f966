"""What each kind of message looks like, and that nothing a stranger writes is ever more than text."""

import sys
import unicodedata
from typing import Any
from urllib.parse import urlsplit

import pytest

from golub.model import Direction, Message
from golub.web.content import avito_chat_url, picture_source, preview, show
from golub.web.language import Reader, words, zone_named
from golub.web.links import Link, read_link, split_text, visible
from golub.web.page import fragment
from tests.web.inbox.reading import Read

NOW = 1_790_000_000_000
SIZES = {f"{size}": f"https://img.k.avito.ru/chat/{size}/1.jpg" for size in ("1280x960", "640x480", "140x105", "32x32")}

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</pre></bdi></li><iMg src=x onerror=alert(1)>",
    "</script><script>alert(1)//",
    "<!-- ",
    "\u2028\u2029",
    "{{7*7}} ${7*7} {% raw %}",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "intent://x#Intent;end",
    "http://127.0.0.1\\@evil.example/",
    'https://evil.example/"onmouseover=alert(1)',
    "\u202egpj.exe\u2066\ufeff\u200b\x00",
    "e" + "\u0301" * 10_000,
    "👩‍👩‍👧‍👦" * 200,
]


def message(kind: str = "text", content: dict[str, Any] | None = None, text: str = "", **more: Any) -> Message:
    values: dict[str, Any] = {
        "id": 5, "account_id": 1, "chat_id": 7, "avito_id": "m", "observed_at": NOW, "source": 1, "digest": b"",
        "author_id": 777, "direction": Direction.IN, "type": kind, "content": content or {}, "text": text,
        "created_at": NOW, "tombstone_at": None, "deleted_at": None, "edited": False, "read_by_peer": False,
        "quiet": False, "unread": False, "confirmed": True, "first_source": 0, "received_at": NOW, "version": 1,
    }  # fmt: skip
    return Message(**(values | more))


class Chat:
    avito_id = "u2i-a~b/../<c>"


class NoMedia:
    """URLs as `pictures.Addresses` makes them."""

    def message(self, message: Message, size: int) -> str:
        return f"/media/x/message/{message.id}/{size}" if picture_source(message, size) else ""

    def voice(self, message: Message) -> str:
        return f"/media/x/voice/{message.id}"


class Drawn(Read):
    def __init__(self, page: str) -> None:
        super().__init__(page)
        self.page = page

    @property
    def links(self) -> list[str]:
        return [attrs["href"] for tag, attrs in self.elements if tag == "a"]


def draw(one: Message, writer: str = "") -> Drawn:
    page = fragment(
        Reader("en", zone_named("UTC"), NOW),
        "inbox/older.html",
        chat=Chat(),
        entries=[show(one, writer)],
        older=None,
        media=NoMedia(),
        visible=visible,
        avito_chat_url=avito_chat_url,
        deletable=lambda _: False,  # the button has tests of its own
    )
    return Drawn(page)


@pytest.mark.parametrize(
    ("kind", "content", "words_shown", "link"),
    [
        ("text", {"text": "привет!"}, "привет!", ""),
        ("image", {"image": {"sizes": SIZES}, "text": "подпись"}, "подпись", "/media/x/message/5/1280"),
        ("image", {}, "A photo: open in Avito", "https://www.avito.ru/profile/messenger/channel/"),
        ("voice", {"voice": {"voice_id": "v"}}, "On Avito", "https://www.avito.ru/"),
        (
            "location",
            {"location": {"kind": "street", "lat": 55.599799, "lon": 37.603954, "title": "Варшавское шоссе"}},
            "Варшавское шоссе",
            "https://yandex.ru/maps/?pt=37.603954,55.599799&z=16&l=map",
        ),
        ("location", {"location": {"lat": 1e400, "lon": "x", "title": "Нигде"}}, "Нигде", ""),
        ("link", {"link": {"text": "habr.com", "url": "habr.com", "preview": None}}, "habr.com", "https://habr.com/"),
        (
            "item",
            {"item": {"item_url": "https://avito.ru/5", "price_string": "1 232 ₽", "title": "Объявление"}},
            "1 232 ₽",
            "https://avito.ru/5",
        ),
        ("call", {"call": {"status": "missed"}}, "Missed call", ""),
        ("appCall", {}, "The buyer rang", "https://www.avito.ru/"),
        ("video", {}, "Video", "https://www.avito.ru/"),
        ("file", {}, "File", "https://www.avito.ru/"),
        ("system", {"text": "[Системное сообщение]", "flow_id": "f"}, "[Системное сообщение]", ""),
        ("system", {"flow_id": "f"}, "A message without text", ""),
        ("hologram", {"hologram": {"depth": 3}}, '"depth": 3', "https://www.avito.ru/"),
    ],
)
def test_each_kind_has_its_drawing(kind: str, content: dict[str, Any], words_shown: str, link: str) -> None:
    text = content.get("text", "")
    direction = Direction.SYSTEM if kind == "system" else Direction.IN
    drawn = draw(message(kind, content, text, direction=direction))
    assert words_shown in drawn.words
    assert not link or any(url.startswith(link) for url in drawn.links)
    assert link or drawn.links == []
    assert preview(message(kind, content, text), words("ru"))


def test_deleted_and_edited_say_so() -> None:
    deleted = draw(message("image", {"image": {"sizes": SIZES}}, "секрет", deleted_at=NOW))
    assert "Message deleted" in deleted.words
    assert "секрет" not in deleted.page
    assert deleted.links == []
    assert "edited" in draw(message(text="новое", edited=True)).words
    assert preview(message(text="секрет", deleted_at=NOW), words("en")) == "Message deleted"


def test_ours_theirs_and_nobody_s_stand_apart() -> None:
    sides = [draw(message(text="x", direction=side)).elements[0][1]["class"].split()[1] for side in Direction]
    assert sides == ["theirs", "own", "system"]
    assert "Анна" in draw(message(text="x", direction=Direction.OUT), writer="Анна").words


ANYWHERE = {
    "text": lambda evil: message(text=evil),
    "system": lambda evil: message("system", {"text": evil}, evil, direction=Direction.SYSTEM),
    "caption": lambda evil: message("image", {"image": {"sizes": SIZES}, "text": evil}, evil),
    "picture": lambda evil: message("image", {"image": {"sizes": {"640x480": evil, evil: "x"}}}),
    "place": lambda evil: message("location", {"location": {"lat": evil, "lon": 1, "title": evil, "text": evil + "!"}}),
    "link": lambda evil: message(
        "link", {"link": {"text": evil, "url": evil, "preview": {"title": evil, "url": evil}}}
    ),
    "item": lambda evil: message("item", {"item": {"title": evil, "item_url": evil, "price_string": evil}}),
    "voice": lambda evil: message("voice", {"voice": {"voice_id": evil}}),
    "call": lambda evil: message("call", {"call": {"status": evil}}),
    "unknown": lambda evil: message(evil, {evil: {"deep": [evil]}}, evil),
    "writer": lambda _: message(text="x", direction=Direction.OUT),
}


@pytest.mark.row(1, 4)
@pytest.mark.parametrize("where", ANYWHERE)
@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_only_words(where: str, evil: str) -> None:
    drawn = draw(ANYWHERE[where](evil), writer=evil if where == "writer" else "")
    tame = draw(ANYWHERE[where]("x"), writer="x" if where == "writer" else "")
    known = {tag for tag, _ in tame.elements} | {"a", "bdi", "svg", "path", "p", "strong", "small", "span", "line"}
    assert {tag for tag, _ in drawn.elements} <= known | {"polyline", "img"}
    for tag, attrs in drawn.elements:
        assert tag not in ("script", "iframe", "object", "style", "form")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            if name in attrs:
                url = urlsplit(attrs[name])
                assert url.scheme in ("https", "http") or attrs[name].startswith("/media/"), attrs[name]
                assert url.hostname != "127.0.0.1"
        if tag == "a" and not attrs["href"].startswith("/media/"):
            assert attrs["rel"] == "noopener noreferrer nofollow"
            assert attrs["target"] == "_blank"
    assert "\u0301" * 5 not in drawn.page


@pytest.mark.parametrize("evil", [None, 5, True, "x", [], {}, {"sizes": []}, {"sizes": {"640x480": 7}}, [[]]])
@pytest.mark.parametrize("kind", ["image", "voice", "location", "link", "item", "call", "system", "text", "новый"])
def test_content_of_any_shape_is_drawn(kind: str, evil: Any) -> None:
    one = message(kind, {kind: evil, "text": evil, "preview": evil})
    assert draw(one).elements
    assert isinstance(preview(one, words("ru")), str)


@pytest.mark.row(5)
@pytest.mark.parametrize(
    ("written", "url", "shown"),
    [
        ("https://avito.ru/moskva?q=1#x", "https://avito.ru/moskva?q=1#x", "avito.ru/moskva?q=1#x"),
        ("HTTP://EXAMPLE.RU:80/A", "http://example.ru/A", "example.ru/A"),
        ("https://good.ru@evil.example/", "https://evil.example/", "evil.example"),
        ("https://пример.рф/путь", "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C", "пример.рф/путь"),
        ("https://аррӏе.com/", "https://xn--80ak6aa92e.com/", "xn--80ak6aa92e.com"),
        ("https://e.ru/%E2%80%AEgpj", "https://e.ru/%E2%80%AEgpj", "e.ru/‹U+202E›gpj"),
    ],
)
def test_a_link_shows_where_it_leads(written: str, url: str, shown: str) -> None:
    assert split_text(f"см. {written}, да") == ["см. ", Link(url, urlsplit(url).hostname or "", shown), ", да"]


@pytest.mark.row(4)
@pytest.mark.parametrize(
    "written",
    ["https://", "https://a b", "https://a.ru:99999/", "http://[::1", "https://\u202eevil.example/", "ftp://a.ru",
     "https://-.ru/", "https://a..ru/", "http://" + "a" * 3000 + ".ru"],
)  # fmt: skip
def test_what_is_no_address_is_no_link(written: str) -> None:
    assert read_link(written) is None


def test_long_links_are_cut_for_the_eye_only() -> None:
    link = read_link("https://example.ru/" + "x" * 300)
    assert link
    assert len(link.text) == 80
    assert link.url.endswith("x" * 300)


HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}


@pytest.mark.row(25)
def test_names_hide_nothing() -> None:
    assert visible("Анна\u202e\x00\u200b") == "Анна‹U+202E›‹U+0000›‹U+200B›"
    assert visible("👨‍👩‍👧 Й") == "👨‍👩‍👧 Й"
    assert visible("e" + "\u0301" * 50) == "e" + "\u0301" * 4
    for char in map(chr, range(sys.maxunicode + 1)):  # what is passed at once holds nothing of the kind
        category = unicodedata.category(char)
        assert (visible(char) == char) == (category not in HIDDEN or char in "\u200d\ufe0e\ufe0f"), hex(ord(char))
        assert category[0] != "M" or visible(f"e{char * 5}") == f"e{char * 4}", hex(ord(char))


def test_the_picture_is_the_smallest_that_is_large_enough() -> None:
    one = message("image", {"image": {"sizes": SIZES}})
    assert picture_source(one, 100) == SIZES["140x105"]
    assert picture_source(one, 640) == SIZES["640x480"]
    assert picture_source(one, 5000) == SIZES["1280x960"]
