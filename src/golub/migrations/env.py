"""Alembic's entry: the connection is handed in by `upgrade` and `draft`, never opened here."""

from alembic import context

from golub.model import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
