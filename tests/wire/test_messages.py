"""Reading messages: every shape that is known to come, from a webhook or from a page of the API."""

import json
from typing import Any

import pytest

from golub.avito.wire import (
    API,
    WEBHOOK,
    Event,
    MessageSeen,
    read_chats,
    read_delivery,
    read_message,
    read_messages,
)
from golub.model import Cause, Direction
from tests.shapes import BUYER_ID, CREATED, HISTORY_RECORD, SHAPES, USER_ID, body, message, value
from tests.wire.reader import CHAT_ID, RECEIVED_AT, seen


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
