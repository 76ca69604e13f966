"""Avito's JSON: what a webhook carries, what the API answers, and its three shapes of error.

Key order, undocumented keys and the difference between spec and live answers follow the live system; each oddity
names itself. Nothing here changes state.
"""

import json
from datetime import UTC, datetime
from typing import Any

from golub.simulator.world import Chat, Item, Message

Json = dict[str, Any]

VERSION = "v3.0.0"  # 90 777 of 90 777 production webhooks; the docs say "v1.1"
SIGNATURE_HEADER = "x-avito-messenger-signature"
TEXT_LIMIT = 1000  # postSendMessage
PAGE_LIMIT = 100  # getChatsV2, getMessagesV3: limit 1..100
OFFSET_LIMIT = 1000  # … and offset 0..1000; past it 400, not an empty page
UPLOAD_BYTES = 24 * 1024 * 1024  # uploadImages
UPLOAD_PIXELS = 75_000_000  # uploadImages
DELETE_SECONDS = 3600  # deleteMessage: "не позднее часа"
SIZES = ("1280x960", "640x480", "140x105", "32x32")
AVATARS = (24, 36, 48, 64, 72, 96, 128, 192, 256)


def webhook_body(envelope: str, timestamp: int, value: Json) -> bytes:
    """One event, in the live key order; UTF-8, no spaces."""
    body = {"id": envelope, "version": VERSION, "timestamp": timestamp, "payload": {"type": "message", "value": value}}
    return encoded(body)


def encoded(body: Any) -> bytes:
    """JSON as UTF-8; a lone surrogate, which UTF-8 cannot carry, makes everything escaped."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def webhook_value(message: Message) -> Json:
    chat = message.chat
    value: Json = {
        "id": message.id,
        "chat_id": chat.id,
        "user_id": chat.account.user_id,
        "author_id": message.author_id,
        "created": message.created,
        "type": message.type,
        "chat_type": chat.chat_type,
        "content": message.content,
        "item_id": chat.item.id if chat.item else None,
        "published_at": rfc3339(message.created),
        "read": message.read,
    }
    if message.author_id is None:
        del value["author_id"]
    return value


def rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def message_json(message: Message) -> Json:
    """A message of getMessagesV3. Live answers say `isRead`, the spec `is_read`."""
    body: Json = {
        "id": message.id,
        "author_id": message.author_id,
        "created": message.created,
        "content": message.content,
        "type": message.type,
        "direction": "out" if message.outgoing else "in",
        "isRead": message.is_read,
        "read": message.read,
    }
    if message.author_id is None:
        del body["author_id"]
    if quote := message.quote:
        body["quote"] = {
            "id": quote.id,
            "author_id": quote.author_id,
            "created": quote.created,
            "content": quote.content,
            "type": quote.type,
        }
    return body


def sent_json(message: Message, author: bool) -> Json:
    """The answer to a send. By the specification only that of an image names its author."""
    body: Json = {
        "content": message.content,
        "created": message.created,
        "direction": "out",
        "id": message.id,
        "type": message.type,
    }
    if author or message.type == "image":
        body["author_id"] = message.author_id
    return body


def chat_json(chat: Chat, url: str) -> Json:
    """A chat of getChatsV2 and getChatByIdV2; `url` is where our pictures are.

    `context.value.location`, `users[].parsing_allowed` and `last_message.delivered` are undocumented and real.
    A chat without an item has no context; `chat.omits` takes more away.
    """
    body: Json = {"id": chat.id}
    if chat.item:
        body["context"] = {"type": "item", "value": item_json(chat.item, chat.account.user_id, url)}
    body |= {"created": chat.created, "updated": chat.updated}
    if chat.history:
        last = chat.history[-1]
        body["last_message"] = {
            "author_id": last.author_id or 0,
            "content": last.content,
            "created": last.created,
            "delivered": last.created,
            "direction": "out" if last.outgoing else "in",
            "id": last.id,
            "type": last.type,
        }
    item_id = chat.item.id if chat.item else 0
    body["users"] = [
        user_json(chat.buyer_id, chat.buyer, item_id, url),
        user_json(chat.account.user_id, chat.account.name, item_id, url),
    ]
    return {key: value for key, value in body.items() if key not in chat.omits}


def item_json(item: Item, seller: int, url: str) -> Json:
    return {
        "id": item.id,
        "images": {"count": 3, "main": {"140x105": f"{url}/img/140x105/{item_picture(item)}.jpg"}},
        "location": {"title": item.city, "lat": 55.755814, "lon": 37.617635},
        "price_string": price_string(item.price),
        "status_id": item.status_id,
        "title": item.title,
        "url": f"https://avito.ru/moskva/objavlenie_{item.id}",
        "user_id": seller,
    }


def item_picture(item: Item) -> str:
    return f"{item.picture}.{item.id}"


def price_string(price: int | None) -> str:
    """«12 500 ₽», with no-break spaces, as live answers have it."""
    return "Цена не указана" if price is None else f"{price:,} ₽".replace(",", "\u00a0").replace(" ", "\u00a0")


def user_json(user_id: int, name: str, item_id: int, url: str) -> Json:
    avatars = {f"{n}x{n}": f"{url}/img/{n}x{n}/avatar.{user_id}.jpg" for n in AVATARS}
    return {
        "id": user_id,
        "name": name,
        "parsing_allowed": True,
        "public_user_profile": {
            "avatar": {"default": avatars["256x256"], "images": avatars},
            "item_id": item_id,
            "url": f"https://avito.ru/user/{user_id:032x}/profile",
            "user_id": user_id,
        },
    }


def image_sizes(image_id: str, url: str) -> dict[str, str]:
    return {size: f"{url}/img/{size}/{image_id}.jpg" for size in SIZES}


def error(code: int, message: str, **fields: str) -> Json:
    """The documented shape."""
    body: Json = {"code": code, "message": message}
    return {"error": body | {"fields": fields} if fields else body}


def result_error(message: str) -> Json:
    """What the token check in front of the API says."""
    return {"result": {"message": message}}


def route_error(path: str) -> Json:
    """What the gateway says about a path or method that it does not know; its status is 404, its code 400."""
    return {"message": f"route {path} not found", "code": 400}
