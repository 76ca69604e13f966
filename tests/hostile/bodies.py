"""Webhook bodies that nobody honest sends, each with the cause for which it is in quarantine."""

import json

from golub.model import Cause
from tests.shapes import HISTORY_RECORD, USER_ID, body, envelope, message, value


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
