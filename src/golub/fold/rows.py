"""The statements of `fold`: few, set-based, and with the same words on both databases."""

from collections.abc import Collection, Generator, Sequence
from operator import itemgetter
from typing import Any, TypeVar, cast

from sqlalchemy import (
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from golub.fold.merge import Row
from golub.fold.observations import Labelled
from golub.model import Chat, ChatLabel, Direction, Label, Message, OutgoingMessage
from golub.store import Store
from golub.store.lists import chunks
from golub.store.prepared import Prepared, draw_ids

_chats = cast(Table, Chat.__table__)
_messages = cast(Table, Message.__table__)
_outgoing = cast(Table, OutgoingMessage.__table__)
_labels = cast(Table, Label.__table__)
_chat_labels = cast(Table, ChatLabel.__table__)
_FIXED = ("id", "account_id", "avito_id", "chat_id", "first_source", "received_at")
_CHAT_COLUMNS = tuple(column.name for column in _chats.columns if column.name not in _FIXED)
_MESSAGE_COLUMNS = tuple(column.name for column in _messages.columns if column.name not in _FIXED)
_NEW_CHAT: Row = {column.name: cast(Any, column.default).arg for column in _chats.columns if column.default is not None}
# What a message changes of its chat, nearly always: writing these alone halves the cost of it.
_ROUTINE_COLUMNS = (
    "version",
    "item_rank",
    "last_message_id",
    "last_message_at",
    "unread",
    "waiting_since",
    "listed_at",
)

_others_of = itemgetter(*(name for name in _CHAT_COLUMNS if name not in _ROUTINE_COLUMNS))

T = TypeVar("T")


def _update(table: Table, columns: tuple[str, ...]) -> Prepared:
    values: dict[str, Any] = {name: bindparam(name) for name in columns}
    statement = update(table).where(table.c.id == bindparam("row_id")).values(values)
    return Prepared(lambda _: statement, ("row_id", *columns), of={"row_id": "id"})


_write_chat = _update(_chats, _CHAT_COLUMNS)
_write_chat_routinely = _update(_chats, _ROUTINE_COLUMNS)
_add_messages = Prepared(lambda _: insert(_messages), _messages.columns.keys())
_write_message = _update(_messages, _MESSAGE_COLUMNS)


def add_chats(connection: Connection, store: Store, account_id: int, names: Collection[str]) -> dict[str, Row]:
    """Chats that were unknown a moment ago, locked as `lock_chats` does."""
    if not names:
        return {}
    new = [new_chat(account_id, name) for name in sorted(names)]
    connection.execute(store.insert(Chat).on_conflict_do_nothing(), new)
    return lock_chats(connection, account_id, names, ())


def new_chat(account_id: int, name: str) -> Row:
    """Its columns, without an id."""
    return _NEW_CHAT | {"account_id": account_id, "avito_id": name, "chat_type": ""}


def lock_chats(connection: Connection, account_id: int, names: Collection[str], ids: Collection[int]) -> dict[str, Row]:
    """The chats of those names and row ids that there are, locked in the order of their keys, by name. An id that is
    not of this account is left out."""
    wanted = [_chats.c.avito_id.in_(chunk) for chunk in chunks(sorted(names))]
    wanted += [_chats.c.id.in_(chunk) for chunk in chunks(sorted(ids))]
    found: dict[str, Row] = {}
    for condition in wanted:
        rows = connection.execute(
            select(_chats)
            .where(_chats.c.account_id == account_id, condition)
            .order_by(_chats.c.avito_id)
            .with_for_update(key_share=True)  # nobody who only refers to the chat (a reply, say) has to wait
        )
        found |= {row["avito_id"]: dict(row) for row in rows.mappings()}
    return found


def chats_of_buyers(connection: Connection, account_id: int, buyers: Collection[int]) -> dict[str, int]:
    """Names of the account's chats with these buyers, each with its buyer."""
    found: dict[str, int] = {}
    for chunk in chunks(sorted(buyers)):
        rows = connection.execute(
            select(_chats.c.avito_id, _chats.c.buyer_id).where(
                _chats.c.account_id == account_id, _chats.c.buyer_id.in_(chunk)
            )
        )
        found |= {name: buyer for name, buyer in rows if buyer is not None}
    return found


def find_messages(connection: Connection, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], Row]:
    """Rows by (chat's row id, Avito's id). The chats are locked, so nobody adds one meanwhile."""
    found: dict[tuple[int, str], Row] = {}
    key = tuple_(_messages.c.chat_id, _messages.c.avito_id)
    for chunk in chunks(sorted(keys)):
        for row in connection.execute(select(_messages).where(key.in_(chunk))).mappings():
            found[row["chat_id"], row["avito_id"]] = dict(row)
    return found


def write_messages(connection: Connection, new: Sequence[Row], changed: Sequence[Row]) -> None:
    """Gives the new ones their ids, in their order."""
    if new:
        for row, number in zip(new, draw_ids(connection, Message, len(new)), strict=True):
            row["id"] = number
    _add_messages.run(connection, new)
    _write_message.run(connection, changed)


def write_chats(connection: Connection, changed: Sequence[tuple[Row, Row]]) -> None:
    """Pairs of a row as it was and as it is."""
    routine: list[Row] = []
    wide: list[Row] = []
    for before, row in changed:
        (routine if _others_of(before) == _others_of(row) else wide).append(row)
    _write_chat_routinely.run(connection, routine)
    _write_chat.run(connection, wide)


