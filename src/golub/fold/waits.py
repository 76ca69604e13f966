"""Who waited for an answer: a chat's `waits`, which follow from its messages in their order, and from nothing else.

A buyer's message begins a wait where none is on, and the first answer ends it. An answer is a message of ours, or a
call that was taken; what went out through Golub and was written by no operator (an automatic greeting) is none.
Deleted messages count for nothing. History counts like the rest: Avito tells when each message was written.

What is new at a chat's end, which is nearly all, goes on from the wait that is open. Anything else (late history, a
deletion, another time) is worked out anew from there on to the next answer, behind which nothing can have changed.
"""

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)

from golub.clock import SECOND, Millis
from golub.fold.merge import Row
from golub.fold.rows import chunks
from golub.model import Chat, Direction, Message, OutgoingMessage, Wait, WaitKind

PAGE = 200  # messages read at once
NEVER: Millis = 1 << 62
LONGEST = 2**31 - 1  # seconds that the column holds: absurd times exist

_ASKS, _CALLS, _ANSWERS = "asks", "calls", "answers"

_chats = cast(Table, Chat.__table__)
_waits = cast(Table, Wait.__table__)
_messages = cast(Table, Message.__table__)
_outgoing = cast(Table, OutgoingMessage.__table__)
_ENDING = ("ended_at", "seconds", "answer", "operator_id")
_OPENED: Row = {"ended_at": None, "seconds": None, "answer": "", "operator_id": None}
_COLUMNS = ("item_id", "kind", "is_first", "began_at", *_ENDING)

Writers = dict[tuple[int, str], int | None]  # who wrote what went out through Golub: by chat and Avito's name
Step = tuple[Millis, str, str]  # when, the message's name, and what it means to a wait


@dataclass(slots=True)
class Told:
    """A chat that was folded: its row, what it was before; its messages that are new or changed, each with what it was;
    the times of those of which the writer became known. `recount`: everything is to be worked out anew."""

    chat: Row
    before: Row
    new: bool
    messages: Sequence[tuple[Row | None, Row]]
    named: Sequence[Millis]
    recount: bool = False
    steps: list[Step] = field(default_factory=list[Step])  # at its end


def follow(connection: Connection, told: Iterable[Told]) -> None:
    """Brings the waits of these chats up to date. The chats are locked, and their messages written."""
    ahead: list[Told] = []
    for one in told:
        since = _changed_since(one)
        if since is not None:
            _derive(connection, one.chat, *since)
        elif one.steps:
            ahead.append(one)
        if one.chat["item_id"] != one.before["item_id"] and not one.new:
            moved = update(_waits).where(_waits.c.chat_id == one.chat["id"])
            connection.execute(moved.values(item_id=one.chat["item_id"]))
    if ahead:
        _go_on(connection, ahead)


def _changed_since(one: Told) -> tuple[Millis, Millis] | None:
    """From when to when the order of things has changed. None where it only goes on: that is then in `steps`."""
    if one.recount:
        return 0, NEVER
    times: list[Millis] = [*one.named]
    late = bool(times)
    end = one.before["last_message_at"]
    for before, after in one.messages:
        was, step = _step(before) if before else None, _step(after)
        if was == step:
            continue
        times += [each[0] for each in (was, step) if each]
        if before is None and step and step[0] >= end:
            one.steps.append(step)
        else:
            late = True
    one.steps.sort(key=lambda step: step[0])
    return (min(times), max(times)) if late else None


def _step(row: Row) -> Step | None:
    means = _meaning(row)
    return (row["created_at"], row["avito_id"], means) if means else None


def _meaning(row: Row) -> str | None:
    if row["deleted_at"] is not None or row["direction"] == Direction.SYSTEM:
        return None
    kind, incoming = row["type"], row["direction"] == Direction.IN
    if kind == "appCall":  # Avito does not say whether it was taken
        return _CALLS if incoming else _ANSWERS
    if kind != "call":
        return _ASKS if incoming else _ANSWERS
    if not _was_missed(row["content"]):
        return _ANSWERS
    return _CALLS if incoming else None


