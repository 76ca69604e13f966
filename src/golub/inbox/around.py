"""A chat opened in its middle, where search has found something: a page around a message, and the pages after it."""

from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.inbox import acts, notes
from golub.inbox.places import LARGEST_ID, Place
from golub.inbox.thread import MESSAGES_A_PAGE, Entry, Said, list_entries
from golub.model import Chat, Message


@dataclass(frozen=True, slots=True)
class Window:
    """Entries of a chat, oldest first; what is before and behind them begins at `older` and `newer`."""

    entries: list[Entry]
    older: Place | None
    newer: Place | None


async def list_around(
    session: AsyncSession, chat: Chat, message_id: int | None, *, newest: int = MESSAGES_A_PAGE
) -> Window:
    """The message with what is about it; the `newest` where the chat has no such message, or none is asked for."""
    asked = select(Message).where(Message.chat_id == chat.id, Message.id == message_id)
    found = await session.scalar(asked) if message_id is not None else None
    if found is None:
        page = await list_entries(session, chat, limit=newest)
        return Window(page.entries, page.older, None)
    half = MESSAGES_A_PAGE // 2
    behind = Place(found.created_at, min(found.id + 1, LARGEST_ID))
    before = await list_entries(session, chat, before=behind, limit=half)
    after = await list_after(session, chat, Place(found.created_at, found.id), limit=half)
    return Window([*before.entries, *after.entries], before.older, after.newer)


async def list_after(session: AsyncSession, chat: Chat, place: Place, *, limit: int = MESSAGES_A_PAGE) -> Window:
    """The messages that follow a place, with the notes and acts among them."""
    found = (
        select(Message)
        .where(Message.chat_id == chat.id, tuple_(Message.created_at, Message.id) > tuple_(place.key, place.id))
        .order_by(Message.created_at, Message.id)
        .limit(limit + 1)
    )
    messages = [Said(message) for message in await session.scalars(found)]
    shown: list[Entry] = [*messages[:limit]]
    end = shown[-1].place if len(messages) > limit else None
    among: list[Entry] = [*await notes.list_before(session, chat.id, end, limit)]
    among += await acts.list_before(session, chat.id, end, limit)
    shown += [entry for entry in among if entry.place > place]
    shown.sort(key=lambda entry: entry.place)
    return Window(shown, None, end)
