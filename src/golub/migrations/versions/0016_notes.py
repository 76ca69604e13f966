"""Notes in chats and about buyers, and the way to a buyer's other chats."""

import sqlalchemy as sa
from alembic import op

revision = "0016_notes"
down_revision = "0015_composing"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("chat_id", _KEY, nullable=False),
        sa.Column("operator_id", _KEY, nullable=True),
        sa.Column("client_key", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("edited_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name=op.f("fk_notes_chat_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_notes_operator_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
        sa.UniqueConstraint("chat_id", "client_key", name=op.f("uq_notes_chat_id_client_key")),
    )
    op.create_index("ix_notes_chat_id_created_at", "notes", ["chat_id", "created_at", "id"])
    op.create_index("ix_notes_chat_id_version", "notes", ["chat_id", "version"])
    op.create_table(
        "buyer_notes",
        sa.Column("buyer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("operator_id", _KEY, nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_buyer_notes_operator_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("buyer_id", name=op.f("pk_buyer_notes")),
    )
    known = sa.text("buyer_id IS NOT NULL")
    op.create_index("ix_chats_buyer_id", "chats", ["buyer_id", "id"], sqlite_where=known, postgresql_where=known)


def downgrade() -> None:
    op.drop_index("ix_chats_buyer_id", "chats")
    op.drop_table("buyer_notes")
    op.drop_table("notes")
