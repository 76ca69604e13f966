"""Keeps our rows true to Avito: reads history once, quietly, and heals for ever what webhooks failed to bring.

Four kinds of work, all of them due in rows: an account's list of chats (`listing`), chats that are to be read
(`chats`), hints from the bare path (`hints`), and telling Avito that an operator has read a chat. Each account has its
own few places, so that one whose API fails or hangs costs the others nothing. Apply makes chats due, an operator who
reads one too, the admin page makes accounts due; each may nudge.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import structlog
from sqlalchemy import func, select, update

from golub.apply import Applier
from golub.avito.client import Avito
from golub.avito.errors import Down
from golub.avito.pace import Lane
from golub.backfill.chats import Known, Reader
from golub.backfill.hints import CLOSED, Hints
from golub.backfill.listing import Listing
from golub.clock import DAY, MINUTE, SECOND, Clock, Millis
from golub.errors import GolubError, NoAccess, Paced, Paused, Rejected, Unavailable, WrongKeys
from golub.fold import FetchDue, FetchFailed, ReadSent
from golub.model import Account, Chat
from golub.runner import Loop, Start, finish
from golub.settings import Settings
from golub.store import Store

__all__ = ["Backfill"]

LEASE = 2 * MINUTE
CHATS_AT_ONCE = 12
HISTORY_AT_ONCE = 6
HINTS_AT_ONCE = 4
ACCOUNTS_AT_ONCE = 8
OF_ONE_ACCOUNT = 4
CLOSED_PAUSE = MINUTE  # at least, between two looks at an account that Avito refuses
DEAF_PERIOD = MINUTE  # between two sweeps while webhooks fail to come
FAILED_PAUSE = MINUTE  # the first pause of a chat that Avito refuses; it doubles up to a day

_RUNNING = Account.paused_at.is_(None)

log = structlog.get_logger(__name__)


class Backfill:
    """One instance in each process that works; two never take the same row."""

    def __init__(self, store: Store, avito: Avito, applier: Applier, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._avito = avito
        self._applier = applier
        self._clock = clock
        self._sweep_period = int(settings.sweep_period * SECOND)
        self._reader = Reader(avito, applier, clock)
        self._listing = Listing(store, avito, applier, clock)
        self._hints = Hints(store, self._reader, applier, clock, self.nudge)
        self._loop = Loop("backfill", clock)
        self._busy: Counter[str] = Counter()  # by kind of work
        self._chats_of: Counter[int] = Counter()  # being read, by account
        self._paused: dict[int, Millis] = {}  # accounts that Avito asked us to leave alone
        self._swept: dict[int, set[str]] = {}  # chats that the last sweep of an account found, and that are to be read

    def nudge(self) -> None:
        """Something became due. From any thread."""
        self._loop.nudge()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as working:
            working.create_task(self._sweep_at_start())
            await self._loop.run_starting(self._turn)

    async def run_once(self) -> Millis | None:
        """Does what is due now and waits for it. Returns now if there was something, and may be more; else None."""
        return await finish(self._turn)

    async def chats_due(self, account_id: int) -> int:
        """How many chats of an account wait to be read; the progress of its import."""
        async with self._store.read() as session:
            due = select(func.count()).where(Chat.account_id == account_id, Chat.fetch_due_at.is_not(None))
            return await session.scalar(due) or 0

    async def _sweep_at_start(self) -> None:
        """We were away. Alone, we may also have died with the lists; else a list that is due soon may be in other
        hands."""
        far_off = () if self._store.is_sqlite else (Account.sweep_due_at > self._clock() + LEASE,)
        try:
            async with self._store.write() as session:
                await session.execute(update(Account).where(*far_off).values(sweep_due_at=0))
        except Unavailable:
            log.warning("the first sweep waits for its usual time")
        self.nudge()

    async def _turn(self, start: Start) -> Millis | None:
        now = self._clock()
        begun = 0

        def begin(kind: str, work: Coroutine[Any, Any, None]) -> None:
            nonlocal begun
            begun += 1
            self._busy[kind] += 1
            start(self._attend(kind, work))

        for chat_id in await self._claim_read(now):
            begin("read", self._send_read(chat_id, now + LEASE))
        if (places := HINTS_AT_ONCE - self._busy["hint"]) > 0 and await self._hints.due(now):
            for group in await self._hints.claim(places):
                begin("hint", self._hints.look_up(group))
        for account_id in await self._claim_accounts(now):
            begin("list", self._walk(account_id, now + LEASE))
        for chat_id in await self._claim_chats(now, quietly=False):
            begin("chat", self._read_chat(chat_id))
        for chat_id in await self._claim_chats(now, quietly=True):
            begin("history", self._read_chat(chat_id))
        return now if begun else None

    async def _attend(self, kind: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Unavailable as error:  # our own database, or the key of the vault: the lease brings it back
            log.warning("could not be done now", work=kind, error=str(error))
        except Exception:  # a mistake of ours about one row must not stop the others
            log.exception("could not be done", work=kind)
        finally:
            self._busy[kind] -= 1
            self.nudge()

    async def _claim_accounts(self, now: Millis) -> list[int]:
        places = ACCOUNTS_AT_ONCE - self._busy["list"]
        async with self._store.read() as session:
            first = await session.scalar(select(func.min(Account.sweep_due_at)).where(_RUNNING))
        if places <= 0 or first is None or first > now:
            return []
        async with self._store.write() as session:
            return await self._store.claim(
                session, Account.sweep_due_at, now=now, lease=LEASE, limit=places, only=(_RUNNING,)
            )

    async def _claim_read(self, now: Millis) -> list[int]:
        """Chats of which Avito is to hear that an operator has read them."""
        places = OF_ONE_ACCOUNT - self._busy["read"]
        async with self._store.read() as session:
            first = await session.scalar(select(func.min(Chat.read_due_at)).where(Chat.read_due_at.is_not(None)))
        if places <= 0 or first is None or first > now:
            return []
        closed = select(Account.id).where(Account.state.in_(CLOSED) | ~_RUNNING)
        only = (Chat.account_id.not_in(closed), Chat.account_id.not_in(self._paused.keys()))
        async with self._store.write() as session:
            return await self._store.claim(session, Chat.read_due_at, now=now, lease=LEASE, limit=places, only=only)

    async def _claim_chats(self, now: Millis, *, quietly: bool) -> list[int]:
        limit = HISTORY_AT_ONCE - self._busy["history"] if quietly else CHATS_AT_ONCE - self._busy["chat"]
        if limit <= 0:
            return []
        self._paused = {account_id: until for account_id, until in self._paused.items() if now < until < now + DAY}
        full = {account_id for account_id, count in self._chats_of.items() if count >= OF_ONE_ACCOUNT}
        closed = select(Account.id).where(Account.state.in_(CLOSED) | ~_RUNNING)
        only = (
            Chat.fetch_quietly.is_(quietly),
            Chat.account_id.not_in(full | self._paused.keys()),
            Chat.account_id.not_in(closed),
        )
        async with self._store.read() as session:
            due = select(Chat.id).where(Chat.fetch_due_at.is_not(None), Chat.fetch_due_at <= now, *only).limit(1)
            if await session.scalar(due) is None:
                return []
        async with self._store.write() as session:
            return await self._store.claim(
                session, Chat.fetch_due_at, now=now, lease=LEASE, limit=min(limit, OF_ONE_ACCOUNT), only=only
            )

    async def _walk(self, account_id: int, lease: Millis) -> None:
        """Imports a new account, or sweeps one that is known; then says when the next sweep is due."""
        async with self._store.read() as session:
            account = await session.get(Account, account_id)
        if account is None:
            return
        pause = min(self._sweep_period, DEAF_PERIOD) if account.deaf_since else self._sweep_period
        values: dict[str, int] = {}
        try:
            if account.backfill_offset is not None:
                await self._listing.bring_in(account)
            swept = await self._listing.sweep(account)
            values = {
                "swept_at": self._clock(),
                "sweep_changed": len(swept.changed),
                "sweep_requests": swept.requests,
            }
            self._swept[account_id] = set(swept.changed)
            log.info("swept", account=account_id, changed=len(swept.changed))
        except (WrongKeys, NoAccess):
            pause = max(pause, CLOSED_PAUSE)
        except (Down, Paced) as error:
            pause = max(min(pause, 15 * SECOND), int(error.retry_after * SECOND))
        except Rejected as error:
            log.warning("Avito refuses its list of chats", account=account_id, error=str(error))
        async with self._store.write() as session:
            if values:
                await session.execute(update(Account).where(Account.id == account_id).values(values))
            await session.execute(
                update(Account)
                .where(Account.id == account_id, Account.sweep_due_at == lease)  # unless it was made due meanwhile
                .values(sweep_due_at=self._clock() + pause)
            )

    async def _read_chat(self, chat_id: int) -> None:
        async with self._store.read() as session:
            chat = await session.get(Chat, chat_id)
            account = await session.get(Account, chat.account_id) if chat else None
        if chat is None or account is None:
            return
        self._chats_of[account.id] += 1
        try:
            lane = Lane.BULK if chat.fetch_quietly else Lane.PROMPT
            requests = await self._reader.read(account, Known.of(chat), lane=lane)
            await self._hints.bear_out((account.id, chat.avito_id))
            await self._count(account.id, chat.avito_id, requests)
        except (Down, Paced, Rejected) as error:
            await self._put_off(account, chat, error)
        finally:
            self._chats_of[account.id] -= 1

    async def _count(self, account_id: int, chat_avito_id: str, requests: int) -> None:
        """What reading a chat cost belongs to the sweep that found it. (Another process's reading is not counted.)"""
        found = self._swept.get(account_id, set())
        if chat_avito_id in found:
            found.discard(chat_avito_id)
            async with self._store.write() as session:
                await session.execute(
                    update(Account)
                    .where(Account.id == account_id)
                    .values(sweep_requests=Account.sweep_requests + requests)
                )

    async def _put_off(self, account: Account, chat: Chat, error: GolubError) -> None:
        """A fault of Avito, or of the account, pauses the account; a refused chat pauses itself alone."""
        now = self._clock()
        if isinstance(error, Down | Paced):
            self._paused[account.id] = now + max(int(error.retry_after * SECOND), SECOND)
            observation = FetchDue(chat.avito_id, self._paused[account.id], quietly=chat.fetch_quietly)
        elif isinstance(error, WrongKeys | Paused) or error.code == "not_paid":
            observation = FetchDue(chat.avito_id, now + CLOSED_PAUSE, quietly=chat.fetch_quietly)
        else:
            pause = min(DAY, FAILED_PAUSE << min(chat.fetch_attempts, 16))
            observation = FetchFailed(chat.avito_id, now + pause)
        await self._applier.submit(account.id, [observation])

    async def _send_read(self, chat_id: int, lease: Millis) -> None:
        """What fails for now is told again when the lease is over."""
        async with self._store.read() as session:
            chat = await session.get(Chat, chat_id)
        if chat is None:
            return
        told_at: Millis | None = None
        try:
            await self._avito.mark_read(chat.account_id, chat.avito_id)
            told_at = self._clock()
        except (Down, Paced, WrongKeys, NoAccess, Paused) as error:
            log.info("Avito could not be told that a chat was read", chat=chat_id, error=str(error))
            return
        except Rejected as error:
            log.info("Avito does not want to know that a chat was read", chat=chat_id, error=str(error))
        await self._applier.submit(chat.account_id, [ReadSent(chat_id, told_at, lease)])
