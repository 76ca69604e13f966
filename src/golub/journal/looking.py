"""Looks back through the journal, newest first, for what passes a filter; so that no look costs more on a larger one.

It goes in windows and stops at whichever comes first: enough found, `rows` looked at, `body_bytes` of bodies read, or
`seconds` gone. Columns are sifted in an index that holds them all; bodies are read only for a text, and of what passed.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.journal.wanted import Place, Wanted
from golub.model import Delivery
from golub.store.lists import padded

FIRST_WINDOW = 500  # deliveries; each next one is twice as large …
LARGEST_WINDOW = 4000  # … up to this, so that one statement stays a matter of milliseconds
PORTION = 1 << 20  # bytes of bodies read at once

_KEY = (Delivery.received_at, Delivery.id)
_NEWEST_FIRST = (Delivery.received_at.desc(), Delivery.id.desc())
_INDEXED: list[Any] = [
    Delivery.received_at,
    Delivery.id,
    Delivery.account_id,
    Delivery.state,
    Delivery.cause,
    Delivery.event_type,
    Delivery.token_id,
    Delivery.address,
]
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True, slots=True)
class Budget:
    """What one look may cost."""

    rows: int = 20_000
    body_bytes: int = 16 << 20
    seconds: float = 0.7


@dataclass(frozen=True, slots=True)
class Found:
    """`places` in the order of the list. `stopped_at`: where it stopped before it had enough or came to the end."""

    places: list[Place]
    stopped_at: Place | None


async def look(
    session: AsyncSession,
    wanted: Wanted,
    *,
    before: Place | None,
    after: Place | None = None,
    limit: int,
    budget: Budget,
) -> Found:
    """Up to `limit` deliveries that pass, older than `before` and newer than `after`."""
    recent = select(*_INDEXED).where(*wanted.indexed()).order_by(*_NEWEST_FIRST)
    if after:
        recent = recent.where(tuple_(*_KEY) > tuple_(after.at, after.id))
    if not (wanted.sieve(Delivery) or wanted.text):
        rows = await session.execute(_older(recent, before).limit(limit))
        return Found([_place(row) for row in rows], None)
    return await _look_back(session, wanted, recent, before, limit, budget)


async def _look_back(
    session: AsyncSession,
    wanted: Wanted,
    recent: Select[*tuple[Any, ...]],
    place: Place | None,
    limit: int,
    budget: Budget,
) -> Found:
    end = time.monotonic() + budget.seconds
    rows_left, bytes_left, size = budget.rows, budget.body_bytes, FIRST_WINDOW
    found: list[Place] = []
    while True:
        size = min(size, rows_left)
        window = _older(recent, place).limit(size).subquery()
        passed = select(window).where(*wanted.sieve(window.c)).order_by(window.c.received_at.desc(), window.c.id.desc())
        if not wanted.text:
            found += [_place(row) for row in await session.execute(passed.limit(limit - len(found)))]
        else:
            async for one, cost, fits in _read(
                session, wanted.text, [_place(row) for row in await session.execute(passed)]
            ):
                found += [one] if fits else []
                bytes_left -= cost
                if len(found) == limit:
                    break
                if bytes_left <= 0 or time.monotonic() > end:
                    return Found(found, one)
        if len(found) == limit:
            return Found(found, None)
        edge = (await session.execute(_older(recent, place).offset(size - 1).limit(1))).first()
        if edge is None:
            return Found(found, None)
        place = _place(edge)
        rows_left -= size
        if rows_left <= 0 or time.monotonic() > end:
            return Found(found, place)
        size = min(size * 2, LARGEST_WINDOW)


async def _read(session: AsyncSession, text: str, places: Sequence[Place]) -> AsyncGenerator[tuple[Place, int, bool]]:
    """Each of them with its body's size and whether that holds the text."""
    needle = text.casefold()
    for portion in await _portions(session, places):
        rows = await session.execute(
            select(Delivery.id, Delivery.body).where(Delivery.id.in_(padded([p.id for p in portion])))
        )
        bodies = {bytes(key): bytes(body) for key, body in rows}
        fits = await asyncio.to_thread(_holding, needle, bodies)
        for one in portion:
            yield one, len(bodies.get(one.id, b"")), one.id in fits


def _holding(needle: str, bodies: Mapping[bytes, bytes]) -> set[bytes]:
    return {key for key, body in bodies.items() if needle in readable(body)}


async def _portions(session: AsyncSession, places: Sequence[Place]) -> list[list[Place]]:
    """In order, each of about `PORTION` bytes of bodies."""
    sizes: dict[bytes, int] = {}
    for start in range(0, len(places), FIRST_WINDOW):
        ids = [one.id for one in places[start : start + FIRST_WINDOW]]
        rows = await session.execute(
            select(Delivery.id, func.octet_length(Delivery.body)).where(Delivery.id.in_(padded(ids)))
        )
        sizes |= {bytes(key): size for key, size in rows}
    portions: list[list[Place]] = []
    filled = PORTION
    for one in places:
        size = sizes.get(one.id, 0)
        if filled + size > PORTION:
            portions.append([])
            filled = 0
        portions[-1].append(one)
        filled += size
    return portions


def readable(body: bytes) -> str:
    r"""A body's text without regard to case; \u0414 reads as the letter that it stands for."""
    text = body.decode(errors="replace")
    if "\\u" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.casefold()


def _older(recent: Select[*tuple[Any, ...]], place: Place | None) -> Select[*tuple[Any, ...]]:
    return recent.where(tuple_(*_KEY) < tuple_(place.at, place.id)) if place else recent


def _place(row: Any) -> Place:
    return Place(row.received_at, bytes(row.id))
