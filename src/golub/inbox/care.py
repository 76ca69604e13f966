"""What operators do with a chat: take it, return it, hand it over; close it, snooze it, open it again; label it.

Every act is an observation given to apply, so it is written by `fold` and rings in every browser. What came of it is
read afterwards: who was second is told who was first.
"""

from sqlalchemy import select

from golub.apply import Applier
from golub.clock import DAY, MINUTE, Millis
from golub.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from golub.fold import Close, HandOver, Labelled, Observation, Reopen, Snooze
from golub.model import Act, ActKind, Chat, Label, Operator, Role
from golub.sight import find_sight
from golub.store import Store

LONGEST_SNOOZE = 366 * DAY
UNDO_WITHIN = 5 * MINUTE


class Care:
    """`store` reads what came of an act."""

    def __init__(self, store: Store, applier: Applier) -> None:
        self._store = store
        self._applier = applier

    async def take(self, chat: Chat, operator: Operator, *, now: Millis) -> Chat:
        """Raises `Conflict` where somebody else has it."""
        done = await self._act(chat, HandOver(chat.id, None, operator.id, now, operator.id))
        if done.owner_id != operator.id:
            raise Conflict("{name} has already taken this chat.", name=await self._name_of(done.owner_id))
        return done

    async def take_for_answer(self, chat: Chat, operator: Operator, *, now: Millis) -> None:
        """Who answers a chat that nobody has takes it. The answer is queued by now: an outage here must not make it
        look as if it were not."""
        if chat.owner_id is None:
            try:
                await self._act(chat, HandOver(chat.id, None, operator.id, now, operator.id))
            except Unavailable:
                return

    async def hand_over(self, chat: Chat, by: Operator, to: int | None, *, now: Millis) -> Chat:
        """`to` None returns it to nobody. Raises `Forbidden` for a manager where the chat is another operator's, and
        `Invalid` where `to` cannot have it."""
        if chat.owner_id not in (None, by.id) and not Role(by.role).covers(Role.ADMIN):
            raise Forbidden(
                "{name} has this chat. Ask them, or an administrator.", name=await self._name_of(chat.owner_id)
            )
        if to is not None:
            await self._must_see(to, chat)
        done = await self._act(chat, HandOver(chat.id, chat.owner_id, to, now, by.id))
        if done.owner_id != to:
            raise Conflict("Somebody else was faster. Look who has the chat now.")
        return done

    async def give_back(self, chat: Chat, by: Operator, to: int | None, *, now: Millis) -> Chat:
        """Takes back what he has just done with the chat, also where another operator has it by that."""
        last = (
            select(Act).where(Act.chat_id == chat.id, Act.kind == ActKind.OWNED).order_by(Act.at.desc(), Act.id.desc())
        )
        async with self._store.read() as session:
            act = await session.scalar(last.limit(1))
        is_his = act is not None and act.operator_id == by.id and act.owner_id == chat.owner_id
        if act is None or not is_his or act.was_id != to or act.at < now - UNDO_WITHIN:
            raise Conflict("This cannot be undone any more. Look who has the chat now.")
        if to is not None:
            await self._must_see(to, chat)
        return await self._act(chat, HandOver(chat.id, chat.owner_id, to, now, by.id))

    async def close(self, chat: Chat, by: Operator, *, version: int, now: Millis) -> Chat:
        """`version` is that of the page that the operator saw. Raises `Conflict` where the buyer has said more."""
        done = await self._act(chat, Close(chat.id, version, now, by.id))
        if done.closed_at is None:
            raise Conflict("The buyer has written meanwhile, so the chat stays open.")
        return done

    async def snooze(self, chat: Chat, until: Millis, by: Operator, *, version: int, now: Millis) -> Chat:
        if not now < until <= now + LONGEST_SNOOZE:
            raise Invalid("Choose a time that is still to come, within a year.", field="at")
        done = await self._act(chat, Snooze(chat.id, version, until, by.id))
        if done.snoozed_until is None:
            raise Conflict("The buyer has written meanwhile, so the chat stays open.")
        return done

    async def reopen(self, chat: Chat, by: Operator) -> Chat:
        return await self._act(chat, Reopen(chat.id, by.id))

    async def label(self, chat: Chat, label_id: int, on: bool, by: Operator, *, now: Millis) -> Chat:
        """Puts it on the chat, or takes it off. Raises `NotFound` where there is no such label."""
        async with self._store.read() as session:
            if await session.get(Label, label_id) is None:
                raise NotFound("There is no such label.")
        return await self._act(chat, Labelled(chat.id, label_id, on, by.id, now))

    async def _act(self, chat: Chat, act: Observation) -> Chat:
        await self._applier.submit(chat.account_id, [act])
        async with self._store.read() as session:
            return await session.get_one(Chat, chat.id)

    async def _must_see(self, operator_id: int, chat: Chat) -> None:
        async with self._store.read() as session:
            operator = await session.get(Operator, operator_id)
            if operator is None or not operator.active:
                raise Invalid("This operator does not work here any more.", field="operator_id")
            if not (await find_sight(session, operator)).sees(chat.account_id):
                raise Invalid("{name} does not see this account.", field="operator_id", name=operator.name)

    async def _name_of(self, operator_id: int | None) -> str:
        async with self._store.read() as session:
            operator = await session.get(Operator, operator_id) if operator_id else None
            return operator.name if operator else ""
