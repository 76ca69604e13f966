"""What was done with a chat, for its thread: who took, closed, snoozed or labelled it."""

import sqlalchemy as sa
from alembic import op

revision = "0019_acts"
down_revision = "0018_counts"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "acts",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("chat_id", _KEY, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("operator_id", _KEY, nullable=True),
        sa.Column("was_id", sa.BigInteger(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("behind_at", sa.BigInteger(), nullable=True),
        sa.Column("behind_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name=op.f("fk_acts_chat_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_acts_operator_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acts")),
    )
    op.create_index("ix_acts_chat_id_at", "acts", ["chat_id", "at", "id"])
    op.create_index("ix_acts_chat_id_version", "acts", ["chat_id", "version"])
    settling = sa.text("behind_at IS NOT NULL")
    op.create_index(
        "ix_acts_settling", "acts", ["chat_id", "behind_at"], sqlite_where=settling, postgresql_where=settling
    )


def downgrade() -> None:
    op.drop_table("acts")
