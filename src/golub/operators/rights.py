"""Who may change whom, looked at in the transaction that changes: a role may have changed since the request came."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import By
from golub.errors import Forbidden, NotFound
from golub.model import Operator, Role


def may(by: Operator, role: Role) -> None:
    if not Role(by.role).covers(role):
        raise Forbidden("You cannot give or change a role above your own.")


def may_rescue(by: Operator, operator: Operator) -> None:
    """Who may give a way in to somebody who has lost his own: it could be taken by whoever gives it."""
    may(by, Role(operator.role))
    if by.id != operator.id and operator.role != Role.MANAGER and by.role != Role.SUPER_ADMIN:
        raise Forbidden("Only a super administrator may do this for an administrator.")


async def get_operator(session: AsyncSession, operator_id: int, *, lock: bool = False) -> Operator:
    query = select(Operator).where(Operator.id == operator_id)
    if operator := await session.scalar(query.with_for_update() if lock else query):
        return operator
    raise NotFound("There is no such operator.")


async def get_author(session: AsyncSession, by: By) -> Operator:
    """As he is now: his role may have changed since the request came."""
    return await get_operator(session, by.operator.id if by.operator else 0)


async def lock_super_admins(session: AsyncSession) -> list[int]:
    """Locks them in one order, so that of two who demote each other at the same moment the second one waits."""
    query = select(Operator.id).where(Operator.role == Role.SUPER_ADMIN, Operator.active)
    return list(await session.scalars(query.order_by(Operator.id).with_for_update()))
