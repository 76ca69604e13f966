"""Webhook bodies of every shape that Avito is known to send, with invented people and words.

Each is what a test of reading, of the journal and of the pages can send; ids are short on purpose.
"""

import json
from typing import Any

Json = dict[str, Any]

USER_ID = 7_001
BUYER_ID = 8_002
CREATED = 1_789_990_000  # seconds
SIZES = {size: f"https://img.example/{size}/1.jpg" for size in ("1280x960", "640x480", "140x105", "32x32")}

CONTENTS: dict[str, Json] = {
    "text": {"text": "Добрый день, ещё продаёте?"},
    "image": {"image": {"sizes": SIZES}},
    "voice": {"voice": {"voice_id": "2f6c0f0e-5c5e-4d6b-9a51-000000000001"}},
    "link": {
        "link": {
            "text": "пример.рф",
            "url": "https://xn--e1afmkfd.example",
            "preview": {"title": "Пример", "description": "О примере", "domain": "пример.рф", "images": SIZES},
        }
    },
    "location": {
        "location": {"kind": "street", "lat": 59.93428, "lon": 30.335099, "text": "Невский, 60", "title": "Невский, 60"}
    },
    "item": {
        "item": {
            "image_url": "https://img.example/i.webp",
            "item_url": "https://avito.example/i/1",
            "price_string": "1\u00a0200\u00a0₽",
            "title": "Самокат",
        }
    },
    "call": {"call": {"status": "missed", "target_user_id": USER_ID}},
    "system": {"text": "[Системное сообщение] Скидка включена", "flow_id": "seller_discount"},
    "video": {},
    "file": {},
    "appCall": {},
    "deleted": {},
}


def value(**changes: Any) -> Json:
    """A message; a change to `...` takes the field away."""
    made: Json = {
        "id": "m-1",
        "chat_id": "u2i-abc",
        "user_id": USER_ID,
        "author_id": BUYER_ID,
        "created": CREATED,
        "type": "text",
        "chat_type": "u2i",
        "content": CONTENTS["text"],
        "item_id": 5_003,
        "published_at": "2026-09-21T10:06:40Z",
        "read": None,
    } | changes
    return {key: each for key, each in made.items() if each is not ...}


def envelope(of: Json, **changes: Any) -> Json:
    made: Json = {
        "id": "5d1c2a84-0000-4000-8000-000000000001",
        "version": "v3.0.0",
        "timestamp": CREATED,
        "payload": {"type": "message", "value": of},
    } | changes
    return {key: each for key, each in made.items() if each is not ...}


def body(of: Json, **changes: Any) -> bytes:
    return json.dumps(envelope(of, **changes), ensure_ascii=False).encode()


def message(**changes: Any) -> bytes:
    return body(value(**changes))


HISTORY_RECORD: Json = {
    "id": "m-9",
    "author_id": 0,
    "created": CREATED - 86_400,
    "type": "system",
    "content": {"text": "Пользователь посмотрел номер из объявления"},
}

SHAPES: dict[str, Json] = {
    **{kind: envelope(value(type=kind, content=content)) for kind, content in CONTENTS.items()},
    "u2u without item": envelope(value(chat_type="u2u", chat_id="u2u-abc", item_id=None)),
    "a2u without item": envelope(value(chat_type="a2u", chat_id="a2u-abc", item_id=None)),
    "already read": envelope(value(read=CREATED + 5)),
    "deleted as text": envelope(value(content={"text": "Сообщение удалено"})),
    "system without text": {
        "payload": {"type": "message", "value": value(type="system", content={"flow_id": "f1"}, published_at=...)}
    },
    "without message id": envelope(value(id=..., read=...), version="v1.1"),
    "another version": envelope(value(published_at=...), version="v3.0"),
    "our own, without type and envelope": {
        "payload": {
            "type": "message",
            "value": value(
                author_id=USER_ID, type=..., content={"text": "  Да, продаём  "}, published_at=..., read=...
            ),
        }
    },
    "without payload type, with an author object": envelope(
        {},
        version=...,
        payload={"value": value(author={"name": "Покупатель"}, chat_type=..., published_at=..., read=...)},
    ),
}
