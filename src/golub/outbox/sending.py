"""Sends what operators wrote: each message at most once, and every one ends as sent, rejected or unconfirmed.

Avito has no idempotency key, so `sending` is committed before the request leaves. What happened to a request whose
answer was lost, or whose process died, is looked up in the chat; what cannot be found there waits for a person, and is
never sent again by itself. Messages of one chat go strictly in the order in which they were written.

A row with `due_at` is unfinished: queued, being sent, or being looked up. The inbox queues, shows and decides.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from golub.apply import Applier
from golub.avito.client import Avito
from golub.avito.pace import Lane
from golub.avito.wire import MessageSeen, read_message, read_messages
from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import Ambiguous, Conflict, NotFound, Rejected, Unavailable
from golub.live import Live, Ring
from golub.model import Account, Chat, Operator, OutgoingKind, OutgoingMessage, OutgoingState
from golub.outbox.finding import find_row
from golub.outbox.pictures import Pictures
from golub.outbox.queueing import later_parts
from golub.runner import Loop
from golub.store import Store

LEASE = 3 * MINUTE  # longer than a call with its token and its place in the queue
AT_ONCE = 64
TIDIED_EVERY = 6 * 3600.0  # seconds
TRIES = 120  # with the pauses about an hour: what could not leave for so long is no longer wanted unasked
LONGEST_PAUSE = 30 * SECOND
LOOK_UPS = (0, 5 * SECOND, 30 * SECOND, 2 * MINUTE)  # Avito may show a message later than it took it
_DONE = (OutgoingState.SENT, OutgoingState.DISCARDED)

log = structlog.get_logger(__name__)


class Outbox:
    """Sends what is due. One instance in each process that works; two never get the same row."""

    def __init__(
        self, store: Store, avito: Avito, applier: Applier, live: Live, clock: Clock, pictures: Pictures
    ) -> None:
        self.pictures = pictures
        self._store = store
        self._avito = avito
        self._applier = applier
        self._live = live
        self._clock = clock
        self._loop = Loop("outbox", clock)
        self._busy = 0

    def nudge(self) -> None:
        """Something was queued. From any thread."""
        self._loop.nudge()

    async def run(self) -> None:
        await self.take_over()
        async with asyncio.TaskGroup() as sending:
            sending.create_task(self._tidy())
            await self._loop.run(lambda: self._turn(sending.create_task))

    async def run_once(self) -> Millis | None:
        """Sends what is due now and waits for it; returns when the next is due."""
        sending: list[asyncio.Task[None]] = []
        due = await self._turn(lambda work: sending.append(asyncio.create_task(work)))
        await asyncio.gather(*sending)
        return due

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

    async def retry(self, outgoing_id: int, operator: Operator) -> OutgoingMessage:
        """A person decides to send again what was rejected, or what nobody could find. It is looked up once more."""
        states = (OutgoingState.REJECTED, OutgoingState.UNCONFIRMED)
        values = {
            "state": OutgoingState.QUEUED,
            "due_at": self._clock(),
            "attempts": 0,
            "operator_id": operator.id,
            "error": "",
            "error_code": "",
            "finished_at": None,
        }
        return await self._decide(outgoing_id, states, values)

    async def discard(self, outgoing_id: int) -> OutgoingMessage:
        """A person gives it up. Not while it is being sent: then nobody knows."""
        states = (OutgoingState.QUEUED, OutgoingState.REJECTED, OutgoingState.UNCONFIRMED)
        values = {"state": OutgoingState.DISCARDED, "due_at": None, "finished_at": self._clock()}
        discarded = await self._decide(outgoing_id, states, values)
        if discarded.picture:
            await self.pictures.drop(discarded.picture)
        return discarded

    async def _decide(
        self, outgoing_id: int, states: tuple[OutgoingState, ...], values: dict[str, Any]
    ) -> OutgoingMessage:
        async with self._store.write() as session:
            changed = await session.scalar(
                update(OutgoingMessage)
                .where(OutgoingMessage.id == outgoing_id, OutgoingMessage.state.in_(states))
                .values(values)
                .returning(OutgoingMessage)
            )
            if changed is None:
                if await session.get(OutgoingMessage, outgoing_id) is None:
                    raise NotFound("There is no such reply.")
                raise Conflict("This reply is already on its way, or done.")
            rings, number = await self._rings(session, changed.chat_id)
        self._live.ring(rings, number)
        self.nudge()
        return changed

    async def _turn(self, start: Callable[[Coroutine[Any, Any, None]], object]) -> Millis | None:
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
            await self._finish_or_send(outgoing_id)
        except Unavailable as error:  # our own database: the row keeps its lease, and is looked up after it
            log.warning("a reply waits", outgoing=outgoing_id, error=str(error))
        except Exception:  # a mistake of ours about one row must not stop the others
            log.exception("a reply could not be attended to", outgoing=outgoing_id)
        finally:
            self._busy -= 1
            self.nudge()

    async def _finish_or_send(self, outgoing_id: int) -> None:
        async with self._store.read() as session:
            found = (
                await session.execute(
                    select(OutgoingMessage, Chat, Account.user_id)
                    .join(Chat, Chat.id == OutgoingMessage.chat_id)
                    .join(Account, Account.id == OutgoingMessage.account_id)
                    .where(OutgoingMessage.id == outgoing_id)
                )
            ).one_or_none()
        if found is None:
            return
        outgoing, chat, user_id = found
        if outgoing.state == OutgoingState.SENDING:  # its process died
            await self._lost(outgoing, chat, user_id)
        elif outgoing.state == OutgoingState.UNCONFIRMED:
            await self._look_up(outgoing, chat, user_id)
        elif outgoing.state == OutgoingState.QUEUED:
            if outgoing.started_at is not None and not await self._may_send_again(outgoing, chat, user_id):
                return
            await self._send(outgoing, chat, user_id)

    async def _send(self, outgoing: OutgoingMessage, chat: Chat, user_id: int) -> None:
        if outgoing.kind == OutgoingKind.IMAGE and not outgoing.image_avito_id and not await self._upload(outgoing):
            return
        if not await self._move(outgoing, state=OutgoingState.SENDING, started_at=self._clock()):
            return  # discarded meanwhile
        try:
            if outgoing.kind == OutgoingKind.IMAGE:
                sent = await self._avito.send_image(outgoing.account_id, chat.avito_id, outgoing.image_avito_id)
            else:
                sent = await self._avito.send_text(outgoing.account_id, chat.avito_id, outgoing.text)
        except Ambiguous:
            await self._lost(outgoing, chat, user_id)
        except Unavailable as error:
            await self._postpone(outgoing, error)
        except Rejected as error:
            await self._reject(outgoing, error.code, str(error.fields.get("reason") or error.message))
        else:
            await self._sent(outgoing, str(sent["id"]))
            seen = read_message(sent | {"author_id": user_id}, user_id, chat.avito_id, self._clock())
            if isinstance(seen, MessageSeen):
                await self._applier.submit(outgoing.account_id, [seen])

    async def _upload(self, outgoing: OutgoingMessage) -> bool:
        """Gives the photo to Avito, which shows it to nobody yet: what is lost here is simply done again."""
        try:
            raw = await self.pictures.read(outgoing.picture)
            image_id = await self._avito.upload_image(outgoing.account_id, outgoing.picture, raw)
        except Unavailable as error:
            await self._postpone(outgoing, error)
            return False
        except Rejected as error:
            await self._reject(outgoing, error.code, str(error.fields.get("reason") or error.message))
            return False
        return await self._move(outgoing, image_avito_id=image_id)

    async def _postpone(self, outgoing: OutgoingMessage, error: Unavailable) -> None:
        """Nothing left us: try again, for a while."""
        if outgoing.attempts >= TRIES:
            await self._reject(outgoing, error.code, "Avito could not be reached for an hour. Nothing was sent.")
            return
        pause = max(int(error.retry_after * SECOND), min(LONGEST_PAUSE, SECOND * 2 ** min(outgoing.attempts, 10)))
        await self._move(
            outgoing,
            state=OutgoingState.QUEUED,
            due_at=self._clock() + pause,
            started_at=None,
            attempts=outgoing.attempts + 1,
            error_code=error.code,
            error=error.message,
        )

    async def _reject(self, outgoing: OutgoingMessage, code: str, words: str) -> None:
        await self._move(
            outgoing,
            state=OutgoingState.REJECTED,
            due_at=None,
            started_at=None,
            image_avito_id="",  # sent again it is uploaded again
            finished_at=self._clock(),
            error_code=code,
            error=words,
        )

    async def _lost(self, outgoing: OutgoingMessage, chat: Chat, user_id: int) -> None:
        """It may have been sent: say so, and look."""
        if await self._move(
            outgoing,
            state=OutgoingState.UNCONFIRMED,
            due_at=self._clock() + LEASE,
            attempts=0,
            error_code=Ambiguous.code,
            error="Avito's answer was lost. The message may have been sent.",
        ):
            await self._look_up(outgoing, chat, user_id)

    async def _look_up(self, outgoing: OutgoingMessage, chat: Chat, user_id: int) -> None:
        """Found: sent. Absent: looked up a few times more, then left to the operator."""
        try:
            found = await self._find_in_chat(outgoing, chat, user_id)
        except Rejected:
            found = ""
        except Unavailable as error:
            pause = max(int(error.retry_after * SECOND), 10 * SECOND)
            await self._move(outgoing, due_at=self._clock() + pause)
            return
        if found:
            await self._sent(outgoing, found)
            return
        attempts = outgoing.attempts + 1
        due_at = self._clock() + LOOK_UPS[attempts] if attempts < len(LOOK_UPS) else None
        await self._move(outgoing, due_at=due_at, attempts=attempts)

    async def _may_send_again(self, outgoing: OutgoingMessage, chat: Chat, user_id: int) -> bool:
        """A person wants an unconfirmed message sent again: only where it is still not to be found."""
        try:
            found = await self._find_in_chat(outgoing, chat, user_id)
        except Unavailable as error:
            pause = max(int(error.retry_after * SECOND), SECOND)
            await self._move(outgoing, due_at=self._clock() + pause, error_code=error.code)
            return False
        except Rejected:
            return True  # sending will say why
        if found:
            await self._sent(outgoing, found)
        return not found

    async def _find_in_chat(self, outgoing: OutgoingMessage, chat: Chat, user_id: int) -> str:
        """The id of a message of ours with these words that we learned of after it was started and that no other
        reply has claimed; empty where there is none. Avito's newest page is read into our rows first."""
        if not (found := await find_row(self._store, outgoing)):
            page = await self._avito.messages(outgoing.account_id, chat.avito_id, lane=Lane.OPERATOR)
            seen, _ = read_messages(page, user_id, chat.avito_id, self._clock())
            own = [one for one in seen if one.author_id == user_id]
            await self._applier.submit(outgoing.account_id, own)
            found = await find_row(self._store, outgoing)
        return found

    async def _sent(self, outgoing: OutgoingMessage, message_avito_id: str) -> None:
        if (
            await self._move(
                outgoing,
                # What is certain counts, whatever was believed meanwhile.
                only_from=(OutgoingState.SENDING, OutgoingState.UNCONFIRMED, OutgoingState.QUEUED),
                state=OutgoingState.SENT,
                due_at=None,
                finished_at=self._clock(),
                message_avito_id=message_avito_id,
                error="",
                error_code="",
            )
            and outgoing.picture
        ):
            await self.pictures.drop(outgoing.picture)

    async def _move(self, outgoing: OutgoingMessage, *, only_from: Sequence[str] = (), **values: Any) -> bool:
        """Commits the next state and rings. False, and nothing done, where somebody else has moved it meanwhile."""
        async with self._store.write() as session:
            moved = await session.scalar(
                update(OutgoingMessage)
                .where(OutgoingMessage.id == outgoing.id, OutgoingMessage.state.in_(only_from or (outgoing.state,)))
                .values(values)
                .returning(OutgoingMessage.id)
            )
            if moved is None:
                return False
            if outgoing.part < outgoing.parts and _has_failed(values.get("state", outgoing.state), values):
                await _stop_later_parts(session, outgoing, self._clock())
            rings, number = await self._rings(session, outgoing.chat_id)
        for name, value in values.items():
            setattr(outgoing, name, value)
        self._live.ring(rings, number)
        return True

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
