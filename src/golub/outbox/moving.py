"""Every step of a reply from one state to the next: committed with what follows from it, and rung.

Those who send and the people who decide step here alike; whoever comes second is told that the row has moved on.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Update, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Clock, Millis
from golub.errors import Conflict, NotFound
from golub.live import Live, Ring
from golub.model import Chat, OutgoingMessage, OutgoingState
from golub.outbox.queueing import later_parts
from golub.store import Store


class Moves:
    def __init__(self, store: Store, live: Live, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock

    async def move(
        self,
        outgoing: OutgoingMessage,
        *,
        only_from: Sequence[str] = (),
        only: Sequence[ColumnElement[bool]] = (),
        also: Update | None = None,
        **values: Any,
    ) -> bool:
        """Commits the next state, with what follows `also`, and rings. False, and nothing done, where somebody else
        has moved it meanwhile, or `only` does not hold."""
        async with self._store.write() as session:
            if "message_avito_id" in values:
                await _wait_for_others(session, outgoing)
            moved = await session.scalar(
                update(OutgoingMessage)
                .where(
                    OutgoingMessage.id == outgoing.id,
                    OutgoingMessage.state.in_(only_from or (outgoing.state,)),
                    *only,
                )
                .values(values)
                .returning(OutgoingMessage.id)
            )
            if moved is None:
                return False
            if outgoing.part < outgoing.parts and _has_failed(values.get("state", outgoing.state), values):
                await _stop_later_parts(session, outgoing, self._clock())
            if also is not None:
                await session.execute(also)
            rings, number = await self._rings(session, outgoing.chat_id)
        for name, value in values.items():
            setattr(outgoing, name, value)
        self._live.ring(rings, number)
        return True

    async def decide(self, outgoing_id: int, only_from: Sequence[str], **values: Any) -> OutgoingMessage:
        """A person's word. Raises `Conflict` where the reply is in none of these states, and `NotFound`."""
        async with self._store.write() as session:
            changed = await session.scalar(
                update(OutgoingMessage)
                .where(OutgoingMessage.id == outgoing_id, OutgoingMessage.state.in_(only_from))
                .values(values)
                .returning(OutgoingMessage)
            )
            if changed is None:
                if await session.get(OutgoingMessage, outgoing_id) is None:
                    raise NotFound("There is no such reply.")
                raise Conflict("This reply is already on its way, or done.")
            rings, number = await self._rings(session, changed.chat_id)
        self._live.ring(rings, number)
        return changed

    async def _rings(self, session: AsyncSession, chat_id: int) -> tuple[list[Ring], int]:
        """What is to be rung once the session has committed, with its number."""
        found = (await session.execute(select(Chat.account_id, Chat.version).where(Chat.id == chat_id))).one_or_none()
        if found is None:
            return [], 0
        connection = await session.connection()
        return [Ring(found.account_id, chat_id, found.version)], await connection.run_sync(self._live.draw)


def _has_failed(state: str, values: dict[str, Any]) -> bool:
    """Whether nothing more happens by itself to a message that is not known to have arrived."""
    given_up = "due_at" in values and values["due_at"] is None
    return given_up and state in (OutgoingState.REJECTED, OutgoingState.UNCONFIRMED)


async def _wait_for_others(session: AsyncSession, outgoing: OutgoingMessage) -> None:
    """Two replies of one chat that take a message for theirs do so one after the other, and the second sees the
    first's: each locks all that are unfinished there, in their order."""
    unfinished = or_(OutgoingMessage.due_at.is_not(None), OutgoingMessage.id == outgoing.id)
    await session.execute(
        select(OutgoingMessage.id)
        .where(OutgoingMessage.chat_id == outgoing.chat_id, unfinished)
        .order_by(OutgoingMessage.id)
        .with_for_update()
    )


async def _stop_later_parts(session: AsyncSession, outgoing: OutgoingMessage, now: Millis) -> None:
    """What follows in the same long reply does not go out alone: a person decides, part by part."""
    await session.execute(
        update(OutgoingMessage)
        .where(later_parts(outgoing), OutgoingMessage.state == OutgoingState.QUEUED)
        .values(
            state=OutgoingState.REJECTED,
            due_at=None,
            finished_at=now,
            error_code="earlier_part",
            error="An earlier part of this reply has not arrived. Nothing of this part was sent.",
        )
    )
