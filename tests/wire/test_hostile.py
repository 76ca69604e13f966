"""What must not get through: it is refused with its cause, or made harmless and flagged."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golub.avito.wire import (
    ChatSeen,
    Event,
    MessageSeen,
    Probe,
    Unreadable,
    read_chat,
    read_delivery,
    read_message,
)
from golub.clock import DAY
from tests.hostile.bodies import HOSTILE, with_raw
from tests.shapes import CREATED, USER_ID, body, message, value
from tests.wire.reader import CHAT_ID, RECEIVED_AT, seen


@pytest.mark.row(24)
@pytest.mark.parametrize("raw", [b"", b"  \r\n", b"{}", b" {} "])
def test_a_probe_is_no_error(raw: bytes) -> None:
    assert read_delivery(raw, RECEIVED_AT) == Probe()


@pytest.mark.row(22, 23, 24)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_says_why(name: str) -> None:
    raw, cause = HOSTILE[name]
    read = read_delivery(raw, RECEIVED_AT)
    assert isinstance(read, Unreadable), read
    assert read.cause is cause
    assert read.detail


@pytest.mark.row(22)
def test_256_kib_of_brackets_cost_nothing() -> None:
    began = time.process_time()
    for raw in (b"[" * 262_144, b'{"a":"' + b'\\"' * 130_000, b'"\\"' * 87_000):
        assert isinstance(read_delivery(raw, RECEIVED_AT), Unreadable)
    assert time.process_time() - began < 0.5


def test_brackets_in_a_text_are_no_depth() -> None:
    text = '[{"' * 1_000
    assert seen(message(content={"text": text})).text == text


@pytest.mark.row(25)
def test_characters_that_no_database_holds_are_replaced_and_flagged() -> None:
    raw = with_raw(content='{"text": "a\\ud800b\\u0000c \\ud83d\\ude00 \\ufeff\\u202e", "\\udfff": 1}')
    one = seen(raw)
    assert one.text == "a\ufffdb\u2400c 😀 \ufeff\u202e"
    assert one.content["\ufffd"] == 1
    assert "characters_replaced" in one.flags


@pytest.mark.row(23)
def test_optional_numbers_that_do_not_fit_are_dropped_and_flagged() -> None:
    for odd in (2**64, True, "many", [], -5):
        one = seen(message(item_id=odd))
        assert one.item_id is None
        assert one.flags == ("item_id_dropped",)


@pytest.mark.row(23)
def test_a_huge_number_inside_content_is_kept_as_its_digits() -> None:
    assert seen(message(content={"text": "x", "n": 2**64})).content["n"] == str(2**64)


@pytest.mark.row(24)
def test_of_two_equal_keys_the_last_counts_and_is_flagged() -> None:
    raw = with_raw(content='{"text": "первое", "text": "второе"}')
    one = seen(raw)
    assert (one.text, one.flags) == ("второе", ("duplicate_keys",))


@pytest.mark.row(21)
def test_a_byte_order_mark_is_tolerated_and_flagged() -> None:
    assert seen(b"\xef\xbb\xbf" + message()).flags == ("byte_order_mark",)


@pytest.mark.row(26)
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


@pytest.mark.row(26)
def test_an_envelope_from_the_future_does_not_win_for_ever() -> None:
    for odd in (CREATED * 2, 2**62, None, "soon"):
        assert seen(body(value(), timestamp=odd)).observed_at == RECEIVED_AT


def test_an_envelope_hours_ahead_keeps_its_time_since_our_clock_may_be_the_wrong_one() -> None:
    assert seen(body(value(), timestamp=CREATED + 3600)).observed_at == (CREATED + 3600) * 1000


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
