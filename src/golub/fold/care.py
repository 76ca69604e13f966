"""What operators decided of a chat: whose it is, and how far it is.

Their acts are told once, and in the order in which they come to the chat's lock: so the first who takes a chat has it.
What a buyer says comes in any order and as often as it likes, and ends in the same rows: a chat is closed or snoozed
only on what was to be seen then, and whatever a buyer says that was not opens it again.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from golub.clock import Millis
from golub.fold import acts, rows
from golub.fold.merge import Row
from golub.fold.observations import Care, Close, Given, HandOver, Reopen, Snooze
from golub.model import ActKind


class Followed(NamedTuple):
    """What must be worked out anew: `derive` all that follows from the chat's messages, and who waited since then."""

    derive: bool = False
    since: Millis | None = None


_NOTHING = Followed()


def fold_care(connection: Connection, one: Care, row: Row, now: Millis) -> Followed:
    if isinstance(one, HandOver):
        if row["owner_id"] == one.was != one.owner_id:
            _own(connection, row, one.owner_id, one.at, one.by)
        return _NOTHING
    if isinstance(one, Given):
        if row["owner_id"] == one.was and row["wants_owner"]:
            _own(connection, row, one.owner_id, one.at, None)
        return _NOTHING
    if isinstance(one, Close):
        return _close(connection, one, row, now)
    if isinstance(one, Snooze):
        if rows.has_spoken_since(connection, one.chat_id, one.version):
            return _NOTHING
        if row["snoozed_until"] != one.until:
            acts.note(connection, row, ActKind.SNOOZED, now, one.by, until=one.until)
        row["snoozed_until"] = one.until
        return _unsettle(connection, row)
    if isinstance(one, Reopen):
        if row["closed_at"] is not None or row["snoozed_until"] is not None:
            acts.note(connection, row, ActKind.REOPENED, now, one.by)
        row["snoozed_until"] = None
        return _unsettle(connection, row)
    if row["snoozed_until"] != one.until:
        return _NOTHING
    acts.note(connection, row, ActKind.WOKEN, now, None)
    row |= {"snoozed_until": None, "woken_at": one.until}
    return Followed(derive=True)


def open_again(connection: Connection, row: Row, now: Millis) -> None:
    """A buyer has written."""
    row["wants_owner"] = row["wants_owner"] or row["owner_id"] is None or row["closed_at"] is not None
    if row["closed_at"] is not None or row["snoozed_until"] is not None:
        acts.note(connection, row, ActKind.REOPENED, now, None)
    row |= {"closed_at": None, "snoozed_until": None}


def _own(connection: Connection, row: Row, owner_id: int | None, at: Millis, by: int | None) -> None:
    """Also by nobody: who gives a chat back leaves it to whoever takes it, until the buyer writes again."""
    if row["owner_id"] != owner_id:
        acts.note(connection, row, ActKind.OWNED, at, by, was_id=row["owner_id"], owner_id=owner_id)
    row |= {"owner_id": owner_id, "owned_since": None if owner_id is None else at, "wants_owner": False}


def _close(connection: Connection, one: Close, row: Row, now: Millis) -> Followed:
    """Who closes a chat has read it, and leaves nobody waiting."""
    if row["closed_at"] is not None or rows.has_spoken_since(connection, one.chat_id, one.version):
        return _NOTHING
    row |= {"closed_at": one.at, "snoozed_until": None, "wants_owner": False}
    row |= {"settled_to": rows.newest_id(connection, one.chat_id)}
    rows.settle(connection, one.chat_id, row["settled_to"])
    if rows.mark_seen(connection, one.chat_id, row["settled_to"]):
        row["read_due_at"] = now
    behind = rows.newest_time(connection, one.chat_id)
    acts.note(connection, row, ActKind.CLOSED, one.at, one.by, behind_at=behind, behind_id=row["settled_to"])
    return Followed(derive=True, since=behind)


def _unsettle(connection: Connection, row: Row) -> Followed:
    """The chat is not closed: whoever was waiting when it was closed waits still."""
    if row["closed_at"] is None:
        return _NOTHING
    row |= {"closed_at": None, "settled_to": 0}
    rows.settle(connection, row["id"], 0)
    return Followed(derive=True, since=acts.take_back_close(connection, row["id"]))
