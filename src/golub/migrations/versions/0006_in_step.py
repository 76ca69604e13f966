"""In step with Avito: what an operator read is told to it after a restart too, and waiting hints have an index."""

import sqlalchemy as sa
from alembic import op

revision = "0006_in_step"
down_revision = "0005_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("read_due_at", sa.BigInteger(), nullable=True))
    due = sa.text("read_due_at IS NOT NULL")
    op.create_index("ix_chats_read_due_at", "chats", ["read_due_at"], sqlite_where=due, postgresql_where=due)
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["account_id", "chat_avito_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_waiting", "deliveries")
    op.drop_index("ix_chats_read_due_at", "chats")
    op.drop_column("chats", "read_due_at")
