"""The mark that the doctor sends through the public address, and the delivery that it becomes behind our own door.

It goes the way of every delivery and needs no door of its own, so it opens none for strangers: the body is a JSON
object with nothing in it but white space, in which the mark is written. Whoever sends such a thing has sent a probe,
on purpose or not, and a probe has no effect. It is looked for in this node's spool, which keeps it an hour, and else in
the journal, because another node may have received it.
"""

import asyncio
import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select

from golub.clock import MINUTE, Clock, Millis
from golub.errors import Unavailable
from golub.model import Delivery, DeliveryState
from golub.store import Store
from golub.subscription import NONCE_HEADER

SIGNATURE_HEADER = "x-avito-messenger-signature"
ARRIVES_WITHIN = 2.0  # seconds after the 200
LOOK_EVERY = 0.1
NEWEST = 500  # deliveries among which it must be

_SPACES = (b" ", b"\t", b"\n", b"\r")


def _written(mark: bytes) -> bytes:
    return b"{" + b"".join(_SPACES[byte >> shift & 3] for byte in mark for shift in (6, 4, 2, 0)) + b"}"


@dataclass(frozen=True)
class Mark:
    """Sent once."""

    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    signature: str = field(default_factory=lambda: secrets.token_hex(32))  # fits nothing; only whether it comes through

    @property
    def body(self) -> bytes:
        return _written(bytes.fromhex(self.nonce))

    @property
    def headers(self) -> dict[str, str]:
        return {
            "content-type": "application/json",
            NONCE_HEADER: self.nonce,
            SIGNATURE_HEADER: self.signature,
        }


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of it, as ingest kept it."""

    address: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def all_of(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def is_of(self, mark: Mark) -> bool:
        return mark.nonce in self.all_of(NONCE_HEADER) or self.body == mark.body


class Arrivals:
    """`folder`: where the spool of this node is."""

    def __init__(self, store: Store, folder: Path, clock: Clock) -> None:
        self._store = store
        self._spool = folder / "spool.db"
        self._clock = clock

    async def find(self, mark: Mark, *, since: Millis) -> Arrived | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + ARRIVES_WITHIN
        while True:
            seen = await asyncio.to_thread(self._in_spool, since) or []
            for arrived in [*seen, *await self._in_journal(since)]:
                if arrived.is_of(mark):
                    return arrived
            if loop.time() > end:
                return None
            await asyncio.sleep(LOOK_EVERY)

    def _in_spool(self, since: Millis) -> list[Arrived]:
        """Beside its owner, by a connection that can change nothing."""
        if not self._spool.exists():
            return []
        try:
            connection = sqlite3.connect(f"file:{self._spool}?mode=ro", uri=True, timeout=1)
            try:
                rows = connection.execute(
                    "SELECT address, headers, body FROM received WHERE received_at >= ? ORDER BY seq DESC LIMIT ?",
                    (since - MINUTE, NEWEST),
                ).fetchall()
            finally:
                connection.close()
        except sqlite3.Error:
            return []
        return [Arrived(address, _pairs(json.loads(headers)), body) for address, headers, body in rows]

    async def _in_journal(self, since: Millis) -> list[Arrived]:
        newest = (
            select(Delivery.address, Delivery.headers, Delivery.body)
            .where(Delivery.received_at >= since - MINUTE, Delivery.state == DeliveryState.PROBE)
            .order_by(Delivery.received_at.desc())
            .limit(NEWEST)
        )
        try:
            async with self._store.read() as session:
                return [Arrived(row[0], _pairs(row[1]), row[2]) for row in await session.execute(newest)]
        except Unavailable:
            return []


def _pairs(headers: Any) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in cast("list[list[object]]", headers)]
