"""Alerts through several channels, and how fast webhooks were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0009_status"
down_revision = "0008_nodes"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "alert_channels",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("options", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("last_ok_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("last_error_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kind", name="pk_alert_channels"),
    )
    op.create_table(
        "notices",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("alert_id", _KEY, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_notices_alert_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("alert_id", "channel", "kind", "number", name="uq_notices_alert_id_channel_kind_number"),
    )
    op.create_index("ix_notices_due_at", "notices", ["due_at"], sqlite_where=_DUE, postgresql_where=_DUE)
    op.create_table(
        "ack_tallies",
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("within_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("began_at", "within_ms", name="pk_ack_tallies"),
    )


def downgrade() -> None:
    op.drop_table("ack_tallies")
    op.drop_table("notices")
    op.drop_table("alert_channels")
