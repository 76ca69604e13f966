"""What the inbox shows: which chats, in which order, with which last words, and the messages of one chat.

Every list is a keyset page, so the hundred-thousandth chat costs what the first one does; every function is a fixed
number of indexed statements, whatever it returns. Each asks for the `Sight` of whoever reads, or for a chat that was
got with it: there is no other way to one. Nothing here writes chats or messages: reading is told to `fold` through
apply, replies go through the outbox. The pages rely on it, and the API will.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.inbox.places import LARGEST_ID, Place
from golub.inbox.thread import (
    CHANGES_AT_ONCE,
    MESSAGES_A_PAGE,
    Outgoing,
    Thread,
    find_block,
    find_changed,
    find_writers,
    get_chat,
    get_message,
    get_outgoing,
    list_messages,
    list_outgoing,
    mark_read,
)
from golub.model import Account, Chat, Message
from golub.sight import Sight

__all__ = [
    "CHANGES_AT_ONCE",
    "LARGEST_ID",
    "MESSAGES_A_PAGE",
    "Counts",
    "Line",
    "Outgoing",
    "Page",
    "Place",
    "Thread",
    "View",
    "count_chats",
    "find_block",
    "find_changed",
    "find_lines",
    "find_writers",
    "get_chat",
    "get_message",
    "get_outgoing",
    "list_accounts",
    "list_chats",
    "list_messages",
    "list_outgoing",
    "mark_read",
]

CHATS_A_PAGE = 40
COUNT_LIMIT = 1000  # counts are exact up to here; nobody reads further, and counting on costs time


class View(StrEnum):
    ALL = "all"  # that are open
    UNREAD = "unread"
    WAITING = "waiting"  # open, the buyer spoke last and nobody answered; the longest wait first


@dataclass(frozen=True, slots=True)
class Line:
    """A chat as the list shows it."""

    chat: Chat
    last: Message | None

    def place(self, view: View) -> Place:
        key = self.chat.waiting_since if view is View.WAITING else self.chat.listed_at
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


async def list_chats(
    session: AsyncSession,
    sight: Sight,
    view: View,
    *,
    account_id: int | None = None,
    before: Place | None = None,
    limit: int = CHATS_A_PAGE,
) -> Page:
    """A page of the list, beginning after `before`."""
    key = _key(view)
    found = _lines(sight, view, account_id).limit(limit + 1)
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
    session: AsyncSession, sight: Sight, chat_ids: Sequence[int], view: View, *, account_id: int | None = None
) -> list[Line]:
    """Those of `chat_ids` that belong to the view, in no order: what a page needs after a ring."""
    found = _lines(sight, view, account_id).where(Chat.id.in_(chat_ids))
    return [Line(*row) for row in await session.execute(found)]


async def count_chats(session: AsyncSession, sight: Sight, *, account_id: int | None = None) -> Counts:
    async def count(condition: ColumnElement[bool]) -> int:
        some = select(Chat.id).where(condition, *_of(sight, account_id)).limit(COUNT_LIMIT).subquery()
        return await session.scalar(select(func.count()).select_from(some)) or 0

    return Counts(await count(_belongs(View.UNREAD)), await count(_belongs(View.WAITING)))


async def list_accounts(session: AsyncSession, sight: Sight) -> list[Account]:
    found = select(Account).where(sight.of(Account.id)).order_by(Account.name, Account.id)
    return list((await session.scalars(found)).all())


def _key(view: View) -> Any:
    return Chat.waiting_since if view is View.WAITING else Chat.listed_at


def _lines(sight: Sight, view: View, account_id: int | None) -> Select[Chat, Message]:
    return (
        select(Chat, Message)
        .outerjoin(Message, Message.id == Chat.last_message_id)
        .where(_belongs(view), *_of(sight, account_id))
    )


def _belongs(view: View) -> ColumnElement[bool]:
    if view is View.UNREAD:
        return Chat.unread > 0
    if view is View.WAITING:
        return and_(Chat.waiting_since.is_not(None), Chat.snoozed_until.is_(None))
    return and_(Chat.closed_at.is_(None), Chat.snoozed_until.is_(None))


def _of(sight: Sight, account_id: int | None) -> tuple[ColumnElement[bool], ...]:
    seen = sight.of(Chat.account_id)
    return (seen,) if account_id is None else (seen, Chat.account_id == account_id)
