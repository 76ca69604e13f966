"""What operators decided of a chat: whose it is, and how far it is.

Their acts are told once, and in the order in which they come to the chat's lock: so the first who takes a chat has it.
What a buyer says comes in any order and as often as it likes, and ends in the same rows: a chat is closed or snoozed
only on what was to be seen then, and whatever a buyer says that was not opens it again.
"""

from sqlalchemy import Connection

from golub.clock import Millis
from golub.fold import rows
from golub.fold.merge import Row
from golub.fold.observations import Care, Close, Given, HandOver, Reopen, Snooze


def fold_care(connection: Connection, one: Care, row: Row, now: Millis) -> bool:
    """Whether what follows from the chat's messages must be derived anew."""
    if isinstance(one, HandOver):
        if row["owner_id"] == one.was != one.owner_id:
            _own(row, one.owner_id, one.at)
        return False
    if isinstance(one, Given):
        if row["owner_id"] == one.was and row["wants_owner"]:
            _own(row, one.owner_id, one.at)
        return False
    if isinstance(one, Close):
        return _close(connection, one, row, now)
    if isinstance(one, Snooze):
        if rows.has_spoken_since(connection, one.chat_id, one.version):
            return False
        row["snoozed_until"] = one.until
        return _unsettle(connection, row)
    if isinstance(one, Reopen):
        row["snoozed_until"] = None
        return _unsettle(connection, row)
    if row["snoozed_until"] != one.until:
        return False
    row |= {"snoozed_until": None, "woken_at": one.until}
    return True


def open_again(row: Row) -> None:
    """A buyer has written."""
    row["wants_owner"] = row["wants_owner"] or row["owner_id"] is None or row["closed_at"] is not None
    row |= {"closed_at": None, "snoozed_until": None}


def _own(row: Row, owner_id: int | None, at: Millis) -> None:
    """Also by nobody: who gives a chat back leaves it to whoever takes it, until the buyer writes again."""
    row |= {"owner_id": owner_id, "owned_since": None if owner_id is None else at, "wants_owner": False}


def _close(connection: Connection, one: Close, row: Row, now: Millis) -> bool:
    """Who closes a chat has read it, and leaves nobody waiting."""
    if row["closed_at"] is not None or rows.has_spoken_since(connection, one.chat_id, one.version):
        return False
    row |= {"closed_at": one.at, "snoozed_until": None, "wants_owner": False}
    row |= {"settled_to": rows.newest_id(connection, one.chat_id)}
    rows.settle(connection, one.chat_id, row["settled_to"])
    if rows.mark_seen(connection, one.chat_id, row["settled_to"]):
        row["read_due_at"] = now
    return True


def _unsettle(connection: Connection, row: Row) -> bool:
    """The chat is not closed: whoever was waiting when it was closed waits still."""
    if row["closed_at"] is None:
        return False
    row |= {"closed_at": None, "settled_to": 0}
    rows.settle(connection, row["id"], 0)
    return True
