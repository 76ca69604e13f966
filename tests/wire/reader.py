"""Reads a message out of a body, at one moment."""

from typing import Any

from golub.avito.wire import (
    Event,
    MessageSeen,
    read_delivery,
)
from tests.shapes import CREATED

RECEIVED_AT = (CREATED + 2) * 1000 + 345
CHAT_ID = "u2i-abc"


def seen(raw: bytes, **context: Any) -> MessageSeen:
    event = read_delivery(raw, RECEIVED_AT, **context)
    assert isinstance(event, Event), event
    assert isinstance(event.seen, MessageSeen)
    return event.seen
