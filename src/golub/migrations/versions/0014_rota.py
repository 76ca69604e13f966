"""Which chats want an owner, for those accounts that give them out in turn."""

import sqlalchemy as sa
from alembic import op

revision = "0014_rota"
down_revision = "0013_waits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("wants_owner", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("chats", "wants_owner")
