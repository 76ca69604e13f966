"""What operators asked us to send, and whom they asked Avito to keep away."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table, where


class OutgoingState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    UNCONFIRMED = "unconfirmed"  # Avito's answer was lost: it may have been sent
    REJECTED = "rejected"
    DISCARDED = "discarded"  # the operator gave it up


class OutgoingKind(StrEnum):
    TEXT = "text"
    IMAGE = "image"


class OutgoingMessage(Table):
    """What an operator asked us to send. At most once: Avito has no idempotency key."""

    __tablename__ = "outgoing_messages"
    __table_args__ = (
        Index("ix_outgoing_messages_due_at", "due_at", **where("due_at IS NOT NULL")),
        Index("ix_outgoing_messages_chat_id", "chat_id", "id"),
        Index(
            "ix_outgoing_messages_message_avito_id", "chat_id", "message_avito_id", **where("message_avito_id <> ''")
        ),
        UniqueConstraint("chat_id", "client_key"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="SET NULL"))
    client_key: Mapped[str]  # made by the browser for one click, so that a repeated POST queues nothing twice
    kind: Mapped[str] = mapped_column(String(8), default=OutgoingKind.TEXT, server_default=OutgoingKind.TEXT)
    text: Mapped[str]
    part: Mapped[int] = mapped_column(Integer, default=1, server_default="1")  # of a long reply; the key ends in "/2"
    parts: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    picture: Mapped[str] = mapped_column(
        default="", server_default=""
    )  # the file's name in `outgoing/`, until it is sent
    image_avito_id: Mapped[str] = mapped_column(default="", server_default="")  # what Avito calls the uploaded picture
    state: Mapped[str] = mapped_column(String(16), default=OutgoingState.QUEUED)
    error_code: Mapped[str] = mapped_column(String(32), default="")
    error: Mapped[str] = mapped_column(default="")  # why it was rejected, in Avito's words or an English key of ours
    due_at: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[int]
    started_at: Mapped[int | None]  # when the request that may have reached Avito began
    finished_at: Mapped[int | None]
    message_avito_id: Mapped[str] = mapped_column(default="")


class BlockedBuyer(Table):
    """A buyer on the account's blacklist at Avito, as far as it was put there by us: Avito has no list to read."""

    __tablename__ = "blocked_buyers"
    __table_args__ = (UniqueConstraint("account_id", "buyer_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    buyer_id: Mapped[int]
    reason: Mapped[int] = mapped_column(Integer)  # 1 spam, 2 fraud, 3 insults, 4 other (postBlacklistV2)
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="SET NULL"))
    blocked_at: Mapped[int]
