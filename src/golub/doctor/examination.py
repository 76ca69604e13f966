"""The doctor: looks at everything in the order in which a person would, and says what is wrong, what it costs, and how
to mend it.

The same in the running server (the page) and beside it (the command): files, the database and the public address are
looked at alike. Only the server asks Avito anew and knows its own loops. It calls the configured address and Avito's,
nobody else; and it looks at most six times a minute.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from golub.backup import Schedule
from golub.clock import Clock, Millis
from golub.doctor.arrival import Arrivals
from golub.doctor.finding import N_, Check, Finding, Said, Verdict, after, in_order, unseen, worst_first
from golub.doctor.ground import Ground
from golub.doctor.machine import Machine
from golub.doctor.reach import Reach
from golub.doctor.shops import Shops, last_delivery
from golub.doctor.stored import Stored
from golub.doctor.way import Outside, Way
from golub.errors import NotFound, Paced, Unavailable
from golub.health import Health
from golub.model import Webhook
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from golub.subscription import Subscriptions, whole_url
from golub.vault import Vault

A_MINUTE = 6  # examinations

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Inside:
    """What only the running server has."""

    health: Health
    spool: Spool
    subscriptions: Subscriptions


@dataclass
class Examination:
    """One look at everything; `findings` grows while it is under way."""

    began_at: Millis
    ended_at: Millis | None = None
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def wrong(self) -> list[Finding]:
        return [one for one in self.findings if one.verdict is Verdict.WRONG]

    @property
    def to_mend(self) -> list[Finding]:
        return worst_first(self.findings)


class Doctor:
    """`reach`, `machine` and `avito` lead elsewhere in tests alone. `vault` is None where there is no key to read.
    `alert_kinds`: what a server noted of its environment, where ours has none."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        vault: Vault | None,
        inside: Inside | None = None,
        *,
        alert_kinds: Sequence[str] = (),
        reach: Reach | None = None,
        machine: Machine | None = None,
        avito: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.last: Examination | None = None
        self._settings = settings
        self._store = store
        self._clock = clock
        self._vault = vault
        self._inside = inside
        self._alert_kinds = settings.alert_kinds or alert_kinds
        self._reach = reach or Reach(allow_loopback=settings.allow_loopback_webhook)
        self._machine = machine or Machine()
        self._avito = avito
        self._recent: deque[float] = deque()
        self._task: asyncio.Task[list[Finding]] | None = None

    def begin(self) -> Examination:
        """Starts one in the background, or returns the one under way. Raises `Paced`."""
        if self.last is not None and self.last.ended_at is None:
            return self.last
        self._spend()
        examination = self.last = Examination(self._clock())
        self._task = asyncio.create_task(self._examine(examination), name="doctor")
        return examination

    async def examine(self) -> list[Finding]:
        """All findings, in order. Raises `Paced`."""
        self._spend()
        examination = self.last = Examination(self._clock())
        return await self._examine(examination)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _spend(self) -> None:
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) >= A_MINUTE:
            raise Paced("That was often enough for one minute. Try again a little later.", retry_after=30)
        self._recent.append(now)

    async def _examine(self, examination: Examination) -> list[Finding]:
        try:
            async for finding in self._look():
                examination.findings.append(finding)
        finally:
            examination.findings = in_order(examination.findings)
            examination.ended_at = self._clock()
        return examination.findings

    async def _look(self) -> AsyncIterator[Finding]:
        health = self._inside.health if self._inside else None
        ground = Ground(self._settings, self._machine, self._clock, health, self._avito, self._alert_kinds)
        stored = Stored(
            self._settings, self._store, self._clock, self._vault, self._inside.spool if self._inside else None
        )
        async for one in _whatever_happens(ground.look, Check.SERVER):
            yield one
        async for one in _whatever_happens(stored.look, Check.DATABASE):
            yield one
        outside = await self._outside() if stored.answers else Outside()
        arrivals = Arrivals(self._store, self._settings.data_dir.absolute(), self._clock)
        way = Way(self._settings, self._reach, arrivals, self._clock, outside)
        async for one in _whatever_happens(way.walk, Check.PUBLIC_URL):
            yield one
        if stored.answers:
            subscriptions = self._inside.subscriptions if self._inside else None
            shops = Shops(self._settings, self._store, self._clock, self._vault, subscriptions)
            async for one in _whatever_happens(shops.look, Check.ACCOUNTS):
                yield one
        else:
            for one in after(stored.hindered, Check.ACCOUNTS, Check.SUBSCRIPTION, Check.DELIVERIES, Check.COVERAGE):
                yield one
        async for one in _whatever_happens(stored.later, Check.DURABILITY):
            yield one
        told = await stored.tells_somebody()
        backed_at = await self._backed_at() if stored.answers else None
        for one in ground.care(backed_at):
            yield told if told is not None and one.check is Check.ALERTS else one

    async def _backed_at(self) -> Millis | None:
        """By whatever process."""
        try:
            return await Schedule(self._settings, self._clock, self._store).newest_at()
        except (Unavailable, SQLAlchemyError):
            return None

    async def _outside(self) -> Outside:
        """A registered webhook's URL carries a secret that our door knows; without one the bare path is tried."""
        host = urlsplit(self._settings.public_url).hostname
        try:
            async with self._store.read() as session:
                webhooks = (await session.scalars(select(Webhook).order_by(Webhook.id))).all()
            ours = [one for one in webhooks if one.token_hash and urlsplit(one.url).hostname == host]
            url = await whole_url(self._store, self._vault, ours[0]) if ours and self._vault else ""
            return Outside(url, await last_delivery(self._store))
        except (Unavailable, NotFound, SQLAlchemyError):
            return Outside()


async def _whatever_happens(look: Callable[[], AsyncGenerator[Finding]], check: Check) -> AsyncGenerator[Finding]:
    """A database that goes away in the middle ends one part, and not the examination."""
    try:
        async for one in look():
            yield one
    except (Unavailable, SQLAlchemyError, OSError) as error:
        log.warning("the doctor could not look at a part", part=str(check), reason=type(error).__name__)
        yield unseen(check, N_("Could not be looked at: {reason}"), reason=_told(error))


def _told(error: Exception) -> Said | str:
    return Said(error.message, error.fields) if isinstance(error, Unavailable) else type(error).__name__
