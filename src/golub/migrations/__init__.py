"""The schema's history, run by Alembic. Migrations expand in one release and contract in the next.

Each schema names the oldest release that may use it: `oldest_binary` in the revision that shut the older ones out, and
kept in the database for binaries that do not know that revision. An upgrade is one transaction on either database, so
a process that dies in it leaves the schema as it was; on PostgreSQL one node does it while the others wait.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, String, column, delete, insert, inspect, select, table, text

from golub import __version__
from golub.errors import Rejected
from golub.model import Mark, Table

OLDEST_BINARY = "oldest_binary"  # marks: the oldest release that may use this schema …
MADE_BY = "schema_made_by"  # … and the one that made it
LOCK = 0x676F6C75  # "golu": PostgreSQL's advisory lock around an upgrade

_STANDS_IN = "alembic_version"
_STANDS_AT = select(column("version_num", String)).select_from(table(_STANDS_IN))

_ONE_NODE_UPGRADES = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL lock_timeout = '60s'",
    f"SELECT pg_advisory_xact_lock({LOCK})",
    # A table that somebody reads for long must not hold up all the others who read it: rather try again.
    "SET LOCAL lock_timeout = '5s'",
)


class Schema(StrEnum):
    """A database, as this release sees it."""

    EMPTY = "empty"
    OLDER = "older"  # an upgrade is due
    CURRENT = "current"
    NEWER = "newer"  # of a later release, which says that this one may use it all the same
    TOO_NEW = "too new"


def upgrade(engine: Engine) -> None:
    """To the newest revision that this release knows, in one transaction. A newer one is left as it is.

    Raises `Rejected` where the schema shuts this release out.
    """
    with engine.begin() as connection:
        upgrade_on(connection)


def upgrade_on(connection: Connection, to: str = "head") -> None:
    """The same in the caller's transaction; `to` is a revision, for a backup that holds its tables."""
    if connection.dialect.name == "postgresql":
        for statement in _ONE_NODE_UPGRADES:
            connection.execute(text(statement))
    if _must_let_us_in(connection) is Schema.NEWER:
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    for name, value in ((OLDEST_BINARY, oldest_binary(to)), (MADE_BY, __version__)):
        if _mark(connection, name) != value:
            connection.execute(delete(Mark).where(Mark.name == name))
            connection.execute(insert(Mark).values(name=name, value=value))


def schema_of(connection: Connection) -> Schema:
    found = revision_of(connection)
    if found is None:
        return Schema.EMPTY
    if found == head():
        return Schema.CURRENT
    if knows(found):
        return Schema.OLDER
    oldest = _mark(connection, OLDEST_BINARY)
    return Schema.NEWER if oldest and _numbers(__version__) >= _numbers(oldest) else Schema.TOO_NEW


def must_be_of_this_release(connection: Connection) -> None:
    """For what reads and writes without upgrading first. Raises `Rejected`, which says what to do."""
    if _must_let_us_in(connection) in (Schema.EMPTY, Schema.OLDER):
        raise Rejected(
            "The database is not of this release yet: start Golub {ours} on it once, which upgrades it, or give this "
            "command with the release that made it.",
            code="schema_older",
            ours=__version__,
        )


def revision_of(connection: Connection) -> str | None:
    """Where the database stands; None before its first migration. Asked every few seconds: Alembic's own question is
    about a table made anew each time, so that SQLAlchemy would keep each of these statements as one of its own."""
    if not inspect(connection).has_table(_STANDS_IN):
        return None
    return connection.execute(_STANDS_AT).scalar_one_or_none()


@cache
def head() -> str:
    """The newest revision of this release."""
    return _scripts().get_current_head() or ""


def knows(revision: str) -> bool:
    return any(script.revision == revision for script in _scripts().walk_revisions())


def oldest_binary(revision: str = "head") -> str:
    """The oldest release that may use the schema of this revision."""
    return next(oldest for script in _down_from(revision) if (oldest := getattr(script.module, OLDEST_BINARY, "")))


def differences(engine: Engine) -> list[Any]:
    """What the migrations would still have to change so that the database is what `model` says. Empty is right."""
    with engine.begin() as connection:
        opts = {"render_as_batch": True, "include_name": _is_of_the_model}
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, Table.metadata))


def draft(engine: Engine, message: str) -> None:
    """Writes a new revision with those differences, for a developer to read and mend."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message, autogenerate=True)


def _is_of_the_model(name: str | None, kind: str, _parents: object) -> bool:
    """The tables of search are each database's own; SQLite keeps one in several."""
    return kind != "table" or not (name or "").startswith("search_entries")


def _down_from(revision: str) -> Iterator[Script]:
    yield from _scripts().walk_revisions("base", revision)


def _must_let_us_in(connection: Connection) -> Schema:
    found = schema_of(connection)
    if found is Schema.TOO_NEW:
        raise Rejected(
            "This database was made by Golub {made_by} and needs Golub {oldest} or newer; this is {ours}. "
            "Install that release again, or restore the backup that was made before the upgrade.",
            made_by=_mark(connection, MADE_BY) or "?",
            oldest=_mark(connection, OLDEST_BINARY) or "?",
            ours=__version__,
        )
    return found


def _mark(connection: Connection, name: str) -> str | None:
    return connection.execute(select(Mark.value).where(Mark.name == name)).scalar_one_or_none()


def _numbers(version: str) -> tuple[int, ...]:
    """0.10.2 is newer than 0.9; what stands behind the numbers does not count."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "golub:migrations")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config
