"""Puts into the index what was in the database before it: once, in the background, the newest first.

It goes in short transactions with pauses between them, and keeps its place in a mark, so it may be cut off anywhere;
several nodes take turns at it. What `fold` writes meanwhile is newer and stays. A release that reads texts differently
empties the index and begins anew.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Clock, Millis
from golub.index import statements
from golub.index.analyser import VERSION
from golub.index.entries import (
    CHATS,
    MESSAGES,
    NOTES,
    Entry,
    Row,
    entry_of_chat,
    entry_of_message,
    entry_of_note,
)
from golub.model import Chat, Mark, Message, Note
from golub.runner import Loop
from golub.store import Store

MARK = "search"  # JSON of a `Place`
ROWS = 250  # in a transaction: about ten milliseconds
PAUSE = 0.02  # seconds between two: others go first
TURN = 1.0  # seconds
LOOK_AGAIN = 30.0  # seconds, when there is nothing to do

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Rows below these ids are still to be read; `of` is where the messages began. `notes` None: a release began it
    that put no notes into the index."""

    version: int
    chats: int
    messages: int
    of: int
    notes: int | None = None

    @property
    def is_end(self) -> bool:
        return self.chats <= 1 and self.messages <= 1 and self.notes is not None and self.notes <= 1

    @property
    def share(self) -> float:
        return 1.0 if self.messages <= 1 and self.chats <= 1 else 1 - self.messages / max(self.of, self.messages, 1)


class CatchingUp:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        await Loop("search", self._clock, longest_wait=LOOK_AGAIN).run(self.run_once)

    async def run_once(self) -> Millis | None:
        """Some of it, for about a second."""
        end = time.monotonic() + TURN
        while time.monotonic() < end:
            if not await self.read_some():
                return None
            await asyncio.sleep(PAUSE)
        return self._clock()

    async def read_some(self) -> bool:
        """One transaction's worth. False: nothing is left, or another node is at it."""
        async with self._store.read() as session:
            place = await find_place(session)
        if place is not None and place.version == VERSION and place.is_end:
            return False
        async with self._store.write() as session:
            begun = Mark(name=MARK, value=await _beginning(session))
            if place is None:
                await session.execute(
                    self._store.insert(Mark).values(name=MARK, value=begun.value).on_conflict_do_nothing()
                )
            held = select(Mark).where(Mark.name == MARK).with_for_update(skip_locked=True)
            mark = await session.scalar(held)
            if mark is None:
                return False
            place = Place(**json.loads(mark.value))
            connection = await session.connection()
            if place.version != VERSION:
                await connection.run_sync(statements.remove_all)
                mark.value = begun.value
                return True
            if place.notes is None:
                place = replace(place, notes=await _next_note(session))
            place = await connection.run_sync(_read, place)
            mark.value = json.dumps(asdict(place))
        if place.is_end:
            log.info("search has read all that was said before", messages=place.of)
        return True


async def find_place(session: AsyncSession) -> Place | None:
    """How far it is; None: it has not begun."""
    value = await session.scalar(select(Mark.value).where(Mark.name == MARK))
    return Place(**json.loads(value)) if value else None


async def find_share(session: AsyncSession) -> float:
    """How much of what was said can be found, 0 to 1."""
    place = await find_place(session)
    if place is None or place.version != VERSION:
        return 0.0
    return place.share


async def _beginning(session: AsyncSession) -> str:
    chats = (await session.scalar(select(func.max(Chat.id))) or 0) + 1
    messages = (await session.scalar(select(func.max(Message.id))) or 0) + 1
    return json.dumps(asdict(Place(VERSION, chats, messages, messages, await _next_note(session))))


async def _next_note(session: AsyncSession) -> int:
    return (await session.scalar(select(func.max(Note.id))) or 0) + 1


def _read(connection: Connection, place: Place) -> Place:
    """The next rows, in the caller's transaction."""
    if place.chats > 1:
        return replace(place, chats=_read_below(connection, CHATS, Chat.id, place.chats, entry_of_chat))
    if place.messages > 1:
        return replace(place, messages=_read_below(connection, MESSAGES, Message.id, place.messages, entry_of_message))
    return replace(place, notes=_read_below(connection, NOTES, Note.id, place.notes or 0, entry_of_note))


def _read_below(
    connection: Connection,
    wanted: Select[*tuple[Any, ...]],
    key: Any,
    below: int,
    entry_of: Callable[[Row], Entry | None],
) -> int:
    """Returns below which row to go on; 0 at the end."""
    found = connection.execute(wanted.where(key < below).order_by(key.desc()).limit(ROWS)).mappings().all()
    entries = [entry_of(row) for row in found]
    statements.put(connection, [entry for entry in entries if entry is not None], over=False)
    return found[-1]["id"] if len(found) == ROWS else 0
