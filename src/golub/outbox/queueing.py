"""Takes replies into the queue, in the caller's transaction; `Outbox.nudge` after its commit."""

from collections.abc import Sequence
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from golub.avito.client import TEXT_LIMIT
from golub.clock import MINUTE, Millis
from golub.errors import Conflict, Invalid
from golub.model import Chat, OutgoingKind, OutgoingMessage, OutgoingState
from golub.outbox.splitting import split

LONGEST = 10 * TEXT_LIMIT  # characters of one reply: more is a document, and no chat's business
REPEATED_WITHIN = 10 * MINUTE
PICTURES_AT_ONCE = 10


class Written(TypedDict):
    """What text and photos of one reply have in common."""

    chat: Chat
    operator_id: int | None
    client_key: str
    now: Millis


async def queue(
    session: AsyncSession,
    *,
    chat: Chat,
    operator_id: int | None,
    text: str,
    client_key: str,
    now: Millis,
    further: Sequence[str] = (),
) -> list[OutgoingMessage]:
    """Queues a reply, in as many messages as Avito's limit asks for, and `further` ones behind it in their order: what
    fails stops those after it. The same `client_key` queues once.

    Raises `Invalid` for a text that Avito would refuse and for Avito's own chats, `Conflict` where that key stands for
    other words.
    """
    texts = in_messages([text, *further])
    _check(chat, client_key)
    rows = [
        _row(chat, operator_id, part_key(client_key, number), now, text=one, part=number, parts=len(texts))
        for number, one in enumerate(texts, 1)
    ]
    return await _add(session, rows)


def in_messages(texts: Sequence[str]) -> list[str]:
    """The messages in which these texts go out, one after another. Raises `Invalid` for what Avito would refuse."""
    return [message for text in texts for message in split(_sendable(text), TEXT_LIMIT)]


async def queue_pictures(
    session: AsyncSession, *, chat: Chat, operator_id: int | None, pictures: Sequence[str], client_key: str, now: Millis
) -> list[OutgoingMessage]:
    """Queues attached pictures by the names that `Pictures.add` gave them, a message each, in their order."""
    if len(pictures) > PICTURES_AT_ONCE:
        raise Invalid("Attach at most {count} photos at once.", field="pictures", count=PICTURES_AT_ONCE)
    _check(chat, client_key)
    rows = [
        _row(chat, operator_id, picture_key(client_key, number), now, kind=OutgoingKind.IMAGE, picture=picture)
        for number, picture in enumerate(pictures, 1)
    ]
    return await _add(session, rows) if rows else []


async def is_taken(session: AsyncSession, *, chat_id: int, client_key: str) -> bool:
    """Whether a reply with this key was queued before: the same click comes again, and no question is left."""
    keys = (client_key, picture_key(client_key, 1))
    found = exists().where(OutgoingMessage.chat_id == chat_id, OutgoingMessage.client_key.in_(keys))
    return bool(await session.scalar(select(found)))


async def is_repeated(session: AsyncSession, *, chat_id: int, messages: Sequence[str], now: Millis) -> bool:
    """Whether this chat's last reply from here has the same words and is only just written: a person is asked then."""
    latest = await session.scalar(
        select(OutgoingMessage)
        .where(
            OutgoingMessage.chat_id == chat_id,
            OutgoingMessage.state != OutgoingState.DISCARDED,
            OutgoingMessage.kind == OutgoingKind.TEXT,
        )
        .order_by(OutgoingMessage.id.desc())
        .limit(1)
    )
    if latest is None or latest.created_at <= now - REPEATED_WITHIN or not messages:
        return False
    return latest.parts == len(messages) and latest.text.split() == messages[-1].split()


def part_key(client_key: str, part: int) -> str:
    return client_key if part == 1 else f"{client_key}/{part}"


def picture_key(client_key: str, number: int) -> str:
    return f"{client_key}+{number}"


def later_parts(outgoing: OutgoingMessage) -> ColumnElement[bool]:
    """The parts of the same reply that come after this one."""
    first = _first_key(outgoing)
    keys = [part_key(first, part) for part in range(outgoing.part + 1, outgoing.parts + 1)]
    return (OutgoingMessage.chat_id == outgoing.chat_id) & OutgoingMessage.client_key.in_(keys)


def _first_key(outgoing: OutgoingMessage) -> str:
    return outgoing.client_key.removesuffix(f"/{outgoing.part}") if outgoing.part > 1 else outgoing.client_key


def _row(chat: Chat, operator_id: int | None, client_key: str, now: Millis, **said: Any) -> OutgoingMessage:
    return OutgoingMessage(
        account_id=chat.account_id,
        chat_id=chat.id,
        operator_id=operator_id,
        client_key=client_key,
        due_at=now,
        created_at=now,
        **({"kind": OutgoingKind.TEXT, "text": "", "picture": "", "part": 1, "parts": 1} | said),
    )


async def _add(session: AsyncSession, rows: list[OutgoingMessage]) -> list[OutgoingMessage]:
    written = (
        select(OutgoingMessage)
        .where(
            OutgoingMessage.chat_id == rows[0].chat_id,
            OutgoingMessage.client_key.in_([row.client_key for row in rows]),
        )
        .order_by(OutgoingMessage.id)
    )
    queued = list(await session.scalars(written))
    if not queued:
        try:
            async with session.begin_nested():
                for row in rows:
                    session.add(row)
                    await session.flush()  # one by one: their ids are their order
            return rows
        except IntegrityError:  # the same click came twice at once
            queued = list(await session.scalars(written))
    same = [(one.kind, one.text, one.picture, one.parts) for one in queued] == [
        (row.kind, row.text, row.picture, row.parts) for row in rows
    ]
    if not same:
        raise Conflict("This reply was already taken, with other words.")
    return queued


def _check(chat: Chat, client_key: str) -> None:
    if chat.chat_type == "a2u":
        raise Invalid("This is Avito's own chat: it takes no replies.", field="text")
    if not client_key:
        raise Invalid("The reply has no key of its own.", field="client_key")


def _sendable(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise Invalid("Write something first.", field="text")
    if len(text) > LONGEST:
        raise Invalid("A reply may have at most {limit} characters.", field="text", limit=LONGEST)
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        raise Invalid("This text has characters that Avito cannot take.", field="text")
    return text
