"""Rules that answer and remind by themselves, and what each did."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020_automation"
down_revision = "0019_acts"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _refers(table: str, column: str, to: str, gone: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete=gone)


def upgrade() -> None:
    op.create_table(
        "automatic_rules",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("account_id", _KEY, nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("texts", _DOCUMENT, nullable=False),
        sa.Column("hours", _DOCUMENT, nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("active_since", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        _refers("automatic_rules", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automatic_rules")),
    )
    op.create_index("ix_automatic_rules_account_id", "automatic_rules", ["account_id"])

    op.create_table(
        "rule_pictures",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("rule_id", _KEY, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("extension", sa.String(length=4), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("small", sa.LargeBinary(), nullable=False),
        _refers("rule_pictures", "rule_id", "automatic_rules"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_pictures")),
    )
    op.create_index("ix_rule_pictures_rule_id", "rule_pictures", ["rule_id"])

    op.create_table(
        "automatic_acts",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("slot", sa.String(length=8), nullable=False),
        sa.Column("message_id", _KEY, nullable=False),
        sa.Column("chat_id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("rule_id", _KEY, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _refers("automatic_acts", "message_id", "messages"),
        _refers("automatic_acts", "chat_id", "chats"),
        _refers("automatic_acts", "account_id", "accounts"),
        _refers("automatic_acts", "rule_id", "automatic_rules", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automatic_acts")),
        sa.UniqueConstraint("message_id", "slot", name=op.f("uq_automatic_acts_message_id_slot")),
    )
    op.create_index("ix_automatic_acts_chat_id_at", "automatic_acts", ["chat_id", "at"])
    op.create_index("ix_automatic_acts_account_id_id", "automatic_acts", ["account_id", "id"])
    op.create_index("ix_automatic_acts_rule_id_id", "automatic_acts", ["rule_id", "id"])
    op.create_index("ix_automatic_acts_at", "automatic_acts", ["at"])


def downgrade() -> None:
    for table in ("automatic_acts", "rule_pictures", "automatic_rules"):
        op.drop_table(table)
