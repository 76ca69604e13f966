"""The things Avito knows: accounts, chats, messages, items.

Plain records and their small rules, all in memory. `wire` says how they look to a client, `api` and `delivery`
are what happens to them. A chat's history is oldest first here; the API answers newest first. A chat may keep its
history untold until somebody looks (`crowd`), which is how a hundred thousand of them start in seconds.
"""

import string
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

DELETED_TEXT = "Сообщение удалено"  # what 496 observed deletions looked like; type "deleted" was never seen
CHAT_TYPES = ("u2i", "u2u", "a2u")
MESSAGE_TYPES = (
    "text", "image", "system", "item", "call", "link", "location", "deleted", "appCall", "file", "video", "voice",
)  # fmt: skip
CHAT_ALPHABET = string.ascii_letters + string.digits + "_~"


@dataclass(slots=True)
class Item:
    """An advertisement. `price` is in roubles, None for "price not given"; `id` 0 asks the world for one."""

    title: str
    price: int | None = None
    id: int = 0
    picture: str = "box"  # which drawing `media` makes of it
    city: str = "Москва"
    status_id: int = 10


@dataclass(slots=True)
class Delivery:
    """How the newest webhook of one message fared: pending, acked, failed, or dropped before it was sent."""

    state: str = "pending"
    status: int | None = None
    ms: float | None = None
    attempts: int = 0
    reason: str = ""


@dataclass(slots=True, eq=False)
class Message:
    id: str
    chat: "Chat"
    author_id: int | None  # None: the key is left out, as seen on some system messages
    created: int
    type: str
    content: dict[str, Any]
    read: int | None = None  # when the other side read it
    is_read: bool = False  # whether the account itself has read it
    edited: bool = False
    deleted: bool = False
    quote: "Message | None" = None
    delivery: Delivery | None = None

    @property
    def outgoing(self) -> bool:
        return self.author_id == self.chat.account.user_id

    @property
    def text(self) -> str:
        return str(self.content.get("text") or "")

    @property
    def key(self) -> tuple[int, str, str]:
        """What makes a message itself at Avito: the account's user_id, the chat, the message's id."""
        return self.chat.account.user_id, self.chat.id, self.id


@dataclass(slots=True, eq=False)
class Chat:
    id: str
    account: "Account"
    buyer_id: int
    buyer: str
    item: Item | None
    chat_type: str
    created: int
    updated: int  # of `World.touched` and `crowd` alone: the list of newest chats goes by it
    unseen: list[Message] = field(default_factory=list[Message])  # the shop's messages that the buyer has not read
    omits: set[str] = field(
        default_factory=set[str]
    )  # keys that the API leaves out: "users", "context", "last_message"
    untold: Callable[["Chat"], None] | None = None  # tells the history when it is first asked for
    untold_unread: bool = False  # what `unread` is until then
    _history: list[Message] = field(default_factory=list[Message])

    @property
    def history(self) -> list[Message]:
        """Oldest first."""
        if self.untold:
            tell, self.untold = self.untold, None
            tell(self)
        return self._history

    @property
    def unread(self) -> bool:
        if self.untold:
            return self.untold_unread
        return any(not m.is_read and not m.outgoing for m in reversed(self.history))


@dataclass(slots=True, eq=False)
class Account:
    """A shop. `subscription` is the one URL that Avito calls; `stolen` marks a foreign one, which we never call."""

    user_id: int
    name: str
    client_id: str
    client_secret: str
    subscription: str | None = None
    stolen: bool = False
    paid: bool = True  # False: every messenger call answers 402
    revoked: bool = False  # True: the key pair gets no token any more
    rate_limit: int | None = None  # requests a minute; None for no limit
    blacklist: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    chats: dict[str, Chat] = field(default_factory=dict[str, Chat])
    _newest_first: list[Chat] | None = None

    def newest_first(self) -> list[Chat]:
        """All chats by last activity; of two in the same second the one that moved later. Kept sorted from the first
        call on, so that a page costs nothing, and a message as much as one insertion."""
        if self._newest_first is None:
            newest = list(self.chats.values())[::-1]
            self._newest_first = sorted(newest, key=_newest)
        return self._newest_first

    def moved(self, chat: Chat, at: int) -> None:
        """A chat, new or known, was last active at `at`."""
        newest = self._newest_first
        if newest is not None and chat.id in self.chats:
            place = bisect_left(newest, -chat.updated, key=_newest)
            del newest[newest.index(chat, place)]
        chat.updated = at
        if newest is not None:
            newest.insert(bisect_left(newest, -at, key=_newest), chat)
        self.chats[chat.id] = chat


def _newest(chat: Chat) -> int:
    return -chat.updated


class World:
    """Every account and what it owns, with indexes by id, and ids that look like Avito's."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.accounts: dict[int, Account] = {}
        self.chats: dict[str, Chat] = {}
        self.messages: dict[str, Message] = {}
        self.images: dict[str, bytes] = {}  # uploaded files by image id

    def message_id(self) -> str:
        return f"{self.rng.getrandbits(128):032x}"

    def chat_id(self, chat_type: str) -> str:
        return f"{chat_type}-" + "".join(self.rng.choices(CHAT_ALPHABET, k=22))

    def number(self) -> int:
        """An id for a user or an item; real ones have 7 to 10 digits."""
        return self.rng.randrange(60_000_000, 2_100_000_000)

    def add(self, message: Message) -> None:
        """Appends a message to its chat. History may be told in any order: the chat keeps itself sorted."""
        history = message.chat.history
        history.append(message)
        if len(history) > 1 and history[-2].created > message.created:
            history.sort(key=lambda m: m.created)
        self.messages[message.id] = message
        if message.outgoing:
            message.chat.unseen.append(message)
        self.touched(message.chat, message.created)

    def touched(self, chat: Chat, at: int) -> None:
        chat.account.moved(chat, max(chat.updated, at))

    def walk(self) -> Iterator[Message]:
        for chat in self.chats.values():
            yield from chat.history
