"""Whether a message of ours is what the journal's deliveries can have made: what must be equal, and what may differ.

A message is the greatest of all that was ever told of it, by rule 4 of the design: by webhooks, by pages of the API, by
answers to what we sent; and operators read it. The journal holds the webhooks alone. So ours must be at least what the
journal makes of it, column by column; and where nobody but webhooks told of it, exactly that.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from golub.avito.wire import API
from golub.avito.wire_seen import rank_of
from golub.model import Direction

Row = Mapping[str, Any]

_CONTENT = ("author_id", "direction", "type", "content", "text", "created_at")
_EARLIEST = ("deleted_at", "tombstone_at", "delivered_at")  # the first counts: ours may be earlier, never later
_GROWING = ("edited", "read_by_peer", "seen")  # once true, for ever


class Fault(StrEnum):
    """What is wrong with a message of ours. The report explains each."""

    MISSING = "missing"  # a delivery was applied, and the message is not there
    OLDER = "older"  # ours is from before a delivery that was applied
    OTHER = "other"  # of the same moment, and other words
    UNTOLD = "untold"  # ours says more than anybody told us
    LOST = "lost"  # a deletion, an edit, a reading that was told is not in ours
    INCONSISTENT = "inconsistent"  # what follows from the rest does not


def compare(ours: Row | None, told: Row, *, journal_is_whole: bool) -> Fault | None:
    """`told` is what the journal makes of it. `journal_is_whole`: every delivery since we first had it is there."""
    if ours is None:
        return Fault.MISSING
    mine, theirs = _order(ours), _order(told)
    if mine < theirs:
        return Fault.OLDER
    if mine == theirs and any(ours[name] != told[name] for name in _CONTENT):
        return Fault.OTHER
    if any(told[name] is not None and (ours[name] is None or ours[name] > told[name]) for name in _EARLIEST):
        return Fault.LOST
    if any(told[name] and not ours[name] for name in _GROWING) or (ours["quiet"] and not told["quiet"]):
        return Fault.LOST
    if ours["unread"] != is_unread(ours):
        return Fault.INCONSISTENT
    from_webhooks = not ours["confirmed"] and ours["source"] != API
    if from_webhooks and journal_is_whole and _says_more(ours, told):
        return Fault.UNTOLD
    return None


def is_unread(row: Row) -> bool:
    """As fold derives it."""
    return row["direction"] == Direction.IN and not (row["quiet"] or row["seen"]) and row["deleted_at"] is None


def _says_more(ours: Row, told: Row) -> bool:
    """Operators read it; for the rest nobody but the webhooks can have told us."""
    names = (*_EARLIEST, "edited", "read_by_peer", "quiet")
    return _order(ours) != _order(told) or any(ours[name] != told[name] for name in names)


def _order(row: Row) -> tuple[int, int, int, bytes]:
    return rank_of(row["type"], row["text"]), row["observed_at"], row["source"], bytes(row["digest"])
