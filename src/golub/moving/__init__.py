"""Moves the main database from SQLite to PostgreSQL, also while the server runs: `golub migrate-to`.

The order is the promise. The command takes SQLite's write lock, so from here on nobody writes, whoever he is, and what
was acked waits in the spool. It copies every table in one transaction of PostgreSQL, reads all of it back and compares;
commits; and then says in the data folder where the database is (`moved`), still under the lock. Cut off before that,
the old database goes on as if nothing had been; after it, the new one does. What a spool drained in the last hour is
offered to the new one again, as to any database that it does not know (`apply.identity`).

`moving` is what the command does, `copying` and `target` its two ends. The server calls `leave`, `arrive` and
`must_not_be_left`.
"""

import asyncio
from contextlib import suppress

from golub import audit
from golub.clock import Millis
from golub.errors import Conflict, Rejected
from golub.model import Action, Mark
from golub.moved import find_moved, is_moving
from golub.moving.moving import Arrived, Step, has_come_over, move
from golub.moving.target import MARK
from golub.settings import Settings
from golub.store import Store

__all__ = ["Arrived", "Step", "arrive", "has_come_over", "leave", "move", "must_not_be_left"]

LOOK_EVERY = 0.5  # seconds
MOVING = (
    "Golub is moving to another database: everything can be read, and nothing changed until that is done, in some "
    "minutes. Messages are received and kept meanwhile."
)


def must_not_be_left(settings: Settings) -> None:
    """Raises `Conflict` where somebody names the database that was left."""
    moved = find_moved(settings.data_dir)
    if moved and settings.effective_database_url == settings.own_database_url:
        raise Conflict(
            "The database of {folder} has moved to PostgreSQL. Unset GOLUB_DATABASE_URL, or name the new one in it; to "
            "go back to SQLite for good, take {file} away.",
            code="database_moved",
            folder=settings.data_dir,
            file=settings.data_dir / "golub.moved",
        )


async def leave(store: Store, settings: Settings) -> None:
    """Ends when the database has moved away. Writes are refused with a sentence while it is being moved."""
    if store.url != settings.own_database_url:
        await asyncio.Event().wait()
    folder = settings.data_dir
    while not find_moved(folder):
        store.refusal = MOVING if is_moving(folder) else ""
        await asyncio.sleep(LOOK_EVERY)
    store.refusal = MOVING


async def arrive(store: Store, settings: Settings, now: Millis) -> None:
    """Notes in the audit that the database has come here, once. Raises `Rejected` where it has not come whole, or to
    another process: two would believe to be the only one that has it."""
    if store.is_sqlite:
        return
    async with store.read() as session:
        if await session.get(Mark, MARK) is None:
            return
    async with store.write() as session:
        mark = await session.get(Mark, MARK, with_for_update=True)
        if mark is None:
            return
        moved = None
        with suppress(ValueError):
            moved = find_moved(settings.data_dir)
        if moved is None or moved.move != mark.value.partition(" ")[0]:
            raise Rejected(
                "A move into this database has not ended. Start the server whose database it was, or give golub "
                "migrate-to there again.",
                code="move_unfinished",
            )
        await session.delete(mark)
        await audit.CONSOLE.did(session, Action.MOVED, "PostgreSQL", after={"left_at": moved.at}, now=now)