def _was_missed(content: Any) -> bool:
    call = cast(Row, content).get("call") if isinstance(content, dict) else None
    return not isinstance(call, dict) or cast(Row, call).get("status") in (None, "", "missed")


def _go_on(connection: Connection, told: Sequence[Told]) -> None:
    """From the wait that is open, if there is one."""
    chats = [one.chat["id"] for one in told]
    asked = {one.chat["id"] for one in told if not one.new and any(step[2] != _ANSWERS for step in one.steps)}
    opened: dict[int, Row] = {}
    known: set[int] = set()
    for chunk in chunks(sorted(chats)):
        rows = connection.execute(_OPEN, {"chat_ids": chunk}).mappings()
        opened |= {row["chat_id"]: dict(row) for row in rows}
    for chunk in chunks(sorted(asked - opened.keys())):
        known |= set(connection.execute(_KNOWN, {"chat_ids": chunk}).scalars())
    answers = {
        (one.chat["id"], step[1])
        for one in told
        if one.chat["id"] in opened or any(step[2] != _ANSWERS for step in one.steps)
        for step in one.steps
        if step[2] == _ANSWERS
    }
    writers = _find_writers(connection, answers)
    new: list[Row] = []
    ended: list[Row] = []
    for one in told:
        chat_id = one.chat["id"]
        open_now = opened.get(chat_id)
        for wait in _walk(one.chat, one.steps, open_now, chat_id in known or open_now is not None, writers):
            if "id" not in wait:
                new.append(wait)
            elif wait["ended_at"] is not None:
                ended.append({"row_id": wait["id"]} | {name: wait[name] for name in _ENDING})
    if new:
        connection.execute(insert(_waits), new)
    if ended:
        connection.execute(_END, ended)


