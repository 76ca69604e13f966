"""A webhook's row names its secret by hash: the secret itself is in `path_tokens`, sealed.

Until now `url` held it in clear. Every registered secret was kept in `path_tokens` before Avito heard of it, so nothing
has to be sealed here, and no key is needed. Expand and change in one step, for no release has had the older schema.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0010_sealed_urls"
down_revision = "0009_status"
branch_labels = None
depends_on = None

_PATH = "/webhook/avito/"
_DOTS = "••••••••"  # as `subscription.url` writes and reads them

_webhooks = sa.table("webhooks", sa.column("id"), sa.column("url"), sa.column("token_hash", sa.LargeBinary()))


def upgrade() -> None:
    op.add_column("webhooks", sa.Column("token_hash", sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # or the old text would stay in the file's free room
    for key, url in connection.execute(sa.select(_webhooks.c.id, _webhooks.c.url)).all():
        start, path, token = url.rpartition(_PATH)
        if path and token:
            digest = hashlib.sha256(token.encode()).digest()
            blotted = _webhooks.update().where(_webhooks.c.id == key)
            connection.execute(blotted.values(url=f"{start}{path}{_DOTS}", token_hash=digest))


def downgrade() -> None:
    """The secrets stay where they are; each check with Avito tells the whole URL again."""
    op.drop_column("webhooks", "token_hash")
