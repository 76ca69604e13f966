"""The signature lab: what each delivery's signature is, what fits how often, and whether a person made it a rule."""

import sqlalchemy as sa
from alembic import op

revision = "0023_signatures"
down_revision = "0022_second_factor"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_account_id")
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("signature", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "signature_labs",
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("counted_to", sa.BigInteger(), nullable=False),
        sa.Column("counted_id", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), nullable=False),
        sa.Column("signed", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        _of_account("signature_labs"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_signature_labs")),
    )
    op.create_table(
        "signature_tallies",
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("fits", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("run_since", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("missed_at", sa.BigInteger(), nullable=True),
        _of_account("signature_tallies"),
        sa.PrimaryKeyConstraint("account_id", "scheme", name=op.f("pk_signature_tallies")),
    )
    op.create_table(
        "signature_secrets",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("header", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("signed", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _of_account("signature_secrets"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature_secrets")),
    )
    op.create_index("ix_signature_secrets_account_id", "signature_secrets", ["account_id"])


def downgrade() -> None:
    for table in ("signature_secrets", "signature_tallies", "signature_labs"):
        op.drop_table(table)
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_column("signature")
