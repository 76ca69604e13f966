"""What the team writes for itself: notes in a chat, and one about each buyer. Nothing of it ever goes to Avito."""

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table


class Note(Table):
    """An operator's words in the stream of a chat. One that was removed stays as an empty row, for pages that show it
    still. Only `fold` writes it, with the chat's version."""

    __tablename__ = "notes"
    __table_args__ = (
        UniqueConstraint("chat_id", "client_key"),
        Index("ix_notes_chat_id_created_at", "chat_id", "created_at", "id"),
        Index("ix_notes_chat_id_version", "chat_id", "version"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="SET NULL"))
    client_key: Mapped[str]  # made for one click, so that a repeated POST writes nothing twice
    text: Mapped[str]
    created_at: Mapped[int]
    edited_at: Mapped[int | None]
    removed_at: Mapped[int | None]
    version: Mapped[int]  # the chat's version at which this row last changed


class BuyerNote(Table):
    """What the team knows of a buyer, whichever account they wrote to: one text, by Avito's id of that person."""

    __tablename__ = "buyer_notes"

    buyer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    text: Mapped[str]
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="SET NULL"))
    changed_at: Mapped[int]
