"""A buyer's traces in the journal: which deliveries tell of him, found by looking through it from its newest end.

No index leads there: one would cost every delivery that comes, for what is done once in a while.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.journal import Place
from golub.model import Delivery, DeliveryState

WINDOW = 500  # deliveries at once
BODIES = 20  # bodies at once, of up to 256 KiB each

_EMPTY = (DeliveryState.PROBE, DeliveryState.ERASED)


@dataclass(frozen=True, slots=True)
class Traces:
    """`chats`: until when a delivery about a chat counts, by account and Avito's id. What cannot be read, or names no
    chat, is searched for the bytes of these ids and of the buyer's number."""

    chats: Mapping[tuple[int, str], Millis]
    buyer: int | None

    def is_about(self, row: Any) -> bool:
        name = row.chat_avito_id
        if row.account_id is None:
            return any(name == chat and row.received_at <= until for (_, chat), until in self.chats.items())
        until = self.chats.get((row.account_id, name))
        return until is not None and row.received_at <= until

    def is_in(self, body: bytes) -> bool:
        if any(chat.encode() in body for _, chat in self.chats):
            return True
        return self.buyer is not None and re.search(rb"(?<!\d)%d(?!\d)" % self.buyer, body) is not None

    @property
    def newest_at(self) -> Millis:
        return max(self.chats.values(), default=0)


async def count(session: AsyncSession) -> int:
    """Deliveries of the journal."""
    return await session.scalar(select(func.count()).select_from(Delivery)) or 0


async def look_back(session: AsyncSession, traces: Traces, place: str) -> tuple[list[bytes], int, str]:
    """One window behind `place` ("": from the newest on): ids that tell of the buyer, how many were looked at, and
    where the next window begins; "" at the end."""
    columns = (Delivery.id, Delivery.received_at, Delivery.account_id, Delivery.chat_avito_id, Delivery.state)
    window = select(*columns).order_by(Delivery.received_at.desc(), Delivery.id.desc()).limit(WINDOW)
    if place:
        behind = Place.parse(place)
        window = window.where(tuple_(Delivery.received_at, Delivery.id) < tuple_(behind.at, behind.id))
    else:
        window = window.where(Delivery.received_at <= traces.newest_at)
    rows = (await session.execute(window)).all()
    found = [bytes(row.id) for row in rows if row.chat_avito_id and traces.is_about(row)]
    unread = [
        bytes(row.id)
        for row in rows
        if not row.chat_avito_id and row.state not in _EMPTY and row.received_at <= traces.newest_at
    ]
    found += await _holding(session, traces, unread)
    end = str(Place(rows[-1].received_at, bytes(rows[-1].id))) if len(rows) == WINDOW else ""
    return found, len(rows), end


async def _holding(session: AsyncSession, traces: Traces, ids: Sequence[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for start in range(0, len(ids), BODIES):
        bodies = select(Delivery.id, Delivery.body).where(Delivery.id.in_(ids[start : start + BODIES]))
        found += [bytes(key) for key, body in await session.execute(bodies) if traces.is_in(bytes(body))]
    return found
