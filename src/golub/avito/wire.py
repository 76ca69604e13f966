"""Avito's words: webhook bodies, chats and messages of the API, read into observations.

Total functions: hostile input gives `Unreadable` with its cause, never an exception, and one bad record never stops
its page. Apply relies on it for strangers' bytes, backfill and outbox for the API's answers. What is documented, and
what really comes, is in Avito's OpenAPI file and in the guide; unknown types and fields are kept as they are.
"""

import hashlib
import re
from typing import Any

from golub.avito import wire_json
from golub.avito.wire_chats import chat_from, user_from
from golub.avito.wire_fields import (
    Json,
    an_object,
    list_or_empty,
    moment,
    name_of,
    name_or_empty,
    number_or_none,
    object_or_empty,
    optional_number,
    person_or_none,
    text_or_empty,
)
from golub.avito.wire_json import Refused
from golub.avito.wire_seen import (
    API,
    DELETED_TEXT,
    WEBHOOK,
    BuyerFacts,
    ChatSeen,
    Event,
    ItemFacts,
    MessageSeen,
    Probe,
    Unreadable,
    UserSeen,
    canonical,
)
from golub.clock import Millis
from golub.model import Cause, Direction

__all__ = [
    "API",
    "DELETED_TEXT",
    "WEBHOOK",
    "BuyerFacts",
    "ChatSeen",
    "Event",
    "ItemFacts",
    "MessageSeen",
    "Probe",
    "Unreadable",
    "UserSeen",
    "read_chat",
    "read_chats",
    "read_delivery",
    "read_message",
    "read_messages",
]

CONTENT_TYPES = (
    "text", "image", "voice", "link", "location", "item", "call", "video", "file", "appCall", "system", "deleted",
)  # fmt: skip
_ACTION = re.compile(r"[._:\-/ ]")


def read_delivery(body: bytes, received_at: Millis, account_user_id: int | None = None) -> Event | Probe | Unreadable:
    """One webhook body. `account_user_id` is the account of the token, for an event that names none."""
    if not body.strip():
        return Probe()
    flags: set[str] = set()
    try:
        envelope = wire_json.read(body, flags)
        if not isinstance(envelope, dict):
            raise Refused(Cause.NOT_AN_OBJECT, f"the body is a JSON {_kind(envelope)}, not an object")
        return _event(object_or_empty(envelope), received_at, account_user_id, flags) if envelope else Probe()
    except Refused as refused:
        return Unreadable(refused.cause, refused.detail)


def read_message(
    record: Any, account_user_id: int, chat_avito_id: str, fetched_at: Millis, *, quiet: bool = False
) -> MessageSeen | Unreadable:
    """A message as the API tells it: one of a page, or the answer to a send. `fetched_at` is when it was asked for."""
    flags: set[str] = set()
    try:
        value = an_object(wire_json.storable(record, flags), "message")
        return _message(
            value,
            account_user_id=account_user_id,
            chat_avito_id=chat_avito_id,
            observed_at=fetched_at,
            latest=fetched_at,
            source=API,
            quiet=quiet,
            flags=flags,
        )
    except Refused as refused:
        return Unreadable(refused.cause, refused.detail)


def read_messages(
    page: Any, account_user_id: int, chat_avito_id: str, fetched_at: Millis, *, quiet: bool = False
) -> tuple[list[MessageSeen], list[Unreadable]]:
    """A page of getMessagesV3, in both of its shapes: a bare array, or `{"messages": [...]}`. Oldest first: Avito
    sends the newest first, and messages of one second should enter our rows in the order in which they were said."""
    read = [
        read_message(record, account_user_id, chat_avito_id, fetched_at, quiet=quiet)
        for record in reversed(_records(page, "messages"))
    ]
    return (
        [one for one in read if isinstance(one, MessageSeen)],
        [one for one in read if isinstance(one, Unreadable)],
    )


def read_chat(record: Any, account_user_id: int, fetched_at: Millis) -> ChatSeen | Unreadable:
    """A chat of getChatsV2 or getChatByIdV2."""
    flags: set[str] = set()
    try:
        value = an_object(wire_json.storable(record, flags), "chat")
        chat_avito_id = name_of(value.get("id"), "chat.id")
    except Refused as refused:
        return Unreadable(refused.cause, refused.detail)
    last = read_message(value.get("last_message"), account_user_id, chat_avito_id, fetched_at)
    return chat_from(
        value,
        chat_avito_id=chat_avito_id,
        account_user_id=account_user_id,
        observed_at=fetched_at,
        latest=fetched_at,
        source=API,
        last_message=last if isinstance(last, MessageSeen) else None,
        flags=flags,
    )


def read_chats(page: Any, account_user_id: int, fetched_at: Millis) -> tuple[list[ChatSeen], list[Unreadable]]:
    """A page of getChatsV2, newest first as Avito sends it."""
    read = [read_chat(record, account_user_id, fetched_at) for record in _records(page, "chats")]
    return [one for one in read if isinstance(one, ChatSeen)], [one for one in read if isinstance(one, Unreadable)]


def _records(page: Any, key: str) -> list[Any]:
    return list_or_empty(page) or list_or_empty(object_or_empty(page).get(key))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((str, "string"), (list, "array"), (bool, "boolean")):
        if isinstance(value, kind):
            return name
    return "number"


