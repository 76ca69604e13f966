"""What the figures of a report are called: operators, accounts and items by their ids."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.model import Account, Chat, Operator
from golub.sight import Sight


async def list_accounts(session: AsyncSession, sight: Sight) -> dict[int, Account]:
    """Those in sight, by name."""
    found = await session.scalars(select(Account).where(sight.of(Account.id)).order_by(Account.name, Account.id))
    return {account.id: account for account in found}


async def list_operators(session: AsyncSession) -> dict[int, str]:
    found = await session.execute(select(Operator.id, Operator.name).order_by(Operator.name, Operator.id))
    return {row.id: row.name for row in found}


async def find_items(session: AsyncSession, item_ids: Collection[int], accounts: Collection[int]) -> dict[int, str]:
    """Titles; an item that no chat of these accounts is about is not there."""
    found = (
        select(Chat.item_id, func.max(Chat.item_title))
        .where(Chat.item_id.in_(item_ids), Chat.account_id.in_(accounts))
        .group_by(Chat.item_id)
    )
    return {key: title for key, title in await session.execute(found) if key is not None}
