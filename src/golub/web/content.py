"""A message as the thread draws it: which kind it is, and only values that are safe to put into a page.

Content is what Avito sent, so anything may be missing or of another type; nothing here raises. A kind that we do not
know is shown as such, with its raw JSON. `templates/inbox/message.html` draws what `show` returns.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

from golub.model import Direction, Message
from golub.web.links import Link, calm, read_link, split_text, visible

RAW_LIMIT = 4000  # characters of raw JSON shown for an unknown kind
AVITO_CHAT = "https://www.avito.ru/profile/messenger/channel/"

# The types that have a drawing of their own; video and file are always empty, and no API fetches them.
KINDS = frozenset(
    ("text", "image", "voice", "location", "link", "item", "call", "appCall", "video", "file", "system", "deleted")
)

Words = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Card:
    """A link or an item, with whatever of it there is."""

    title: str = ""
    detail: str = ""
    price: str = ""
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """`side` is own, theirs or system; `picture` says whether there is one to ask `media` for."""

    message: Message
    side: str
    kind: str
    text: list[str | Link] = field(default_factory=list[str | Link])
    card: Card | None = None
    picture: bool = False
    missed: bool = False
    raw: str = ""
    writer: str | None = ""


def show(message: Message, writer: str | None = "") -> Shown:
    """`writer` is the operator who wrote it, where we know; None: a rule sent it."""
    side = {Direction.IN: "theirs", Direction.OUT: "own"}.get(Direction(message.direction), "system")
    if message.deleted_at is not None or message.type == "deleted":
        return Shown(message, side, "deleted", writer=writer)
    content = message.content
    kind = message.type if message.type in KINDS else "unknown"
    card: Card | None = None
    raw = ""
    if kind == "link":
        card = _link_card(_part(content, "link"))
    elif kind == "item":
        card = _item_card(_part(content, "item"))
    elif kind == "location":
        card = _place_card(_part(content, "location"))
    elif kind == "unknown":
        shown = json.dumps(content, ensure_ascii=False, indent=2)
        raw = visible_lines(shown[:RAW_LIMIT] + ("…" if len(shown) > RAW_LIMIT else ""))
    text = message.text or _text(content, "text")
    return Shown(
        message,
        side,
        kind,
        text=split_text(calm(text)) if kind in ("text", "image", "system", "unknown") else [],
        card=card,
        picture=bool(picture_source(message, 640)),
        missed=kind == "call" and _text(_part(content, "call"), "status") in ("", "missed"),
        raw=raw,
        writer=writer,
    )


def preview(message: Message, words: Words) -> str:
    """The message in one line, for the list."""
    if message.deleted_at is not None or message.type == "deleted":
        return words("Message deleted")
    content = message.content
    text = " ".join(visible(message.text or _text(content, "text")).split())[:200]
    if message.type in ("text", "system"):
        return text or words("A message without text")
    if message.type == "image":
        return f"{words('Photo')}: {text}" if text else words("Photo")
    if message.type == "location":
        place = _part(content, "location")
        return " · ".join(filter(None, (words("Location"), _line(place, "title") or _line(place, "text"))))
    if message.type == "link":
        return _line(_part(content, "link"), "text") or words("Link")
    if message.type == "item":
        return " · ".join(filter(None, (words("Item"), _line(_part(content, "item"), "title"))))
    named = {
        "voice": "Voice message",
        "call": "Missed call",
        "appCall": "The buyer rang",
        "video": "Video",
        "file": "File",
    }
    return words(named.get(message.type, "Message of a new kind"))


def picture_source(message: Message, width: int) -> str:
    """The URL, at Avito, of the message's picture that is the smallest one at least `width` wide; else the widest."""
    content = message.content
    if message.deleted_at is not None:
        return ""
    if message.type == "image":
        return _choose(_part(_part(content, "image"), "sizes"), width)
    if message.type == "item":
        return _text(_part(content, "item"), "image_url")
    if message.type == "link":
        return _choose(_part(_part(_part(content, "link"), "preview"), "images"), width)
    return ""


def voice_id(message: Message) -> str:
    return "" if message.deleted_at is not None else _text(_part(message.content, "voice"), "voice_id")


def sources_of(row: Mapping[str, Any]) -> list[str]:
    """All addresses of pictures that a message's row can have been shown by, deleted or not."""
    message = Message(type=row["type"], content=row["content"], deleted_at=None)
    return list(dict.fromkeys(filter(None, (picture_source(message, width) for width in (1, 128, 640, 1280, 99_999)))))


def avito_chat_url(chat_avito_id: str) -> str:
    """The chat on Avito's own page."""
    return AVITO_CHAT + quote(chat_avito_id, safe="")


def map_url(lat: float, lon: float) -> str:
    return f"https://yandex.ru/maps/?pt={lon:.6f},{lat:.6f}&z=16&l=map"


def visible_lines(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


def _link_card(link: dict[str, Any]) -> Card:
    preview_of = _part(link, "preview")
    written = _text(link, "url") or _text(preview_of, "url") or _text(link, "text")
    return Card(
        title=_line(preview_of, "title") or _line(link, "text") or _line(link, "url"),
        detail=_line(preview_of, "description"),
        link=read_link(written.strip(), scheme="https"),
    )


def _item_card(item: dict[str, Any]) -> Card:
    return Card(
        title=_line(item, "title"),
        price=_line(item, "price_string"),
        link=read_link(_text(item, "item_url").strip()),
    )


def _place_card(place: dict[str, Any]) -> Card:
    title, detail = _line(place, "title"), _line(place, "text")
    lat, lon = _number(place.get("lat")), _number(place.get("lon"))
    link = None
    if lat is not None and lon is not None and abs(lat) <= 90 and abs(lon) <= 180:
        link = read_link(map_url(lat, lon))
    return Card(title=title or detail, detail=detail if detail != title else "", link=link)


def _choose(sizes: dict[str, Any], width: int) -> str:
    """From {"1280x960": url, "140x105": url, …}."""
    known: list[tuple[int, str]] = []
    for size, url in sizes.items():
        wide = size.partition("x")[0]
        if isinstance(url, str) and url and wide.isascii() and wide.isdigit() and len(wide) < 6:
            known.append((int(wide), url))
    known.sort()
    return next((url for wide, url in known if wide >= width), known[-1][1] if known else "")


def _part(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(content: dict[str, Any], key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _line(content: dict[str, Any], key: str) -> str:
    return " ".join(visible(_text(content, key)).split())[:300]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
