"""The rules of an account that a delivery must fit, and that climb before they hold any back: signature and networks.

Each is a row of its account, with a mode from `OFF` to enforced that nobody but a person changes.
"""

from collections.abc import Collection
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import Millis
from golub.errors import NotFound
from golub.model import Account, AllowList, Cause, Delivery, DeliveryState, SignatureLab
from golub.store import Store

OFF = "off"  # of either: nothing is looked at, and nothing counted

Rule = TypeVar("Rule", SignatureLab, AllowList)


def fresh(store: Store, rules: type[Rule], account_id: int, counted_to: Millis) -> Any:
    """The statement that gives an account its row; harmless where it has one."""
    return store.insert(rules).values(account_id=account_id, counted_to=counted_to).on_conflict_do_nothing()


async def lock(
    store: Store, session: AsyncSession, rules: type[Rule], account_id: int, now: Millis
) -> tuple[Account, Rule]:
    """The row, made where there is none, until the transaction ends. Raises `NotFound`."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound("This account is no longer connected.")
    await session.execute(fresh(store, rules, account_id, now))
    return account, await session.get_one(rules, account_id, with_for_update=True, populate_existing=True)


async def change(
    session: AsyncSession,
    account: Account,
    rule: SignatureLab | AllowList,
    after: dict[str, str],
    action: Action,
    *,
    by: By,
    now: Millis,
) -> None:
    """Gives the row these columns and tells the audit; what is so already is no change."""
    before = {name: getattr(rule, name) for name in after}
    if before == after:
        return
    for name, value in after.items():
        setattr(rule, name, value)
    rule.changed_at = now
    await session.flush()
    await by.did(session, action, account.name, before=before, after=after, now=now)


async def held_back(session: AsyncSession, causes: Collection[Cause]) -> dict[tuple[int | None, Cause], int]:
    """How many deliveries wait in quarantine, by account (None: nobody's) and cause."""
    counted = await session.execute(
        select(Delivery.account_id, Delivery.cause, func.count())
        .where(Delivery.state == DeliveryState.QUARANTINED, Delivery.cause.in_(causes))
        .group_by(Delivery.account_id, Delivery.cause)
    )
    return {(key, Cause(cause)): count for key, cause, count in counted}
