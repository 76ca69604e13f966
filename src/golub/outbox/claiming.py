"""Whose turn it is: takes what is due, and has it sent. Messages of one chat go strictly in their order.

A row with `due_at` is unfinished: queued, being sent, or being looked up. The inbox queues, shows and decides.
"""

import asyncio

import structlog
from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import aliased

from golub.apply import Applier
from golub.avito.client import Avito
from golub.clock import Clock, Millis
from golub.errors import Unavailable
from golub.live import Live
from golub.model import Operator, OutgoingMessage, OutgoingState
from golub.outbox.moving import Moves
from golub.outbox.pictures import Pictures
from golub.outbox.sending import LEASE, Sender
from golub.runner import Loop, Start, finish
from golub.store import Store

AT_ONCE = 64
TIDIED_EVERY = 6 * 3600.0  # seconds
_DONE = (OutgoingState.SENT, OutgoingState.DISCARDED)

log = structlog.get_logger(__name__)


class Outbox:
    """Sends what is due. One instance in each process that works; two never get the same row."""

    def __init__(
        self, store: Store, avito: Avito, applier: Applier, live: Live, clock: Clock, pictures: Pictures
    ) -> None:
        self.pictures = pictures
        self._store = store
        self._clock = clock
        self._moves = Moves(store, live, clock)
        self._sender = Sender(store, avito, applier, self._moves, clock, pictures)
        self._loop = Loop("outbox", clock)
        self._busy = 0

    def nudge(self) -> None:
        """Something was queued. From any thread."""
        self._loop.nudge()

    async def run(self) -> None:
        await self.take_over()
        async with asyncio.TaskGroup() as beside:
            beside.create_task(self._tidy())
            await self._loop.run_starting(self._turn)

    async def run_once(self) -> Millis | None:
        """Sends what is due now and waits for it; returns when the next is due."""
        return await finish(self._turn)

    async def take_over(self) -> None:
        """On SQLite there is one process: what another one was sending when it died can be looked up at once."""
        if self._store.is_sqlite:
            try:
                async with self._store.write() as session:
                    await session.execute(
                        update(OutgoingMessage)
                        .where(OutgoingMessage.state == OutgoingState.SENDING)
                        .values(due_at=self._clock())
                    )
            except Unavailable:
                log.warning("what was being sent waits for its lease")

    async def retry(self, outgoing_id: int, operator: Operator) -> OutgoingMessage:
        """A person decides to send again what was rejected, or what nobody could find. It is looked up once more."""
        again = await self._moves.decide(
            outgoing_id,
            (OutgoingState.REJECTED, OutgoingState.UNCONFIRMED),
            state=OutgoingState.QUEUED,
            due_at=self._clock(),
            attempts=0,
            operator_id=operator.id,
            error="",
            error_code="",
            finished_at=None,
        )
        self.nudge()
        return again

    async def discard(self, outgoing_id: int) -> OutgoingMessage:
        """A person gives it up. Not while it is being sent: then nobody knows."""
        discarded = await self._moves.decide(
            outgoing_id,
            (OutgoingState.QUEUED, OutgoingState.REJECTED, OutgoingState.UNCONFIRMED),
            state=OutgoingState.DISCARDED,
            due_at=None,
            finished_at=self._clock(),
        )
        self.nudge()  # what waited behind it
        if discarded.picture:
            await self.pictures.drop(discarded.picture)
        return discarded

    async def _turn(self, start: Start) -> Millis | None:
        now = self._clock()
        earlier = aliased(OutgoingMessage)
        first_of_its_chat = ~exists().where(
            earlier.chat_id == OutgoingMessage.chat_id, earlier.id < OutgoingMessage.id, earlier.due_at.is_not(None)
        )
        async with self._store.read() as session:
            next_at = await session.scalar(
                select(func.min(OutgoingMessage.due_at)).where(OutgoingMessage.due_at.is_not(None), first_of_its_chat)
            )
        if self._busy >= AT_ONCE:
            return None  # whoever is done first nudges
        if next_at is None or next_at > now:
            return next_at
        async with self._store.write() as session:
            claimed = await self._store.claim(
                session,
                OutgoingMessage.due_at,
                now=now,
                lease=LEASE,
                limit=AT_ONCE - self._busy,
                only=(first_of_its_chat,),
            )
        for outgoing_id in claimed:
            self._busy += 1
            start(self._attend(outgoing_id))
        return None

    async def _attend(self, outgoing_id: int) -> None:
        try:
            await self._sender.attend_to(outgoing_id)
        except Unavailable as error:  # our own database: the row keeps its lease, and is looked up after it
            log.warning("a reply waits", outgoing=outgoing_id, error=str(error))
        except Exception:  # a mistake of ours about one row must not stop the others
            log.exception("a reply could not be attended to", outgoing=outgoing_id)
        finally:
            self._busy -= 1
            self.nudge()

    async def _tidy(self) -> None:
        """Deletes photos that were attached and never sent, for ever."""
        of_someone = (OutgoingMessage.picture != "", OutgoingMessage.state.not_in(_DONE))
        while True:
            try:
                async with self._store.read() as session:
                    wanted = list(await session.scalars(select(OutgoingMessage.picture).where(*of_someone)))
                await self.pictures.tidy(wanted)
            except (Unavailable, OSError) as error:
                log.warning("attached photos could not be tidied", error=str(error))
            await asyncio.sleep(TIDIED_EVERY)