def _event(envelope: Json, received_at: Millis, account_user_id: int | None, flags: set[str]) -> Event:
    payload = an_object(envelope.get("payload"), "payload")
    value = an_object(payload.get("value"), "payload.value")
    told_type = text_or_empty(payload.get("type"))[:64]
    kind, action = _kind_and_action(told_type, value)
    user_id = number_or_none(value.get("user_id"), "user_id")
    if user_id is None:
        user_id = account_user_id
    # Avito's own time, also where our clock is some hours behind: by ours, the order of arrival would decide.
    observed_at = moment(envelope.get("timestamp"), "timestamp", flags, latest=received_at) or received_at
    if kind == "message":
        seen = _message(
            value,
            account_user_id=user_id,
            chat_avito_id=name_of(value.get("chat_id"), "chat_id"),
            observed_at=observed_at,
            latest=received_at,
            source=WEBHOOK,
            quiet=False,
            flags=flags,
            delivered_at=received_at,
        )
    elif kind == "chat":
        seen = chat_from(
            value,
            chat_avito_id=name_or_empty(value.get("chat_id"), "chat_id") or name_of(value.get("id"), "chat_id"),
            account_user_id=user_id,
            observed_at=observed_at,
            latest=received_at,
            source=WEBHOOK,
            action=action,
            flags=flags,
        )
    elif kind == "user":
        seen = user_from(value, account_user_id=user_id, observed_at=observed_at, action=action, flags=flags)
    else:
        seen = None
    return Event(
        type=kind,
        avito_id=text_or_empty(envelope.get("id"))[:255],
        account_user_id=user_id,
        seen=seen,
        chat_avito_id=seen.chat_avito_id if seen else _name_if_any(value.get("chat_id")),
        message_avito_id=seen.avito_id if isinstance(seen, MessageSeen) else "",
        flags=tuple(sorted(flags)),
    )


def _name_if_any(value: Any) -> str:
    try:
        return name_or_empty(value, "")
    except Refused:
        return ""


def _kind_and_action(told: str, value: Json) -> tuple[str, str]:
    """`chat` events are only described in words ("created, updated, archived, status changed"), so the action may
    stand behind the type or inside the value; production bodies without a type are messages."""
    if not told:
        return ("message" if "chat_id" in value and ("content" in value or "author_id" in value) else ""), ""
    kind, *rest = _ACTION.split(told, maxsplit=1)
    if kind.lower() not in ("message", "chat", "user"):
        return told, ""
    return kind.lower(), rest[0].lower() if rest else ""


def _message(
    value: Json,
    *,
    account_user_id: int | None,
    chat_avito_id: str,
    observed_at: Millis,
    latest: Millis,
    source: int,
    quiet: bool,
    flags: set[str],
    delivered_at: Millis | None = None,
) -> MessageSeen:
    content = _content(value, flags)
    told_type = text_or_empty(value.get("type"))[:64]
    message_type = told_type or next((name for name in CONTENT_TYPES if name in content), "unknown")
    author_id = person_or_none(value.get("author_id"), "author_id")
    direction = _direction(message_type, author_id, account_user_id, text_or_empty(value.get("direction")))
    if direction is Direction.OUT and author_id is None:
        author_id = account_user_id
    created_at = (
        moment(value.get("created"), "created", flags, latest=latest)
        or moment(value.get("published_at"), "published_at", flags, latest=latest)
        or observed_at
    )
    read = value.get("read") or value.get("isRead") or value.get("is_read")
    own_id = name_or_empty(value.get("id"), "id")
    if not own_id:
        flags.add("without_id")
        key = hashlib.sha256(canonical([chat_avito_id, author_id, value.get("created"), content]))
        own_id = f"~{key.hexdigest()}"
    quote = value.get("quote")
    return MessageSeen(
        chat_avito_id=chat_avito_id,
        avito_id=own_id,
        account_user_id=account_user_id,
        author_id=author_id,
        direction=direction,
        type=message_type,
        content=content | {"quote": quote} if isinstance(quote, dict) else content,
        text=_text(message_type, content),
        created_at=created_at,
        observed_at=observed_at,
        source=source,
        quiet=quiet,
        read=bool(read),
        chat_type=text_or_empty(value.get("chat_type"))[:16],
        item_id=optional_number(value.get("item_id"), "item_id", flags),
        delivered_at=delivered_at,
        flags=tuple(sorted(flags)),
    )


def _content(value: Json, flags: set[str]) -> Json:
    content = value.get("content")
    if isinstance(content, dict):
        return object_or_empty(content)
    if content is None or content == "":
        return {}
    if isinstance(content, str):
        flags.add("content_is_text")
        return {"text": content}
    raise Refused(Cause.BAD_VALUE, "content is not an object")


def _direction(message_type: str, author_id: int | None, account_user_id: int | None, told: str) -> Direction:
    """Webhooks carry none, so it is computed: ours when the author is the account."""
    if message_type == "system":
        return Direction.SYSTEM
    if author_id is None:
        return Direction(told) if told in (Direction.IN, Direction.OUT) else Direction.SYSTEM
    return Direction.OUT if author_id == account_user_id else Direction.IN


def _text(message_type: str, content: Json) -> str:
    """The words of a message: what a search should find, and a preview show."""
    own = text_or_empty(content.get("text"))
    if own:
        return own
    part = object_or_empty(content.get(message_type))
    if message_type == "link":
        return text_or_empty(part.get("text")) or text_or_empty(part.get("url"))
    if message_type in ("location", "item"):
        return text_or_empty(part.get("title")) or text_or_empty(part.get("text"))
    return ""
