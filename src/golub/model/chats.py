"""Chats and messages. Only `fold` writes them."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from golub.model.accounts import Account
from golub.model.table import Key, Table, where

_OPEN = "closed_at IS NULL AND snoozed_until IS NULL"
_UNOWNED = f"owner_id IS NULL AND {_OPEN}"
_STATE = ("closed_at", "snoozed_until")
_WAITING = "waiting_since IS NOT NULL AND snoozed_until IS NULL"


class ChatState(StrEnum):
    """How far a chat is, for the team. Follows from the chat's columns: see `Chat.state`."""

    OPEN = "open"
    WAITING = "waiting"  # open, and the buyer waits for us
    SNOOZED = "snoozed"  # out of sight until a time, or until the buyer writes
    CLOSED = "closed"  # nothing is left to do, until the buyer writes


class Chat(Table):
    """A chat at Avito, its facts as last told, what follows from its messages, and whose it is among us."""

    __tablename__ = "chats"
    __table_args__ = (
        UniqueConstraint("account_id", "avito_id"),
        # One for each view of the list, and for each of one account: see `inbox.listing`. Behind the order stands what
        # the condition is about: SQLite reads the row itself for any column that an index has not, and counts for long.
        Index("ix_chats_open", "listed_at", "id", *_STATE, **where(_OPEN)),
        Index("ix_chats_account_open", "account_id", "listed_at", "id", *_STATE, **where(_OPEN)),
        Index("ix_chats_owner", "owner_id", "listed_at", "id", "account_id", *_STATE, **where(_OPEN)),
        Index("ix_chats_account_unowned", "account_id", "owner_id", "listed_at", "id", *_STATE, **where(_UNOWNED)),
        Index("ix_chats_waiting", "waiting_since", "id", "snoozed_until", **where(_WAITING)),
        Index("ix_chats_account_waiting", "account_id", "waiting_since", "id", "snoozed_until", **where(_WAITING)),
        Index("ix_chats_unread_listed", "listed_at", "id", "unread", **where("unread > 0")),
        Index("ix_chats_account_unread", "account_id", "listed_at", "id", "unread", **where("unread > 0")),
        Index("ix_chats_snoozed", "snoozed_until", "id", "account_id", **where("snoozed_until IS NOT NULL")),
        Index("ix_chats_closed", "closed_at", "id", **where("closed_at IS NOT NULL")),
        Index("ix_chats_account_closed", "account_id", "closed_at", "id", **where("closed_at IS NOT NULL")),
        Index("ix_chats_item", "item_id", "listed_at", "id", **where("item_id IS NOT NULL")),
        Index("ix_chats_buyer_id", "buyer_id", "id", **where("buyer_id IS NOT NULL")),
        Index("ix_chats_fetch_due_at", "fetch_due_at", **where("fetch_due_at IS NOT NULL")),
        Index("ix_chats_read_due_at", "read_due_at", **where("read_due_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    avito_id: Mapped[str]
    version: Mapped[int] = mapped_column(default=0)

    # Facts. Avito may leave out any part, so each part is the greatest of its own observations; a rank is
    # "time, API over webhook, digest" as text that sorts.
    facts_at: Mapped[int] = mapped_column(default=0)  # when the API last told of this chat; 0: never
    buyer_rank: Mapped[str] = mapped_column(default="")
    item_rank: Mapped[str] = mapped_column(default="")
    status_rank: Mapped[str] = mapped_column(default="")
    chat_type: Mapped[str] = mapped_column(default="u2i")
    buyer_id: Mapped[int | None]
    buyer_name: Mapped[str] = mapped_column(default="")
    buyer_avatar_url: Mapped[str] = mapped_column(default="")
    buyer_profile_url: Mapped[str] = mapped_column(default="")
    item_id: Mapped[int | None]
    item_title: Mapped[str] = mapped_column(default="")
    item_price: Mapped[str] = mapped_column(default="")
    item_url: Mapped[str] = mapped_column(default="")
    item_image_url: Mapped[str] = mapped_column(default="")
    item_status: Mapped[int | None]
    status: Mapped[str] = mapped_column(default="")  # archived, blocked, … in Avito's words, from a chat event
    created_at: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[int] = mapped_column(default=0)

    # Derived from messages after every fold.
    last_message_id: Mapped[int | None]
    last_message_at: Mapped[int] = mapped_column(default=0)
    unread: Mapped[int] = mapped_column(Integer, default=0)
    waiting_since: Mapped[int | None]  # the first of the buyer's messages that nobody answered, nor closed the chat on
    listed_at: Mapped[int] = mapped_column(default=0)  # its place in the list: the last message, or the end of a snooze

    # Care: what operators decided, told to `fold` as observations. Avito knows nothing of it.
    owner_id: Mapped[int | None]  # an operator; none is ever removed, so no foreign key watches over it
    owned_since: Mapped[int | None]
    wants_owner: Mapped[bool] = mapped_column(default=False, server_default=false())  # a buyer spoke up: see `rota`
    closed_at: Mapped[int | None]
    settled_to: Mapped[int] = mapped_column(
        default=0
    )  # messages up to this row need no answer: the chat was closed on them
    snoozed_until: Mapped[int | None]
    woken_at: Mapped[int] = mapped_column(default=0)  # when a snooze last ended by its time

    # Work that is due, for `backfill`.
    fetch_due_at: Mapped[int | None]
    fetch_quietly: Mapped[bool] = mapped_column(default=False)
    fetch_attempts: Mapped[int] = mapped_column(Integer, default=0)
    fetched_at: Mapped[int] = mapped_column(default=0)
    verified_to: Mapped[int] = mapped_column(default=0)  # all messages created up to here were read from the API
    read_due_at: Mapped[int | None]  # when Avito is to be told that an operator has read the chat
    read_sent_at: Mapped[int] = mapped_column(default=0)

    account: Mapped[Account] = relationship(lazy="raise")

    @property
    def state(self) -> ChatState:
        if self.closed_at is not None:
            return ChatState.CLOSED
        if self.snoozed_until is not None:
            return ChatState.SNOOZED
        return ChatState.OPEN if self.waiting_since is None else ChatState.WAITING


class Direction(StrEnum):
    IN = "in"
    OUT = "out"
    SYSTEM = "system"  # Avito's own words: author 0, 1 or missing is nobody


class Source(StrEnum):
    WEBHOOK = "webhook"
    API = "api"


class Message(Table):
    """One message of a chat, as the greatest of its observations (see `fold`)."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("chat_id", "avito_id"),
        Index("ix_messages_chat_id_created_at", "chat_id", "created_at", "id"),
        Index("ix_messages_chat_id_version", "chat_id", "version"),
        Index("ix_messages_unread", "chat_id", **where("unread")),
        Index("ix_messages_incoming", "account_id", "created_at", **where("direction = 'in'")),
        Index("ix_messages_outgoing", "account_id", "created_at", **where("direction = 'out'")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    avito_id: Mapped[str]  # Avito's, or ours with the prefix "~" where Avito gave none
    # The winning observation.
    observed_at: Mapped[int]
    source: Mapped[int] = mapped_column(Integer)  # 0 webhook, 1 API: the greater wins a tie of time
    digest: Mapped[bytes]
    author_id: Mapped[int | None]
    direction: Mapped[str] = mapped_column(String(8))
    type: Mapped[str]
    content: Mapped[dict[str, Any]]
    text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[int]
    # What only grows.
    tombstone_at: Mapped[int | None]  # «Сообщение удалено» was seen under this id
    deleted_at: Mapped[int | None]
    edited: Mapped[bool] = mapped_column(default=False)
    read_by_peer: Mapped[bool] = mapped_column(default=False)  # Avito says that the other side read it
    seen: Mapped[bool] = mapped_column(default=False)  # an operator saw it here, or we read it at Avito
    quiet: Mapped[bool] = mapped_column(default=False)  # history alone told us: no unread, no notification
    unread: Mapped[bool] = mapped_column(default=False)  # a buyer's message that no operator has seen
    confirmed: Mapped[bool] = mapped_column(default=False)  # the API has told us of it too
    first_source: Mapped[int] = mapped_column(Integer, default=0)  # how it came first
    received_at: Mapped[int]  # when we first had it
    delivered_at: Mapped[int | None]  # when its first webhook came, before or after the API told of it: coverage
    version: Mapped[int] = mapped_column(default=0)  # the chat's version at which this row last changed
