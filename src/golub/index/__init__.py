"""The index of what was said, by whom and about what: every word by its stem, newest first.

`fold` writes it in the transaction in which it writes the message, so search is never behind; what was in the database
before the index is caught up with by `search`. Whoever finds a key reads the row behind it and shows
that: what the index may still hold of a row that has changed or gone is passed over.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select

from golub.index import statements
from golub.index.entries import (
    MESSAGES,
    NOTES,
    Entry,
    Row,
    entry_of_chat,
    entry_of_message,
    entry_of_note,
    key_of_message,
    key_of_note,
    of_account,
    of_chat,
)
from golub.index.question import Facet
from golub.model import Message, Note

_OF_MESSAGES = ("text", "type", "direction", "created_at", "deleted_at")
_OF_CHATS = ("buyer_name", "item_title", "item_id")
_AT_ONCE = 1000  # rows


def note_messages(
    connection: Connection, changed: Iterable[tuple[Row | None, Row]], items: Mapping[int, int | None]
) -> None:
    """Pairs of a message's row as it was (None: it is new) and as it is, with its id. `items`: of their chats."""
    gone: list[int] = []
    entries: list[Entry] = []
    for before, row in changed:
        if before is not None and all(before[name] == row[name] for name in _OF_MESSAGES):
            continue
        entry = entry_of_message({**row, "item_id": items[row["chat_id"]]})
        if before is not None:
            key = key_of_message(before["created_at"], row["id"])
            if entry is None or entry.key != key:
                gone.append(key)
        if entry is not None:
            entries.append(entry)
    statements.remove(connection, gone)
    statements.put(connection, entries)


def note_note(connection: Connection, row: Row) -> None:
    """A note as it is now, with its chat's `account_id` and `item_id`."""
    entry = entry_of_note(row)
    if entry is None:
        statements.remove(connection, [key_of_note(row["created_at"], row["id"])])
    else:
        statements.put(connection, [entry])


def note_chats(connection: Connection, changed: Iterable[tuple[Row, Row]]) -> None:
    """Pairs of a chat's row as it was and as it is."""
    told = [row for before, row in changed if any(before[name] != row[name] for name in _OF_CHATS)]
    entries = [(row["id"], entry_of_chat(row)) for row in told]
    statements.remove(connection, [-key for key, entry in entries if entry is None])
    statements.put(connection, [entry for _, entry in entries if entry is not None])


def note_items(connection: Connection, chats: Iterable[int]) -> None:
    """These chats are about another item than before: all that was said there is found by this one."""
    for chat_id in chats:
        _put_again(connection, MESSAGES.where(Message.chat_id == chat_id), Message.id, entry_of_message)
        _put_again(connection, NOTES.where(Note.chat_id == chat_id), Note.id, entry_of_note)


def _put_again(
    connection: Connection, wanted: Select[*tuple[Any, ...]], key: Any, entry_of: Callable[[Row], Entry | None]
) -> None:
    last = 0
    while rows := connection.execute(wanted.where(key > last).order_by(key).limit(_AT_ONCE)).mappings().all():
        statements.put(connection, [entry for row in rows if (entry := entry_of(row)) is not None])
        last = rows[-1]["id"]


def forget_messages(connection: Connection, gone: Iterable[Row]) -> None:
    """Rows as they were."""
    statements.remove(connection, [key_of_message(row["created_at"], row["id"]) for row in gone])


def forget_chat(connection: Connection, chat_id: int) -> None:
    """All that was said and noted in it, and its buyer's name."""
    statements.remove_matching(connection, Facet(of_chat(chat_id)))


def forget_account(connection: Connection, account_id: int) -> None:
    """All that was said to it, before its rows go."""
    statements.remove_matching(connection, Facet(of_account(account_id)))
