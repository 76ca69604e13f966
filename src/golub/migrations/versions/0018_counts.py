"""The list's counts are read from its indexes alone: behind the order stands what their conditions are about."""

import sqlalchemy as sa
from alembic import op

revision = "0018_counts"
down_revision = "0017_search"
branch_labels = None
depends_on = None

_OPEN = "closed_at IS NULL AND snoozed_until IS NULL"
_OWNED = f"owner_id IS NOT NULL AND {_OPEN}"
_UNOWNED = f"owner_id IS NULL AND {_OPEN}"
_UNREAD = "unread > 0"
_SNOOZED = "snoozed_until IS NOT NULL"
_WAITS = "waiting_since IS NOT NULL"
_WAITING = f"{_WAITS} AND snoozed_until IS NULL"
_STATE = ["closed_at", "snoozed_until"]

# Indexes of chats: name, columns, condition.
_REPLACED = (
    ("ix_chats_open", ["listed_at", "id"], _OPEN),
    ("ix_chats_account_open", ["account_id", "listed_at", "id"], _OPEN),
    ("ix_chats_owned", ["owner_id", "listed_at", "id"], _OWNED),
    ("ix_chats_unowned", ["listed_at", "id"], _UNOWNED),
    ("ix_chats_account_unowned", ["account_id", "listed_at", "id"], _UNOWNED),
    ("ix_chats_waiting_since", ["waiting_since", "id"], _WAITS),
    ("ix_chats_account_waiting", ["account_id", "waiting_since", "id"], _WAITS),
    ("ix_chats_unread_listed", ["listed_at", "id"], _UNREAD),
    ("ix_chats_account_unread", ["account_id", "listed_at", "id"], _UNREAD),
    ("ix_chats_snoozed", ["snoozed_until", "id"], _SNOOZED),
)
_INDEXES = (
    ("ix_chats_open", ["listed_at", "id", *_STATE], _OPEN),
    ("ix_chats_account_open", ["account_id", "listed_at", "id", *_STATE], _OPEN),
    ("ix_chats_owner", ["owner_id", "listed_at", "id", "account_id", *_STATE], _OPEN),
    ("ix_chats_account_unowned", ["account_id", "owner_id", "listed_at", "id", *_STATE], _UNOWNED),
    ("ix_chats_waiting", ["waiting_since", "id", "snoozed_until"], _WAITING),
    ("ix_chats_account_waiting", ["account_id", "waiting_since", "id", "snoozed_until"], _WAITING),
    ("ix_chats_unread_listed", ["listed_at", "id", "unread"], _UNREAD),
    ("ix_chats_account_unread", ["account_id", "listed_at", "id", "unread"], _UNREAD),
    ("ix_chats_snoozed", ["snoozed_until", "id", "account_id"], _SNOOZED),
)


def upgrade() -> None:
    for name, _, _ in _REPLACED:
        op.drop_index(name, "chats")
    for index in _INDEXES:
        _create(*index)


def downgrade() -> None:
    for name, _, _ in _INDEXES:
        op.drop_index(name, "chats")
    for index in _REPLACED:
        _create(*index)


def _create(name: str, columns: list[str], condition: str) -> None:
    only = sa.text(condition)
    op.create_index(name, "chats", columns, sqlite_where=only, postgresql_where=only)
