"""Answering: long replies in parts, photos, and buyers on the blacklist."""

import sqlalchemy as sa
from alembic import op

revision = "0004_answering"
down_revision = "0003_relay"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("outgoing_messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=8), nullable=False, server_default="text"))
        batch_op.add_column(sa.Column("part", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("parts", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("picture", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("image_avito_id", sa.Text(), nullable=False, server_default=""))

    op.create_table(
        "blocked_buyers",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.Column("operator_id", _KEY, nullable=True),
        sa.Column("blocked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_blocked_buyers_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_blocked_buyers_operator_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocked_buyers")),
        sa.UniqueConstraint("account_id", "buyer_id", name=op.f("uq_blocked_buyers_account_id_buyer_id")),
    )


def downgrade() -> None:
    op.drop_table("blocked_buyers")
    with op.batch_alter_table("outgoing_messages", schema=None) as batch_op:
        for name in ("image_avito_id", "picture", "parts", "part", "kind"):
            batch_op.drop_column(name)
