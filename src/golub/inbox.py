"""What the inbox shows: which chats, in which order, with which last words, and the messages of one chat.

Every list is a keyset page, so the hundred-thousandth chat costs what the first one does; every function is a fixed
number of indexed statements, whatever it returns. Nothing here writes chats or messages: reading is told to `fold`
through apply, replies go through the outbox. The pages rely on it, and the API will.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, Millis
from golub.errors import Invalid, NotFound
from golub.fold import MarkRead
from golub.model import Account, BlockedBuyer, Chat, Message, Operator, OutgoingMessage, OutgoingState

if TYPE_CHECKING:
    from golub.apply import Applier

CHATS_A_PAGE = 40
MESSAGES_A_PAGE = 50
CHANGES_AT_ONCE = 200  # more than that, and the thread is loaded anew
COUNT_LIMIT = 1000  # counts are exact up to here; nobody reads further, and counting on costs time
LARGEST_ID = 2**63 - 1


class View(StrEnum):
    ALL = "all"
    UNREAD = "unread"
    WAITING = "waiting"  # the buyer spoke last and nobody answered; the longest wait first


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list ends: the sort key and the id of its last row. Read back from a URL by `parse`."""

    key: int
    id: int

    def __str__(self) -> str:
        return f"{self.key}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        key, _, row = text.partition(".")
        if not (_is_number(key) and _is_number(row)):
            raise Invalid("This link is not complete. Open the list again.", field="before")
        return cls(int(key), int(row))


@dataclass(frozen=True, slots=True)
class Line:
    """A chat as the list shows it."""

    chat: Chat
    last: Message | None

    def place(self, view: View) -> Place:
        key = self.chat.waiting_since if view is View.WAITING else self.chat.last_message_at
        return Place(key or 0, self.chat.id)


@dataclass(frozen=True, slots=True)
class Page:
    """Chats in the view's order. `next` is where the following page begins; None at the end."""

    lines: list[Line]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Chats, not messages; `COUNT_LIMIT` means "that many or more"."""

    unread: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Thread:
    """Some messages of a chat, oldest first. `older` is where the earlier ones begin; None when these are all."""

    messages: list[Message]
    older: Place | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply that is on its way or went wrong, with the name of who wrote it."""

    message: OutgoingMessage
    operator: str


async def list_chats(
    session: AsyncSession,
    view: View,
    *,
    account_id: int | None = None,
    before: Place | None = None,
    limit: int = CHATS_A_PAGE,
) -> Page:
    """A page of the list, beginning after `before`."""
    key = _key(view)
    found = _lines(view, account_id).limit(limit + 1)
    if before:
        here = tuple_(key, Chat.id)
        there = tuple_(before.key, before.id)
        found = found.where(here > there if view is View.WAITING else here < there)
    order = (key, Chat.id) if view is View.WAITING else (key.desc(), Chat.id.desc())
    found = found.order_by(*order)
    lines = [Line(*row) for row in await session.execute(found)]
    more = len(lines) > limit
    lines = lines[:limit]
    return Page(lines, lines[-1].place(view) if more else None)


async def find_lines(
    session: AsyncSession, chat_ids: Sequence[int], view: View, *, account_id: int | None = None
) -> list[Line]:
    """Those of `chat_ids` that belong to the view, in no order: what a page needs after a ring."""
    found = _lines(view, account_id).where(Chat.id.in_(chat_ids))
    return [Line(*row) for row in await session.execute(found)]


async def count_chats(session: AsyncSession, *, account_id: int | None = None) -> Counts:
    async def count(condition: ColumnElement[bool]) -> int:
        some = select(Chat.id).where(condition, *_of(account_id)).limit(COUNT_LIMIT).subquery()
        return await session.scalar(select(func.count()).select_from(some)) or 0

    return Counts(await count(_belongs(View.UNREAD)), await count(_belongs(View.WAITING)))


async def list_accounts(session: AsyncSession) -> list[Account]:
    return list((await session.scalars(select(Account).order_by(Account.name, Account.id))).all())


async def get_chat(session: AsyncSession, chat_id: int) -> Chat:
    """Raises `NotFound`, in the same words for a chat that is not there and one that is not for this operator."""
    chat = await session.get(Chat, chat_id) if 0 < chat_id <= LARGEST_ID else None
    if chat is None:
        raise NotFound("There is no such chat.")
    return chat


