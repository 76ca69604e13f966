"""A second factor for signing in, its recovery codes, and when a session's operator last showed who he is."""

import sqlalchemy as sa
from alembic import op

revision = "0022_second_factor"
down_revision = "0021_prefixes"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _operator_s(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_operator_id")
    return sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("operators", sa.Column("second_factor_at", sa.BigInteger(), nullable=True))
    op.add_column("sessions", sa.Column("proved_at", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "second_factors",
        sa.Column("operator_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        _operator_s("second_factors"),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", _KEY, nullable=False),
        _operator_s("recovery_codes"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_recovery_codes")),
    )
    op.create_index("ix_recovery_codes_operator_id", "recovery_codes", ["operator_id"])
    op.create_table(
        "half_sign_ins",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", _KEY, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        _operator_s("half_sign_ins"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_half_sign_ins")),
    )
    op.create_index("ix_half_sign_ins_operator_id", "half_sign_ins", ["operator_id"])


def downgrade() -> None:
    for table in ("half_sign_ins", "recovery_codes", "second_factors"):
        op.drop_table(table)
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("proved_at")
    with op.batch_alter_table("operators") as operators:
        operators.drop_column("second_factor_at")
