"""What a message of each type carries, when the caller did not say: shapes as they really come (facts.md)."""

from random import Random
from typing import Any

from golub.simulator import wire
from golub.simulator.world import MESSAGE_TYPES, Item

PLACES = (
    ("street", 55.599799, 37.603954, "Москва, Варшавское шоссе"),
    ("house", 59.934280, 30.335099, "Санкт-Петербург, Невский проспект, 60"),
    ("house", 56.838011, 60.597465, "Екатеринбург, улица Малышева, 36"),
    ("area", 55.030204, 82.920430, "Новосибирск, Центральный район"),
    ("street", 55.796127, 49.106405, "Казань, улица Баумана"),
)


def content_for(kind: str, text: str, rng: Random, url: str, item: Item | None) -> dict[str, Any]:
    """The content of a new message. `text` is the message itself, or an image's caption, or a link's address."""
    if kind not in MESSAGE_TYPES:
        return {"text": text} if text else {}  # a type of tomorrow
    if kind in ("video", "file", "appCall", "deleted"):
        return {}  # always empty: "данные типы не поддерживаются"
    if kind == "text":
        return {"text": text}
    if kind == "system":
        return {"text": text or "[Системное сообщение]", "flow_id": "seller_audience_discount"}
    if kind == "image":
        image_id = f"{item.picture if item else 'photo'}.{rng.randrange(10**9, 10**10)}"
        image: dict[str, Any] = {"image": {"sizes": wire.image_sizes(image_id, url)}}
        return image | {"text": text} if text else image
    if kind == "voice":
        return {"voice": {"voice_id": voice_id(rng)}}
    if kind == "location":
        place, lat, lon, title = rng.choice(PLACES)
        return {"location": {"kind": place, "lat": lat, "lon": lon, "text": text or title, "title": title}}
    if kind == "link":
        address = text or "https://ru.wikipedia.org/wiki/Голубь"
        return {"link": {"text": address, "url": address, "preview": None}}
    if kind == "call":
        return {"call": {"status": "missed", "target_user_id": 0}}
    return {"item": _item(item or Item("Объявление", 1000, rng.randrange(10**9)), url)}


def voice_id(rng: Random) -> str:
    """A UUID-like id, as voice ids are."""
    raw = f"{rng.getrandbits(128):032x}"
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def _item(item: Item, url: str) -> dict[str, Any]:
    return {
        "image_url": f"{url}/img/640x480/{wire.item_picture(item)}.jpg",
        "item_url": f"https://avito.ru/moskva/objavlenie_{item.id}",
        "price_string": wire.price_string(item.price),
        "title": item.title,
    }