async def list_messages(
    session: AsyncSession, chat_id: int, *, before: Place | None = None, limit: int = MESSAGES_A_PAGE
) -> Thread:
    """The newest messages, or those before a place."""
    found = select(Message).where(Message.chat_id == chat_id)
    if before:
        found = found.where(tuple_(Message.created_at, Message.id) < tuple_(before.key, before.id))
    found = found.order_by(Message.created_at.desc(), Message.id.desc()).limit(limit + 1)
    newest_first = list((await session.scalars(found)).all())
    more = len(newest_first) > limit
    messages = newest_first[:limit][::-1]
    return Thread(messages, Place(messages[0].created_at, messages[0].id) if more else None)


async def find_changed(session: AsyncSession, chat_id: int, *, after: int) -> list[Message] | None:
    """Messages that came or changed since the chat was at version `after`, oldest first. None: too many to patch."""
    found = (
        select(Message)
        .where(Message.chat_id == chat_id, Message.version > after)
        .order_by(Message.created_at, Message.id)
        .limit(CHANGES_AT_ONCE + 1)
    )
    messages = list((await session.scalars(found)).all())
    return None if len(messages) > CHANGES_AT_ONCE else messages


async def list_outgoing(session: AsyncSession, chat_id: int, *, now: Millis) -> list[Outgoing]:
    """Replies that are not (yet) to be seen among the messages, in the order of their clicks."""
    arrived = exists().where(
        Message.chat_id == OutgoingMessage.chat_id, Message.avito_id == OutgoingMessage.message_avito_id
    )
    on_its_way = or_(
        OutgoingMessage.state.in_(
            (OutgoingState.QUEUED, OutgoingState.SENDING, OutgoingState.UNCONFIRMED, OutgoingState.REJECTED)
        ),
        and_(OutgoingMessage.state == OutgoingState.SENT, OutgoingMessage.created_at > now - DAY, ~arrived),
    )
    found = (
        select(OutgoingMessage, Operator.name)
        .outerjoin(Operator, Operator.id == OutgoingMessage.operator_id)
        .where(OutgoingMessage.chat_id == chat_id, on_its_way)
        .order_by(OutgoingMessage.id)
    )
    return [Outgoing(message, name or "") for message, name in await session.execute(found)]


async def find_writers(session: AsyncSession, chat_id: int, messages: Sequence[Message]) -> dict[str, str]:
    """Who of us wrote which message: operators' names by the messages' Avito ids. Others were not written here."""
    ids = [message.avito_id for message in messages if message.direction == "out"]
    if not ids:
        return {}
    found = (
        select(OutgoingMessage.message_avito_id, Operator.name)
        .join(Operator, Operator.id == OutgoingMessage.operator_id)
        .where(OutgoingMessage.chat_id == chat_id, OutgoingMessage.message_avito_id.in_(ids))
    )
    return {row.message_avito_id: row.name for row in await session.execute(found)}


async def find_block(session: AsyncSession, chat: Chat) -> int | None:
    """The reason for which the chat's buyer is on the account's blacklist, 1 to 4."""
    if chat.buyer_id is None:
        return None
    return await session.scalar(
        select(BlockedBuyer.reason).where(
            BlockedBuyer.account_id == chat.account_id, BlockedBuyer.buyer_id == chat.buyer_id
        )
    )


async def get_outgoing(session: AsyncSession, outgoing_id: int) -> OutgoingMessage:
    found = await session.get(OutgoingMessage, outgoing_id) if 0 < outgoing_id <= LARGEST_ID else None
    if found is None:
        raise NotFound("There is no such message.")
    return found


async def mark_read(applier: "Applier", chat: Chat, up_to: int) -> None:
    """An operator has seen the chat's messages up to that row; what arrives meanwhile stays unread."""
    await applier.submit(chat.account_id, [MarkRead(chat.id, up_to)])


def _key(view: View) -> Any:
    return Chat.waiting_since if view is View.WAITING else Chat.last_message_at


def _lines(view: View, account_id: int | None) -> Select[Chat, Message]:
    return (
        select(Chat, Message)
        .outerjoin(Message, Message.id == Chat.last_message_id)
        .where(_belongs(view), *_of(account_id))
    )


def _belongs(view: View) -> ColumnElement[bool]:
    if view is View.UNREAD:
        return Chat.unread > 0
    if view is View.WAITING:
        return Chat.waiting_since.is_not(None)
    return true()


def _of(account_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return () if account_id is None else (Chat.account_id == account_id,)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID
