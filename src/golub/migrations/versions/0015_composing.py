"""Drafts, and quick replies with their photos."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015_composing"
down_revision = "0014_rota"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("chat_id", _KEY, nullable=False),
        sa.Column("operator_id", _KEY, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("pictures", _DOCUMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("other_text", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        _refers("drafts", "chat_id", "chats"),
        _refers("drafts", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("chat_id", "operator_id", name=op.f("uq_drafts_chat_id_operator_id")),
    )
    op.create_index("ix_drafts_saved_at", "drafts", ["saved_at"])
    op.create_index("ix_drafts_operator_id", "drafts", ["operator_id"])

    op.create_table(
        "quick_replies",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_id", _KEY, nullable=True),
        sa.Column("account_id", _KEY, nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("texts", _DOCUMENT, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        _refers("quick_replies", "owner_id", "operators"),
        _refers("quick_replies", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quick_replies")),
    )
    op.create_index("ix_quick_replies_owner_id", "quick_replies", ["owner_id"])
    op.create_index("ix_quick_replies_account_id", "quick_replies", ["account_id"])

    op.create_table(
        "quick_pictures",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("quick_reply_id", _KEY, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("extension", sa.String(length=4), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("small", sa.LargeBinary(), nullable=False),
        _refers("quick_pictures", "quick_reply_id", "quick_replies"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quick_pictures")),
    )
    op.create_index("ix_quick_pictures_quick_reply_id", "quick_pictures", ["quick_reply_id"])


def downgrade() -> None:
    for table in ("quick_pictures", "quick_replies", "drafts"):
        op.drop_table(table)
