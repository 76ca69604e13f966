"""Looks up what came over the bare webhook path, where anybody can write: only what Avito's API bears out is shown.

Hints of one chat are looked up together, those of chats that we know first, then the newest; and strangers cannot make
us ask Avito more than about once a second for an account. Where they name more unknown chats than that allows, one
sweep answers for all of them: a chat that is real and new stands at the top of the list.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, exists, func, select, update

from golub.apply import Applier
from golub.avito.errors import Down
from golub.avito.pace import Lane
from golub.backfill.chats import Known, Reader
from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import NoAccess, Paced, Paused, Rejected, WrongKeys
from golub.model import Account, AccountState, Cause, Chat, Delivery, DeliveryState
from golub.store import Store

LEASE = 2 * MINUTE
BURST = 5  # look-ups of one account at once, before its budget of one a second counts
LOOK_AGAIN = (10 * SECOND, MINUTE)  # Avito may show a message a little after it called us
RESTS_FOR = 10 * SECOND  # a chat of which a look-up has borne out nothing
NO_API_PAUSE = 5 * MINUTE
CLAIMED_AT_ONCE = 200
SWEPT_EVERY = 10 * SECOND  # at most, for hints
SWEPT_AFTER = MINUTE  # a hint that is so much older than its account's last sweep was answered by it

CLOSED = (AccountState.WRONG_KEYS, AccountState.NO_ACCESS)  # accounts whose API is not to be asked about chats

Group = tuple[int, str]  # account, chat

_UNKNOWN_CHAT = ~exists().where(Chat.account_id == Delivery.account_id, Chat.avito_id == Delivery.chat_avito_id)


class Hints:
    """`on_due` is told when an account is to be swept at once."""

    def __init__(
        self, store: Store, reader: Reader, applier: Applier, clock: Clock, on_due: Callable[[], None]
    ) -> None:
        self._store = store
        self._reader = reader
        self._applier = applier
        self._clock = clock
        self._on_due = on_due
        self._spent_until: defaultdict[int, Millis] = defaultdict(int)
        self._swept_at: defaultdict[int, Millis] = defaultdict(int)  # when hints last had the account swept
        self._rest_until: dict[Group, Millis] = {}
        self._looked_at: Millis = 0

    async def due(self, now: Millis) -> bool:
        async with self._store.read() as session:
            first = await session.scalar(select(func.min(Delivery.due_at)).where(Delivery.due_at.is_not(None)))
        return first is not None and first <= now

    async def claim(self, limit: int) -> list[Group]:
        """Up to `limit` chats with hints that are to be looked up now; the others wait their turn, or for a sweep."""
        now = self._clock()
        if now < self._looked_at:  # the clock was set back: what is remembered here lies ahead
            for remembered in (self._spent_until, self._swept_at, self._rest_until):
                remembered.clear()
        self._looked_at = now
        await self._settle(now)
        self._rest_until = {group: until for group, until in self._rest_until.items() if until > now}
        taken: list[Group] = []
        crowded: set[int] = set()
        for group, is_known in await self._list_due(now):
            if len(taken) >= limit:
                break
            if group in self._rest_until or (group[0] in crowded and not is_known):
                continue
            if not self._has_place(group[0], now):
                crowded.add(group[0])
            elif await self._lease(group, now):
                self._spend(group[0], now)
                taken.append(group)
        for account_id in crowded:
            await self._leave_to_sweep(account_id, now)
        return taken

    async def _settle(self, now: Millis) -> None:
        """A chat that a later sweep has not found is none: what hints say of it needs no look-up."""
        swept = select(Account.id).where(
            Account.id == Delivery.account_id, Account.swept_at > Delivery.received_at + SWEPT_AFTER
        )
        async with self._store.write() as session:
            await session.execute(
                update(Delivery)
                .where(*_due(now), _UNKNOWN_CHAT, swept.exists())
                .values(cause=Cause.NOT_CONFIRMED, due_at=None)
                .execution_options(synchronize_session=False)
            )

    async def _list_due(self, now: Millis) -> list[tuple[Group, bool]]:
        """Chats with hints that are due, and whether we know each: the known ones first, then the newest."""
        known = func.max(Chat.id)
        statement = (
            select(Delivery.account_id, Delivery.chat_avito_id, known)
            .outerjoin(Chat, (Chat.account_id == Delivery.account_id) & (Chat.avito_id == Delivery.chat_avito_id))
            .where(*_due(now), Delivery.account_id.is_not(None))
            .group_by(Delivery.account_id, Delivery.chat_avito_id)
            .order_by(known.is_(None), func.max(Delivery.received_at).desc())
            .limit(CLAIMED_AT_ONCE)
        )
        async with self._store.read() as session:
            rows = await session.execute(statement)
            return [((account_id or 0, chat), bool(key)) for account_id, chat, key in rows]

    async def _lease(self, group: Group, now: Millis) -> bool:
        """Whether it was ours to take: another process may have been faster."""
        async with self._store.write() as session:
            leased = await session.scalars(
                update(Delivery)
                .where(*_waiting(group), Delivery.due_at <= now)
                .values(due_at=now + LEASE)
                .returning(Delivery.id)
                .execution_options(synchronize_session=False)
            )
            return bool(leased.all())

    async def _leave_to_sweep(self, account_id: int, now: Millis) -> None:
        async with self._store.write() as session:
            await session.execute(
                update(Delivery)
                .where(Delivery.account_id == account_id, *_due(now), _UNKNOWN_CHAT)
                .values(due_at=now + LEASE)
                .execution_options(synchronize_session=False)
            )
            if now < self._swept_at[account_id] + SWEPT_EVERY:
                return
            self._swept_at[account_id] = now
            await session.execute(update(Account).where(Account.id == account_id).values(sweep_due_at=0))
        self._on_due()

    def _has_place(self, account_id: int, now: Millis) -> bool:
        """Whether this account's budget allows a look-up now: `BURST` at once, then one a second."""
        return max(self._spent_until[account_id], now - BURST * SECOND) + SECOND <= now

    def _spend(self, account_id: int, now: Millis) -> None:
        self._spent_until[account_id] = max(self._spent_until[account_id], now - BURST * SECOND) + SECOND

    async def bear_out(self, group: Group) -> None:
        """After the chat was read, whoever wanted that: its hints are answered by it as well."""
        async with self._store.read() as session:
            if await session.scalar(select(Delivery.id).where(*_waiting(group)).limit(1)) is None:
                return
        await self._confirm(group)

    async def look_up(self, group: Group) -> None:
        account_id, chat_avito_id = group
        async with self._store.read() as session:
            account = await session.get(Account, account_id)
            chat = await session.scalar(
                select(Chat).where(Chat.account_id == account_id, Chat.avito_id == chat_avito_id)
            )
        if account is None:
            return
        if account.state in CLOSED or account.paused_at is not None:
            await self._put_off(group, Cause.NO_API, NO_API_PAUSE)
            return
        try:
            await self._reader.read(account, Known.of(chat) if chat else Known(chat_avito_id), lane=Lane.PROMPT)
        except (Down, Paced) as error:
            await self._put_off(group, Cause.UNCONFIRMED, max(int(error.retry_after * SECOND), 5 * SECOND))
            return
        except (WrongKeys, NoAccess, Paused):
            await self._put_off(group, Cause.NO_API, NO_API_PAUSE)
            return
        except Rejected:
            pass  # Avito does not know this chat: nothing bears the hint out
        await self._confirm(group)

    async def _confirm(self, group: Group) -> None:
        if not await self._applier.confirm(*group):
            self._rest_until[group] = self._clock() + RESTS_FOR
        await self._look_again(group)

    async def _put_off(self, group: Group, cause: Cause, pause: Millis) -> None:
        async with self._store.write() as session:
            await session.execute(
                update(Delivery)
                .where(*_waiting(group), Delivery.due_at.is_not(None))
                .values(cause=cause, due_at=self._clock() + pause)
            )

    async def _look_again(self, group: Group) -> None:
        """What was not borne out is asked about again, a few times."""
        now = self._clock()
        async with self._store.write() as session:
            for attempt in reversed(range(len(LOOK_AGAIN))):
                await session.execute(
                    update(Delivery)
                    .where(*_waiting(group), Delivery.cause == Cause.NOT_CONFIRMED, Delivery.attempts == attempt)
                    .values(due_at=now + LOOK_AGAIN[attempt], attempts=attempt + 1)
                )


def _waiting(group: Group) -> Sequence[ColumnElement[bool]]:
    account_id, chat_avito_id = group
    return (
        Delivery.account_id == account_id,
        Delivery.chat_avito_id == chat_avito_id,
        Delivery.state == DeliveryState.WAITING,
    )


def _due(now: Millis) -> Sequence[ColumnElement[bool]]:
    return (Delivery.state == DeliveryState.WAITING, Delivery.due_at.is_not(None), Delivery.due_at <= now)
