"""How observations of one message, or of one chat, become its row: pure functions, and the same row in any order.

For a message the greatest of (rank of what it knows, time, API over webhook, digest) wins; what else is kept only
grows (deleted, edited, read, confirmed) or only shrinks (quiet). Rows are plain dicts of columns.
"""

import hashlib
from dataclasses import astuple
from typing import Any

from golub.avito.wire import API, WEBHOOK, BuyerFacts, ChatSeen, ItemFacts, MessageSeen, UserSeen
from golub.avito.wire_seen import canonical, rank_of, words_of
from golub.clock import MINUTE, Millis
from golub.model import Direction

Row = dict[str, Any]

CLOCKS_DIFFER = MINUTE  # by more than that the doctor warns
_KNOWS_CONTENT = 2  # see `rank_of`

# Written, but nothing that anybody sees: a change here alone rings no bell.
UNSEEN_BY_ALL = frozenset({
    "observed_at", "source", "digest", "tombstone_at", "confirmed", "quiet", "first_source", "received_at",
    "delivered_at", "version",
    "facts_at", "buyer_rank", "item_rank", "status_rank", "updated_at",
    "fetch_due_at", "fetch_quietly", "fetch_attempts", "fetched_at", "verified_to",
    "read_due_at", "read_sent_at",
    "settled_to", "woken_at",
})  # fmt: skip


def new_message(seen: MessageSeen, account_id: int, chat_id: int, now: Millis) -> Row:
    row: Row = {
        "account_id": account_id,
        "chat_id": chat_id,
        "avito_id": seen.avito_id,
        "tombstone_at": None,
        "deleted_at": None,
        "edited": False,
        "read_by_peer": False,
        "seen": False,
        "quiet": True,
        "unread": False,
        "confirmed": False,
        "first_source": seen.source,
        "received_at": now,
        "delivered_at": None,
        "version": 0,
    }
    _take_content(row, seen)
    _grow(row, seen, rank_of(seen.type, seen.text))
    return row


def merge_message(row: Row, seen: MessageSeen) -> None:
    known, told = rank_of(row["type"], row["text"]), rank_of(seen.type, seen.text)
    if (
        known == told == _KNOWS_CONTENT
        and not row["edited"]
        and words_of(row["type"], row["text"]) != words_of(seen.type, seen.text)
    ):
        # The row's words are those of some observation, so this holds exactly when two have differed, in any order.
        row["edited"] = True
    if (told, seen.observed_at, seen.source, seen.digest) > (known, row["observed_at"], row["source"], row["digest"]):
        _take_content(row, seen)
    _grow(row, seen, told)


def may_be_newer(row: Row, seen: MessageSeen) -> bool:
    """Whether a webhook lost against other words that the API told moments later, as we date it. Where our clock is
    ahead of Avito's it may be an edit made since: only the API can tell."""
    lead = row["observed_at"] - seen.observed_at
    return (
        (seen.source, row["source"]) == (WEBHOOK, API)
        and 0 <= lead <= CLOCKS_DIFFER
        and words_of(row["type"], row["text"]) != words_of(seen.type, seen.text)
    )


def _take_content(row: Row, seen: MessageSeen) -> None:
    row["observed_at"] = seen.observed_at
    row["source"] = seen.source
    row["digest"] = seen.digest
    row["author_id"] = seen.author_id
    row["direction"] = seen.direction.value
    row["type"] = seen.type
    row["content"] = seen.content
    row["text"] = seen.text
    row["created_at"] = seen.created_at


def _grow(row: Row, seen: MessageSeen, told: int) -> None:
    if told == 0:
        row["deleted_at"] = _earlier(row["deleted_at"], seen.observed_at)
    elif told == 1:
        row["tombstone_at"] = _earlier(row["tombstone_at"], seen.observed_at)
    if row["tombstone_at"] is not None and rank_of(row["type"], row["text"]) == _KNOWS_CONTENT:
        row["deleted_at"] = _earlier(row["deleted_at"], row["tombstone_at"])
    row["confirmed"] = row["confirmed"] or seen.source == API
    row["quiet"] = row["quiet"] and seen.quiet
    merge_delivered(row, seen.delivered_at)
    row["read_by_peer"] = row["read_by_peer"] or (seen.read and seen.direction is Direction.OUT)
    row["seen"] = row["seen"] or (seen.read and seen.direction is Direction.IN)
    row["unread"] = (
        row["direction"] == Direction.IN and not row["quiet"] and not row["seen"] and row["deleted_at"] is None
    )


def merge_delivered(row: Row, at: Millis | None) -> None:
    """The first webhook counts, in whatever order the journal is read."""
    row["delivered_at"] = _earlier(row["delivered_at"], at)


def merge_chat(row: Row, seen: ChatSeen) -> None:
    if seen.source == API:
        row["facts_at"] = max(row["facts_at"], seen.observed_at)
    row["chat_type"] = max(row["chat_type"], seen.chat_type)
    if seen.buyer is not None:
        _take_buyer(row, seen.buyer, _part_rank(seen, seen.buyer))
    if seen.item is not None:
        _take_item(row, seen.item, _part_rank(seen, seen.item))
    if seen.status is not None:
        merge_status(row, seen.status, seen.observed_at, seen.source)
    row["created_at"] = _earlier(row["created_at"] or None, seen.created_at or None) or 0
    row["updated_at"] = max(row["updated_at"], seen.updated_at)


def merge_name(row: Row, seen: UserSeen) -> None:
    """A buyer's new name, until the API tells its own."""
    if seen.name:
        rank = f"{WEBHOOK}{seen.observed_at:016d}{hashlib.sha256(seen.name.encode()).hexdigest()[:32]}"
        _take_buyer(row, BuyerFacts(id=seen.user_id, name=seen.name), rank)


def merge_chat_of_message(row: Row, seen: MessageSeen) -> None:
    """The two facts of a chat that ride on its messages."""
    if seen.chat_type:
        row["chat_type"] = max(row["chat_type"], seen.chat_type)
    if seen.item_id is not None and row["item_rank"][:1] != str(API):
        _take_item(row, ItemFacts(id=seen.item_id), f"{WEBHOOK}{seen.observed_at:016d}{seen.item_id:019d}")


def merge_status(row: Row, status: str, observed_at: Millis, source: int) -> None:
    rank = f"{observed_at:016d}{source}{status}"
    if rank > row["status_rank"]:
        row |= {"status_rank": rank, "status": status}


def _part_rank(seen: ChatSeen, part: BuyerFacts | ItemFacts) -> str:
    """The API first, then time: a webhook names no more than the item's id, and must not hide its title."""
    digest = hashlib.sha256(canonical(astuple(part))).hexdigest()[:32]
    return f"{seen.source}{seen.observed_at:016d}{digest}"


def _take_buyer(row: Row, buyer: BuyerFacts, rank: str) -> None:
    if rank > row["buyer_rank"]:
        row |= {
            "buyer_rank": rank,
            "buyer_id": buyer.id,
            "buyer_name": buyer.name,
            "buyer_avatar_url": buyer.avatar_url,
            "buyer_profile_url": buyer.profile_url,
        }


def _take_item(row: Row, item: ItemFacts, rank: str) -> None:
    if rank > row["item_rank"]:
        row |= {
            "item_rank": rank,
            "item_id": item.id,
            "item_title": item.title,
            "item_price": item.price,
            "item_url": item.url,
            "item_image_url": item.image_url,
            "item_status": item.status,
        }


def _earlier(one: Millis | None, other: Millis | None) -> Millis | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
