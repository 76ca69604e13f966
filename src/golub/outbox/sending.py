"""Sends what operators wrote: each message at most once, and every one ends as sent, rejected or unconfirmed.

Avito has no idempotency key, so `sending` is committed before the request leaves. What happened to a request whose
answer was lost, or whose process died, is looked up in the chat; what cannot be found there waits for a person, and is
never sent again by itself.
"""

from sqlalchemy import Update, literal, select, update

from golub.apply import Applier
from golub.avito.client import Avito
from golub.avito.pace import Lane
from golub.avito.wire import MessageSeen, read_message, read_messages
from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import Ambiguous, Rejected, Unavailable
from golub.fold import Named
from golub.model import SAMPLE_USER_ID, Account, Chat, OutgoingKind, OutgoingMessage, OutgoingState
from golub.outbox.finding import claimed_in, find_row
from golub.outbox.moving import Moves
from golub.outbox.pictures import Pictures
from golub.store import Store

LEASE = 3 * MINUTE  # longer than a call with its token and its place in the queue
TRIES = 120  # with the pauses about an hour: what could not leave for so long is no longer wanted unasked
UNASKED_FOR = 15 * MINUTE  # after that an automatic reply is wanted by nobody
LONGEST_PAUSE = 30 * SECOND
LOOK_UPS = (0, 5 * SECOND, 30 * SECOND, 2 * MINUTE)  # Avito may show a message later than it took it
LOST = "Avito's answer was lost. The message may have been sent."


class Sender:
    def __init__(
        self, store: Store, avito: Avito, applier: Applier, moves: Moves, clock: Clock, pictures: Pictures
    ) -> None:
        self._store = store
        self._avito = avito
        self._applier = applier
        self._move = moves.move
        self._clock = clock
        self._pictures = pictures

    async def attend_to(self, outgoing_id: int) -> None:
        """What a claimed reply needs next, by its state: to be sent, or looked up."""
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
        if user_id == SAMPLE_USER_ID:
            await self._keep_here(outgoing, chat)
        elif outgoing.state == OutgoingState.SENDING:  # its process died
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
        now = self._clock()  # the lease begins anew: to upload a photo may have taken most of it
        if outgoing.operator_id is None and abs(now - outgoing.created_at) > UNASKED_FOR:
            await self._give_up(outgoing, now)
            return
        if not await self._move(outgoing, state=OutgoingState.SENDING, started_at=now, due_at=now + LEASE):
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
            await self._sent(outgoing, str(sent["id"]), certain=True)
            seen = read_message(sent | {"author_id": user_id}, user_id, chat.avito_id, self._clock())
            if isinstance(seen, MessageSeen):
                named = Named(chat.avito_id, seen.avito_id)  # its webhook may have been quicker
                await self._applier.submit(outgoing.account_id, [seen, named])

    async def _keep_here(self, outgoing: OutgoingMessage, chat: Chat) -> None:
        """An answer in the sample shop: it is shown as sent, and nobody gets it."""
        if outgoing.kind == OutgoingKind.IMAGE:
            await self._reject(outgoing, "sample", "This is a sample shop: it keeps no photos.")
            return
        name, at = f"sample-sent-{outgoing.id}", self._clock()
        if await self._sent(outgoing, name, certain=True):
            sent = {"id": name, "author_id": SAMPLE_USER_ID, "created": at // SECOND, "type": "text"}
            seen = read_message(sent | {"content": {"text": outgoing.text}}, SAMPLE_USER_ID, chat.avito_id, at)
            if isinstance(seen, MessageSeen):
                await self._applier.submit(outgoing.account_id, [seen, Named(chat.avito_id, seen.avito_id)])

    async def _give_up(self, outgoing: OutgoingMessage, now: Millis) -> None:
        if await self._move(outgoing, state=OutgoingState.DISCARDED, due_at=None, finished_at=now) and outgoing.picture:
            await self._pictures.drop(outgoing.picture)

    async def _upload(self, outgoing: OutgoingMessage) -> bool:
        """Gives the photo to Avito, which shows it to nobody yet: what is lost here is simply done again."""
        try:
            raw = await self._pictures.read(outgoing.picture)
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
            error=LOST,
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
            await self._claim(outgoing, chat, found)
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
            await self._claim(outgoing, chat, found)
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

    async def _claim(self, outgoing: OutgoingMessage, chat: Chat, found: str) -> None:
        """Unless another reply of the same words has claimed the message since it was found: then look again."""
        if await self._sent(outgoing, found):
            await self._applier.submit(outgoing.account_id, [Named(chat.avito_id, found)])
        else:
            await self._move(outgoing, due_at=self._clock())

    async def _sent(self, outgoing: OutgoingMessage, message_avito_id: str, *, certain: bool = False) -> bool:
        now = self._clock()
        sent = await self._move(
            outgoing,
            # What is certain counts, whatever was believed meanwhile.
            only_from=(OutgoingState.SENDING, OutgoingState.UNCONFIRMED, OutgoingState.QUEUED),
            only=() if certain else (literal(message_avito_id).not_in(claimed_in(outgoing.chat_id)),),
            also=_look_for_others_again(outgoing, message_avito_id, now) if certain else None,
            state=OutgoingState.SENT,
            due_at=None,
            finished_at=now,
            message_avito_id=message_avito_id,
            error="",
            error_code="",
        )
        if sent and outgoing.picture:
            await self._pictures.drop(outgoing.picture)
        return sent


def _look_for_others_again(outgoing: OutgoingMessage, message_avito_id: str, now: Millis) -> Update:
    """Before Avito named this reply's message, an earlier one of the same words may have been taken for it."""
    return (
        update(OutgoingMessage)
        .where(
            OutgoingMessage.chat_id == outgoing.chat_id,
            OutgoingMessage.id != outgoing.id,
            OutgoingMessage.message_avito_id == message_avito_id,
        )
        .values(
            state=OutgoingState.UNCONFIRMED,
            due_at=now,
            attempts=0,
            finished_at=None,
            message_avito_id="",
            error_code=Ambiguous.code,
            error=LOST,
        )
    )
