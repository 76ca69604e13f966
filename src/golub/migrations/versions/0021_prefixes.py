"""SQLite keeps the beginnings of words, from three letters to eight: a cut word is found as quickly as a whole one.

FTS5 can't add them to what it has, so the index is made anew, and a loop of `search` reads again what is there.
"""

from alembic import op

revision = "0021_prefixes"
down_revision = "0020_automation"
branch_labels = None
depends_on = None

_COLUMNS = "stems, others, facets, content='', contentless_delete=1, tokenize='ascii'"


def upgrade() -> None:
    _make_anew(f"{_COLUMNS}, prefix='3 4 5 6 7 8'")


def downgrade() -> None:
    _make_anew(_COLUMNS)


def _make_anew(columns: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_entries")
        op.execute(f"CREATE VIRTUAL TABLE search_entries USING fts5 ({columns})")
        op.execute("DELETE FROM marks WHERE name = 'search'")
