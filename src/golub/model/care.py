"""What a team keeps about its chats: labels, and the combinations of the list that an operator named."""

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table


class Label(Table):
    """A word of the whole team's for its chats, with a colour. Admins make them."""

    __tablename__ = "labels"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str]
    folded: Mapped[str] = mapped_column(unique=True)  # the name without its case: two labels must not look the same
    colour: Mapped[str] = mapped_column(String(7))  # "#rrggbb"
    created_at: Mapped[int]


class ChatLabel(Table):
    """A label that is on a chat. Only `fold` writes these, since the chat rings."""

    __tablename__ = "chat_labels"
    __table_args__ = (Index("ix_chat_labels_label_id", "label_id", "chat_id"),)

    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"), primary_key=True)
    label_id: Mapped[int] = mapped_column(ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True)
    put_at: Mapped[int]
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.id", ondelete="SET NULL"))


class SavedView(Table):
    """A view of the list, narrowed, under a name that one operator gave it."""

    __tablename__ = "saved_views"
    __table_args__ = (UniqueConstraint("operator_id", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"))
    name: Mapped[str]
    view: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    label_id: Mapped[int | None] = mapped_column(ForeignKey("labels.id", ondelete="CASCADE"))
    item_id: Mapped[int | None]  # Avito's
    created_at: Mapped[int]
