"""Reading chats of the API, and events about chats, people and whatever else Avito may tell of."""

import json
from typing import Any

import pytest

from golub.avito.wire import (
    API,
    ChatSeen,
    Event,
    ItemFacts,
    UserSeen,
    read_chat,
    read_chats,
    read_delivery,
)
from golub.model import Cause, Direction
from tests.shapes import BUYER_ID, CREATED, USER_ID, envelope
from tests.wire.reader import CHAT_ID, RECEIVED_AT

CHAT: dict[str, Any] = {
    "id": CHAT_ID,
    "context": {
        "type": "item",
        "value": {
            "id": 5_003,
            "images": {"count": 1, "main": {"140x105": "https://img.example/s.jpg"}},
            "location": {"title": "Казань"},
            "price_string": "1\u00a0200\u00a0₽",
            "status_id": 10,
            "title": "Самокат",
            "url": "https://avito.example/i/1",
            "user_id": USER_ID,
        },
    },
    "created": CREATED - 100,
    "updated": CREATED,
    "last_message": {
        "author_id": BUYER_ID,
        "content": {"text": "Здравствуйте"},
        "created": CREATED,
        "delivered": CREATED,
        "direction": "in",
        "id": "m-1",
        "type": "text",
    },
    "users": [
        {"id": USER_ID, "name": "Магазин"},
        {
            "id": BUYER_ID,
            "name": "Вера",
            "parsing_allowed": True,
            "public_user_profile": {
                "avatar": {"default": "https://img.example/d.png", "images": {"128x128": "https://img.example/a.png"}},
                "url": "https://avito.example/u/1",
            },
        },
    ],
}


def test_a_chat_of_the_api() -> None:
    chat = read_chat(CHAT, USER_ID, RECEIVED_AT)
    assert isinstance(chat, ChatSeen)
    assert chat.buyer is not None
    assert (chat.buyer.id, chat.buyer.name, chat.buyer.avatar_url) == (BUYER_ID, "Вера", "https://img.example/a.png")
    assert chat.item == ItemFacts(
        id=5_003,
        title="Самокат",
        price="1\u00a0200\u00a0₽",
        url="https://avito.example/i/1",
        image_url="https://img.example/s.jpg",
        status=10,
    )
    assert (chat.chat_type, chat.source, chat.created_at) == ("u2i", API, (CREATED - 100) * 1000)
    assert chat.last_message is not None
    assert (chat.last_message.avito_id, chat.last_message.direction) == ("m-1", Direction.IN)
    assert chat.status is None


@pytest.mark.parametrize(
    ("changes", "has_buyer", "has_item"),
    [
        ({"context": None}, True, False),
        ({"context": {"type": "item"}}, True, False),
        ({"users": None}, False, True),
        ({"users": []}, False, True),
        ({"users": [{"id": USER_ID}]}, False, True),
        ({"users": [{"id": 3, "name": "Один"}, {"id": 4}, {"id": USER_ID}]}, True, True),
        ({"users": [7, None, {"id": "x"}, {"id": True}]}, False, True),
        ({"last_message": "gone", "created": "x", "updated": None}, True, True),
    ],
)
def test_a_chat_may_lack_nearly_anything(changes: dict[str, Any], has_buyer: bool, has_item: bool) -> None:
    chat = read_chat(CHAT | changes, USER_ID, RECEIVED_AT)
    assert isinstance(chat, ChatSeen)
    assert (chat.buyer is not None, chat.item is not None) == (has_buyer, has_item)


def test_one_bad_chat_is_skipped() -> None:
    chats, unreadable = read_chats({"chats": [{"id": None}, CHAT]}, USER_ID, RECEIVED_AT)
    assert [chat.chat_avito_id for chat in chats] == [CHAT_ID]
    assert [one.cause for one in unreadable] == [Cause.BAD_VALUE]


def event_of(kind: str, carried: dict[str, Any]) -> Event:
    raw = json.dumps(envelope({}, payload={"type": kind, "value": carried})).encode()
    event = read_delivery(raw, RECEIVED_AT)
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize(
    ("kind", "carried", "status"),
    [
        ("chat", {"chat_id": CHAT_ID, "status": "archived"}, "archived"),
        ("chat", {"id": CHAT_ID, "archived": True}, "archived"),
        ("chat", {"id": CHAT_ID, "is_archived": False}, ""),
        ("chat.archived", {"chat_id": CHAT_ID}, "archived"),
        ("chat_status_changed", {"chat_id": CHAT_ID, "state": "blocked"}, "blocked"),
        ("chat", {"chat_id": CHAT_ID, "action": "updated"}, None),
        ("chat", {"chat_id": CHAT_ID, "action": "created"}, ""),
        ("chat", {"chat_id": CHAT_ID, "status": 5}, None),
    ],
)
def test_chat_events_are_read_by_sensible_keys(kind: str, carried: dict[str, Any], status: str | None) -> None:
    event = event_of(kind, carried | {"user_id": USER_ID, "item_id": 5_003})
    assert event.type == "chat"
    assert isinstance(event.seen, ChatSeen)
    assert (event.seen.status, event.chat_avito_id, event.account_user_id) == (status, CHAT_ID, USER_ID)
    assert event.seen.item == ItemFacts(id=5_003)


@pytest.mark.parametrize(
    ("kind", "carried", "status"),
    [
        ("user", {"blocked_user_id": BUYER_ID, "status": "blocked"}, "blocked"),
        ("user.blocked", {"id": BUYER_ID}, "blocked"),
        ("user_unblocked", {"user": {"id": BUYER_ID, "name": "Вера"}}, ""),
        ("user", {"user": {"user_id": BUYER_ID}, "blocked": True}, "blocked"),
        ("user", {"author_id": BUYER_ID}, None),
    ],
)
def test_user_events_are_read_by_sensible_keys(kind: str, carried: dict[str, Any], status: str | None) -> None:
    event = event_of(kind, carried | {"user_id": USER_ID})
    assert event.type == "user"
    assert isinstance(event.seen, UserSeen)
    assert (event.seen.user_id, event.seen.status, event.account_user_id) == (BUYER_ID, status, USER_ID)


def test_an_unknown_event_is_an_event_all_the_same() -> None:
    event = event_of("rating.changed", {"chat_id": CHAT_ID, "user_id": USER_ID, "stars": 5})
    assert (event.type, event.seen, event.chat_avito_id, event.account_user_id) == (
        "rating.changed",
        None,
        CHAT_ID,
        USER_ID,
    )