def _walk(chat: Row, steps: Iterable[Step], open_now: Row | None, had_one: bool, writers: Writers) -> Generator[Row]:
    """The waits that begin or end in these steps, and the one that is still open, each once."""
    for at, name, means in steps:
        if means != _ANSWERS:
            if open_now is None:
                open_now = {
                    "account_id": chat["account_id"],
                    "chat_id": chat["id"],
                    "item_id": chat["item_id"],
                    "kind": (WaitKind.CALL if means == _CALLS else WaitKind.CHAT).value,
                    "is_first": not had_one,
                    "began_at": at,
                } | _OPENED
                had_one = True
            continue
        writer = writers.get((chat["id"], name), 0)
        if open_now is not None and writer is not None:
            seconds = min((at - open_now["began_at"]) // SECOND, LONGEST)
            yield open_now | {"ended_at": at, "seconds": seconds, "answer": name, "operator_id": writer or None}
            open_now = None
    if open_now is not None:
        yield open_now


def _find_writers(connection: Connection, names: Collection[tuple[int, str]]) -> Writers:
    """Of what went out through Golub; the rest was written at Avito."""
    found: Writers = {}
    key = tuple_(_outgoing.c.chat_id, _outgoing.c.message_avito_id)
    for chunk in chunks(sorted(names)):
        wanted = select(_outgoing.c.chat_id, _outgoing.c.message_avito_id, _outgoing.c.operator_id).where(
            key.in_(chunk), _outgoing.c.message_avito_id != ""
        )
        found |= {(chat_id, name): operator for chat_id, name, operator in connection.execute(wanted)}
    return found


def _derive(connection: Connection, chat: Row, since: Millis, until: Millis) -> None:
    """Works out the waits from `since` to the first answer after `until`, and writes what differs."""
    found = connection.execute(_FROM, {"of_chat": chat["id"], "since": since}).mappings()
    rows = sorted((dict(row) for row in found), key=lambda row: (row["began_at"], _ends_at(row)))
    earlier = [row for row in rows if row["began_at"] < since]
    open_then = next((row for row in earlier if _ends_at(row) >= since), None)
    steps, writers, end = _read_steps(connection, chat["id"], since, until)
    derived = list(_walk(chat, steps, open_then and open_then | _OPENED, bool(earlier), writers))
    touched = [row for row in rows if row is open_then or since <= row["began_at"] <= end]
    behind = [row for row in rows if row["began_at"] > end]
    if derived and derived[-1]["ended_at"] is None and touched:
        # Nothing has changed behind the end of what was read: what was open there ends as it did.
        going_on = max(touched, key=_ends_at)
        if end < NEVER and _ends_at(going_on) > end:
            derived[-1] |= {name: going_on[name] for name in _ENDING}
    if behind and behind[0]["is_first"] == bool(earlier or derived):
        first = update(_waits).where(_waits.c.id == behind[0]["id"])
        connection.execute(first.values(is_first=not behind[0]["is_first"]))
    _replace(connection, touched, derived)


def _read_steps(
    connection: Connection, chat_id: int, since: Millis, until: Millis
) -> tuple[list[Step], Writers, Millis]:
    """To the end of the second of the first answer after `until`, and when that is; else to the chat's end."""
    steps: list[Step] = []
    writers: Writers = {}
    place, end = (since, 0), NEVER
    while True:
        page = [dict(row) for row in connection.execute(_page(chat_id, place)).mappings()]
        found = [step for row in page if (step := _step(row))]
        writers |= _find_writers(connection, {(chat_id, name) for _, name, means in found if means == _ANSWERS})
        for at, name, means in found:
            if at > end:
                return steps, writers, end
            steps.append((at, name, means))
            if means == _ANSWERS and at > until and writers.get((chat_id, name), 0) is not None:
                end = min(end, at)
        if len(page) < PAGE:
            return steps, writers, end
        place = page[-1]["created_at"], page[-1]["id"]


def _replace(connection: Connection, old: Sequence[Row], new: Sequence[Row]) -> None:
    """Rows that are the same stay as they are."""
    alike = Counter(_content(row) for row in old) & Counter(_content(row) for row in new)
    gone = [row["id"] for row in _beyond(old, alike)]
    added = [{name: value for name, value in row.items() if name != "id"} for row in _beyond(new, alike)]
    for chunk in chunks(gone):
        connection.execute(delete(_waits).where(_waits.c.id.in_(chunk)))
    if added:
        connection.execute(insert(_waits), added)


def _beyond(rows: Sequence[Row], alike: Counter[tuple[Any, ...]]) -> Generator[Row]:
    left = alike.copy()
    for row in rows:
        if left[_content(row)]:
            left[_content(row)] -= 1
        else:
            yield row


def _content(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _COLUMNS)


def _ends_at(row: Row) -> Millis:
    return NEVER if row["ended_at"] is None else row["ended_at"]


def _page(chat_id: int, place: tuple[Millis, int]) -> Any:
    return (
        select(
            _messages.c.id,
            _messages.c.avito_id,
            _messages.c.direction,
            _messages.c.type,
            case((_messages.c.type == "call", _messages.c.content)).label("content"),
            _messages.c.deleted_at,
            _messages.c.created_at,
        )
        .where(_messages.c.chat_id == chat_id, tuple_(_messages.c.created_at, _messages.c.id) > tuple_(*place))
        .order_by(_messages.c.created_at, _messages.c.id)
        .limit(PAGE)
    )


def _from_statement() -> Any:
    """All that began since then, and the one before."""
    chat_id, since = cast(Any, bindparam("of_chat")), cast(Any, bindparam("since"))
    before = (
        select(func.max(_waits.c.began_at))
        .where(_waits.c.chat_id == chat_id, _waits.c.began_at < since)
        .scalar_subquery()
    )
    return select(_waits).where(_waits.c.chat_id == chat_id, _waits.c.began_at >= func.coalesce(before, since))


_THESE = cast(Any, bindparam("chat_ids", expanding=True))
_OPEN = select(_waits).where(_waits.c.chat_id.in_(_THESE), _waits.c.ended_at.is_(None))
_KNOWN = select(_chats.c.id).where(_chats.c.id.in_(_THESE), exists().where(_waits.c.chat_id == _chats.c.id))
_FROM = _from_statement()
_END = update(_waits).where(_waits.c.id == bindparam("row_id")).values({name: bindparam(name) for name in _ENDING})
