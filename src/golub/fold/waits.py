"""Who waited for an answer: a chat's `waits`, which follow from its messages in their order, and from nothing else.

A buyer's message begins a wait where none is on, and the first answer ends it. An answer is a message of ours, or a
call that was taken; what went out through Golub and was written by no operator (an automatic greeting) is none.
Deleted messages count for nothing. History counts like the rest: Avito tells when each message was written.

An operator who closes the chat ends the wait as well, and that is no answer: such a wait has an end and no seconds. It
stands behind the messages that were there then. What we had sent just before may come in after it, and is the answer.

What is new at a chat's end, which is nearly all, goes on from the wait that is open. Anything else (late history, a
deletion, another time) is worked out anew from there on to the next answer, behind which nothing can have changed.
"""

from collections import Counter, deque
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

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

from golub.clock import MINUTE, SECOND, Millis
from golub.fold.merge import Row
from golub.model import Act, Chat, Direction, Message, OutgoingMessage, Wait, WaitKind
from golub.store.lists import chunks
from golub.store.prepared import Prepared

PAGE = 200  # messages read at once
NEVER: Millis = 1 << 62
LONGEST = 2**31 - 1  # seconds that the column holds: absurd times exist
ON_ITS_WAY = 10 * MINUTE  # how long after a close what we had sent before it may come in

_ASKS, _CALLS, _ANSWERS, _CLOSES = "asks", "calls", "answers", "closes"

_chats = cast(Table, Chat.__table__)
_waits = cast(Table, Wait.__table__)
_later = _waits.alias("later")
_messages = cast(Table, Message.__table__)
_outgoing = cast(Table, OutgoingMessage.__table__)
_acts = cast(Table, Act.__table__)
_ENDING = ("ended_at", "seconds", "answer", "operator_id")
_OPENED: Row = {"ended_at": None, "seconds": None, "answer": "", "operator_id": None}
_COLUMNS = ("item_id", "kind", "is_first", "began_at", *_ENDING)

Writers = dict[tuple[int, str], int | None]  # who wrote what went out through Golub: by chat and Avito's name


class Step(NamedTuple):
    """What happens to a wait, and by which message of Avito's name; a close by none, but at a time and by somebody."""

    at: Millis
    name: str
    means: str
    closed_at: Millis = 0
    closed_by: int | None = None


@dataclass(slots=True)
class Told:
    """A chat that was folded: its row, what it was before; its messages that are new or changed, each with what it was;
    `unsure`, times from which on something else has changed. `recount`: everything is to be worked out anew."""

    chat: Row
    before: Row
    new: bool
    messages: Sequence[tuple[Row | None, Row]]
    unsure: Sequence[Millis]
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
    times: list[Millis] = [*one.unsure]
    late = bool(times)
    end = one.before["last_message_at"]
    for before, after in one.messages:
        was, step = _step(before) if before else None, _step(after)
        if was == step:
            continue
        times += [each.at for each in (was, step) if each]
        if before is None and step and step.at >= end:
            one.steps.append(step)
        else:
            late = True
    one.steps.sort(key=lambda step: step.at)
    return (min(times), max(times)) if late else None


