"""What operators have written and not yet sent, and what they keep to send often."""

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table


class Draft(Table):
    """A reply that an operator is writing in a chat, the same on all his devices. One that was sent or emptied stays as
    an empty row: its version tells a device that comes late."""

    __tablename__ = "drafts"
    __table_args__ = (UniqueConstraint("chat_id", "operator_id"), Index("ix_drafts_saved_at", "saved_at"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    text: Mapped[str]
    pictures: Mapped[list[str]]  # names of attached pictures
    version: Mapped[int] = mapped_column(Integer)  # grows with each change; a device says which one it has changed
    other_text: Mapped[str]  # what another device had written and a newer text has replaced; "" once that is settled
    saved_at: Mapped[int]


class QuickReply(Table):
    """A reply that is kept under a short name: for everybody, or for the operator who owns it alone."""

    __tablename__ = "quick_replies"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    item_id: Mapped[int | None]  # Avito's: only in chats about this item
    texts: Mapped[list[str]]  # a message each, in their order, with variables
    used: Mapped[int] = mapped_column(Integer, default=0)  # how often it was taken into a chat
    used_at: Mapped[int | None]
    changed_at: Mapped[int]


class QuickPicture(Table):
    """A photo of a quick reply, drawn as it goes to Avito."""

    __tablename__ = "quick_pictures"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    quick_reply_id: Mapped[int] = mapped_column(ForeignKey("quick_replies.id", ondelete="CASCADE"), index=True)
    place: Mapped[int] = mapped_column(Integer)  # photos go in this order, before the texts
    extension: Mapped[str] = mapped_column(String(4))  # jpg, png
    picture: Mapped[bytes]
    small: Mapped[bytes]  # a WebP for pages
