"""The guide's step 4, and what has come in so far: whether messages would reach us, proved and not believed."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from golub.clock import DAY, SECOND, Clock, Millis
from golub.guarded import Call
from golub.model import Delivery, DeliveryState, SubscriptionState, Webhook
from golub.store import Store
from golub.subscription.register import Subscriptions
from golub.subscription.url import is_answered

NONCE_HEADER = "x-golub-nonce"
NONCE_WAIT = 5.0  # seconds; apply needs a fraction of one
NONCE_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Walk:
    """Each step with its outcome. A step after a failed one was not tried."""

    at: Millis
    call: Call
    received: bool  # our own journal has that very nonce
    webhook: Webhook  # with what Avito says of the subscription

    @property
    def answered(self) -> bool:
        return is_answered(self.call)

    @property
    def good(self) -> bool:
        return self.answered and self.received and self.webhook.subscription == SubscriptionState.ACTIVE


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the webhook has brought. Probes do not count, theirs or ours."""

    last_at: Millis | None
    last_day: int
    failed_at: Millis | None = None
    failed_cause: str = ""


async def walk(
    subscriptions: Subscriptions, store: Store, clock: Clock, account_id: int, *, wait: float = NONCE_WAIT
) -> Walk:
    """Sends a nonce out through the public URL and looks for it behind our own door, `wait` seconds long.

    Raises `NotFound`, `Paced`.
    """
    webhook = await subscriptions.get(account_id)
    nonce, at = secrets.token_hex(16), clock()
    call = await subscriptions.probe(account_id, await subscriptions.url_of(webhook), {NONCE_HEADER: nonce})
    received = call.succeeded and await _arrives(store, nonce, since=at - SECOND, wait=wait)
    return Walk(at, call, received, await subscriptions.check(account_id) or webhook)


async def read_traffic(store: Store, webhook: Webhook, now: Millis) -> Traffic:
    brought = _brought(webhook)
    async with store.read() as session:
        last = await session.scalar(select(func.max(Delivery.received_at)).where(*brought))
        last_day = await session.scalar(
            select(func.count()).select_from(Delivery).where(*brought, Delivery.received_at > now - DAY)
        )
        failed = (
            await session.execute(
                select(Delivery.received_at, Delivery.cause)
                .where(*brought, Delivery.state == DeliveryState.QUARANTINED)
                .order_by(Delivery.received_at.desc())
                .limit(1)
            )
        ).first()
    return Traffic(last, last_day or 0, *(failed or ()))


async def find_first_since(store: Store, webhook: Webhook, since: Millis) -> Delivery | None:
    """The first delivery after `since` that is no probe."""
    async with store.read() as session:
        return await session.scalar(
            select(Delivery)
            .where(*_brought(webhook), Delivery.received_at > since)
            .order_by(Delivery.received_at)
            .limit(1)
        )


def _brought(webhook: Webhook) -> tuple[Any, ...]:
    """A URL without a secret does not say whose message it is before Avito has confirmed it."""
    mine = Delivery.account_id == webhook.account_id
    if webhook.token_hash is None:
        mine = mine | (Delivery.account_id.is_(None) & Delivery.token_id.is_(None))
    return (mine, Delivery.state != DeliveryState.PROBE)


async def _arrives(store: Store, nonce: str, *, since: Millis, wait: float) -> bool:
    """By way of the journal, because another node may have received it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        async with store.read() as session:
            newest = await session.scalars(
                select(Delivery.headers)
                .where(Delivery.received_at >= since, Delivery.state == DeliveryState.PROBE)
                .order_by(Delivery.received_at.desc())
                .limit(200)
            )
            if any([NONCE_HEADER, nonce] == header for headers in newest for header in headers):
                return True
        if loop.time() > end:
            return False
        await asyncio.sleep(NONCE_LOOK)
