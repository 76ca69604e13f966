"""The addresses that deliveries are forwarded to: adding, pausing, removing, sending again, for the webhooks' page."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

import structlog
from sqlalchemy import ColumnElement, Text, cast, delete, func, insert, literal, literal_column, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import ITSELF, Action, By
from golub.clock import DAY, Clock, Millis
from golub.errors import Conflict, Invalid, NotFound
from golub.guarded import Guarded
from golub.model import (
    Account,
    Delivery,
    DeliveryState,
    Relay,
    RelayedDelivery,
    RelayedState,
    RelayState,
    Sealed,
    Webhook,
)
from golub.relay.courier import Courier
from golub.settings import RELAYED_HEADER, WEBHOOK_PATH, Settings
from golub.store import Store
from golub.vault import Vault

RELAYS_MOST = 10  # of one account
REPLAY_BACK = 3 * DAY
SHOWN = 20

_SECRET = re.compile(r"(?=[^/]*\d)[^/]{8,}|[^/]{24,}")  # a part of a path that may be one
_is_given_up = RelayedDelivery.state == literal_column("'given_up'")  # in these words its index is used

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """A relay as people see it."""

    relay: Relay
    url: str  # masked
    waiting: int
    given_up: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A delivery that every try failed to forward."""

    id: int
    received_at: Millis
    event_type: str
    last_error: str


