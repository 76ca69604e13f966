"""Erases a chat, for good: its messages part by part, oldest first, then the chat with all that the team keeps of it.

Before the first message goes, the tombstone is there (`forgotten`), so whatever tells of the chat meanwhile brings
nothing back. What the buyer writes while his chat is being erased is new, and stays: the chat begins again with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, exists, func, insert, select, update

from golub import index
from golub.clock import Millis
from golub.fold import rows
from golub.fold.forgotten import digest_of
from golub.fold.merge import Row
from golub.live import Ring
from golub.model import (
    Act,
    AutomaticAct,
    Chat,
    ChatLabel,
    Draft,
    ForgottenChat,
    ForgottenFile,
    ForgottenMessage,
    Message,
    Note,
    OutgoingMessage,
    OutgoingState,
    Wait,
)
from golub.store import Store
from golub.store.lists import chunks

FilesOf = Callable[[Row], Sequence[str]]  # names of kept pictures and voices, of the row of a message or a chat

_chats = cast(Table, Chat.__table__)
_messages = cast(Table, Message.__table__)
_outgoing = cast(Table, OutgoingMessage.__table__)
_drafts = cast(Table, Draft.__table__)
_tombs = cast(Table, ForgottenChat.__table__)
_OF_CHATS = tuple(cast(Table, table.__table__) for table in (OutgoingMessage, Draft, Note, Act, Wait, ChatLabel))
_automatic = cast(Table, AutomaticAct.__table__)


@dataclass(frozen=True, slots=True)
class Part:
    """What went. `pictures`: attached photos that nobody will send any more; `is_last`: nothing is left of the chat."""

    messages: int = 0
    pictures: tuple[str, ...] = ()
    is_last: bool = True
    is_busy: bool = False  # a reply of ours is on its way to Avito just now: nothing was done
    ring: Ring | None = None
    begins_again: bool = False  # the buyer has written meanwhile: the chat is to be fetched


def forget(
    connection: Connection, store: Store, chat_id: int, now: Millis, *, since: Millis, files_of: FilesOf, limit: int
) -> Part:
    """One part, of up to `limit` messages; 0 sets the tombstone alone. `since`: when the erasure was asked for; a
    tombstone that is older is one of an earlier erasure."""
    chat = connection.execute(select(_chats).where(_chats.c.id == chat_id).with_for_update()).mappings().first()
    if chat is None:
        return Part()
    row = dict(chat)
    sending = exists().where(_outgoing.c.chat_id == chat_id, _outgoing.c.state == OutgoingState.SENDING.value)
    if connection.execute(select(sending)).scalar():
        return Part(is_last=False, is_busy=True)
    last_id = _bury(connection, row, now, since)
    page = (
        select(_messages)
        .where(_messages.c.chat_id == chat_id, _messages.c.id <= last_id)
        .order_by(_messages.c.created_at, _messages.c.id)
        .limit(limit)
    )
    gone = [dict(found) for found in connection.execute(page).mappings()]
    _note(connection, store, row, gone, [name for one in gone for name in files_of(one)])
    for chunk in chunks([one["id"] for one in gone]):
        connection.execute(delete(_messages).where(_messages.c.id.in_(chunk)))
    if len(gone) == limit:
        index.forget_messages(connection, gone)
        return Part(len(gone), is_last=False)
    _note(connection, store, row, (), files_of(row))
    pictures = _pictures(connection, chat_id)
    index.forget_chat(connection, chat_id)
    left = [
        dict(found) for found in connection.execute(select(_messages).where(_messages.c.chat_id == chat_id)).mappings()
    ]
    if left:
        _begin_again(connection, row, left)
    else:
        connection.execute(delete(_chats).where(_chats.c.id == chat_id))
    ring = Ring(row["account_id"], chat_id, row["version"] + 1)
    return Part(len(gone), pictures, ring=ring, begins_again=bool(left))


def _bury(connection: Connection, row: Row, now: Millis, since: Millis) -> int:
    """The tombstone, unless this erasure has set it. Returns the row id of the newest message that goes."""
    key = {"account_id": row["account_id"], "digest": digest_of(row["avito_id"])}
    its = (_tombs.c.account_id == key["account_id"], _tombs.c.digest == key["digest"])
    known = connection.execute(select(_tombs).where(*its)).mappings().first()
    if known is not None and known["erased_at"] >= since:
        return cast(int, known["last_message_id"])
    newest = select(func.max(_messages.c.created_at), func.max(_messages.c.id)).where(_messages.c.chat_id == row["id"])
    written_at, last_id = connection.execute(newest).one()
    # A time in the future would keep all that is written until then from coming in.
    erased_to = max(min(written_at or 0, now), known["erased_to"] if known else 0)
    values = {"erased_to": erased_to, "erased_at": now, "last_message_id": last_id or 0}
    if known is None:
        connection.execute(insert(_tombs).values(**key, **values))
    else:
        connection.execute(update(_tombs).where(*its).values(**values))
    return cast(int, values["last_message_id"])


def _note(connection: Connection, store: Store, chat: Row, gone: Sequence[Row], files: Sequence[str]) -> None:
    """What must be remembered of them, and which files every disk must lose."""
    account_id = chat["account_id"]
    digests = [{"account_id": account_id, "digest": digest_of(chat["avito_id"], one["avito_id"])} for one in gone]
    if digests:
        connection.execute(store.insert(ForgottenMessage).on_conflict_do_nothing(), digests)
    if names := sorted(set(files)):
        connection.execute(insert(ForgottenFile), [{"name": name} for name in names])


def _pictures(connection: Connection, chat_id: int) -> tuple[str, ...]:
    attached = connection.execute(
        select(_outgoing.c.picture).where(_outgoing.c.chat_id == chat_id, _outgoing.c.picture != "")
    ).scalars()
    drafted = connection.execute(select(_drafts.c.pictures).where(_drafts.c.chat_id == chat_id)).scalars()
    return (*attached, *(name for names in drafted for name in names))


def _begin_again(connection: Connection, row: Row, left: Sequence[Row]) -> None:
    """With what was written meanwhile: a chat of which nothing else is known. Whoever calls has it fetched."""
    for table in (*_OF_CHATS, _automatic):
        connection.execute(delete(table).where(table.c.chat_id == row["id"]))
    fresh: dict[str, Any] = rows.new_chat(row["account_id"], row["avito_id"])
    empty = {column.name: None for column in _chats.columns if column.nullable}
    connection.execute(
        update(_chats).where(_chats.c.id == row["id"]).values(**empty | fresh | {"version": row["version"] + 1})
    )
    for found in rows.derived(connection, [row["id"]]):
        found.pop("id")
        connection.execute(
            update(_chats).where(_chats.c.id == row["id"]).values(**found, listed_at=found["last_message_at"])
        )
    index.note_messages(connection, [(None, one) for one in left], {row["id"]: None})
