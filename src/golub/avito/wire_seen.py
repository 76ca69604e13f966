"""What Avito told us, once: observations. `fold` merges them in any order; `wire` makes them.

Every observation carries its own time: the envelope's `timestamp` of a webhook, or when an API page was asked for.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from golub.clock import Millis
from golub.model import Cause, Direction

WEBHOOK, API = 0, 1  # `source`: the greater wins a tie of time

DELETED_TEXT = "Сообщение удалено"  # how all observed deletions came: same id, plain text
_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_TYPED_TYPES = ("text", "link", "image")  # what a person can edit: its words, or its caption


@dataclass(frozen=True, kw_only=True)
class MessageSeen:
    """One message as it was at `observed_at`."""

    chat_avito_id: str
    avito_id: str  # Avito's, or ours with the prefix "~" where Avito gave none
    account_user_id: int | None
    author_id: int | None  # None: nobody, it is Avito itself that speaks
    direction: Direction
    type: str
    content: dict[str, Any]
    text: str  # for search and previews
    created_at: Millis
    observed_at: Millis
    source: int
    quiet: bool = False  # history: no unread, no notification
    read: bool = False  # the other side has read it: the buyer for ours, we (wherever) for the buyer's
    chat_type: str = ""
    item_id: int | None = None
    delivered_at: Millis | None = None  # when our door took it, where a webhook brought it
    flags: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all that a winning observation decides, so that equal rank means equal rows."""
        return hashlib.sha256(
            canonical([self.type, self.author_id, self.direction, self.created_at, self.text, self.content])
        ).digest()


@dataclass(frozen=True, kw_only=True)
class BuyerFacts:
    id: int | None = None
    name: str = ""
    avatar_url: str = ""
    profile_url: str = ""


@dataclass(frozen=True, kw_only=True)
class ItemFacts:
    id: int | None = None
    title: str = ""
    price: str = ""
    url: str = ""
    image_url: str = ""
    status: int | None = None


@dataclass(frozen=True, kw_only=True)
class ChatSeen:
    """A chat as it was at `observed_at`. None says nothing about that part: Avito may leave out any of them."""

    chat_avito_id: str
    account_user_id: int | None
    observed_at: Millis
    source: int
    chat_type: str = ""
    buyer: BuyerFacts | None = None
    item: ItemFacts | None = None
    status: str | None = None  # archived, blocked, … in Avito's words; "" means none of them any more
    created_at: Millis = 0
    updated_at: Millis = 0
    last_message: MessageSeen | None = None  # for backfill, which decides whether to read the chat; not folded
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UserSeen:
    """Something about a buyer: `status` "blocked", "" (unblocked), or None where the event says nothing of it."""

    user_id: int
    account_user_id: int | None
    observed_at: Millis
    status: str | None = None
    name: str = ""
    chat_avito_id: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """A readable delivery. `seen` is None for a type that nobody has described yet."""

    type: str  # message, chat, user, or Avito's own word
    avito_id: str  # the envelope's; it may differ when the same event is sent again
    account_user_id: int | None
    seen: MessageSeen | ChatSeen | UserSeen | None
    chat_avito_id: str = ""
    message_avito_id: str = ""
    flags: tuple[str, ...] = field(default=())  # what was odd about it


@dataclass(frozen=True)
class Probe:
    """An empty body, or `{}`: somebody asks whether we are here."""


@dataclass(frozen=True)
class Unreadable:
    cause: Cause
    detail: str  # English, with the name of the field


def canonical(value: Any) -> bytes:
    """The same bytes for the same JSON, whatever the order of keys."""
    return _encoder.encode(value).encode()


def rank_of(type: str, text: str) -> int:  # noqa: A002 - Avito's word
    """How much an observation of this kind knows of a message: 2 its content, 1 the words that replace a deleted
    one, 0 that it is deleted."""
    if type == "deleted":
        return 0
    return 1 if type == "text" and text.strip() == DELETED_TEXT else 2


def words_of(type: str, text: str) -> str:  # noqa: A002 - Avito's word
    """What a person typed and may edit; pictures' addresses and previews change without anybody's hand."""
    return text if type in _TYPED_TYPES else ""
