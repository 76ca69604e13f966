"""Which accounts an operator sees, when he works, and whether new chats are given out in turn."""

import sqlalchemy as sa
from alembic import op

revision = "0011_team"
down_revision = "0010_sealed_urls"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("operators", sa.Column("every_account", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("operators", sa.Column("work_days", sa.String(length=7), server_default="1234567", nullable=False))
    op.add_column("operators", sa.Column("work_from", sa.Integer(), server_default="0", nullable=False))
    op.add_column("operators", sa.Column("work_to", sa.Integer(), server_default="1440", nullable=False))
    op.add_column("operators", sa.Column("chat_limit", sa.Integer(), nullable=True))
    op.add_column("operators", sa.Column("given_at", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("in_turn_since", sa.BigInteger(), nullable=True))
    zone = sa.Column("zone", sa.String(length=64), server_default="Europe/Moscow", nullable=False)
    op.add_column("accounts", zone)
    op.create_table(
        "operator_accounts",
        sa.Column("operator_id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name="fk_operator_accounts_operator_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_operator_accounts_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operator_id", "account_id", name="pk_operator_accounts"),
    )
    op.create_index("ix_operator_accounts_account_id", "operator_accounts", ["account_id"])


def downgrade() -> None:
    op.drop_table("operator_accounts")
    for column in ("zone", "in_turn_since"):
        op.drop_column("accounts", column)
    for column in ("given_at", "chat_limit", "work_to", "work_from", "work_days", "every_account"):
        op.drop_column("operators", column)
