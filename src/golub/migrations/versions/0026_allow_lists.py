"""The allow-list: which networks confirmed deliveries came from, and whether a person made a list of them a rule."""

import sqlalchemy as sa
from alembic import op

revision = "0026_allow_lists"
down_revision = "0025_api_keys"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_account_id")
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "allow_lists",
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("counted_to", sa.BigInteger(), nullable=False),
        sa.Column("counted_id", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("doubtful", sa.Integer(), nullable=False),
        sa.Column("unplaced", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        _of_account("allow_lists"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_allow_lists")),
    )
    op.create_table(
        "seen_networks",
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("network", sa.String(length=48), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("lowest", sa.String(length=48), nullable=False),
        sa.Column("highest", sa.String(length=48), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        _of_account("seen_networks"),
        sa.PrimaryKeyConstraint("account_id", "network", name=op.f("pk_seen_networks")),
    )


def downgrade() -> None:
    for table in ("seen_networks", "allow_lists"):
        op.drop_table(table)
