"""A chat opened in its middle, where search has found something: a page around a message, and the pages after it."""

from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.inbox import acts, notes
from golub.inbox.notes import Noted
from golub.inbox.places import LARGEST_ID, Place
from golub.inbox.thread import MESSAGES_A_PAGE, Entry, Said, list_entries
from golub.model import Chat, Message, Note


@dataclass(frozen=True, slots=True)
class Window:
    """Entries of a chat, oldest first; what is before and behind them begins at `older` and `newer`."""

    entries: list[Entry]
    older: Place | None
    newer: Place | None


async def list_around(
    session: AsyncSession,
    chat: Chat,
    message_id: int | None,
    note_id: int | None = None,
    *,
    newest: int = MESSAGES_A_PAGE,
) -> Window:
    """The message or note with what is about it; the `newest` where the chat has none such, or none is asked for."""
    place = await _find_place(session, chat, message_id, note_id)
    if place is None:
        page = await list_entries(session, chat, limit=newest)
        return Window(page.entries, page.older, None)
    half = MESSAGES_A_PAGE // 2
    before = await list_entries(session, chat, before=Place(place.key, min(place.id + 1, LARGEST_ID)), limit=half)
    after = await list_after(session, chat, place, limit=half)
    return Window([*before.entries, *after.entries], before.older, after.newer)


async def _find_place(session: AsyncSession, chat: Chat, message_id: int | None, note_id: int | None) -> Place | None:
    if message_id is not None:
        asked = select(Message).where(Message.chat_id == chat.id, Message.id == message_id)
        message = await session.scalar(asked)
        return message and Said(message).place
    if note_id is not None:
        noted = select(Note).where(Note.chat_id == chat.id, Note.id == note_id, Note.removed_at.is_(None))
        note = await session.scalar(noted)
        return note and Noted(note, "").place
    return None


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
