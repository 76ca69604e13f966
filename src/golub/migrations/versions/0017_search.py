"""Full text: what search finds. The tables belong to no model: their shape is each database's own, see `index`.

Empty at first; a loop of `search` reads what is there already.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017_search"
down_revision = "0016_notes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search_entries USING fts5 "
            "(stems, others, facets, content='', contentless_delete=1, tokenize='ascii')"
        )
        return
    op.create_table(
        "search_entries",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_search_entries"),
    )
    op.execute("CREATE INDEX ix_search_entries_words ON search_entries USING gin (words)")


def downgrade() -> None:
    op.execute("DROP TABLE search_entries")
    op.execute("DELETE FROM marks WHERE name = 'search'")
