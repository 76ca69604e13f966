"""The journal as people look at it: every delivery, newest first, and what became of it. The journal's pages and
replays of many deliveries rely on it.

A list is a keyset page, and no filter costs more on a larger journal: see `looking`. Nothing here changes a delivery;
replaying is apply's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, Millis
from golub.errors import NotFound
from golub.journal.looking import Budget, look
from golub.journal.wanted import TEXT_LIMIT, Kind, Place, Trust, Wanted, key_of
from golub.model import Cause, Chat, Delivery, DeliveryState, Message
from golub.store.lists import padded

__all__ = [
    "TEXT_LIMIT",
    "Alike",
    "Budget",
    "Day",
    "Kind",
    "Line",
    "Page",
    "Place",
    "Trust",
    "Wanted",
    "can_replay",
    "count",
    "count_alike",
    "count_day",
    "count_quarantined",
    "find_chat",
    "find_message",
    "get_delivery",
    "key_of",
    "list_deliveries",
    "list_places",
    "look",
    "newest",
]

DELIVERIES_A_PAGE = 50
LOOKED_AT = 20_000  # deliveries that a page with a filter looks back over at most
COUNTED = 10_000  # a day's deliveries, those alike in quarantine, and those of a filter are counted up to here
QUARANTINE_COUNTED = 100
DETAILS_SHOWN = 3

_SHOWN: list[Any] = [
    Delivery.id,
    Delivery.received_at,
    Delivery.account_id,
    Delivery.token_id,
    Delivery.address,
    Delivery.state,
    Delivery.cause,
    Delivery.event_type,
    Delivery.chat_avito_id,
    Delivery.ack_ms,
]


@dataclass(frozen=True, slots=True)
class Line:
    """A delivery as the list shows it: everything but its bytes. `chat` is there once it was applied."""

    id: bytes
    received_at: Millis
    account_id: int | None
    token_id: int | None
    address: str
    state: DeliveryState
    cause: str
    event_type: str
    ack_ms: int | None
    chat: Chat | None

    @property
    def place(self) -> Place:
        return Place(self.received_at, self.id)


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


@dataclass(frozen=True, slots=True)
class Alike:
    """Deliveries in quarantine for one cause: `number` of them (`more`: or more), from the oldest to the newest; what
    their details say most often."""

    cause: Cause
    number: int
    more: bool
    oldest_at: Millis
    newest_at: Millis
    details: list[tuple[str, int]]


async def list_deliveries(
    session: AsyncSession,
    wanted: Wanted,
    *,
    before: Place | None = None,
    after: Place | None = None,
    limit: int = DELIVERIES_A_PAGE,
    looked_at: int = LOOKED_AT,
) -> Page:
    """A page of what passes the filter, newest first, beginning after `before` and ending ahead of `after`."""
    budget = Budget(rows=looked_at)
    found = await look(session, wanted, before=before, after=after, limit=limit + 1, budget=budget)
    lines = await _lines(session, found.places[:limit])
    if len(found.places) > limit:
        return Page(lines, found.places[limit - 1])
    return Page(lines, found.stopped_at, found.stopped_at.at if found.stopped_at else None)


async def list_places(
    session: AsyncSession, wanted: Wanted, *, before: Place | None, limit: int
) -> tuple[list[Place], Place | None]:
    """The same without what is shown of them, for a replay; and where the following page begins."""
    found = await look(session, wanted, before=before, limit=limit, budget=Budget(rows=LOOKED_AT))
    full = found.places[-1] if len(found.places) == limit else None
    return found.places, full or found.stopped_at


async def count(session: AsyncSession, wanted: Wanted, *, after: Place | None = None) -> tuple[int, bool]:
    """How many pass the filter, and whether there may be more behind them than one look counts."""
    budget = Budget(rows=2 * LOOKED_AT)
    found = await look(session, wanted, before=None, after=after, limit=COUNTED + 1, budget=budget)
    number = min(len(found.places), COUNTED)
    return number, len(found.places) > COUNTED or found.stopped_at is not None


async def newest(session: AsyncSession) -> Place | None:
    """Where the journal begins, as the list goes."""
    found = await look(session, Wanted(), before=None, limit=1, budget=Budget())
    return found.places[0] if found.places else None


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


async def find_message(session: AsyncSession, delivery: Delivery, chat: Chat | None) -> Message | None:
    """The message that it was applied to."""
    if chat is None or not delivery.message_avito_id or delivery.state != DeliveryState.APPLIED:
        return None
    return await session.scalar(
        select(Message).where(Message.chat_id == chat.id, Message.avito_id == delivery.message_avito_id)
    )


async def count_day(session: AsyncSession, now: Millis) -> Day:
    """How many deliveries of the last 24 hours are in which state."""
    recent = (
        select(Delivery.state)
        .where(Delivery.received_at > now - DAY)
        .order_by(Delivery.received_at.desc(), Delivery.id.desc())
        .limit(COUNTED + 1)
    ).subquery()
    rows = await session.execute(select(recent.c.state, func.count()).group_by(recent.c.state))
    found = {DeliveryState(state): number for state, number in rows}
    return Day(found, more=sum(found.values()) > COUNTED)


async def count_quarantined(session: AsyncSession) -> int:
    """Of all times; `QUARANTINE_COUNTED` means "that many or more"."""
    some = select(Delivery.received_at).where(Delivery.state == DeliveryState.QUARANTINED).limit(QUARANTINE_COUNTED)
    return await session.scalar(select(func.count()).select_from(some.subquery())) or 0


async def count_alike(session: AsyncSession) -> list[Alike]:
    """The quarantine by cause, where most are first."""
    found: list[Alike] = []
    for cause in Cause:
        alike = (Delivery.state == DeliveryState.QUARANTINED.value, Delivery.cause == cause.value)
        some = select(Delivery.received_at).where(*alike).limit(COUNTED + 1).subquery()
        number = await session.scalar(select(func.count()).select_from(some)) or 0
        if not number:
            continue
        edges = (
            await session.execute(select(func.min(Delivery.received_at), func.max(Delivery.received_at)).where(*alike))
        ).one()
        latest = select(Delivery.detail).where(*alike).order_by(Delivery.received_at.desc()).limit(QUARANTINE_COUNTED)
        said = latest.subquery()
        details = await session.execute(
            select(said.c.detail, func.count())
            .group_by(said.c.detail)
            .order_by(func.count().desc(), said.c.detail)
            .limit(DETAILS_SHOWN)
        )
        found.append(
            Alike(cause, min(number, COUNTED), number > COUNTED, edges[0], edges[1], [(one, n) for one, n in details])
        )
    return sorted(found, key=lambda one: -one.number)


def can_replay(delivery: Delivery) -> bool:
    """A probe has nothing in it, nor has what was erased; a hint that Avito has confirmed would only be asked about
    once more."""
    confirmed = delivery.token_id is None and delivery.state == DeliveryState.APPLIED
    return delivery.state not in (DeliveryState.PROBE, DeliveryState.ERASED) and not confirmed


async def _lines(session: AsyncSession, places: Sequence[Place]) -> list[Line]:
    if not places:
        return []
    rows = (
        (await session.execute(select(*_SHOWN).where(Delivery.id.in_(padded([one.id for one in places])))))
        .mappings()
        .all()
    )
    named = [(row["account_id"], row["chat_avito_id"]) for row in rows if _is_applied(row)]
    chats = await _find_chats(session, named)
    lines = {line.id: line for line in (_line(row, chats) for row in rows)}
    return [lines[one.id] for one in places if one.id in lines]


async def _find_chats(session: AsyncSession, named: Collection[tuple[int, str]]) -> dict[tuple[int, str], Chat]:
    if not named:
        return {}
    accounts, names = {account for account, _ in named}, {name for _, name in named}
    found = await session.scalars(
        select(Chat).where(Chat.account_id.in_(padded(accounts)), Chat.avito_id.in_(padded(names)))
    )
    return {(chat.account_id, chat.avito_id): chat for chat in found}


def _is_applied(row: Any) -> bool:
    return row["state"] == DeliveryState.APPLIED and row["account_id"] is not None


def _line(row: Any, chats: dict[tuple[int, str], Chat]) -> Line:
    return Line(
        id=bytes(row["id"]),
        received_at=row["received_at"],
        account_id=row["account_id"],
        token_id=row["token_id"],
        address=row["address"],
        state=DeliveryState(row["state"]),
        cause=row["cause"],
        event_type=row["event_type"],
        ack_ms=row["ack_ms"],
        chat=chats.get((row["account_id"], row["chat_avito_id"])) if _is_applied(row) else None,
    )
