"""The schema's history, run by Alembic. Migrations expand in one release and contract in the next."""

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Engine

from golub.errors import Rejected
from golub.model import Table


def upgrade(engine: Engine) -> None:
    """To the newest revision that this release knows, in one transaction where the database can."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise Rejected(
                "This database was made by a newer Golub ({why}). Install that release again, or a newer one.",
                why=str(error),
            ) from error


def differences(engine: Engine) -> list[Any]:
    """What the migrations would still have to change so that the database is what `model` says. Empty is right."""
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"render_as_batch": True})
        return list(compare_metadata(context, Table.metadata))


def draft(engine: Engine, message: str) -> None:
    """Writes a new revision with those differences, for a developer to read and mend."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message, autogenerate=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "golub:migrations")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config
