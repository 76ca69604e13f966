"""Self-repair: takes a lost subscription back without a person, where a super administrator has allowed it.

Only our own URL is ever given to Avito or taken from it. Against a service that takes the subscription back each time
it would be a war without an end, which helps nobody: after a few repairs in an hour it rests, and a person is told.
"""

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import func, select, update

from golub.clock import HOUR, Clock
from golub.errors import GolubError
from golub.model import Account, SubscriptionState, TimelineEntry, TimelineKind, Webhook
from golub.store import Store

REPAIRS_AN_HOUR = 3
RESTS_FOR = HOUR

log = structlog.get_logger(__name__)


async def mend(store: Store, clock: Clock, webhook: Webhook, register: Callable[[], Awaitable[object]]) -> None:
    """After a check: registers our URL again if it is lost, or if it stands and yet brings nothing."""
    now = clock()
    if not webhook.self_repair or (webhook.repair_rests_until or 0) > now:
        return
    async with store.read() as session:
        deaf_since = await session.scalar(select(Account.deaf_since).where(Account.id == webhook.account_id))
        tried = await session.scalar(
            select(func.count()).where(
                TimelineEntry.account_id == webhook.account_id,
                TimelineEntry.at > now - HOUR,
                TimelineEntry.kind.in_((TimelineKind.REPAIRED, TimelineKind.REPAIR_FAILED)),
            )
        )
    lost = webhook.subscription in (SubscriptionState.FOREIGN, SubscriptionState.MISSING)
    if not lost and not (deaf_since and webhook.subscription == SubscriptionState.ACTIVE and not tried):
        return
    if (tried or 0) >= REPAIRS_AN_HOUR:
        await _note(store, webhook, now, TimelineKind.REPAIR_RESTS, webhook.foreign_host, now + RESTS_FOR)
        log.warning("self-repair rests: another service fights back", account=webhook.account_id)
        return
    try:
        await register()
    except GolubError as error:
        await _note(store, webhook, now, TimelineKind.REPAIR_FAILED, str(error), None)
        log.warning("the subscription could not be repaired", account=webhook.account_id, error=str(error))
    else:
        async with store.write() as session:
            await session.execute(update(Webhook).where(Webhook.id == webhook.id).values(repair_rests_until=None))
        log.info("the subscription was repaired", account=webhook.account_id)


async def _note(
    store: Store, webhook: Webhook, now: int, kind: TimelineKind, detail: str, rests_until: int | None
) -> None:
    async with store.write() as session:
        session.add(TimelineEntry(account_id=webhook.account_id, kind=kind, at=now, detail=detail))
        await session.execute(update(Webhook).where(Webhook.id == webhook.id).values(repair_rests_until=rests_until))