def mark_seen(connection: Connection, chat_id: int, up_to: int) -> bool:
    """Whether there was anything unseen."""
    done = connection.execute(
        update(_messages)
        .where(
            _messages.c.chat_id == chat_id,
            _messages.c.id <= up_to,
            _messages.c.direction == Direction.IN.value,
            _messages.c.seen.is_(False),
        )
        .values(seen=True, unread=False)
    )
    return done.rowcount > 0


def has_spoken_since(connection: Connection, chat_id: int, version: int) -> bool:
    """Whether a buyer's message came or changed after the chat was at that version. History that was read is none."""
    found = select(_messages.c.id).where(
        _messages.c.chat_id == chat_id,
        _messages.c.version > version,
        _messages.c.direction == Direction.IN.value,
        _messages.c.quiet.is_(False),
    )
    return connection.execute(found.limit(1)).first() is not None


def newest_id(connection: Connection, chat_id: int) -> int:
    """Of the chat's messages; 0 where it has none."""
    return connection.execute(select(func.max(_messages.c.id)).where(_messages.c.chat_id == chat_id)).scalar() or 0


def newest_time(connection: Connection, chat_id: int) -> int:
    """When the chat's last message was written; 0 where it has none."""
    newest = select(func.max(_messages.c.created_at)).where(_messages.c.chat_id == chat_id)
    return connection.execute(newest).scalar() or 0


def settle(connection: Connection, chat_id: int, settled_to: int) -> None:
    """At once, since `derived` reads it."""
    connection.execute(update(_chats).where(_chats.c.id == chat_id).values(settled_to=settled_to))


def put_label(connection: Connection, store: Store, one: Labelled) -> bool:
    """Whether it was not there. A label that is gone meanwhile is put nowhere."""
    known = select(
        literal(one.chat_id), _labels.c.id, literal(one.at), literal(one.operator_id, _chat_labels.c.operator_id.type)
    ).where(_labels.c.id == one.label_id)
    names = ["chat_id", "label_id", "put_at", "operator_id"]
    put = store.insert(ChatLabel).from_select(names, known).on_conflict_do_nothing()
    return connection.execute(put.returning(_chat_labels.c.label_id)).first() is not None


def take_label(connection: Connection, one: Labelled) -> bool:
    """Whether it was there."""
    its = (_chat_labels.c.chat_id == one.chat_id, _chat_labels.c.label_id == one.label_id)
    return connection.execute(delete(_chat_labels).where(*its)).rowcount > 0


def derived(connection: Connection, chat_ids: Collection[int]) -> Generator[Row]:
    """What follows from the messages of these chats: `id, last_message_id, last_message_at, unread, waiting_since`.

    Avito's times have seconds, and ties are normal: among them the order of arrival counts, as it does in the thread.
    """
    for chunk in chunks(sorted(chat_ids)):
        for row in connection.execute(_DERIVED, {"chat_ids": chunk}).mappings():
            yield dict(row)


def _derived_statement() -> Any:
    chat, message = _chats.alias("c"), _messages.alias("m")
    newest_first = (message.c.created_at.desc(), message.c.id.desc())

    def newest(column: Any, *conditions: Any) -> Any:
        return (
            select(column)
            .where(message.c.chat_id == chat.c.id, *conditions)
            .order_by(*newest_first)
            .limit(1)
            .correlate(chat)
            .scalar_subquery()
        )

    # What went out through Golub and no operator wrote answers nobody: whoever was waiting waits still.
    automatic = exists().where(
        _outgoing.c.chat_id == message.c.chat_id,
        _outgoing.c.message_avito_id == message.c.avito_id,
        _outgoing.c.operator_id.is_(None),
    )
    ours = (message.c.direction == Direction.OUT.value, message.c.deleted_at.is_(None), ~automatic)
    # Materialised: otherwise SQLite looks for our last answer again at every message of the chat.
    top = (
        select(
            chat.c.id,
            newest(message.c.id).label("last_message_id"),
            func.coalesce(newest(message.c.created_at), 0).label("last_message_at"),
            func.coalesce(newest(message.c.created_at, *ours), literal(-1)).label("answered_at"),
            func.coalesce(newest(message.c.id, *ours), literal(0)).label("answer_id"),
            chat.c.settled_to,
        )
        .where(chat.c.id.in_(bindparam("chat_ids", expanding=True)))
        .cte("top")
        .prefix_with("MATERIALIZED")
    )
    theirs = and_(
        message.c.chat_id == top.c.id,
        or_(
            message.c.created_at > top.c.answered_at,
            and_(message.c.created_at == top.c.answered_at, message.c.id > top.c.answer_id),
        ),
    )
    unread = select(func.count()).select_from(message).where(theirs, message.c.unread).scalar_subquery()
    waiting_since = (
        select(func.min(message.c.created_at))
        .where(
            theirs,
            message.c.created_at >= top.c.answered_at,
            message.c.direction == Direction.IN.value,
            message.c.quiet.is_(False),
            message.c.deleted_at.is_(None),
            message.c.id > top.c.settled_to,
        )
        .scalar_subquery()
    )
    return select(
        top.c.id,
        top.c.last_message_id,
        top.c.last_message_at,
        unread.label("unread"),
        waiting_since.label("waiting_since"),
    )


_DERIVED = _derived_statement()
