"""What was done with a chat: the rows of its thread that tell who took, closed, snoozed or labelled it, and when."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table, where


class ActKind(StrEnum):
    OWNED = "owned"  # it went from `was_id` to `owner_id`; None is nobody
    SNOOZED = "snoozed"  # until `until`
    WOKEN = "woken"  # the snooze's time was over
    CLOSED = "closed"
    REOPENED = "reopened"
    LABELLED = "labelled"  # with the name that `label` had then
    UNLABELLED = "unlabelled"


class Act(Table):
    """Only `fold` writes these, where the chat's version is. Of what was done before there was this table nothing is
    known."""

    __tablename__ = "acts"
    __table_args__ = (
        Index("ix_acts_chat_id_at", "chat_id", "at", "id"),
        Index("ix_acts_chat_id_version", "chat_id", "version"),
        Index("ix_acts_settling", "chat_id", "behind_at", **where("behind_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[int]
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="SET NULL"))  # None: nobody
    was_id: Mapped[int | None]  # operators, as in `Chat.owner_id`
    owner_id: Mapped[int | None]
    until: Mapped[int | None]
    label: Mapped[str] = mapped_column(default="")
    # Of a close: the time and the row id of the newest message then, behind which it stands. None: it was taken back.
    behind_at: Mapped[int | None]
    behind_id: Mapped[int | None]
    version: Mapped[int]  # the chat's version at which it was done
