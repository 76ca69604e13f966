"""Which main database this spool has been drained into.

A restored or replaced database lacks what was drained since its backup. So the spool's folder remembers the database's
identity, and when another one answers, all that the spool still keeps is offered again.
"""

import secrets
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from golub.model import Mark
from golub.spool import Spool
from golub.store import Store

MARK = "database"  # a random id, made once in a database's life; `golub restore` removes it


class Identity:
    def __init__(self, spool: Spool, store: Store) -> None:
        self._spool = spool
        self._store = store
        self._path: Path = spool.path.with_name("spool.drained-into")

    def check(self) -> int:
        """How many drained deliveries were offered again, because the database is not the one of last time."""
        with self._store.writing() as connection:
            found = self._mark(connection)
            if not self._store.is_sqlite:
                found = f"{found} {_cluster(connection)}"
        try:
            known = self._path.read_text()
        except FileNotFoundError:
            known = ""
        if known == found:
            return 0
        again = self._spool.offer_again() if known else 0
        draft = self._path.with_suffix(".new")
        draft.write_text(found)
        draft.replace(self._path)
        return again

    def _mark(self, connection: Connection) -> str:
        values = {"name": MARK, "value": secrets.token_hex(16)}
        connection.execute(self._store.insert(Mark).on_conflict_do_nothing(), values)
        return connection.execute(select(Mark.value).where(Mark.name == MARK)).scalar_one()


def _cluster(connection: Connection) -> str:
    """PostgreSQL's own: another system is another database, another timeline was restored or promoted."""
    try:
        with connection.begin_nested():
            row = connection.execute(
                text("SELECT (pg_control_system()).system_identifier, (pg_control_checkpoint()).timeline_id")
            ).one()
    except DBAPIError:  # a hosted database may hide them: the mark remains
        return "hidden"
    return f"{row[0]} {row[1]}"
