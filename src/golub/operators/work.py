"""What an operator works on: which accounts he sees, and when new chats may be given to him."""

from collections.abc import Collection
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import Clock
from golub.duty import Duty
from golub.errors import Conflict, Invalid
from golub.model import Account, Operator, OperatorAccount, Role
from golub.operators.rights import get_author, get_operator, may
from golub.store import Store

log = structlog.get_logger("golub.operators")


class Work:
    """The part of `Operators` that is about it. Raises `Forbidden` above one's own role."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def accounts_of(self, operator_id: int) -> list[int]:
        """Those that were chosen for him; they count where he does not see every one."""
        async with self._store.read() as session:
            return [one.id for one in await _listed(session, operator_id)]

    async def account_counts(self) -> dict[int, int]:
        """How many were chosen for each operator."""
        counted = select(OperatorAccount.operator_id, func.count()).group_by(OperatorAccount.operator_id)
        async with self._store.read() as session:
            return dict((await session.execute(counted)).all())

    async def choose_accounts(self, operator_id: int, accounts: Collection[int] | None, *, by: By) -> None:
        """None: every one, also those that are connected later. It counts from the next request on."""
        async with self._store.write() as session:
            operator = await _get_manager(session, operator_id, by)
            before = await _told(session, operator)
            found = await session.scalars(select(Account.id).where(Account.id.in_(accounts or ())).order_by(Account.id))
            chosen = list(found)
            if accounts is not None and not chosen:
                raise Invalid("Choose at least one account, or all of them.", field="accounts")
            operator.every_account = accounts is None
            await session.execute(delete(OperatorAccount).where(OperatorAccount.operator_id == operator_id))
            session.add_all(OperatorAccount(operator_id=operator_id, account_id=one) for one in chosen)
            await session.flush()
            after = await _told(session, operator)
            if before != after:
                await by.did(
                    session, Action.OPERATOR_CHANGED, operator.login, before=before, after=after, now=self._clock()
                )
        log.info("an operator sees other accounts", operator=operator_id, accounts=len(chosen) or "all")

    async def choose_duty(self, operator_id: int, duty: Duty, *, by: By) -> None:
        async with self._store.write() as session:
            operator = await _get_manager(session, operator_id, by)
            before = _duty_told(Duty.of(operator))
            operator.work_days, operator.work_from, operator.work_to = duty.days, duty.begins, duty.ends
            operator.chat_limit = duty.limit
            after = _duty_told(duty)
            if before != after:
                await by.did(
                    session, Action.OPERATOR_CHANGED, operator.login, before=before, after=after, now=self._clock()
                )


async def _get_manager(session: AsyncSession, operator_id: int, by: By) -> Operator:
    author = await get_author(session, by)
    operator = await get_operator(session, operator_id, lock=True)
    may(author, Role(operator.role))
    if operator.role != Role.MANAGER:
        raise Conflict("Administrators see every account, and get no chats in turn.")
    return operator


async def _listed(session: AsyncSession, operator_id: int) -> list[Account]:
    found = select(Account).join(OperatorAccount, OperatorAccount.account_id == Account.id)
    return list(await session.scalars(found.where(OperatorAccount.operator_id == operator_id).order_by(Account.id)))


async def _told(session: AsyncSession, operator: Operator) -> dict[str, Any]:
    if operator.every_account:
        return {"accounts": "every"}
    return {"accounts": [one.name or str(one.user_id) for one in await _listed(session, operator.id)]}


def _duty_told(duty: Duty) -> dict[str, Any]:
    hours = f"{duty.begins // 60:02}:{duty.begins % 60:02}–{duty.ends // 60:02}:{duty.ends % 60:02}"
    return {"days": duty.days, "hours": hours, "chat_limit": duty.limit}
