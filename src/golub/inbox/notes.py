"""Notes: what operators write to each other into a chat. They stand among its messages by time and never leave Golub.

`fold` writes them, told by what is here.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.errors import Forbidden, Invalid, NotFound
from golub.fold import NoteChanged, NoteWritten
from golub.inbox.places import Place
from golub.model import Chat, Note, Operator, Role
from golub.sight import Sight

if TYPE_CHECKING:
    from golub.apply import Applier

NOTE_LIMIT = 4000  # characters
BEHIND_MESSAGES = 2**52  # a note's id in the order of a chat, where of one moment the messages come first

_WITH_AUTHOR = (
    select(Note, Operator.name)
    .outerjoin(Operator, Operator.id == Note.operator_id)
    .where(Note.chat_id == bindparam("chat"))
    .limit(bindparam("limit"))
)
_NEWEST = _WITH_AUTHOR.where(Note.removed_at.is_(None)).order_by(Note.created_at.desc(), Note.id.desc())
_CHANGED = _WITH_AUTHOR.where(Note.version > bindparam("after"))


@dataclass(frozen=True, slots=True)
class Noted:
    """A note in the stream of its chat, with the name of who wrote it."""

    note: Note
    operator: str

    @property
    def place(self) -> Place:
        return Place(self.note.created_at, BEHIND_MESSAGES + self.note.id)


async def list_before(session: AsyncSession, chat_id: int, before: Place | None, limit: int) -> list[Noted]:
    """The newest notes that stand before a place."""
    found = _NEWEST
    if before:
        found = found.where(tuple_(Note.created_at, Note.id) < tuple_(before.key, before.id - BEHIND_MESSAGES))
    rows = await session.execute(found, {"chat": chat_id, "limit": limit})
    return [Noted(note, name or "") for note, name in rows]


async def list_changed(session: AsyncSession, chat_id: int, after: int, limit: int) -> list[Noted]:
    """Notes that were written, changed or removed since the chat was at version `after`."""
    rows = await session.execute(_CHANGED, {"chat": chat_id, "after": after, "limit": limit})
    return [Noted(note, name or "") for note, name in rows]


async def get_note(session: AsyncSession, sight: Sight, note_id: int) -> tuple[Note, Chat]:
    """With its chat. Raises `NotFound`, for one that was removed too, or is not for this operator."""
    found = select(Note, Chat).join(Chat, Chat.id == Note.chat_id).where(Note.id == note_id, Note.removed_at.is_(None))
    row = (await session.execute(found)).one_or_none()
    if row is None or not sight.sees(row[1].account_id):
        raise NotFound("There is no such note.")
    return row[0], row[1]


def may_remove(note: Note, operator: Operator) -> bool:
    return note.operator_id == operator.id or Role(operator.role).covers(Role.ADMIN)


async def write_note(
    applier: "Applier", chat: Chat, operator: Operator, text: str, *, client_key: str, now: Millis
) -> None:
    """Raises `Invalid`."""
    await applier.submit(chat.account_id, [NoteWritten(chat.id, operator.id, client_key, writable(text), now)])


async def change_note(
    applier: "Applier", chat: Chat, note: Note, operator: Operator, text: str, *, now: Millis
) -> None:
    """Raises `Forbidden` for everybody but who wrote it, `Invalid`."""
    if note.operator_id != operator.id:
        raise Forbidden("Only who wrote a note can change it.")
    await applier.submit(chat.account_id, [NoteChanged(chat.id, note.id, writable(text), now)])


async def remove_note(applier: "Applier", chat: Chat, note: Note, operator: Operator, *, now: Millis) -> None:
    """Raises `Forbidden` for everybody but who wrote it and administrators."""
    if not may_remove(note, operator):
        raise Forbidden("Only who wrote a note, or an administrator, can remove it.")
    await applier.submit(chat.account_id, [NoteChanged(chat.id, note.id, None, now)])


def writable(text: str, *, optional: bool = False) -> str:
    """What both databases can keep. Raises `Invalid`."""
    text = text.replace("\r\n", "\n").strip()
    if not text and not optional:
        raise Invalid("Write something first.", field="text")
    if len(text) > NOTE_LIMIT:
        raise Invalid("A note may have at most {limit} characters.", field="text", limit=NOTE_LIMIT)
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        raise Invalid("This text has characters that cannot be kept.", field="text")
    return text
