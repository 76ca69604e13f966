"""Coverage, the timeline of an account, pauses, and repairs."""

import sqlalchemy as sa
from alembic import op

revision = "0002_coverage"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INCOMING = sa.text("direction = 'in'")
_ACCOUNTS = ("sweep_requests", "sweep_changed", "watch_due_at", "watched_at", "looked_at")
_ACCOUNTS_OR_NONE = ("paused_at", "deaf_since")
_WEBHOOKS_OR_NONE = ("rotating_since", "repair_rests_until")


def upgrade() -> None:
    for name in _ACCOUNTS:
        op.add_column("accounts", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    for name in _ACCOUNTS_OR_NONE:
        op.add_column("accounts", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("webhooks", sa.Column("self_repair", sa.Boolean(), server_default=sa.false(), nullable=False))
    for name in _WEBHOOKS_OR_NONE:
        op.add_column("webhooks", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("delivered_at", sa.BigInteger(), nullable=True))
    # What came by webhook first came when we first had it; of the others' webhooks nothing was kept.
    op.execute("UPDATE messages SET delivered_at = received_at WHERE first_source = 0")
    op.create_index(
        "ix_messages_incoming",
        "messages",
        ["account_id", "created_at"],
        unique=False,
        sqlite_where=_INCOMING,
        postgresql_where=_INCOMING,
    )
    op.create_table(
        "timeline",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_timeline_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timeline")),
    )
    op.create_index("ix_timeline_account_id_at", "timeline", ["account_id", "at", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_timeline_account_id_at", "timeline")
    op.drop_table("timeline")
    op.drop_index("ix_messages_incoming", "messages", sqlite_where=_INCOMING, postgresql_where=_INCOMING)
    with op.batch_alter_table("messages") as batch:
        batch.drop_column("delivered_at")
    with op.batch_alter_table("webhooks") as batch:
        for name in ("self_repair", *_WEBHOOKS_OR_NONE):
            batch.drop_column(name)
    with op.batch_alter_table("accounts") as batch:
        for name in (*_ACCOUNTS, *_ACCOUNTS_OR_NONE):
            batch.drop_column(name)
