"""Reading Avito's words: every shape that is known to come, and everything that must not get through."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golub.avito.wire import (
    API,
    WEBHOOK,
    ChatSeen,
    Event,
    ItemFacts,
    MessageSeen,
    Probe,
    Unreadable,
    UserSeen,
    read_chat,
    read_chats,
    read_delivery,
    read_message,
    read_messages,
)
from golub.clock import DAY
from golub.model import Cause, Direction
from tests.shapes import BUYER_ID, CREATED, HISTORY_RECORD, SHAPES, USER_ID, body, envelope, message, value

RECEIVED_AT = (CREATED + 2) * 1000 + 345
CHAT_ID = "u2i-abc"


def seen(raw: bytes, **context: Any) -> MessageSeen:
    event = read_delivery(raw, RECEIVED_AT, **context)
    assert isinstance(event, Event), event
    assert isinstance(event.seen, MessageSeen)
    return event.seen


@pytest.mark.parametrize("shape", SHAPES)
def test_every_known_shape_is_read(shape: str) -> None:
    event = read_delivery(json.dumps(SHAPES[shape]).encode(), RECEIVED_AT, USER_ID)
    assert isinstance(event, Event)
    assert event.type == "message"
    assert isinstance(event.seen, MessageSeen)
    given_value = SHAPES[shape]["payload"]["value"]
    assert event.seen.content == given_value["content"]
    assert event.seen.type == given_value.get("type", "text")
    assert event.seen.created_at == CREATED * 1000
    assert event.chat_avito_id == event.seen.chat_avito_id == given_value["chat_id"]


def test_a_message_says_what_it_is() -> None:
    one = seen(message())
    assert (one.avito_id, one.author_id, one.direction, one.source) == ("m-1", BUYER_ID, Direction.IN, WEBHOOK)
    assert (one.observed_at, one.text, one.chat_type, one.item_id) == (
        CREATED * 1000,
        "Добрый день, ещё продаёте?",
        "u2i",
        5_003,
    )
    assert (one.quiet, one.read, one.flags) == (False, False, ())


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("link", "пример.рф"),
        ("location", "Невский, 60"),
        ("item", "Самокат"),
        ("system", "[Системное сообщение] Скидка включена"),
        ("voice", ""),
        ("appCall", ""),
    ],
)
def test_the_text_is_what_a_search_should_find(kind: str, text: str) -> None:
    assert seen(json.dumps(SHAPES[kind]).encode()).text == text


def test_direction_follows_from_the_author() -> None:
    assert seen(message(author_id=USER_ID)).direction is Direction.OUT
    assert seen(message(author_id=BUYER_ID)).direction is Direction.IN
    for nobody in (0, 1, None, ...):
        one = seen(message(author_id=nobody))
        assert (one.direction, one.author_id) == (Direction.SYSTEM, None)
    assert seen(message(type="system")).direction is Direction.SYSTEM


def test_an_unknown_type_keeps_its_content() -> None:
    one = seen(message(type="hologram", content={"hologram": {"planes": [1, 2]}, "text": "смотрите"}))
    assert (one.type, one.content, one.text) == (
        "hologram",
        {"hologram": {"planes": [1, 2]}, "text": "смотрите"},
        "смотрите",
    )


def test_a_message_without_an_id_has_a_key_that_does_not_depend_on_the_path() -> None:
    one, again = seen(message(id=...)), seen(body(value(id=None), timestamp=CREATED + 60))
    record = value(id=..., chat_id=..., user_id=..., item_id=..., chat_type=...)
    from_page = read_message(record, USER_ID, CHAT_ID, RECEIVED_AT)
    assert isinstance(from_page, MessageSeen)
    assert one.avito_id.startswith("~")
    assert one.avito_id == again.avito_id == from_page.avito_id
    assert one.avito_id != seen(message(id=..., content={"text": "другое"})).avito_id
    assert one.avito_id != seen(message(id=..., chat_id="u2i-xyz")).avito_id


def test_ids_come_as_numbers_and_numbers_as_text() -> None:
    one = seen(message(id=12, chat_id=34, user_id=str(USER_ID), author_id=str(BUYER_ID), item_id="56"))
    assert (one.avito_id, one.chat_avito_id, one.account_user_id, one.author_id, one.item_id) == (
        "12",
        "34",
        USER_ID,
        BUYER_ID,
        56,
    )


def test_without_user_id_the_token_says_whose_it_is() -> None:
    one = seen(message(user_id=..., author_id=USER_ID), account_user_id=USER_ID)
    assert (one.account_user_id, one.direction) == (USER_ID, Direction.OUT)
    assert seen(message(user_id=5), account_user_id=USER_ID).account_user_id == 5


@pytest.mark.parametrize("raw", [b"", b"  \r\n", b"{}", b" {} "])
def test_a_probe_is_no_error(raw: bytes) -> None:
    assert read_delivery(raw, RECEIVED_AT) == Probe()


def with_raw(**raw: str) -> bytes:
    """A message in which the values of these fields are raw JSON."""
    text = message(**{name: f"<{name}>" for name in raw}).decode()
    for name, written in raw.items():
        text = text.replace(f'"<{name}>"', written)
    return text.encode()


HOSTILE = {
    "not JSON": (b"hello", Cause.NOT_JSON),
    "form": (b"a=1&b=2", Cause.NOT_JSON),
    "cut off": (message()[:-7], Cause.NOT_JSON),
    "two bodies": (message() * 2, Cause.NOT_JSON),
    "NaN": (with_raw(created="NaN"), Cause.NOT_JSON),
    "Infinity": (with_raw(content='{"text": "x", "n": -Infinity}'), Cause.NOT_JSON),
    "a float beyond range": (with_raw(content='{"text": "x", "n": 1e999}'), Cause.BAD_VALUE),
    "a raw control character": (b'{"payload": "\x00"}', Cause.NOT_JSON),
    "not UTF-8": (b'{"payload": "\xff"}', Cause.NOT_UTF8),
    "UTF-16": (json.dumps(envelope(value())).encode("utf-16"), Cause.NOT_UTF8),
    "an array": (b"[]", Cause.NOT_AN_OBJECT),
    "a string": (b'"str"', Cause.NOT_AN_OBJECT),
    "null": (b"null", Cause.NOT_AN_OBJECT),
    "true": (b"true", Cause.NOT_AN_OBJECT),
    "a number": (b"12", Cause.NOT_AN_OBJECT),
    "brackets": (b"[" * 100_000, Cause.TOO_DEEP),
    "objects": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, Cause.TOO_DEEP),
    "deep content": (with_raw(content='{"a":' * 70 + "1" + "}" * 70), Cause.TOO_DEEP),
    "no payload": (json.dumps(HISTORY_RECORD).encode(), Cause.BAD_VALUE),
    "payload is text": (b'{"payload": "message"}', Cause.BAD_VALUE),
    "no value": (b'{"payload": {"type": "message"}}', Cause.BAD_VALUE),
    "no chat": (message(chat_id=...), Cause.BAD_VALUE),
    "empty chat": (message(chat_id=" "), Cause.BAD_VALUE),
    "chat is true": (message(chat_id=True), Cause.BAD_VALUE),
    "chat is a list": (message(chat_id=["u2i-abc"]), Cause.BAD_VALUE),
    "chat of 300 letters": (message(chat_id="u" * 300), Cause.BAD_VALUE),
    "id is true": (message(id=True), Cause.BAD_VALUE),
    "id is 2^64": (message(id=2**64), Cause.BAD_VALUE),
    "id is 1.5": (message(id=1.5), Cause.BAD_VALUE),
    "user is true": (message(user_id=True), Cause.BAD_VALUE),
    "user is 2^64": (message(user_id=2**64), Cause.BAD_VALUE),
    "user is 2^63": (message(user_id=2**63), Cause.BAD_VALUE),
    "user is text of 2^64": (message(user_id=str(2**64)), Cause.BAD_VALUE),
    "user is negative": (message(user_id=-1), Cause.BAD_VALUE),
    "author is 2^64": (message(author_id=2**64), Cause.BAD_VALUE),
    "author is an object": (message(author_id={"id": 1}), Cause.BAD_VALUE),
    "a number of 5000 digits": (with_raw(author_id="9" * 5_000), Cause.BAD_VALUE),
    "content is a list": (message(content=[1]), Cause.BAD_VALUE),
    "a user event about nobody": (body({"user_id": USER_ID}, payload={"type": "user", "value": {}}), Cause.BAD_VALUE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_says_why(name: str) -> None:
    raw, cause = HOSTILE[name]
    read = read_delivery(raw, RECEIVED_AT)
    assert isinstance(read, Unreadable), read
    assert read.cause is cause
    assert read.detail


def test_256_kib_of_brackets_cost_nothing() -> None:
    began = time.process_time()
    for raw in (b"[" * 262_144, b'{"a":"' + b'\\"' * 130_000, b'"\\"' * 87_000):
        assert isinstance(read_delivery(raw, RECEIVED_AT), Unreadable)
    assert time.process_time() - began < 0.5


def test_brackets_in_a_text_are_no_depth() -> None:
    text = '[{"' * 1_000
    assert seen(message(content={"text": text})).text == text


def test_characters_that_no_database_holds_are_replaced_and_flagged() -> None:
    raw = with_raw(content='{"text": "a\\ud800b\\u0000c \\ud83d\\ude00 \\ufeff\\u202e", "\\udfff": 1}')
    one = seen(raw)
    assert one.text == "a\ufffdb\u2400c 😀 \ufeff\u202e"
    assert one.content["\ufffd"] == 1
    assert "characters_replaced" in one.flags


def test_optional_numbers_that_do_not_fit_are_dropped_and_flagged() -> None:
    for odd in (2**64, True, "many", [], -5):
        one = seen(message(item_id=odd))
        assert one.item_id is None
        assert one.flags == ("item_id_dropped",)


def test_a_huge_number_inside_content_is_kept_as_its_digits() -> None:
    assert seen(message(content={"text": "x", "n": 2**64})).content["n"] == str(2**64)


def test_of_two_equal_keys_the_last_counts_and_is_flagged() -> None:
    raw = with_raw(content='{"text": "первое", "text": "второе"}')
    one = seen(raw)
    assert (one.text, one.flags) == ("второе", ("duplicate_keys",))


def test_a_byte_order_mark_is_tolerated_and_flagged() -> None:
    assert seen(b"\xef\xbb\xbf" + message()).flags == ("byte_order_mark",)


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (CREATED, CREATED * 1000),
        (CREATED * 1000, CREATED * 1000),
        (CREATED * 1_000_000, CREATED * 1000),
        (CREATED * 10**9, CREATED * 1000),
        (123, 123_000),
        (str(CREATED), CREATED * 1000),
        (CREATED + 0.5, CREATED * 1000 + 500),
        (4_102_444_800, RECEIVED_AT),  # 2100
        (10**18 * 9, RECEIVED_AT),
        (2**64, CREATED * 1000),  # no time at all: published_at says the same moment
        (0, CREATED * 1000),
        (-(10**12), CREATED * 1000),
        (True, CREATED * 1000),
        ("yesterday", CREATED * 1000),
        (None, CREATED * 1000),
    ],
)
def test_absurd_times_are_clamped(created: Any, expected: int) -> None:
    one = seen(message(created=created, published_at="2026-09-21T11:26:40Z"))
    assert one.created_at == expected


def test_an_envelope_from_the_future_does_not_win_for_ever() -> None:
    for odd in (CREATED * 2, 2**62, None, "soon"):
        assert seen(body(value(), timestamp=odd)).observed_at == RECEIVED_AT


def test_an_envelope_hours_ahead_keeps_its_time_since_our_clock_may_be_the_wrong_one() -> None:
    assert seen(body(value(), timestamp=CREATED + 3600)).observed_at == (CREATED + 3600) * 1000


def test_both_shapes_of_a_page_oldest_first_and_one_bad_record_is_skipped() -> None:
    newer = {"id": "m-2", "author_id": BUYER_ID, "created": CREATED + 1, "type": "text", "content": {"text": "два"}}
    page = [newer | {"isRead": True}, {"id": True, "content": {}}, 17, HISTORY_RECORD]
    for shape in (page, {"messages": page}, {"messages": page, "meta": {"has_more": False}}):
        read, unreadable = read_messages(shape, USER_ID, CHAT_ID, RECEIVED_AT, quiet=True)
        assert [one.avito_id for one in read] == ["m-9", "m-2"]
        assert [one.direction for one in read] == [Direction.SYSTEM, Direction.IN]
        assert [one.read for one in read] == [False, True]
        assert {(one.source, one.quiet, one.observed_at, one.chat_avito_id) for one in read} == {
            (API, True, RECEIVED_AT, CHAT_ID)
        }
        assert [one.cause for one in unreadable] == [Cause.BAD_VALUE, Cause.BAD_VALUE]


@pytest.mark.parametrize("page", [None, 5, "text", {}, {"messages": None}, {"messages": "x"}, [], [None], {"a": 1}])
def test_a_page_of_any_kind_is_survived(page: Any) -> None:
    read, _ = read_messages(page, USER_ID, CHAT_ID, RECEIVED_AT)
    assert read == []
    chats, _ = read_chats(page, USER_ID, RECEIVED_AT)
    assert chats == []


def test_the_answer_to_a_send_is_ours_though_it_names_no_author() -> None:
    answer = {"content": {"text": "Да"}, "created": CREATED, "direction": "out", "id": "m-3", "type": "text"}
    one = read_message(answer, USER_ID, CHAT_ID, RECEIVED_AT)
    assert isinstance(one, MessageSeen)
    assert (one.direction, one.author_id) == (Direction.OUT, USER_ID)


def test_a_quote_is_kept_with_its_message() -> None:
    quote = {"id": "m-0", "content": {"text": "Раньше"}, "type": "text"}
    one = read_message(value(quote=quote), USER_ID, CHAT_ID, RECEIVED_AT)
    assert isinstance(one, MessageSeen)
    assert one.content["quote"] == quote


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("id", "chat_id", "user_id", "author_id", "created", "type", "content", "item_id", "read", "published_at",
          "direction", "users", "context", "last_message", "quote", "status", "updated", "user")  # fmt: skip


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert isinstance(read_delivery(raw, RECEIVED_AT), Event | Probe | Unreadable)


@given(
    kind=st.sampled_from(["message", "chat", "user", "other"]),
    changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5),
    timestamp=JSON,
)
def test_any_values_are_read_or_refused(kind: str, changes: dict[str, Any], timestamp: Any) -> None:
    """And what is read can be stored: it is finite, it fits, and no chat goes to the top for ever."""
    carried = value() | changes
    raw = json.dumps({"timestamp": timestamp, "payload": {"type": kind, "value": carried}}).encode()
    read = read_delivery(raw, RECEIVED_AT)
    assert isinstance(read, Event | Unreadable)
    if isinstance(read, Event) and isinstance(read.seen, MessageSeen):
        json.dumps(read.seen.content, ensure_ascii=False, allow_nan=False).encode()
        assert "\x00" not in read.seen.text
        assert 0 < read.seen.observed_at <= RECEIVED_AT
        assert 0 < read.seen.created_at <= RECEIVED_AT + DAY
        assert len(read.seen.digest) == 32
    assert isinstance(read_message(carried, USER_ID, CHAT_ID, RECEIVED_AT), MessageSeen | Unreadable)
    assert isinstance(read_chat(carried, USER_ID, RECEIVED_AT), ChatSeen | Unreadable)
