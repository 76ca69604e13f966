"""Forwarding deliveries to further addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0003_relay"
down_revision = "0002_coverage"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "relays",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("url_hash", sa.LargeBinary(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_ok_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(length=16), nullable=False),
        sa.Column("last_error_at", sa.BigInteger(), nullable=True),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_relays_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_relays"),
        sa.UniqueConstraint("account_id", "url_hash", name="uq_relays_account_id_url_hash"),
    )
    op.create_table(
        "relayed_deliveries",
        sa.Column("id", KEY, nullable=False),
        sa.Column("relay_id", KEY, nullable=False),
        sa.Column("delivery_id", sa.LargeBinary(), nullable=False),
        sa.Column("chat_key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(length=16), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["relay_id"], ["relays.id"], name="fk_relayed_deliveries_relay_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name="fk_relayed_deliveries_delivery_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_relayed_deliveries"),
        sa.UniqueConstraint("delivery_id", "relay_id", name="uq_relayed_deliveries_delivery_id_relay_id"),
    )
    _partial("ix_relayed_deliveries_queued", ["relay_id", "chat_key", "id"], "due_at IS NOT NULL")
    _partial("ix_relayed_deliveries_given_up", ["relay_id", "id"], "state = 'given_up'")
    _partial("ix_relayed_deliveries_finished_at", ["finished_at"], "finished_at IS NOT NULL")


def downgrade() -> None:
    op.drop_table("relayed_deliveries")
    op.drop_table("relays")


def _partial(name: str, columns: list[str], condition: str) -> None:
    op.create_index(
        name,
        "relayed_deliveries",
        columns,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
