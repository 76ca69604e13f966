"""Who waited for an answer, for the reports. The rows are filled in behind the upgrade, chat by chat."""

import sqlalchemy as sa
from alembic import op

revision = "0013_waits"
down_revision = "0012_care"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _index(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def upgrade() -> None:
    op.create_table(
        "waits",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("chat_id", _KEY, nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("is_first", sa.Boolean(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("seconds", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_waits_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name="fk_waits_chat_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_waits"),
    )
    op.create_index("ix_waits_account_id_began_at", "waits", ["account_id", "began_at", "id"])
    op.create_index("ix_waits_chat_id_began_at", "waits", ["chat_id", "began_at"])
    _index("ix_waits_open", "waits", ["chat_id"], "ended_at IS NULL")
    _index("ix_messages_outgoing", "messages", ["account_id", "created_at"], "direction = 'out'")
    _index(
        "ix_outgoing_messages_message_avito_id",
        "outgoing_messages",
        ["chat_id", "message_avito_id"],
        "message_avito_id <> ''",
    )


def downgrade() -> None:
    op.drop_index("ix_outgoing_messages_message_avito_id", "outgoing_messages")
    op.drop_index("ix_messages_outgoing", "messages")
    op.drop_table("waits")
