"""Who waited for an answer. Only `fold` writes them."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table, where


class WaitKind(StrEnum):
    CHAT = "chat"
    CALL = "call"  # it began with a call that nobody took, or of which Avito does not say how it ended


class Wait(Table):
    """From a buyer's message that wanted an answer to the first answer; derived from the chat's messages, and its item
    from the chat, so that reports need not read those. One that closing the chat ended, and no answer, has no
    `seconds`."""

    __tablename__ = "waits"
    __table_args__ = (
        Index("ix_waits_account_id_began_at", "account_id", "began_at", "id"),
        Index("ix_waits_chat_id_began_at", "chat_id", "began_at"),
        Index("ix_waits_open", "chat_id", **where("ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    item_id: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(8))
    is_first: Mapped[bool]  # the buyer had not written in this chat before
    began_at: Mapped[int]
    ended_at: Mapped[int | None]
    seconds: Mapped[int | None] = mapped_column(Integer)  # between the two; None: no answer has ended it
    answer: Mapped[str] = mapped_column(default="")  # Avito's name of the message that ended it
    operator_id: Mapped[int | None]  # who wrote that, or closed the chat; None: written at Avito
