"""Folds observations into chats, messages and notes. The only writer of them; apply calls it, inside its transactions.

Promises: any shuffle of the same observations, with duplicates and in any partition into calls, ends in the same rows
(our own row ids, versions and times of arrival aside; ties of one second are ordered by arrival). A pure duplicate
writes nothing and rings nothing. Messages are merged by `merge`, what follows from them is derived anew for every chat
that was touched. What search finds of them is written beside them, in the same transaction. What was erased with its
buyer's data is passed over (`forgotten`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from golub import index
from golub.avito.wire import WEBHOOK, ChatSeen, MessageSeen, UserSeen
from golub.clock import Millis
from golub.fold import acts, forgotten, notes, rows, waits
from golub.fold.care import fold_care, open_again
from golub.fold.merge import (
    UNSEEN_BY_ALL,
    Row,
    may_be_newer,
    merge_chat,
    merge_chat_of_message,
    merge_delivered,
    merge_message,
    merge_name,
    merge_status,
    new_message,
)
from golub.fold.observations import (
    Care,
    Close,
    CountWaits,
    Delivered,
    FetchDue,
    Fetched,
    FetchFailed,
    Given,
    HandOver,
    Labelled,
    MarkRead,
    Named,
    NoteChanged,
    NoteWritten,
    Nudged,
    Observation,
    ReadSent,
    Reopen,
    Snooze,
    Woken,
)
from golub.live import Ring
from golub.model import Chat, Direction, Message, Table
from golub.store import Store

__all__ = [
    "Close",
    "CountWaits",
    "Delivered",
    "FetchDue",
    "FetchFailed",
    "Fetched",
    "Given",
    "HandOver",
    "Labelled",
    "MarkRead",
    "Named",
    "NoteChanged",
    "NoteWritten",
    "Nudged",
    "Observation",
    "ReadSent",
    "Reopen",
    "Snooze",
    "Woken",
    "fold",
]


def _to_see(table: type[Table]) -> Callable[[Row], Any]:
    """What pages show of its rows, to be compared; a message that is new has no id yet."""
    return itemgetter(
        *(name for column in table.__table__.columns if (name := column.name) not in UNSEEN_BY_ALL and name != "id")
    )


_chat_to_see, _message_to_see = _to_see(Chat), _to_see(Message)


def fold(
    connection: Connection,
    store: Store,
    account_id: int,
    observations: Iterable[Observation],
    now: Millis,
    *,
    again: bool = False,
    searchable: bool = True,
) -> list[Ring]:
    """Writes what the observations change, and says which chats ring once that is committed. `again`: they were folded
    before, so no chat is to be fetched because of them. `searchable` False: into tables that nobody searches, by a
    caller who has left out what was erased."""
    told = list(observations)
    ask_at = None if again else now
    users = [one for one in told if isinstance(one, UserSeen)]
    buyers = rows.chats_of_buyers(connection, account_id, {one.user_id for one in users}) if users else {}
    names = {name for one in told if (name := getattr(one, "chat_avito_id", ""))}
    ids = {
        one.chat_id
        for one in told
        if isinstance(one, MarkRead | ReadSent | Care | Labelled | CountWaits | NoteWritten | NoteChanged | Nudged)
    }
    locked = rows.lock_chats(connection, account_id, names | buyers.keys(), ids)
    if searchable:  # not before the chats are locked: one that is being erased now was waited for
        told, names = forgotten.sift(connection, account_id, told, names, locked.keys())
    new = names - locked.keys()
    locked |= rows.add_chats(connection, store, account_id, new)
    chats = {name: _Touched(row, dict(row), name in new) for name, row in locked.items()}

    messages = [one for one in told if isinstance(one, MessageSeen)]
    delivered = [one for one in told if isinstance(one, Delivered)]
    named = [one for one in told if isinstance(one, Named)]
    written = _fold_messages(connection, account_id, chats, messages, delivered, named, now, ask_at)
    by_id = {touched.row["id"]: touched for touched in chats.values()}
    for one in told:
        if isinstance(one, UserSeen):
            theirs = [chats[name] for name, buyer in buyers.items() if buyer == one.user_id and name in chats]
            _fold_user(one, theirs, chats, ask_at)
        elif isinstance(one, MarkRead):
            if (touched := by_id.get(one.chat_id)) and rows.mark_seen(connection, one.chat_id, one.up_to):
                touched.derive = True
                touched.row["read_due_at"] = now
        elif isinstance(one, CountWaits):
            if touched := by_id.get(one.chat_id):
                touched.recount = True
        elif isinstance(one, ReadSent):
            if touched := by_id.get(one.chat_id):
                _fold_read_sent(one, touched.row)
        elif isinstance(one, Care):
            if touched := by_id.get(one.chat_id):
                derive, since = fold_care(connection, one, touched.row, now)
                touched.derive |= derive
                if since is not None:
                    touched.unsure.append(since)
        elif isinstance(one, Labelled):
            if touched := by_id.get(one.chat_id):
                done = rows.put_label(connection, store, one) if one.on else rows.take_label(connection, one)
                if done:
                    acts.note_label(connection, touched.row, one.label_id, one.on, one.at, one.operator_id)
                touched.visible |= done
        elif isinstance(one, NoteWritten | NoteChanged):
            if touched := by_id.get(one.chat_id):
                touched.visible |= notes.write(connection, store, one, touched.row)
        elif isinstance(one, Nudged):
            if (touched := by_id.get(one.chat_id)) and notes.nudge(connection, store, one, touched.row):
                touched.visible = touched.nudged = True
        elif not isinstance(one, MessageSeen | Delivered | Named):
            _fold_fact(one, chats[one.chat_avito_id].row, ask_at)
    rings = _settle(connection, account_id, list(chats.values()), now)
    if searchable:
        about = {touched.row["id"]: touched.row["item_id"] for touched in chats.values()}
        index.note_messages(connection, written, about)
        index.note_chats(connection, [(touched.before, touched.row) for touched in chats.values()])
        index.note_items(connection, [touched.row["id"] for touched in chats.values() if touched.has_another_item])
    return rings


@dataclass(slots=True)
class _Touched:
    row: Row
    before: Row
    new: bool
    derive: bool = False
    visible: bool = False
    new_unread: bool = False
    nudged: bool = False
    recount: bool = False
    unsure: list[Millis] = field(default_factory=list[Millis])  # since when who waited may be another
    messages: list[tuple[Row | None, Row]] = field(default_factory=list[tuple[Row | None, Row]])

    @property
    def has_another_item(self) -> bool:
        return not self.new and self.row["item_id"] != self.before["item_id"]


def _fold_messages(
    connection: Connection,
    account_id: int,
    chats: dict[str, _Touched],
    told: Sequence[MessageSeen],
    delivered: Sequence[Delivered],
    named: Sequence[Named],
    now: Millis,
    ask_at: Millis | None,
) -> list[tuple[Row | None, Row]]:
    """Returns what it wrote, each row as it was and as it is."""
    keys = {(chats[one.chat_avito_id].row["id"], one.avito_id) for one in told}
    keys |= {(chats[one.chat_avito_id].row["id"], one.message_avito_id) for one in (*delivered, *named)}
    known = rows.find_messages(connection, keys)
    before = {key: dict(row) for key, row in known.items()}
    owners = {touched.row["id"]: touched for touched in chats.values()}
    for one in told:
        chat = chats[one.chat_avito_id].row
        merge_chat_of_message(chat, one)
        key = (chat["id"], one.avito_id)
        if key in known:
            merge_message(known[key], one)
            if may_be_newer(known[key], one):
                _make_due(chat, ask_at, quietly=False)
        else:
            known[key] = new_message(one, account_id, chat["id"], now)
    for one in delivered:
        if row := known.get((chats[one.chat_avito_id].row["id"], one.message_avito_id)):
            merge_delivered(row, one.at)
    for one in named:
        touched = chats[one.chat_avito_id]
        if earlier := before.get((touched.row["id"], one.message_avito_id)):
            touched.unsure.append(earlier["created_at"])
            touched.derive = True  # an automatic reply is no answer
    added: list[Row] = []
    changed: list[Row] = []
    for key, row in known.items():
        earlier = before.get(key)
        if earlier == row:
            continue
        owner = owners[key[0]]
        owner.derive = True
        if _speaks_up(earlier, row):
            open_again(connection, owner.row, now)
        if earlier is None or _message_to_see(earlier) != _message_to_see(row):
            owner.visible = True
            owner.new_unread |= row["unread"] and not (earlier and earlier["unread"])
            row["version"] = owner.row["version"] + 1
        (added if earlier is None else changed).append(row)
        owner.messages.append((earlier, row))
    added.sort(key=lambda row: row["created_at"])  # stable: within a second the order of arrival stays
    rows.write_messages(connection, added, changed)
    return [*((None, row) for row in added), *((before[row["chat_id"], row["avito_id"]], row) for row in changed)]


def _speaks_up(earlier: Row | None, row: Row) -> bool:
    """Whether a buyer says something that is not history; also what he has taken back, for it may come after that."""
    return row["direction"] == Direction.IN and not row["quiet"] and (earlier is None or earlier["quiet"])


def _fold_user(seen: UserSeen, theirs: Sequence[_Touched], chats: dict[str, _Touched], ask_at: Millis | None) -> None:
    """A person is blocked or was renamed: say so where we know their chats, and let the API tell the rest."""
    named = [chats[seen.chat_avito_id]] if seen.chat_avito_id else []
    for touched in [*theirs, *named]:
        if seen.status is not None:
            merge_status(touched.row, seen.status, seen.observed_at, WEBHOOK)
        merge_name(touched.row, seen)
        _make_due(touched.row, ask_at, quietly=False)


def _fold_fact(one: ChatSeen | FetchDue | Fetched | FetchFailed, row: Row, ask_at: Millis | None) -> None:
    if isinstance(one, ChatSeen):
        merge_chat(row, one)
        if one.source == WEBHOOK:
            _make_due(row, ask_at, quietly=False)
    elif isinstance(one, FetchDue):
        _make_due(row, one.at, quietly=one.quietly)
    elif isinstance(one, Fetched):
        row["fetched_at"] = max(row["fetched_at"], one.at)
        row["verified_to"] = max(row["verified_to"], one.verified_to)
        row["fetch_attempts"] = 0
        if one.lease is None or row["fetch_due_at"] == one.lease:
            row["fetch_due_at"] = None
    else:
        row["fetch_due_at"] = one.retry_at
        row["fetch_attempts"] += 1


def _fold_read_sent(one: ReadSent, row: Row) -> None:
    row["read_sent_at"] = max(row["read_sent_at"], one.at or 0)
    if row["read_due_at"] == one.lease:
        row["read_due_at"] = None


def _make_due(row: Row, at: Millis | None, *, quietly: bool) -> None:
    """`at` None: it need not be fetched."""
    if at is None:
        return
    due = row["fetch_due_at"]
    row["fetch_quietly"] = quietly and (due is None or row["fetch_quietly"])
    row["fetch_due_at"] = at if due is None else min(at, due)


def _settle(connection: Connection, account_id: int, chats: Sequence[_Touched], now: Millis) -> list[Ring]:
    """Derives what follows from the messages, writes the chats that changed, and gives them their next version."""
    by_id = {touched.row["id"]: touched for touched in chats}
    for found in rows.derived(connection, [key for key, touched in by_id.items() if touched.derive]):
        by_id[found.pop("id")].row |= found
    changed: list[tuple[Row, Row]] = []
    rings: list[Ring] = []
    for touched in chats:
        row = touched.row
        row["listed_at"] = max(row["last_message_at"], row["woken_at"])
        if touched.new and row["facts_at"] == 0 and row["fetched_at"] == 0:
            _make_due(row, now, quietly=False)
        if touched.visible or touched.new or _chat_to_see(touched.before) != _chat_to_see(row):
            row["version"] += 1
            new_message = touched.new_unread and row["unread"] > 0
            rings.append(Ring(account_id, row["id"], row["version"], new_message, touched.nudged))
        if row != touched.before:
            changed.append((touched.before, row))
    rows.write_chats(connection, changed)
    waits.follow(
        connection,
        [waits.Told(one.row, one.before, one.new, one.messages, one.unsure, recount=one.recount) for one in chats],
    )
    return rings
