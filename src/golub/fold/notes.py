"""Operators' notes in a chat: written where the chat's version is, so that pages hear of them as of any message; and
where search looks."""

from typing import cast

from sqlalchemy import Connection, Table, update

from golub import index
from golub.fold.merge import Row
from golub.fold.observations import NoteChanged, NoteWritten, Nudged
from golub.model import Note
from golub.store import Store

_notes = cast(Table, Note.__table__)


def write(connection: Connection, store: Store, one: NoteWritten | NoteChanged, chat: Row) -> bool:
    """Whether there is anything new to see, at the chat's next version."""
    version = chat["version"] + 1
    if isinstance(one, NoteWritten):
        row = {
            "chat_id": one.chat_id,
            "operator_id": one.operator_id,
            "client_key": one.client_key,
            "text": one.text,
            "created_at": one.at,
            "version": version,
        }
        written = store.insert(Note).values(**row).on_conflict_do_nothing().returning(*_notes.columns)
        found = connection.execute(written).mappings().first()
    else:
        changes = {"text": "", "removed_at": one.at} if one.text is None else {"text": one.text, "edited_at": one.at}
        changed = (
            update(_notes)
            .where(
                _notes.c.id == one.note_id,
                _notes.c.chat_id == one.chat_id,
                _notes.c.removed_at.is_(None),
                _notes.c.text != (one.text or ""),
            )
            .values(version=version, **changes)
            .returning(*_notes.columns)
        )
        found = connection.execute(changed).mappings().first()
    if found is None:
        return False
    index.note_note(connection, {**found, "account_id": chat["account_id"], "item_id": chat["item_id"]})
    return True


def nudge(connection: Connection, store: Store, one: Nudged, chat: Row) -> bool:
    """Whether the team is told, at the chat's next version."""
    if chat["waiting_since"] != one.waiting_since or chat["closed_at"] or chat["snoozed_until"]:
        return False
    note = NoteWritten(one.chat_id, None, one.client_key, one.text, one.at)
    return write(connection, store, note, chat)
