"""Several processes on one PostgreSQL: who lives, shares of the minute, photos on their way, numbers of rings."""

import sqlalchemy as sa
from alembic import op

revision = "0008_nodes"
down_revision = "0007_replays"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("folder", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("halted", sa.Text(), nullable=False, server_default=""),
        sa.Column("spool_waiting", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("spool_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("spool_oldest_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.create_index(op.f("ix_nodes_folder"), "nodes", ["folder"])

    op.create_table(
        "pacings",
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("token_asked_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("refused_keys", sa.LargeBinary(), nullable=True),
        sa.Column("refused_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_pacings_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_pacings")),
    )

    op.create_table(
        "pace_shares",
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("node_id", sa.String(length=32), nullable=False),
        sa.Column("operators", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("prompt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("bulk", sa.Integer(), nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_pace_shares_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_pace_shares_node_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "node_id", name=op.f("pk_pace_shares")),
    )
    op.create_index(op.f("ix_pace_shares_node_id"), "pace_shares", ["node_id"])

    op.create_table(
        "attached_pictures",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("small", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_attached_pictures")),
    )

    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE ring_numbers")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SEQUENCE ring_numbers")
    for name in ("attached_pictures", "pace_shares", "pacings", "nodes"):
        op.drop_table(name)
