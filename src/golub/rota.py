"""Gives new chats to the managers on duty, in turn, where an account wants it so.

What is due lives in the rows: a chat wants an owner since a buyer spoke up in it (`fold` says when), and the buyer
waits. However many processes look, a chat is given once: `fold` takes `Given` only while the chat still wants one, and
an operator's turn is taken by comparing it. Where nobody is ready the chat stays as it is, and every next turn asks
again. The account's page relies on `list_candidates` to say beforehand who would be next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, CursorResult, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.apply import Applier
from golub.clock import MINUTE, Clock, Millis
from golub.duty import Duty
from golub.fold import Given
from golub.model import Account, Chat, Operator, OperatorAccount, Role, Session
from golub.runner import Loop
from golub.store import Store

PRESENT_FOR = 3 * MINUTE  # after a browser was last seen; streams say so every minute
AT_ONCE = 50  # chats of an account in one turn

_DUE = and_(
    Chat.wants_owner,
    Chat.waiting_since.is_not(None),
    Chat.closed_at.is_(None),
    Chat.snoozed_until.is_(None),
    Chat.waiting_since >= Account.in_turn_since,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A manager who sees the account, and what counts when a chat is given."""

    operator: Operator
    open_chats: int
    is_here: bool
    on_duty: bool

    def has_room(self, *, beside: int = 0) -> bool:
        """`beside`: chats that do not count."""
        limit = self.operator.chat_limit
        return limit is None or self.open_chats - beside < limit

    @property
    def ready(self) -> bool:
        return self.is_here and self.on_duty and self.has_room()


class Rota:
    """One instance in each process that works."""

    def __init__(self, store: Store, applier: Applier, clock: Clock) -> None:
        self._store = store
        self._applier = applier
        self._clock = clock

    async def run(self) -> None:
        await Loop("rota", self._clock).run(self.run_once)

    async def run_once(self) -> Millis | None:
        async with self._store.read() as session:
            accounts = await session.scalars(
                select(Account).where(
                    Account.in_turn_since.is_not(None), exists().where(Chat.account_id == Account.id, _DUE)
                )
            )
            waiting = [(account, await _list_due(session, account)) for account in accounts]
        for account, chats in waiting:
            await self._give_out(account, chats)
        return None

    async def _give_out(self, account: Account, chats: Sequence[Chat]) -> None:
        """The longest wait first. Once nobody is ready, only chats that go back to their owner are looked at."""
        nobody = False
        for chat in chats:
            if nobody and chat.owner_id is None:
                continue
            async with self._store.read() as session:
                candidates = await list_candidates(session, account, now=self._clock())
            chosen = _choose(candidates, chat.owner_id)
            if chosen is None:
                nobody = True
            else:
                await self._give(account, chat, chosen.operator)

    async def _give(self, account: Account, chat: Chat, operator: Operator) -> None:
        now = self._clock()
        if chat.owner_id != operator.id and not await self._take_turn(operator, now):
            return  # another process has just given him one
        given = Given(chat.id, was=chat.owner_id, owner_id=operator.id, at=now)
        if await self._applier.submit(account.id, [given]):
            log.info("a chat was given in turn", chat=chat.id, account=account.id, operator=operator.id)

    async def _take_turn(self, operator: Operator, now: Millis) -> bool:
        turn = update(Operator).where(Operator.id == operator.id, Operator.given_at == operator.given_at)
        async with self._store.write() as session:
            done: CursorResult[Any] = await session.execute(turn.values(given_at=max(now, operator.given_at + 1)))  # pyright: ignore[reportAssignmentType]
        return done.rowcount > 0


async def list_candidates(session: AsyncSession, account: Account, *, now: Millis) -> list[Candidate]:
    """The managers who see the account and are let in, whose turn is longest past first."""
    open_chats = (
        select(func.count())
        .where(Chat.owner_id == Operator.id, Chat.closed_at.is_(None), Chat.snoozed_until.is_(None))
        .scalar_subquery()
    )
    found = (
        select(Operator, open_chats, _is_here(now))
        .where(Operator.active, Operator.role == Role.MANAGER, _sees(account.id))
        .order_by(Operator.given_at, Operator.id)
    )
    return [
        Candidate(operator, count, bool(here), Duty.of(operator).covers(now, account.zone))
        for operator, count, here in await session.execute(found)
    ]


def _choose(candidates: Sequence[Candidate], owner_id: int | None) -> Candidate | None:
    """A chat that has an owner was closed and goes on: it is his, if he is there; his own chat is in his count."""
    for one in candidates:
        if one.operator.id == owner_id and one.is_here and one.on_duty and one.has_room(beside=1):
            return one
    return next((one for one in candidates if one.ready and one.operator.id != owner_id), None)


async def _list_due(session: AsyncSession, account: Account) -> list[Chat]:
    found = select(Chat).join(Account, Account.id == Chat.account_id).where(Chat.account_id == account.id, _DUE)
    return list(await session.scalars(found.order_by(Chat.waiting_since, Chat.id).limit(AT_ONCE)))


def _sees(account_id: int) -> ColumnElement[bool]:
    listed = exists().where(OperatorAccount.operator_id == Operator.id, OperatorAccount.account_id == account_id)
    return or_(Operator.every_account, listed)


def _is_here(now: Millis) -> ColumnElement[bool]:
    """A clock that was set back leaves sessions in the future: they say nothing."""
    return exists().where(
        Session.operator_id == Operator.id,
        Session.expires_at > now,
        Session.seen_at.between(now - PRESENT_FOR, now + PRESENT_FOR),
    )
