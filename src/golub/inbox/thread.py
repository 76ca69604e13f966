"""One chat: messages, notes and acts by pages and by what changed, the replies on their way, who wrote what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, Millis
from golub.errors import NotFound
from golub.fold import MarkRead
from golub.inbox import acts, notes
from golub.inbox.acts import Done
from golub.inbox.notes import Noted
from golub.inbox.places import LARGEST_ID, Place
from golub.model import Chat, Message, Operator, OutgoingMessage, OutgoingState
from golub.sight import Sight
from golub.store.lists import padded

if TYPE_CHECKING:
    from golub.apply import Applier

MESSAGES_A_PAGE = 30
CHANGES_AT_ONCE = 200  # more than that, and the thread is loaded anew

_IN_CHAT = Message.chat_id == bindparam("chat")
_NEWEST = (
    select(Message).where(_IN_CHAT).order_by(Message.created_at.desc(), Message.id.desc()).limit(bindparam("limit"))
)
_UNREAD = _NEWEST.with_only_columns(Message.id).where(Message.unread).offset(bindparam("offset"))
_CHANGED = (
    select(Message)
    .where(_IN_CHAT, Message.version > bindparam("after"))
    .order_by(Message.created_at, Message.id)
    .limit(bindparam("limit"))
)
_ARRIVED = exists().where(
    Message.chat_id == OutgoingMessage.chat_id, Message.avito_id == OutgoingMessage.message_avito_id
)
_IS_ON_ITS_WAY = or_(
    OutgoingMessage.state.in_(
        (OutgoingState.QUEUED, OutgoingState.SENDING, OutgoingState.UNCONFIRMED, OutgoingState.REJECTED)
    ),
    and_(OutgoingMessage.state == OutgoingState.SENT, OutgoingMessage.created_at > bindparam("since"), ~_ARRIVED),
)
_OUTGOING = (
    select(OutgoingMessage, Operator.name)
    .outerjoin(Operator, Operator.id == OutgoingMessage.operator_id)
    .where(OutgoingMessage.chat_id == bindparam("chat"), _IS_ON_ITS_WAY)
    .order_by(OutgoingMessage.id)
)
_WRITERS = (
    select(OutgoingMessage.message_avito_id, Operator.name)
    .outerjoin(Operator, Operator.id == OutgoingMessage.operator_id)
    .where(
        OutgoingMessage.chat_id == bindparam("chat"),
        OutgoingMessage.message_avito_id.in_(bindparam("messages", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class Said:
    """A message in the stream of its chat."""

    message: Message

    @property
    def place(self) -> Place:
        return Place(self.message.created_at, self.message.id)


Entry = Said | Noted | Done


@dataclass(frozen=True, slots=True)
class Thread:
    """Some entries of a chat, oldest first. `older` is where the earlier ones begin; None when these are
    all."""

    entries: list[Entry]
    older: Place | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply that is on its way or went wrong, with the name of who wrote it."""

    message: OutgoingMessage
    operator: str


async def get_chat(session: AsyncSession, sight: Sight, chat_id: int) -> Chat:
    """Raises `NotFound`, in the same words for a chat that is not there and one that is not for this operator."""
    chat = await session.get(Chat, chat_id) if 0 < chat_id <= LARGEST_ID else None
    if chat is None or not sight.sees(chat.account_id):
        raise NotFound("There is no such chat.")
    return chat


async def list_entries(
    session: AsyncSession, chat: Chat, *, before: Place | None = None, limit: int = MESSAGES_A_PAGE
) -> Thread:
    """The newest messages, notes and acts, or those before a place."""
    found: list[Entry] = [
        *await _messages_before(session, chat.id, before, limit + 1),
        *await notes.list_before(session, chat.id, before, limit + 1),
        *await acts.list_before(session, chat.id, before, limit + 1),
    ]
    found.sort(key=lambda entry: entry.place)
    entries = found[-limit:]
    return Thread(entries, entries[0].place if len(found) > limit else None)


async def list_messages(
    session: AsyncSession, chat: Chat, *, before: Place | None = None, limit: int = MESSAGES_A_PAGE
) -> tuple[list[Message], Place | None]:
    """The same of messages alone, oldest first, and where the earlier ones begin."""
    found = list(reversed(await _messages_before(session, chat.id, before, limit + 1)))
    said = found[-limit:]
    return [one.message for one in said], said[0].place if len(found) > limit else None


async def find_changed(session: AsyncSession, chat: Chat, *, after: int) -> list[Entry] | None:
    """What came or changed since the chat was at version `after`, oldest first, removed notes too. None: too much to
    patch."""
    found = await session.scalars(_CHANGED, {"chat": chat.id, "after": after, "limit": CHANGES_AT_ONCE + 1})
    changed: list[Entry] = [Said(message) for message in found]
    changed += await notes.list_changed(session, chat.id, after, CHANGES_AT_ONCE + 1)
    changed += await acts.list_changed(session, chat.id, after, CHANGES_AT_ONCE + 1)
    changed.sort(key=lambda entry: entry.place)
    return None if len(changed) > CHANGES_AT_ONCE else changed


async def find_first_unread(session: AsyncSession, chat: Chat) -> int | None:
    """The row id of the message with which the chat's unread ones begin."""
    if not chat.unread:
        return None
    # Only those behind our last answer count, and they are the newest ones.
    return await session.scalar(_UNREAD, {"chat": chat.id, "limit": 1, "offset": chat.unread - 1})


async def list_outgoing(session: AsyncSession, chat: Chat, *, now: Millis) -> list[Outgoing]:
    """Replies that are not (yet) to be seen among the messages, in the order of their clicks."""
    found = await session.execute(_OUTGOING, {"chat": chat.id, "since": now - DAY})
    return [Outgoing(message, name or "") for message, name in found]


async def find_writers(session: AsyncSession, chat: Chat, messages: Sequence[Message]) -> dict[str, str | None]:
    """Who of us wrote which message: operators' names by the messages' Avito ids, None where a rule sent it. Others
    were not written here."""
    ids = [message.avito_id for message in messages if message.direction == "out"]
    if not ids:
        return {}
    found = await session.execute(_WRITERS, {"chat": chat.id, "messages": padded(ids)})
    return {row.message_avito_id: row.name for row in found}


async def get_message(session: AsyncSession, sight: Sight, message_id: int) -> Message:
    found = await session.get(Message, message_id) if 0 < message_id <= LARGEST_ID else None
    if found is None or not sight.sees(found.account_id):
        raise NotFound("There is no such message.")
    return found


async def get_outgoing(session: AsyncSession, sight: Sight, outgoing_id: int) -> OutgoingMessage:
    found = await session.get(OutgoingMessage, outgoing_id) if 0 < outgoing_id <= LARGEST_ID else None
    if found is None or not sight.sees(found.account_id):
        raise NotFound("There is no such message.")
    return found


async def mark_read(applier: "Applier", chat: Chat, up_to: int) -> None:
    """An operator has seen the chat's messages up to that row; what arrives meanwhile stays unread."""
    await applier.submit(chat.account_id, [MarkRead(chat.id, up_to)])


async def _messages_before(session: AsyncSession, chat_id: int, before: Place | None, limit: int) -> list[Said]:
    found = _NEWEST
    if before:
        found = found.where(tuple_(Message.created_at, Message.id) < tuple_(before.key, before.id))
    return [Said(message) for message in await session.scalars(found, {"chat": chat_id, "limit": limit})]
