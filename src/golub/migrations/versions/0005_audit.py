"""The audit: rows that are only added, each chained to the one before it.

The triggers stand outside the model. Whoever rebuilds this table (`batch_alter_table` on SQLite does) makes them anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_audit"
down_revision = "0004_answering"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BEGINNING = "0:" + "0" * 64

_SQLITE = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    WHEN OLD.id > COALESCE((SELECT CAST(value AS INTEGER) FROM marks WHERE name = 'audit_anchor'), 0)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
)
_POSTGRES = (
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.id <= (
            SELECT split_part(value, ':', 1)::bigint FROM marks WHERE name = 'audit_anchor'
        ) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'integrity_constraint_violation';
    END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("operator_id", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_operator_id_id", ["operator_id", "id"], unique=False)
        batch_op.create_index("ix_audit_action_id", ["action", "id"], unique=False)
        batch_op.create_index("ix_audit_at", ["at"], unique=False)
    marks = sa.table("marks", sa.column("name"), sa.column("value"))
    op.bulk_insert(marks, [{"name": name, "value": _BEGINNING} for name in ("audit_newest", "audit_anchor")])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("audit")
    op.execute("DELETE FROM marks WHERE name IN ('audit_newest', 'audit_anchor')")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_refuse()")
