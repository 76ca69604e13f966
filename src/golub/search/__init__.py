"""Search: messages and notes by their words, chats by their buyers and items; newest first, within one's sight.

The index says which, and only it is asked: a common word costs no more than a rare one. Each row that it names is read,
and what is no longer as the index says (or never was for these eyes) is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.errors import Invalid
from golub.index import entries, statements
from golub.index.question import All, Any, Asked, Facet, Question
from golub.model import Chat, Direction, Message, Note, Operator
from golub.sight import Sight
from golub.store.lists import padded

MESSAGES_A_PAGE = 25
CHATS_SHOWN = 6  # before the messages; more when asked for
CHATS_A_PAGE = 200
CHATS_THAT_TELL = 10  # an item's title


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which messages count. `since` and `until` bound their creation, `until` itself excluded."""

    account_id: int | None = None
    chat_id: int | None = None
    item_id: int | None = None
    author: Direction | None = None
    notes: bool = False  # and no messages
    photo: bool = False
    since: Millis | None = None
    until: Millis | None = None

    @property
    def is_of_messages(self) -> bool:
        """Whether it says something that no chat has."""
        return bool(
            self.chat_id or self.author or self.notes or self.photo or self.since is not None or self.until is not None
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A message, or a note of the team and who wrote it."""

    chat: Chat
    said: Message | Note
    writer: str = ""

    @property
    def is_note(self) -> bool:
        return isinstance(self.said, Note)


@dataclass(frozen=True, slots=True)
class Found:
    """`next` goes into the next call as `before`; None: that is all."""

    chats: Sequence[Chat]
    has_more_chats: bool
    hits: Sequence[Hit]
    next: int | None


NOTHING = Found((), False, (), None)


async def find(
    session: AsyncSession,
    question: Question,
    narrowed: Narrowed,
    accounts: frozenset[int] | None,
    *,
    before: int | None = None,
    chats: int = CHATS_SHOWN,
    limit: int = MESSAGES_A_PAGE,
) -> Found:
    """`accounts`: whose chats may be seen; None: all. Raises `Invalid` for what takes too long."""
    facets = _facets(narrowed, accounts)
    if question.asked is None and narrowed == Narrowed():
        return NOTHING
    if facets is None:
        return NOTHING
    try:
        words = [] if question.asked is None else [question.asked]
        asked = All((*words, *facets))
        keys = await _keys(session, asked, narrowed, before, limit + 1)
        has_chats = question.asked is not None and before is None and not narrowed.is_of_messages
        found = await _find_chats(session, asked, accounts, chats + 1) if has_chats else []
    except DBAPIError as error:
        if statements.was_stopped(error):
            raise Invalid("This takes too long. Add a word, or choose an account or some days.", field="q") from error
        raise
    hits = [hit for hit in await _hits(session, keys[:limit], accounts) if _is_about(hit.chat, narrowed.item_id)]
    return Found(found[:chats], len(found) > chats, hits, keys[limit - 1] if len(keys) > limit else None)


async def find_item_title(session: AsyncSession, item_id: int, accounts: frozenset[int] | None) -> str:
    """As one of its newest chats tells it; empty where there is none to be seen."""
    facets = _facets(Narrowed(item_id=item_id), accounts)
    if facets is None:
        return ""
    keys = await _run(session, All(tuple(facets)), entries.LEAST_CHAT, -1, CHATS_THAT_TELL, True)
    its = and_(Chat.item_id == item_id, Sight(accounts).of(Chat.account_id))
    told = select(Chat.item_title).where(Chat.id.in_(padded([-key for key in keys])), _looked_at(its))
    return await session.scalar(told.order_by(Chat.id.desc()).limit(1)) or ""


def _looked_at(belongs: ColumnElement[bool]) -> ColumnElement[bool]:
    """In a CASE, where no database looks for an index: whatever else has one, the rows that are named are fewer."""
    return case((belongs, 1), else_=0) == 1


def _facets(narrowed: Narrowed, accounts: frozenset[int] | None) -> list[Asked] | None:
    """None: there is nothing that could be seen."""
    facets: list[Asked] = []
    if narrowed.account_id is not None:
        if accounts is not None and narrowed.account_id not in accounts:
            return None
        facets.append(Facet(entries.of_account(narrowed.account_id)))
    elif accounts is not None:
        if not accounts:
            return None
        facets.append(Any(tuple(Facet(entries.of_account(one)) for one in sorted(accounts))))
    if narrowed.chat_id is not None:
        facets.append(Facet(entries.of_chat(narrowed.chat_id)))
    if narrowed.item_id is not None:
        facets.append(Facet(entries.of_item(narrowed.item_id)))
    if narrowed.author is not None:
        facets.append(Facet(entries.written_by(narrowed.author)))
    if narrowed.notes:
        facets.append(Facet(entries.IS_NOTE))
    if narrowed.photo:
        facets.append(Facet(entries.HAS_PHOTO))
    return facets


async def _keys(
    session: AsyncSession, asked: Asked, narrowed: Narrowed, before: int | None, limit: int
) -> Sequence[int]:
    least = 0 if narrowed.since is None else entries.key_at(narrowed.since)
    greatest = entries.GREATEST if narrowed.until is None else entries.key_at(narrowed.until) - 1
    if before is not None:
        greatest = min(greatest, before - 1)
    return await _run(session, asked, least, greatest, limit, False)


async def _find_chats(session: AsyncSession, asked: Asked, accounts: frozenset[int] | None, limit: int) -> list[Chat]:
    """Those that were spoken in last come first, among the newest `CHATS_A_PAGE`."""
    keys = await _run(session, asked, entries.LEAST_CHAT, -1, CHATS_A_PAGE, True)
    if not keys:
        return []
    found = (
        select(Chat)
        .where(Chat.id.in_(padded([-key for key in keys])), _looked_at(Sight(accounts).of(Chat.account_id)))
        .order_by(Chat.last_message_at.desc(), Chat.id.desc())
        .limit(limit)
    )
    return list(await session.scalars(found))


async def _hits(session: AsyncSession, keys: Sequence[int], accounts: frozenset[int] | None) -> list[Hit]:
    wanted = {entries.message_id_of(key): key for key in keys if not entries.is_of_note(key)}
    found = select(Message, Chat).join(Chat, Chat.id == Message.chat_id).where(Message.id.in_(padded(wanted)))
    by_key = await _noted(session, [key for key in keys if entries.is_of_note(key)], accounts)
    by_key |= {
        wanted[message.id]: Hit(chat, message)
        for message, chat in await session.execute(found)
        if message.deleted_at is None
        and entries.key_of_message(message.created_at, message.id) == wanted[message.id]
        and _sees(accounts, chat)
    }
    return [by_key[key] for key in keys if key in by_key]


async def _noted(session: AsyncSession, keys: Sequence[int], accounts: frozenset[int] | None) -> dict[int, Hit]:
    if not keys:
        return {}
    found = (
        select(Note, Chat, Operator.name)
        .join(Chat, Chat.id == Note.chat_id)
        .outerjoin(Operator, Operator.id == Note.operator_id)
        .where(Note.id.in_(padded([entries.note_id_of(key) for key in keys])), Note.removed_at.is_(None))
    )
    return {
        key: Hit(chat, note, name or "")
        for note, chat, name in await session.execute(found)
        if (key := entries.key_of_note(note.created_at, note.id)) in keys and _sees(accounts, chat)
    }


async def _run(
    session: AsyncSession, asked: Asked, least: int, greatest: int, limit: int, ascending: bool
) -> list[int]:
    connection = await session.connection()
    return await connection.run_sync(
        statements.find, asked, least=least, greatest=greatest, limit=limit, ascending=ascending
    )


def _sees(accounts: frozenset[int] | None, chat: Chat) -> bool:
    return accounts is None or chat.account_id in accounts


def _is_about(chat: Chat, item_id: int | None) -> bool:
    return item_id is None or chat.item_id == item_id
