"""The journal as work: how long answers took, what was discarded and why, and replays of many deliveries; indexes that
answer every look through it.

Columns are added and dropped one by one: rebuilding `deliveries` on SQLite would delete what refers to it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_replays"
down_revision = "0006_in_step"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_SIFTED = ("state", "cause", "event_type", "token_id", "address")
_QUARANTINED = sa.text("state = 'quarantined'")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("ack_ms", sa.Integer(), nullable=True))
    op.add_column("deliveries", sa.Column("discarded_at", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("discarded_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("discard_reason", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_deliveries_listed", "deliveries", ["received_at", "id", *_SIFTED, "account_id"])
    op.create_index("ix_deliveries_listed_by_account", "deliveries", ["account_id", "received_at", "id", *_SIFTED])
    op.drop_index("ix_deliveries_received_at_id", "deliveries")
    op.drop_index("ix_deliveries_account_id_received_at", "deliveries")
    op.create_index(
        "ix_deliveries_quarantined_cause",
        "deliveries",
        ["cause", "received_at"],
        sqlite_where=_QUARANTINED,
        postgresql_where=_QUARANTINED,
    )

    op.create_table(
        "replays",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("wanted", _DOCUMENT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("total_is_more", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("changing", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("message_digests", sa.LargeBinary(), nullable=False),
        sa.Column("outcomes", _DOCUMENT, nullable=False),
        sa.Column("changes", _DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(
        "ix_replays_due_at",
        "replays",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("replays")
    op.drop_index("ix_deliveries_quarantined_cause", "deliveries")
    op.create_index("ix_deliveries_received_at_id", "deliveries", ["received_at", "id"])
    op.create_index("ix_deliveries_account_id_received_at", "deliveries", ["account_id", "received_at"])
    op.drop_index("ix_deliveries_listed", "deliveries")
    op.drop_index("ix_deliveries_listed_by_account", "deliveries")
    op.execute("UPDATE deliveries SET state = 'quarantined' WHERE state = 'discarded'")
    for name in ("discard_reason", "discarded_by", "discarded_at", "ack_ms"):
        op.drop_column("deliveries", name)
