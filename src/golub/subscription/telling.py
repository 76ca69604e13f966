"""What the audit is told of webhooks: before Avito is asked, for whoever moves a webhook moves every message, and what
the audit cannot note must not happen; and once more where nothing came of it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import Clock
from golub.errors import GolubError
from golub.model import Account, Webhook
from golub.store import Store


@asynccontextmanager
async def telling(
    store: Store, clock: Clock, by: By, account_id: int, action: Action, after: dict[str, Any] | None = None
) -> AsyncGenerator[None]:
    """Around the requests that do it."""
    await tell(store, clock, by, account_id, action, after)
    try:
        yield
    except GolubError as error:
        await tell(store, clock, by, account_id, Action.WEBHOOK_UNCHANGED, {"reason": str(error)})
        raise


async def tell(
    store: Store, clock: Clock, by: By, account_id: int, action: Action, after: dict[str, Any] | None = None
) -> None:
    """In a transaction of its own; `before` is the webhook as it stands."""
    async with store.write() as session:
        webhook = await session.scalar(select(Webhook).where(Webhook.account_id == account_id))
        before = {"url": webhook.url, "types": webhook.types} if webhook else None
        await by.did(session, action, await name_of(session, account_id), before=before, after=after, now=clock())


async def name_of(session: AsyncSession, account_id: int) -> str:
    return await session.scalar(select(Account.name).where(Account.id == account_id)) or ""
