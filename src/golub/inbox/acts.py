"""What was done with a chat, as its thread tells it: who took, closed, snoozed or labelled it, among what was said.

`fold` writes these rows, with the chat they are of.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from golub.inbox.notes import BEHIND_MESSAGES
from golub.inbox.places import Place
from golub.model import Act, Operator

BEHIND_NOTES = BEHIND_MESSAGES + 2**51  # as a note's id, where of one moment the acts come last

_by, _was, _owner = aliased(Operator), aliased(Operator), aliased(Operator)
_ACTS = (
    select(Act, _by.name, _was.name, _owner.name)
    .outerjoin(_by, _by.id == Act.operator_id)
    .outerjoin(_was, _was.id == Act.was_id)
    .outerjoin(_owner, _owner.id == Act.owner_id)
    .where(Act.chat_id == bindparam("chat"))
    .limit(bindparam("limit"))
)
_NEWEST = _ACTS.order_by(Act.at.desc(), Act.id.desc())
_CHANGED = _ACTS.where(Act.version > bindparam("after"))


@dataclass(frozen=True, slots=True)
class Done:
    """An act in the stream of its chat, with the names of who did it, and of who had and has the chat."""

    act: Act
    by: str
    was: str
    owner: str

    @property
    def place(self) -> Place:
        return Place(self.act.at, BEHIND_NOTES + self.act.id)


async def list_before(session: AsyncSession, chat_id: int, before: Place | None, limit: int) -> list[Done]:
    """The newest acts that stand before a place."""
    found = _NEWEST
    if before:
        found = found.where(tuple_(Act.at, Act.id) < tuple_(before.key, before.id - BEHIND_NOTES))
    return [_done(*row) for row in await session.execute(found, {"chat": chat_id, "limit": limit})]


async def list_changed(session: AsyncSession, chat_id: int, after: int, limit: int) -> list[Done]:
    """What was done since the chat was at version `after`."""
    rows = await session.execute(_CHANGED, {"chat": chat_id, "after": after, "limit": limit})
    return [_done(*row) for row in rows]


def _done(act: Act, by: str | None, was: str | None, owner: str | None) -> Done:
    return Done(act, by or "", was or "", owner or "")
