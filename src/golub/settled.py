"""Deliveries of which it is certain by now whether Avito sent them, and which it is: what may be counted as proof.

One counts where it came with the account's secret, told of a message that was new to us, and Avito's API has told of
the same message since. Whoever forges one can't do the last; whoever repeats a real one tells nothing new. Nobody asks
Avito for this: the sweep reads every chat in which something came, so a delivery is looked at once that must have
happened, and what is not borne out by then never counts. The signature lab and the allow-list count it, each in
its own way.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, MINUTE, SECOND, Clock, Millis
from golub.ladder import OFF, Rule, fresh
from golub.model import SAMPLE_USER_ID, Account, Chat, Delivery, Message
from golub.runner import Loop
from golub.settings import Settings
from golub.store import Store

TURN = 60.0  # seconds
PAGES = 20  # of one turn for one account
PAGE = 500  # deliveries of one transaction
SETTLED = 15 * MINUTE  # after which the sweep must have told of a message …
SWEEPS = 3  # … or so many sweeps, where they are rarer


Counted = TypeVar("Counted")


class Counting(ABC, Generic[Rule, Counted]):
    """A loop that counts what is settled, account by account. It runs in every process that works; two of them count
    nothing twice."""

    name: ClassVar[str]
    rules: type[Rule]  # the table that holds an account's place in the journal

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._settled = _settles_after(settings)

    async def run(self) -> None:
        await Loop(self.name, self._clock, longest_wait=TURN).run(self._turn)

    async def run_once(self) -> bool:
        """Counts what is settled. Returns whether there may be more."""
        until = self._clock() - self._settled
        more = False
        for account_id in await self._accounts():
            for _ in range(PAGES):
                if not await self._count_page(account_id, until):
                    break
            else:
                more = True
        return more

    @abstractmethod
    def _tried(self) -> ColumnElement[bool]:
        """Which deliveries might count at all."""

    @abstractmethod
    async def _look(self, session: AsyncSession, account_id: int, page: Sequence[Any]) -> Counted:
        """What is to be counted of a page of the journal, each message once."""

    @abstractmethod
    def _sums(self, rule: Rule, counted: Counted) -> Mapping[str, Any]:
        """The account's columns that become something else by it."""

    @abstractmethod
    async def _note(self, session: AsyncSession, account_id: int, counted: Counted) -> None:
        """Whatever else is kept of it, in the same transaction."""

    async def _turn(self) -> Millis | None:
        return self._clock() if await self.run_once() else None

    async def _accounts(self) -> Sequence[int]:
        """Those that are not switched off; a new one gets its row."""
        async with self._store.read() as session:
            wanted = select(Account.id).where(Account.user_id != SAMPLE_USER_ID).order_by(Account.id)
            accounts = (await session.scalars(wanted)).all()
            known = await session.execute(select(self.rules.account_id, self.rules.mode))
            modes = {row[0]: row[1] for row in known}
        for account_id in [key for key in accounts if key not in modes]:
            async with self._store.write() as session:
                await session.execute(fresh(self._store, self.rules, account_id, self._clock() - DAY))
        return [key for key in accounts if modes.get(key) != OFF]

    async def _count_page(self, account_id: int, until: Millis) -> bool:
        """Whether it was a full one."""
        async with self._store.read() as session:
            rule = await session.get(self.rules, account_id)
            if rule is None:
                return False
            place = rule.counted_to, rule.counted_id
            page = await read_settled(session, account_id, place, until, self._tried())
            if not page:
                return False
            counted = await self._look(session, account_id, page)
        async with self._store.write() as session:
            # Whoever moves the place counts what lies before it; another process that has read the same page does not.
            moved = await session.scalar(
                update(self.rules)
                .where(
                    self.rules.account_id == account_id,
                    self.rules.mode != OFF,
                    self.rules.counted_to == place[0],
                    self.rules.counted_id == place[1],
                )
                .values(counted_to=page[-1].received_at, counted_id=page[-1].id, **self._sums(rule, counted))
                .returning(self.rules.account_id)
                .execution_options(synchronize_session=False)
            )
            if moved is None:
                return False
            await self._note(session, account_id, counted)
        return len(page) == PAGE


def _settles_after(settings: Settings) -> Millis:
    return max(SETTLED, int(SWEEPS * settings.sweep_period * SECOND))


async def read_settled(
    session: AsyncSession, account_id: int, after: tuple[Millis, bytes], until: Millis, tried: ColumnElement[bool]
) -> Sequence[Any]:
    """The next deliveries in the journal's order, at most `PAGE`: whether each was `tried`, and whether it counts."""
    counts = and_(
        tried,
        Message.confirmed.is_(True),
        Message.received_at >= Delivery.received_at,  # this very delivery brought it, not one before it
    )
    wanted = (
        select(
            Delivery.received_at,
            Delivery.id,
            Delivery.signature,
            Delivery.address,
            Delivery.chat_avito_id,
            Delivery.message_avito_id,
            tried.label("tried"),
            counts.label("counts"),
        )
        .outerjoin(Chat, and_(Chat.account_id == Delivery.account_id, Chat.avito_id == Delivery.chat_avito_id))
        .outerjoin(Message, and_(Message.chat_id == Chat.id, Message.avito_id == Delivery.message_avito_id))
        .where(
            Delivery.account_id == account_id,
            tuple_(Delivery.received_at, Delivery.id) > tuple_(*after),
            Delivery.received_at <= until,
        )
        .order_by(Delivery.received_at, Delivery.id)
        .limit(PAGE)
    )
    return (await session.execute(wanted)).all()
