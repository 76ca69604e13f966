"""The journal as people look at it: every delivery, newest first, and what became of it. The
journal's page relies on it.

A list is a keyset page, and no filter costs more on a larger journal: one that few deliveries pass looks back over
`LOOKED_AT` of them at a time and says where to look on. Nothing here changes a delivery; replaying one is apply's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, Millis
from golub.errors import Invalid, NotFound
from golub.model import EVENT_TYPES, Chat, Delivery, DeliveryState

DELIVERIES_A_PAGE = 50
LOOKED_AT = 20_000  # deliveries that a page with a filter looks back over at most
COUNTED = 10_000  # the last day's deliveries are counted up to here
QUARANTINE_COUNTED = 100
LARGEST = 2**63 - 1

_KEY = (Delivery.received_at, Delivery.id)
_SHOWN: list[Any] = [
    Delivery.id,
    Delivery.received_at,
    Delivery.account_id,
    Delivery.token_id,
    Delivery.state,
    Delivery.cause,
    Delivery.event_type,
    Delivery.chat_avito_id,
]
_NEWEST_FIRST = (Delivery.received_at.desc(), Delivery.id.desc())

Rows = Select[*tuple[Any, ...]]


class Kind(StrEnum):
    """Event types, as the list is filtered by them."""

    MESSAGE = "message"
    CHAT = "chat"
    USER = "user"
    OTHER = "other"  # of a type that we do not know


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter. What is None or left out, every delivery passes."""

    state: DeliveryState | None = None
    account_id: int | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: time and id of the last delivery that was looked at. Read back from a URL by `parse`."""

    at: Millis
    id: bytes

    def __str__(self) -> str:
        return f"{self.at}.{self.id.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        at, _, key = text.partition(".")
        if not (at.isascii() and at.isdigit() and len(at) < 20 and int(at) <= LARGEST):
            raise Invalid("This link is not complete. Open the list again.", field="before")
        return cls(int(at), key_of(key))


@dataclass(frozen=True, slots=True)
class Line:
    """A delivery as the list shows it: everything but its bytes. `chat` is there once it was applied."""

    id: bytes
    received_at: Millis
    account_id: int | None
    token_id: int | None
    state: DeliveryState
    cause: str
    event_type: str
    chat: Chat | None


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is where the following page begins; None at the end. `looked_to` is how far back it looked, where it
    stopped before the page was full."""

    lines: list[Line]
    next: Place | None
    looked_to: Millis | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """What the last 24 hours brought; `more` when there were more deliveries than are counted."""

    by_state: dict[DeliveryState, int]
    more: bool


