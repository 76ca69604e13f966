"""What Avito says of an account's subscription, compared with what we know of it: the finding is kept in the webhook's
row, and told in the account's timeline when it is another one than before."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.avito.client import Avito
from golub.clock import MINUTE, Millis
from golub.errors import GolubError, Paused
from golub.model import PathToken, SubscriptionState, TimelineEntry, TimelineKind, Webhook
from golub.store import Store
from golub.subscription.secrets import Secrets, is_at
from golub.subscription.url import hash_of, host_of, mask, secret_hash, token_of

CHECK_EVERY = 10 * MINUTE
CHECK_OFTEN = 2 * MINUTE  # where we may repair what is lost
CHECK_AGAIN = 2 * MINUTE  # where Avito did not answer; also the lease of a check

_KIND_OF = {
    SubscriptionState.ACTIVE: TimelineKind.SUBSCRIBED,
    SubscriptionState.MISSING: TimelineKind.UNSUBSCRIBED,
    SubscriptionState.FOREIGN: TimelineKind.STOLEN,
}
_MENDED = (TimelineKind.REGISTERED, TimelineKind.REPAIRED)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """What Avito's subscriptions say for an account."""

    ours: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def foreign_host(self) -> str:
        return host_of(self.foreign[0]) if self.foreign else ""


async def preview(store: Store, avito: Avito, account_id: int, own_host: str) -> Listed:
    """Asks Avito which URLs it calls, and tells ours from others. Raises what the client raises."""
    urls = await avito.subscriptions(account_id)
    async with store.read() as session:
        webhook = await session.scalar(select(Webhook).where(Webhook.account_id == account_id))
        known = set(await session.scalars(select(PathToken.hash).where(PathToken.account_id == account_id)))

    def is_ours(url: str) -> bool:
        token = token_of(url)
        if token is None:
            return False
        return (webhook is not None and is_at(webhook, url)) or hash_of(token) in known or host_of(url) == own_host

    return Listed(tuple(url for url in urls if is_ours(url)), tuple(url for url in urls if not is_ours(url)))


async def compare(
    store: Store, secrets: Secrets, webhook: Webhook, ask: Callable[[int], Awaitable[Listed]], now: Millis
) -> None:
    """Avito's failures are a finding too; of a paused account there is none."""
    account_id = webhook.account_id
    found: dict[str, Any]
    try:
        listed = await ask(account_id)
    except Paused:
        return
    except GolubError as error:
        found = {
            "subscription": SubscriptionState.UNKNOWN,
            "last_error": str(error),
            "last_error_at": now,
            "check_due_at": now + CHECK_AGAIN,
        }
    else:
        found = {"foreign_host": listed.foreign_host, "checked_at": now}
        found["check_due_at"] = now + (CHECK_OFTEN if webhook.self_repair else CHECK_EVERY)
        if listed.ours:
            found["subscription"] = SubscriptionState.ACTIVE
            if not any(is_at(webhook, url) for url in listed.ours):
                url = listed.ours[0]  # a registration whose end we did not see: what Avito calls, counts
                found["url"], found["token_hash"] = mask(url), secret_hash(url)
                await secrets.keep(account_id, url)
        else:
            found["subscription"] = SubscriptionState.FOREIGN if listed.foreign else SubscriptionState.MISSING
    if found["subscription"] != webhook.subscription:
        log.info("the subscription at Avito", account=account_id, state=found["subscription"])
    async with store.write() as session:
        await session.execute(update(Webhook).where(Webhook.id == webhook.id).values(**found))
        await _tell_change(session, account_id, found, now)


async def _tell_change(session: AsyncSession, account_id: int, found: dict[str, Any], now: Millis) -> None:
    """Into the timeline, where it is another finding than the last one there. That Avito did not say is none."""
    kind = _KIND_OF.get(found["subscription"])
    if kind is None:
        return
    last = await session.scalar(
        select(TimelineEntry)
        .where(TimelineEntry.account_id == account_id, TimelineEntry.kind.in_((*_KIND_OF.values(), *_MENDED)))
        .order_by(TimelineEntry.id.desc())
        .limit(1)
    )
    known = TimelineKind.SUBSCRIBED if last is None or last.kind in _MENDED else TimelineKind(last.kind)
    host = found["foreign_host"] if kind is TimelineKind.STOLEN else ""
    if (kind, host) != (known, last.detail if last and known is TimelineKind.STOLEN else ""):
        session.add(TimelineEntry(account_id=account_id, kind=kind, at=now, detail=host))
