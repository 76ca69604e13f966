"""Whose a chat is and how far it is; labels, and the views that operators name.

The list is ordered by `listed_at` from here on: the indexes by the last message serve nobody any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012_care"
down_revision = "0011_team"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = "closed_at IS NULL AND snoozed_until IS NULL"
_WAITING = "waiting_since IS NOT NULL"

# The new indexes of chats: name, columns, condition.
_INDEXES = (
    ("ix_chats_open", ["listed_at", "id"], _OPEN),
    ("ix_chats_account_open", ["account_id", "listed_at", "id"], _OPEN),
    ("ix_chats_owned", ["owner_id", "listed_at", "id"], f"owner_id IS NOT NULL AND {_OPEN}"),
    ("ix_chats_unowned", ["listed_at", "id"], f"owner_id IS NULL AND {_OPEN}"),
    ("ix_chats_account_unowned", ["account_id", "listed_at", "id"], f"owner_id IS NULL AND {_OPEN}"),
    ("ix_chats_account_waiting", ["account_id", "waiting_since", "id"], _WAITING),
    ("ix_chats_unread_listed", ["listed_at", "id"], "unread > 0"),
    ("ix_chats_account_unread", ["account_id", "listed_at", "id"], "unread > 0"),
    ("ix_chats_snoozed", ["snoozed_until", "id"], "snoozed_until IS NOT NULL"),
    ("ix_chats_closed", ["closed_at", "id"], "closed_at IS NOT NULL"),
    ("ix_chats_account_closed", ["account_id", "closed_at", "id"], "closed_at IS NOT NULL"),
    ("ix_chats_item", ["item_id", "listed_at", "id"], "item_id IS NOT NULL"),
)
_REPLACED = (
    ("ix_chats_last_message_at", ["last_message_at", "id"], None),
    ("ix_chats_account_id_last_message_at", ["account_id", "last_message_at", "id"], None),
    ("ix_chats_unread", ["last_message_at"], "unread > 0"),
)


def upgrade() -> None:
    for name in ("listed_at", "settled_to", "woken_at"):
        op.add_column("chats", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    for name in ("owner_id", "owned_since", "closed_at", "snoozed_until"):
        op.add_column("chats", sa.Column(name, sa.BigInteger(), nullable=True))
    op.execute("UPDATE chats SET listed_at = last_message_at")
    for name, _, _ in _REPLACED:
        op.drop_index(name, "chats")
    for index in _INDEXES:
        _create(*index)

    op.create_table(
        "labels",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("colour", sa.String(length=7), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint("folded", name=op.f("uq_labels_folded")),
    )
    op.create_table(
        "chat_labels",
        sa.Column("chat_id", _KEY, nullable=False),
        sa.Column("label_id", _KEY, nullable=False),
        sa.Column("put_at", sa.BigInteger(), nullable=False),
        sa.Column("operator_id", _KEY, nullable=True),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name=op.f("fk_chat_labels_chat_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name=op.f("fk_chat_labels_label_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_chat_labels_operator_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("chat_id", "label_id", name=op.f("pk_chat_labels")),
    )
    op.create_index("ix_chat_labels_label_id", "chat_labels", ["label_id", "chat_id"])
    op.create_table(
        "saved_views",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("operator_id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("view", sa.String(length=16), nullable=False),
        sa.Column("account_id", _KEY, nullable=True),
        sa.Column("label_id", _KEY, nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_saved_views_operator_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_saved_views_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name=op.f("fk_saved_views_label_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_saved_views_operator_id_name")),
    )


def downgrade() -> None:
    for table in ("saved_views", "chat_labels", "labels"):
        op.drop_table(table)
    for name, _, _ in _INDEXES:
        op.drop_index(name, "chats")
    for index in _REPLACED:
        _create(*index)
    # Without a batch: SQLite's table would be copied, and its messages go with the old one.
    for name in ("owner_id", "owned_since", "closed_at", "settled_to", "snoozed_until", "woken_at", "listed_at"):
        op.drop_column("chats", name)


def _create(name: str, columns: list[str], condition: str | None) -> None:
    only = sa.text(condition) if condition else None
    op.create_index(name, "chats", columns, sqlite_where=only, postgresql_where=only)
