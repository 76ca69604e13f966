"""What stands beside an open chat: the item's other chats, the buyer's other chats, the team's note about the buyer.

A buyer is one person over all accounts by Avito's id. Authors 0, 1 and missing are nobody: they are never put together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from golub.clock import Millis
from golub.errors import Conflict, Invalid
from golub.inbox.notes import writable
from golub.live import Ring
from golub.model import BlockedBuyer, BuyerNote, Chat, Operator
from golub.sight import Sight
from golub.store import Store

CHATS_BESIDE = 20  # listed; those who wait first
LOOKED_AT = 500  # of an item's or a buyer's chats the newest: the counts end here

_writer, _blocker = aliased(Operator), aliased(Operator)
_ABOUT = (
    select(BuyerNote, _writer.name, BlockedBuyer.reason, BlockedBuyer.blocked_at, _blocker.name)
    .select_from(Chat)
    .outerjoin(BuyerNote, BuyerNote.buyer_id == Chat.buyer_id)
    .outerjoin(_writer, _writer.id == BuyerNote.operator_id)
    .outerjoin(BlockedBuyer, and_(BlockedBuyer.account_id == Chat.account_id, BlockedBuyer.buyer_id == Chat.buyer_id))
    .outerjoin(_blocker, _blocker.id == BlockedBuyer.operator_id)
    .where(Chat.id == bindparam("chat"))
)


@dataclass(frozen=True, slots=True)
class Other:
    """As much of a chat as stands beside another one."""

    id: int
    account_id: int
    chat_type: str
    buyer_name: str
    item_title: str
    waiting_since: Millis | None
    last_message_at: Millis | None


_OF_OTHERS = [getattr(Chat, field.name) for field in fields(Other)]


@dataclass(frozen=True, slots=True)
class Beside:
    """Other chats about the same item or with the same buyer. `waiting` of them wait for an answer."""

    chats: Sequence[Other]
    count: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Written:
    """The team's note about a buyer, with the name of who changed it last."""

    note: BuyerNote
    operator: str


@dataclass(frozen=True, slots=True)
class Block:
    """That the buyer is on the account's blacklist, and who put them there."""

    reason: int
    blocked_at: Millis
    operator: str


NOBODY_ELSE = Beside((), 0, 0)


def known_buyer(chat: Chat) -> int | None:
    """The person on the other side, by Avito's id; None where that is nobody, or Avito itself."""
    return chat.buyer_id if chat.buyer_id is not None and chat.buyer_id > 1 and chat.chat_type != "a2u" else None


async def find_chats_of_item(session: AsyncSession, chat: Chat) -> Beside:
    """The account's other chats about the chat's item."""
    if not chat.item_id:
        return NOBODY_ELSE
    return await _beside(session, _same_item(), chat)


async def find_chats_of_buyer(session: AsyncSession, sight: Sight, chat: Chat) -> Beside:
    """The buyer's other chats, with any account that the operator may see."""
    if known_buyer(chat) is None:
        return NOBODY_ELSE
    return await _beside(session, _same_buyer(sight), chat)


async def find_note_and_block(session: AsyncSession, chat: Chat) -> tuple[Written | None, Block | None]:
    """Of the chat's buyer; blocked as far as that was done from here: Avito has no list to read."""
    row: Any = (await session.execute(_ABOUT, {"chat": chat.id})).one_or_none()
    if row is None:  # erased meanwhile
        return None, None
    note, writer, reason, blocked_at, blocker = row
    written = Written(note, writer or "") if note and known_buyer(chat) is not None else None
    return written, None if reason is None else Block(reason, blocked_at, blocker or "")


async def write_buyer_note(
    store: Store, chat: Chat, operator: Operator, text: str, *, seen: Millis, now: Millis
) -> list[Ring]:
    """Gives the chat's buyer another note; an empty one is none. Returns what is to ring: the buyer's chats.

    `seen`: when the note had been changed that the operator had before him, 0 for none. Raises `Conflict` where
    somebody has changed it since, `Invalid`.
    """
    buyer = known_buyer(chat)
    if buyer is None:
        raise Invalid("Avito has not said yet who this buyer is.")
    row = {"text": writable(text, optional=True), "operator_id": operator.id, "changed_at": max(now, seen + 1)}
    if not row["text"] and not seen:
        return []
    change = (
        update(BuyerNote).where(BuyerNote.buyer_id == buyer, BuyerNote.changed_at == seen).values(**row)
        if seen
        else store.insert(BuyerNote).values(buyer_id=buyer, **row).on_conflict_do_nothing()
    )
    async with store.write() as session:
        if await session.scalar(change.returning(BuyerNote.buyer_id)) is None:
            raise Conflict("Somebody has changed this note meanwhile. Copy your words, and open the chat again.")
        found = select(Chat.account_id, Chat.id, Chat.version).where(Chat.buyer_id == buyer).order_by(Chat.id.desc())
        return [Ring(*row) for row in await session.execute(found.limit(LOOKED_AT))]


async def _beside(session: AsyncSession, alike: Select[*tuple[Any, ...]], chat: Chat) -> Beside:
    given = {"chat": chat.id, "account": chat.account_id, "item": chat.item_id, "buyer": chat.buyer_id}
    rows = list(await session.execute(alike, given))
    return Beside([Other(*row[2:]) for row in rows], rows[0][0], rows[0][1]) if rows else NOBODY_ELSE


@cache
def _same_item() -> Select[*tuple[Any, ...]]:
    alike = (Chat.account_id == bindparam("account"), Chat.item_id == bindparam("item"))
    return _first_of(alike, (Chat.listed_at.desc(), Chat.id.desc()))


@lru_cache(256)
def _same_buyer(sight: Sight) -> Select[*tuple[Any, ...]]:
    alike = (Chat.buyer_id == bindparam("buyer"), Chat.chat_type != "a2u", sight.of(Chat.account_id))
    return _first_of(alike, (Chat.id.desc(),))


def _first_of(alike: tuple[ColumnElement[bool], ...], newest_first: tuple[Any, ...]) -> Select[*tuple[Any, ...]]:
    """Those of them who wait first, but for `chat`. `newest_first`: the order of the index that finds them."""
    newest = (
        select(Chat.id, Chat.waiting_since, Chat.last_message_at)
        .where(*alike)
        .order_by(*newest_first)
        .limit(LOOKED_AT)
        .subquery()
    )
    listed = (
        select(
            newest.c.id,
            func.count().over().label("chats"),
            func.count(newest.c.waiting_since).over().label("waiting"),
        )
        .where(newest.c.id != bindparam("chat"))
        .order_by(newest.c.waiting_since.is_(None), newest.c.waiting_since, newest.c.last_message_at.desc())
        .limit(CHATS_BESIDE)
        .subquery()
    )
    return (
        select(listed.c.chats, listed.c.waiting, *_OF_OTHERS)
        .join(listed, listed.c.id == Chat.id)
        .order_by(Chat.waiting_since.is_(None), Chat.waiting_since, Chat.last_message_at.desc())
    )
