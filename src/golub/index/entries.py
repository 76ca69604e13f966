"""What of a message, a note and a chat is put into the index, and under which key; and what is read for it.

A message's key is its time and then its row id, so the newest are found first without sorting, and a page, or a span
of days, is a range of keys. A note's is the same, with a bit that says so. A chat's is its negative row id: buyers'
names and items' titles are its words. Facets are what questions are narrowed by. An item is its chat's, and stands
with all that was said there: an item that hundreds asked about is one word of the index.

What is written here is stored: whoever changes it gives `analyser.VERSION` the next number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from golub.clock import SECOND, Millis
from golub.index.analyser import read_words
from golub.model import Chat, Direction, Message, Note

ID_BITS = 31  # a milliard of messages and one of notes, and seconds until 2106
NOTE_BIT = 1 << (ID_BITS - 1)
LAST_SECOND = 2**32 - 1
GREATEST = 2**63 - 1
LEAST_CHAT = -(2**62)

HAS_PHOTO = "photo"
IS_NOTE = "note"

Row = Mapping[Any, Any]  # columns by name


@dataclass(frozen=True, slots=True)
class Entry:
    key: int
    stems: list[str]
    others: list[str]
    facets: list[str]


def key_at(at: Millis) -> int:
    """The least key of messages that were created then or later."""
    return min(max(at // SECOND, 0), LAST_SECOND) << ID_BITS


def key_of_message(created_at: Millis, message_id: int) -> int:
    return key_at(created_at) | message_id & (1 << ID_BITS) - 1


def key_of_note(created_at: Millis, note_id: int) -> int:
    return key_at(created_at) | NOTE_BIT | note_id & NOTE_BIT - 1


def is_of_note(key: int) -> bool:
    return key > 0 and bool(key & NOTE_BIT)


def message_id_of(key: int) -> int:
    return key & (1 << ID_BITS) - 1


def note_id_of(key: int) -> int:
    return key & NOTE_BIT - 1


def of_account(account_id: int) -> str:
    return f"a{account_id}"


def of_chat(chat_id: int) -> str:
    return f"c{chat_id}"


def of_item(item_id: int) -> str:
    return f"i{item_id}"


def written_by(direction: Direction) -> str:
    return f"d{direction.value}"


def entry_of_message(row: Row) -> Entry | None:
    """`row` has its chat's `item_id` as well. None: there is nothing to be found of it."""
    if row["deleted_at"] is not None or row["type"] == "deleted":
        return None
    stems, others = read_words(row["text"])
    facets = [
        of_account(row["account_id"]),
        of_chat(row["chat_id"]),
        written_by(Direction(row["direction"])),
        *([HAS_PHOTO] if row["type"] == "image" else []),
        *_items(row),
    ]
    return Entry(key_of_message(row["created_at"], row["id"]), stems, others, facets)


def entry_of_note(row: Row) -> Entry | None:
    """`row` has its chat's `account_id` and `item_id` as well. None: it was removed."""
    if row["removed_at"] is not None:
        return None
    stems, others = read_words(row["text"])
    facets = [of_account(row["account_id"]), of_chat(row["chat_id"]), IS_NOTE, *_items(row)]
    return Entry(key_of_note(row["created_at"], row["id"]), stems, others, facets)


def entry_of_chat(row: Row) -> Entry | None:
    stems, others = read_words(f"{row['buyer_name']}\n{row['item_title']}")
    if not stems:
        return None
    facets = [of_account(row["account_id"]), of_chat(row["id"]), *_items(row)]
    return Entry(-row["id"], stems, others, facets)


def _items(row: Row) -> list[str]:
    return [] if row["item_id"] is None else [of_item(row["item_id"])]


MESSAGES: Select[*tuple[Any, ...]] = select(
    Message.id,
    Message.account_id,
    Message.chat_id,
    Message.direction,
    Message.type,
    Message.text,
    Message.created_at,
    Message.deleted_at,
    Chat.item_id,
).join(Chat, Chat.id == Message.chat_id)
NOTES: Select[*tuple[Any, ...]] = select(
    Note.id,
    Note.chat_id,
    Note.text,
    Note.created_at,
    Note.removed_at,
    Chat.account_id,
    Chat.item_id,
).join(Chat, Chat.id == Note.chat_id)
CHATS: Select[*tuple[Any, ...]] = select(Chat.id, Chat.account_id, Chat.buyer_name, Chat.item_title, Chat.item_id)
