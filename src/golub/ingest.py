"""Ingest: lets a webhook's POST in and has it put on stable storage. It reads nothing of it.

Who may come in: whoever knows a path token (known to this node, or else looked up once in the main database), and
anybody on the bare path, within a budget. It calls nobody but the spool and, for a token it does not know, the main
database; and it writes no log, since the applier writes one line for every delivery.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from itertools import chain

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from golub import metrics
from golub.clock import Clock, now
from golub.errors import NotFound, Paced, Unavailable
from golub.model import PathToken
from golub.settings import Settings
from golub.spool import PUT_DEADLINE, Received, Spool, TokenEntry, Waiter
from golub.store import Store

BODY_LIMIT = 256 << 10  # bytes; the longest text that Avito takes has 1000 characters
BARE_RATE = 20.0  # deliveries a second without a token …
BARE_BURST = 40
BARE_BYTES = 64 << 20  # … and bytes of them that wait to be applied
LEAST_DEADLINE = 0.5  # seconds to store what took its time to come; with `LOOKUP_WAIT` no more than the whole
LOOKUP_WAIT = 1.0  # seconds that a token unknown here may take to be looked up
LOOKUP_RATE = 5.0  # of them a second, whatever strangers try
LOOKUP_BURST = 20
STRANGERS_KEPT = 10_000  # tokens remembered as unknown …
STRANGERS_FOR = 30.0  # … for so many seconds
HEADERS_KEPT = 100
HEADERS_BYTES = 16 << 10
HEADER_VALUE = 4096
HEADERS_SHORT = 1024  # bytes of all, as most senders have them: their pairs are remembered

Headers = Iterable[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[\w-]{22,128}", re.ASCII)  # ours have 43 characters
_as_json = json.JSONEncoder(separators=(",", ":")).encode
_SECRET_HEADERS = frozenset((b"authorization", b"cookie", b"proxy-authorization"))


class Ingest:
    """Belongs to one event loop, as the spool's `put` does."""

    def __init__(self, spool: Spool, store: Store, settings: Settings, clock: Clock = now) -> None:
        self.settings = settings
        self.clock = clock
        self._spool = spool
        self._store = store
        self._bare_budget = Budget(BARE_RATE, BARE_BURST)
        self._lookup_budget = Budget(LOOKUP_RATE, LOOKUP_BURST)
        self._lookups: dict[bytes, asyncio.Task[TokenEntry | None]] = {}
        self._strangers: dict[bytes, float] = {}
        self._ids: list[bytes] = []

    async def recognise(self, token: str) -> TokenEntry:
        """Whose token it is. Raises `NotFound`, or `Unavailable` where that could not be found out.

        The hash is what is compared, so the time it takes tells nothing about the token.
        """
        digest = sha256(token.encode(errors="replace")).digest()
        entry = self._spool.find_token(digest)
        if entry is None and _TOKEN.fullmatch(token):
            entry = await self._look_up(digest)
        if entry is None or (entry.retired_at is not None and entry.retired_at <= self.clock()):
            raise NotFound("Not found")
        return entry

    def greet(self) -> None:
        """The bare path: raises `NotFound` where it is switched off."""
        if not self.settings.bare_path:
            raise NotFound("Not found")

    def spend(self) -> None:
        """One delivery on the bare path: raises `Paced` when there were too many."""
        if self._spool.bare_bytes_pending >= BARE_BYTES:
            raise Paced("Too many deliveries without a token are waiting.", retry_after=10)
        if not self._bare_budget.take():
            raise Paced("Too many deliveries without a token.", retry_after=1)

    async def take(
        self,
        entry: TokenEntry | None,
        token: str,
        address: str,
        headers: Headers,
        body: bytes,
        *,
        began: float = 0.0,
    ) -> None:
        """Returns once the delivery is on stable storage; `entry` is None on the bare path. Raises `Unavailable`.

        `began`: when its request came, by `time.perf_counter`; 0: nobody knows. The deadline counts from then, so a
        token that had to be looked up leaves less time to store; a sender whose own body came late still gets some.
        """
        spent = time.perf_counter() - began if began else 0.0
        received = self._receive(entry, token, address, headers, body, began)
        await self._spool.put(received, within=max(PUT_DEADLINE - spent, LEAST_DEADLINE))

    def find(self, token: bytes) -> TokenEntry | None:
        """Whose token it is, if that is known here and not retired: `recognise` without a question to anybody."""
        entry = self._spool.find_token(sha256(token).digest())
        return entry if entry is None or entry.retired_at is None or entry.retired_at > self.clock() else None

    def take_for(
        self,
        waiter: Waiter,
        entry: TokenEntry,
        token: str,
        address: str,
        headers: Headers,
        body: bytes,
        *,
        began: float,
    ) -> None:
        """As `take`, for whoever is no coroutine: `waiter` is told. Raises `Unavailable` where there is no room."""
        self._spool.put_for(waiter, self._receive(entry, token, address, headers, body, began))

    def _receive(
        self, entry: TokenEntry | None, token: str, address: str, headers: Headers, body: bytes, began: float
    ) -> Received:
        return Received(
            id=self._new_id(),
            received_at=self.clock(),
            account_id=entry.account_id if entry else None,
            token_id=entry.token_id if entry else None,
            address=address,
            headers=kept_headers(headers, token),
            body=body,
            began=began,
        )

    def _new_id(self) -> bytes:
        """Random, from a stock: asking the kernel lets go of the interpreter, and getting it back takes long."""
        if not self._ids:
            stock = os.urandom(16 * 256)
            self._ids = [stock[at : at + 16] for at in range(0, len(stock), 16)]
        return self._ids.pop()

    async def _look_up(self, digest: bytes) -> TokenEntry | None:
        """Asks the main database, which may know a token that another node registered. Once for each at a time."""
        moment = time.monotonic()
        if (until := self._strangers.get(digest)) is not None:
            if moment < until:
                return None
            del self._strangers[digest]
        lookup = self._lookups.get(digest)
        if lookup is None:
            if not self._lookup_budget.take():
                metrics.token_lookups.labels("over_budget").inc()
                raise Unavailable("Too many unknown tokens are being looked up.")
            lookup = self._lookups[digest] = asyncio.create_task(self._ask_store(digest))
            lookup.add_done_callback(lambda ended: self._looked_up(digest, ended))
        # Not cancelled when it takes too long: it ends by itself, and others may be waiting for it.
        await asyncio.wait([lookup], timeout=LOOKUP_WAIT)
        if not lookup.done():
            metrics.token_lookups.labels("away").inc()
            raise Unavailable("The token could not be looked up in time.")
        return lookup.result()

    def _looked_up(self, digest: bytes, lookup: asyncio.Task[TokenEntry | None]) -> None:
        del self._lookups[digest]
        if not lookup.cancelled():
            lookup.exception()  # seen, also when nobody waited so long

    async def _ask_store(self, digest: bytes) -> TokenEntry | None:
        try:
            async with self._store.read() as session:
                columns = select(PathToken.id, PathToken.account_id, PathToken.retired_at)
                found = (await session.execute(columns.where(PathToken.hash == digest))).one_or_none()
        except (Unavailable, SQLAlchemyError, OSError) as error:  # also: not migrated yet
            metrics.token_lookups.labels("away").inc()
            raise Unavailable("The token could not be looked up.") from error
        metrics.token_lookups.labels("found" if found else "unknown").inc()
        if found is None:
            while len(self._strangers) >= STRANGERS_KEPT:
                del self._strangers[next(iter(self._strangers))]
            self._strangers[digest] = time.monotonic() + STRANGERS_FOR
            return None
        entry = TokenEntry(digest, *found)
        await asyncio.to_thread(self._spool.put_token, entry)
        return entry


