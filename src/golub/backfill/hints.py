"""Looks up what came over the bare webhook path, where anybody can write: only what Avito's API bears out is shown.

Hints of one chat are looked up together, and strangers cannot make us ask Avito more than about once a second for an
account.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, update

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
NO_API_PAUSE = 5 * MINUTE
CLAIMED_AT_ONCE = 200

CLOSED = (AccountState.WRONG_KEYS, AccountState.NO_ACCESS)  # accounts whose API is not to be asked about chats

Group = tuple[int, str]  # account, chat


class Hints:
    def __init__(self, store: Store, reader: Reader, applier: Applier, clock: Clock) -> None:
        self._store = store
        self._reader = reader
        self._applier = applier
        self._clock = clock
        self._spent_until: defaultdict[int, Millis] = defaultdict(int)

    async def due(self, now: Millis) -> bool:
        async with self._store.read() as session:
            first = await session.scalar(select(func.min(Delivery.due_at)).where(Delivery.due_at.is_not(None)))
        return first is not None and first <= now

    async def claim(self, limit: int) -> list[Group]:
        """Up to `limit` chats with hints that are to be looked up now; the others of the account wait their turn."""
        now = self._clock()
        async with self._store.write() as session:
            ids = await self._store.claim(
                session,
                Delivery.due_at,
                now=now,
                lease=LEASE,
                limit=CLAIMED_AT_ONCE,
                only=(Delivery.state == DeliveryState.WAITING, Delivery.account_id.is_not(None)),
            )
            rows = await session.execute(
                select(Delivery.id, Delivery.account_id, Delivery.chat_avito_id)
                .where(Delivery.id.in_(ids))
                .order_by(Delivery.received_at)
            )
            groups: defaultdict[Group, list[bytes]] = defaultdict(list)
            for delivery_id, account_id, chat_avito_id in rows:
                groups[account_id or 0, chat_avito_id].append(delivery_id)
            taken: list[Group] = []
            for group, members in groups.items():
                at = self._place(group[0], now) if len(taken) < limit else now + SECOND
                if at <= now:
                    taken.append(group)
                else:
                    await session.execute(update(Delivery).where(Delivery.id.in_(members)).values(due_at=at))
        return taken

    def _place(self, account_id: int, now: Millis) -> Millis:
        """When this account's budget allows its next look-up: `BURST` at once, then one a second."""
        until = max(self._spent_until[account_id], now - BURST * SECOND)
        if until + SECOND > now:
            return until + SECOND
        self._spent_until[account_id] = until + SECOND
        return now

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
        await self._applier.confirm(account_id, chat_avito_id)
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