def _step(row: Row) -> Step | None:
    means = _meaning(row)
    return Step(row["created_at"], row["avito_id"], means) if means else None


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
    asked = {one.chat["id"] for one in told if not one.new and any(step.means != _ANSWERS for step in one.steps)}
    opened: dict[int, Row] = {}
    known: set[int] = set()
    for chunk in chunks(sorted(chats)):
        rows = connection.execute(_OPEN, {"chat_ids": chunk}).mappings()
        opened |= {row["chat_id"]: dict(row) for row in rows}
    for chunk in chunks(sorted(asked - opened.keys())):
        known |= set(connection.execute(_KNOWN, {"chat_ids": chunk}).scalars())
    settled = {one.chat["id"] for one in told if one.chat["settled_to"]} - opened.keys()
    for chunk in chunks(sorted(settled)):
        rows = connection.execute(_CLOSED, {"chat_ids": chunk}).mappings()
        opened |= {row["chat_id"]: dict(row) for row in rows}
    answers = {
        (one.chat["id"], step.name)
        for one in told
        if one.chat["id"] in opened or any(step.means != _ANSWERS for step in one.steps)
        for step in one.steps
        if step.means == _ANSWERS
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
                ended.append(wait)
    _BEGIN.run(connection, new)
    _END.run(connection, ended)


def _walk(chat: Row, steps: Iterable[Step], open_now: Row | None, had_one: bool, writers: Writers) -> Generator[Row]:
    """The waits that begin or end in these steps, and the one that is still open, each once. One that was closed may
    be answered by what is on its way."""
    for at, name, means, closed_at, closed_by in steps:
        if open_now is not None and _was_closed(open_now):
            may_be_answered = means == _ANSWERS and at <= open_now["ended_at"] + ON_ITS_WAY
            if means != _CLOSES and not may_be_answered:
                yield open_now
                open_now = None
        if means == _CLOSES:
            if open_now is not None and open_now["ended_at"] is None:
                ended = {"ended_at": max(closed_at, open_now["began_at"]), "operator_id": closed_by}
                open_now = open_now | _OPENED | ended
            continue
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
    rows, earlier = _from(connection, chat["id"], since)
    is_first = True
    while earlier and (is_first or _ends_at(earlier[-1]) >= since) and _has_close(connection, earlier[-1], since):
        since = earlier[-1]["began_at"]  # where it was closed, and what was on its way then, only the stream says
        rows, earlier = _from(connection, chat["id"], since)
        is_first = False
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


def _from(connection: Connection, chat_id: int, since: Millis) -> tuple[list[Row], list[Row]]:
    """The waits that began since then and the one before, in their order; and of these, those that began before."""
    found = connection.execute(_FROM, {"of_chat": chat_id, "since": since}).mappings()
    rows = sorted((dict(row) for row in found), key=lambda row: (row["began_at"], _ends_at(row)))
    return rows, [row for row in rows if row["began_at"] < since]


def _read_steps(
    connection: Connection, chat_id: int, since: Millis, until: Millis
) -> tuple[list[Step], Writers, Millis]:
    """To the end of the second of the first answer after `until`, and when that is; else to the chat's end."""
    steps: list[Step] = []
    writers: Writers = {}
    place, end = (since, 0), NEVER
    closes = deque(connection.execute(_CLOSES_FROM, {"of_chat": chat_id, "since": since}))
    while True:
        page = [dict(row) for row in connection.execute(_page(chat_id, place)).mappings()]
        is_last = len(page) < PAGE
        found: list[Step] = []
        for row in page:
            while closes and (closes[0].behind_at, closes[0].behind_id) < (row["created_at"], row["id"]):
                found.append(_closing(closes.popleft()))
            if step := _step(row):
                found.append(step)
        if is_last:
            found += map(_closing, closes)
        writers |= _find_writers(connection, {(chat_id, step.name) for step in found if step.means == _ANSWERS})
        for step in found:
            if step.at > end:
                return steps, writers, end
            steps.append(step)
            if step.means == _ANSWERS and step.at > until and writers.get((chat_id, step.name), 0) is not None:
                end = min(end, step.at)
        if is_last:
            return steps, writers, end
        place = page[-1]["created_at"], page[-1]["id"]


def _closing(act: Any) -> Step:
    return Step(act.behind_at, "", _CLOSES, act.at, act.operator_id)


def _replace(connection: Connection, old: Sequence[Row], new: Sequence[Row]) -> None:
    """Rows that are the same stay as they are."""
    alike = Counter(_content(row) for row in old) & Counter(_content(row) for row in new)
    gone = [row["id"] for row in _beyond(old, alike)]
    added = [{name: value for name, value in row.items() if name != "id"} for row in _beyond(new, alike)]
    for chunk in chunks(gone):
        connection.execute(delete(_waits).where(_waits.c.id.in_(chunk)))
    _BEGIN.run(connection, added)


def _beyond(rows: Sequence[Row], alike: Counter[tuple[Any, ...]]) -> Generator[Row]:
    left = alike.copy()
    for row in rows:
        if left[_content(row)]:
            left[_content(row)] -= 1
        else:
            yield row


def _content(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _COLUMNS)


def _has_close(connection: Connection, wait: Row, before: Millis) -> bool:
    """Whether the chat was closed between the wait's beginning and that time."""
    return _was_closed(wait) or bool(
        connection.execute(
            select(_acts.c.id)
            .where(_acts.c.chat_id == wait["chat_id"], _acts.c.behind_at >= wait["began_at"])
            .where(_acts.c.behind_at < before)
            .limit(1)
        ).first()
    )


def _was_closed(wait: Row) -> bool:
    """Ended, and by no answer."""
    return wait["ended_at"] is not None and wait["seconds"] is None


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
_CLOSED = select(_waits).where(
    _waits.c.chat_id.in_(_THESE),
    _waits.c.ended_at.is_not(None),
    _waits.c.seconds.is_(None),
    ~exists().where(_later.c.chat_id == _waits.c.chat_id, _later.c.began_at > _waits.c.began_at),
)
_CLOSES_FROM = (
    select(_acts.c.behind_at, _acts.c.behind_id, _acts.c.at, _acts.c.operator_id)
    .where(_acts.c.chat_id == bindparam("of_chat"), _acts.c.behind_at >= bindparam("since"))
    .order_by(_acts.c.behind_at, _acts.c.behind_id, _acts.c.id)
)
_KNOWN = select(_chats.c.id).where(_chats.c.id.in_(_THESE), exists().where(_waits.c.chat_id == _chats.c.id))
_FROM = _from_statement()
_BEGIN = Prepared(lambda _: insert(_waits), ("account_id", "chat_id", *_COLUMNS))
_END = Prepared(
    lambda _: (
        update(_waits).where(_waits.c.id == bindparam("row_id")).values({name: bindparam(name) for name in _ENDING})
    ),
    ("row_id", *_ENDING),
    of={"row_id": "id"},
)