class Budget:
    """A token bucket: `rate` a second, and `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._at = time.monotonic()

    def take(self) -> bool:
        moment = time.monotonic()
        self._left = min(self._burst, self._left + (moment - self._at) * self._rate)
        self._at = moment
        if self._left < 1:
            return False
        self._left -= 1
        return True


def kept_headers(headers: Headers, token: str) -> bytes:
    """A JSON array of [name, value]: in order, without credentials, the token blotted out, and bounded in size."""
    kept: list[str] = []
    listed = list(headers)
    if sum(map(len, chain.from_iterable(listed))) <= HEADERS_SHORT and len(listed) <= HEADERS_KEPT:
        kept = [_as_known_pair(name, value) for name, value in listed if name not in _SECRET_HEADERS]
        listed = []
    size = 0
    for name, value in listed:
        size += len(name) + min(len(value), HEADER_VALUE)
        if len(kept) >= HEADERS_KEPT or size > HEADERS_BYTES:
            break
        if name not in _SECRET_HEADERS:
            kept.append(_as_pair(name, value))
    written = f"[{','.join(kept)}]"
    if token:
        written = written.replace(token, "***")
    return written.encode()


def _as_pair(name: bytes, value: bytes) -> str:
    return _as_json((name.decode("latin-1"), value[:HEADER_VALUE].decode("latin-1")))


_as_known_pair = lru_cache(maxsize=1024)(_as_pair)  # most are the same in every request