class Relays:
    """`guarded` is given in tests alone."""

    def __init__(
        self, store: Store, vault: Vault, settings: Settings, clock: Clock, guarded: Guarded | None = None
    ) -> None:
        self._store = store
        self._vault = vault
        self._settings = settings
        self._clock = clock
        self._guarded = guarded or Guarded(allow_loopback=settings.allow_loopback_webhook)
        courier = Courier(store, vault, self._guarded, clock)
        self.nudge, self.run, self.run_once = courier.nudge, courier.run, courier.run_once

    def check_url(self, url: str) -> str:
        """The URL in its normal form. Raises `Invalid` for one that we must not or cannot call."""
        url = self._guarded.check_url(url)
        parts, own = urlsplit(url), urlsplit(self._settings.public_url)
        if parts.netloc == own.netloc and parts.path.startswith(WEBHOOK_PATH):
            raise Invalid("This is Golub's own address: messages would go round in a circle.", field="url")
        return url

    async def add(self, account_id: int, url: str, *, by: By = ITSELF) -> Relay:
        """From now on the account's deliveries go there too. Raises `Invalid`, `NotFound`, `Conflict`."""
        url = self.check_url(url)
        relay = Relay(
            account_id=account_id,
            url=self._vault.seal(url),
            url_hash=sha256(url.encode()).digest(),
            host=urlsplit(url).hostname or "?",
            created_at=self._clock(),
        )
        async with self._store.write() as session:
            if await session.get(Account, account_id) is None:
                raise NotFound("This account is no longer connected.")
            count = await session.scalar(select(func.count()).select_from(Relay).where(Relay.account_id == account_id))
            if (count or 0) >= RELAYS_MOST:
                raise Conflict("An account can have {most} addresses at most.", most=RELAYS_MOST)
            try:
                async with session.begin_nested():
                    session.add(relay)
            except IntegrityError:
                raise Conflict("Messages are forwarded to this address already.") from None
            await by.did(session, Action.RELAY_ADDED, mask(url), now=relay.created_at)
        log.info("a relay was added", account=account_id, relay=relay.id, host=relay.host)
        return relay

    async def get(self, relay_id: int) -> Relay:
        async with self._store.read() as session:
            relay = await session.get(Relay, relay_id)
        if relay is None:
            raise NotFound("There is no such address to forward to.")
        return relay

    async def list_all(self) -> dict[int, list[Standing]]:
        """By account, in the order in which they were added."""
        async with self._store.read() as session:
            relays = (await session.scalars(select(Relay).order_by(Relay.id))).all()
            waiting = await _count(session, RelayedDelivery.due_at.is_not(None))
            given_up = await _count(session, _is_given_up)
        found: defaultdict[int, list[Standing]] = defaultdict(list)
        for relay in relays:
            url = mask(self._vault.open(relay.url))
            standing = Standing(relay, url, waiting.get(relay.id, 0), given_up.get(relay.id, 0))
            found[relay.account_id].append(standing)
        return found

    async def list_given_up(self, relay_id: int) -> Sequence[Undelivered]:
        """The newest of them."""
        columns = RelayedDelivery.id, Delivery.received_at, Delivery.event_type, RelayedDelivery.last_error
        async with self._store.read() as session:
            rows = await session.execute(
                select(*columns)
                .join(Delivery, Delivery.id == RelayedDelivery.delivery_id)
                .where(RelayedDelivery.relay_id == relay_id, _is_given_up)
                .order_by(RelayedDelivery.id.desc())
                .limit(SHOWN)
            )
            return [Undelivered(*row) for row in rows]

    async def pause(self, relay_id: int, *, by: By = ITSELF) -> None:
        """What comes meanwhile waits, and is sent in its order later."""
        async with self._store.write() as session:
            paused = await session.scalar(
                update(Relay)
                .where(Relay.id == relay_id, Relay.state == RelayState.WORKING)
                .values(state=RelayState.PAUSED)
                .returning(Relay.url)
                .execution_options(synchronize_session=False)
            )
            if paused is not None:
                await by.did(session, Action.RELAY_PAUSED, self._named(paused), now=self._clock())

    async def resume(self, relay_id: int, *, by: By = ITSELF) -> None:
        """Goes on, whyever it stopped: what waits goes at once, with all its tries anew."""
        now = self._clock()
        async with self._store.write() as session:
            resumed = await session.scalar(
                update(Relay)
                .where(Relay.id == relay_id)
                .values(state=RelayState.WORKING, failing_since=None, failures=0, held_until=0)
                .returning(Relay.url)
                .execution_options(synchronize_session=False)
            )
            await session.execute(
                update(RelayedDelivery)
                .where(RelayedDelivery.relay_id == relay_id, RelayedDelivery.due_at.is_not(None))
                .values(due_at=now, attempts=0)
            )
            if resumed is not None:
                await by.did(session, Action.RELAY_RESUMED, self._named(resumed), now=now)
        self.nudge()

    async def remove(self, relay_id: int, *, by: By = ITSELF) -> None:
        """With all that waits for it. Harmless when it is gone already."""
        async with self._store.write() as session:
            removed = await session.scalar(delete(Relay).where(Relay.id == relay_id).returning(Relay.url))
            if removed is not None:
                await by.did(session, Action.RELAY_REMOVED, self._named(removed), now=self._clock())
        log.info("a relay was removed", relay=relay_id)

    async def send_again(self, relay_id: int, relayed_id: int | None = None, *, by: By = ITSELF) -> int:
        """What was given up, all or one of it, anew. Returns how many deliveries."""
        chosen = RelayedDelivery.relay_id == relay_id, _is_given_up
        if relayed_id is not None:
            chosen = *chosen, RelayedDelivery.id == relayed_id
        async with self._store.write() as session:
            again = await session.scalars(
                update(RelayedDelivery)
                .where(*chosen)
                .values(state=RelayedState.QUEUED, due_at=self._clock(), attempts=0, finished_at=None)
                .returning(RelayedDelivery.id)
                .execution_options(synchronize_session=False)
            )
            count = len(again.all())
            relay = await session.get(Relay, relay_id)
            if count and relay:
                subject, now = self._named(relay.url), self._clock()
                await by.did(session, Action.RELAY_REPLAYED, subject, after={"deliveries": count}, now=now)
        self.nudge()
        return count

    async def replay(self, relay_id: int, since: Millis, *, by: By = ITSELF) -> int:
        """All deliveries since then once more, whether they arrived or not, at most three days back; those that wait
        keep their turn among them. Returns how many."""
        now = self._clock()
        async with self._store.write() as session:
            relay = await session.get(Relay, relay_id, with_for_update={"key_share": True})
            if relay is None:
                raise NotFound("There is no such address to forward to.")
            webhook = await session.scalar(select(Webhook.url).where(Webhook.account_id == relay.account_id))
            wanted = (
                Delivery.account_id == relay.account_id,
                Delivery.received_at >= max(since, now - REPLAY_BACK),
                Delivery.state != DeliveryState.PROBE,
                or_(Delivery.token_id.is_not(None), literal((webhook or "").endswith(WEBHOOK_PATH))),
                cast(Delivery.headers, Text).not_like(f'%"{RELAYED_HEADER}"%'),
            )
            await session.execute(
                delete(RelayedDelivery)
                .where(
                    RelayedDelivery.relay_id == relay_id,
                    RelayedDelivery.delivery_id.in_(select(Delivery.id).where(*wanted)),
                )
                .execution_options(synchronize_session=False)
            )
            ordered = select(Delivery.id, Delivery.chat_avito_id).where(*wanted)
            rows = [
                {"relay_id": relay_id, "delivery_id": key, "chat_key": chat_avito_id or key.hex(), "due_at": now}
                for key, chat_avito_id in await session.execute(ordered.order_by(Delivery.received_at, Delivery.id))
            ]
            if rows:
                await session.execute(insert(RelayedDelivery), rows)
            after = {"deliveries": len(rows), "since": max(since, now - REPLAY_BACK)}
            await by.did(session, Action.RELAY_REPLAYED, self._named(relay.url), after=after, now=now)
        self.nudge()
        return len(rows)

    def _named(self, sealed: Sealed) -> str:
        """The address of a relay for the audit."""
        return mask(self._vault.open(sealed))


def mask(url: str) -> str:
    """The address for eyes that need not know its secrets."""
    parts = urlsplit(url)
    path = "/".join("••••" if _SECRET.fullmatch(part) else part for part in parts.path.split("/"))
    return f"{parts.netloc}{path}{'?••••' if parts.query else ''}".rstrip("/")


async def _count(session: AsyncSession, condition: ColumnElement[bool]) -> dict[int, int]:
    counted = select(RelayedDelivery.relay_id, func.count()).where(condition).group_by(RelayedDelivery.relay_id)
    return {int(relay_id): count for relay_id, count in await session.execute(counted)}