def key_of(text: str) -> bytes:
    """A delivery's id as URLs write it. Raises `NotFound`."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 16 or key.hex() != text:
        raise NotFound("There is no such delivery.")
    return key


async def list_deliveries(
    session: AsyncSession,
    wanted: Wanted,
    *,
    before: Place | None = None,
    limit: int = DELIVERIES_A_PAGE,
    looked_at: int = LOOKED_AT,
) -> Page:
    """A page of what passes the filter, newest first, beginning after `before`."""
    recent = select(*_SHOWN).where(*_indexed(wanted)).order_by(*_NEWEST_FIRST)
    if before:
        recent = recent.where(tuple_(*_KEY) < tuple_(before.at, before.id))
    rows = (await session.execute(_sifted(recent, wanted, looked_at).limit(limit + 1))).mappings().all()
    chats = await _find_chats(session, [(row["account_id"], row["chat_avito_id"]) for row in rows if _is_applied(row)])
    lines = [_line(row, chats) for row in rows[:limit]]
    if len(rows) > limit:
        return Page(lines, Place(lines[-1].received_at, lines[-1].id))
    edge = (await session.execute(recent.offset(looked_at - 1).limit(1))).first() if _sieve(wanted, Delivery) else None
    return Page(lines, Place(edge.received_at, bytes(edge.id)) if edge else None, edge.received_at if edge else None)


async def get_delivery(session: AsyncSession, key: bytes) -> Delivery:
    """With its bytes. Raises `NotFound`."""
    found = await session.get(Delivery, key)
    if found is None:
        raise NotFound("There is no such delivery.")
    return found


async def find_chat(session: AsyncSession, delivery: Delivery) -> Chat | None:
    """The chat that it tells of, if we have it."""
    named = (delivery.account_id or 0, delivery.chat_avito_id)
    return (await _find_chats(session, [named])).get(named)


async def count_day(session: AsyncSession, now: Millis) -> Day:
    """How many deliveries of the last 24 hours are in which state."""
    newest = (
        select(Delivery.state).where(Delivery.received_at > now - DAY).order_by(*_NEWEST_FIRST).limit(COUNTED + 1)
    ).subquery()
    rows = await session.execute(select(newest.c.state, func.count()).group_by(newest.c.state))
    found = {DeliveryState(state): number for state, number in rows}
    return Day(found, more=sum(found.values()) > COUNTED)


async def count_quarantined(session: AsyncSession) -> int:
    """Of all times; `QUARANTINE_COUNTED` means "that many or more"."""
    some = select(Delivery.received_at).where(Delivery.state == DeliveryState.QUARANTINED).limit(QUARANTINE_COUNTED)
    return await session.scalar(select(func.count()).select_from(some.subquery())) or 0


def can_replay(delivery: Delivery) -> bool:
    """A probe has nothing in it; a hint that Avito has confirmed would only be asked about once more."""
    confirmed = delivery.token_id is None and delivery.state == DeliveryState.APPLIED
    return delivery.state != DeliveryState.PROBE and not confirmed


def _indexed(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The conditions that an index answers."""
    found: list[ColumnElement[bool]] = []
    if wanted.account_id is not None:
        found.append(Delivery.account_id == wanted.account_id)
    if wanted.state is DeliveryState.QUARANTINED:
        found.append(Delivery.state == wanted.state)
    return found


def _sieve(wanted: Wanted, columns: Any) -> list[ColumnElement[bool]]:
    """The conditions for which each delivery must be looked at."""
    found: list[ColumnElement[bool]] = []
    if wanted.state not in (None, DeliveryState.QUARANTINED):
        found.append(columns.state == wanted.state)
    if wanted.kind is Kind.OTHER:
        found.append(columns.event_type.not_in(("", *EVENT_TYPES)))
    elif wanted.kind:
        found.append(columns.event_type == wanted.kind)
    return found


def _sifted(recent: Rows, wanted: Wanted, looked_at: int) -> Rows:
    if not _sieve(wanted, Delivery):
        return recent
    window = recent.limit(looked_at).subquery()
    return select(window).where(*_sieve(wanted, window.c)).order_by(window.c.received_at.desc(), window.c.id.desc())


async def _find_chats(session: AsyncSession, named: Collection[tuple[int, str]]) -> dict[tuple[int, str], Chat]:
    if not named:
        return {}
    accounts, names = {account for account, _ in named}, {name for _, name in named}
    found = await session.scalars(select(Chat).where(Chat.account_id.in_(accounts), Chat.avito_id.in_(names)))
    return {(chat.account_id, chat.avito_id): chat for chat in found}


def _is_applied(row: Any) -> bool:
    return row["state"] == DeliveryState.APPLIED and row["account_id"] is not None


def _line(row: Any, chats: dict[tuple[int, str], Chat]) -> Line:
    return Line(
        id=bytes(row["id"]),
        received_at=row["received_at"],
        account_id=row["account_id"],
        token_id=row["token_id"],
        state=DeliveryState(row["state"]),
        cause=row["cause"],
        event_type=row["event_type"],
        chat=chats.get((row["account_id"], row["chat_avito_id"])) if _is_applied(row) else None,
    )
