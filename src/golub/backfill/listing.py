"""Walks an account's list of chats: once to import it, then again and again to find what no webhook brought.

The list is newest first and ends at Avito's cap on offsets (about 1100 chats). A walk costs requests by what has
changed, not by how much there is.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from golub.apply import Applier
from golub.avito.client import OFFSET_LIMIT, PAGE_LIMIT, Avito
from golub.avito.pace import Lane
from golub.avito.wire import ChatSeen, read_chats
from golub.clock import Clock, Millis
from golub.fold import FetchDue, Observation
from golub.fold.forgotten import look_up
from golub.model import Account, Chat
from golub.store import Store
from golub.store.lists import padded


@dataclass(frozen=True, slots=True)
class Swept:
    """The chats that had changed, by Avito's names, and how many pages of the list it took to know."""

    changed: frozenset[str]
    requests: int


class Listing:
    def __init__(self, store: Store, avito: Avito, applier: Applier, clock: Clock) -> None:
        self._store = store
        self._avito = avito
        self._applier = applier
        self._clock = clock

    async def bring_in(self, account: Account) -> None:
        """The import of a new account: every chat is noted and becomes due, quietly, newest first. It goes on after
        the page that `accounts.backfill_offset` names; a page that was noted twice changes nothing."""
        async for offset, seen in self._pages(account, account.backfill_offset or 0, Lane.BULK):
            started = self._clock()
            told: list[Observation] = []
            for place, chat in enumerate(await self._changed(account.id, seen)):
                told += [chat, FetchDue(chat.chat_avito_id, started + offset + place, quietly=True)]
            await self._applier.submit(account.id, told)
            await self._keep(account.id, offset + PAGE_LIMIT, 0)
        await self._keep(account.id, None, self._clock())

    async def sweep(self, account: Account) -> Swept:
        """Makes the chats due that changed since they were read, and says which. It stops at the first
        page without any. All are marked in one transaction, oldest first: a walk that was cut short marks none, or
        the pages that it never saw would look as if they were known."""
        found: list[ChatSeen] = []
        requests = 0
        async for _, seen in self._pages(account, 0, Lane.PROMPT):
            requests += 1
            changed = await self._changed(account.id, seen)
            if not changed:
                break
            found += changed
        started = self._clock()
        told: list[Observation] = []
        for place, chat in enumerate(reversed(found)):
            told += [chat, FetchDue(chat.chat_avito_id, started - len(found) + place)]
        if told:
            await self._applier.submit(account.id, told)
        return Swept(frozenset(chat.chat_avito_id for chat in found), max(requests, 1))

    async def _pages(self, account: Account, offset: int, lane: Lane) -> AsyncGenerator[tuple[int, Sequence[ChatSeen]]]:
        """Pages with their offsets. Ends with the list, at the cap, or where a page has nothing new."""
        ids: set[str] = set()
        while offset <= OFFSET_LIMIT:
            asked_at = self._clock()
            page = await self._avito.chats(account.id, offset=offset, lane=lane)
            seen, unreadable = read_chats(page, account.user_id, asked_at)
            new = [chat for chat in seen if chat.chat_avito_id not in ids]
            ids |= {chat.chat_avito_id for chat in new}
            if new:
                yield offset, new
            if not new or len(seen) + len(unreadable) < PAGE_LIMIT:
                return
            offset += PAGE_LIMIT

    async def _changed(self, account_id: int, seen: Sequence[ChatSeen]) -> list[ChatSeen]:
        """Those that changed after they were read. One that is due already will be read anyway; one that was erased
        counts once its buyer writes again."""
        names = [chat.chat_avito_id for chat in seen]
        columns = (Chat.avito_id, Chat.verified_to, Chat.fetch_due_at)
        async with self._store.read() as session:
            rows = await session.execute(
                select(*columns).where(Chat.account_id == account_id, Chat.avito_id.in_(padded(names)))
            )
            asked = [*seen]
            connection = await session.connection()
            forgotten = await connection.run_sync(lambda sync: look_up(sync.execute, account_id, asked))
        known = {name: verified_to if due_at is None else None for name, verified_to, due_at in rows}
        changed: list[ChatSeen] = []
        for chat in seen:
            verified_to = known.get(chat.chat_avito_id, -1)
            if chat.chat_avito_id not in known and chat.chat_avito_id in forgotten.chats:
                verified_to = -1 if forgotten.is_news(chat) else None
            if verified_to is not None and _changed_at(chat) > verified_to:
                changed.append(chat)
        return changed

    async def _keep(self, account_id: int, offset: int | None, backfilled_at: Millis) -> None:
        async with self._store.write() as session:
            await session.execute(
                update(Account)
                .where(Account.id == account_id)
                .values(backfill_offset=offset, backfilled_at=backfilled_at)
            )


def _changed_at(chat: ChatSeen) -> Millis:
    return max(chat.updated_at, chat.last_message.created_at if chat.last_message else 0)
