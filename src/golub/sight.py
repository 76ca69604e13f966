"""Which accounts an operator may see, and so which chats, messages, replies and pictures are there for him.

Whatever reads a chat for a person asks here: the pages, the live stream, search, reports. What is out of sight is
answered exactly like what is not there. Looked up for each request, so that a change counts from the next one on.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from golub.model import Operator, OperatorAccount, Role
from golub.store.lists import padded


@dataclass(frozen=True, slots=True)
class Sight:
    accounts: frozenset[int] | None
    """Ids of accounts; None: all there are, and all that will be."""

    def sees(self, account_id: int) -> bool:
        return self.accounts is None or account_id in self.accounts

    def of(self, column: InstrumentedAttribute[int] | ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition on a column of account ids, for any statement: `select(Chat).where(sight.of(…))`."""
        return true() if self.accounts is None else column.in_(padded(sorted(self.accounts)))


ALL_ACCOUNTS = Sight(None)


def sees_all(operator: Operator) -> bool:
    """Admins see every account; of a manager it is chosen."""
    return operator.every_account or Role(operator.role).covers(Role.ADMIN)


async def find_sight(session: AsyncSession, operator: Operator) -> Sight:
    if sees_all(operator):
        return ALL_ACCOUNTS
    listed = select(OperatorAccount.account_id).where(OperatorAccount.operator_id == operator.id)
    return Sight(frozenset(await session.scalars(listed)))
