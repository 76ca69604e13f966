"""Shows a webhook's whole URL, whose end is a secret, to whoever has just shown who he is, and tells the audit of it.

Once an hour for an operator, an address and an account: a program that reads the API each minute says nothing new.
"""

from collections.abc import Iterable

from fastapi import Request
from sqlalchemy import select

from golub.audit import Action, By
from golub.clock import HOUR
from golub.model import Account, AuditEntry, Webhook
from golub.web.parts import Parts
from golub.web.proof import must_be_proved


async def reveal(request: Request, parts: Parts, by: By, webhooks: Iterable[Webhook], *, back: str = "") -> None:
    """Before they are shown: what the audit cannot note is not shown. Raises `Led`, to the proof and `back`."""
    now = parts.clock()
    shown = [webhook.account_id for webhook in webhooks if webhook.token_hash]
    if not shown:
        return
    must_be_proved(request, back)
    lately = select(AuditEntry.subject).where(
        AuditEntry.operator_id == (by.operator.id if by.operator else None),
        AuditEntry.action == Action.SECRET_REVEALED,
        AuditEntry.address == by.address,
        AuditEntry.at > now - HOUR,
    )
    async with parts.store.read() as session:
        told = set(await session.scalars(lately))
        names = await session.scalars(select(Account.name).where(Account.id.in_(shown)).order_by(Account.id))
        untold = [name for name in names if name not in told]
    if untold:
        async with parts.store.write() as session:
            for name in untold:
                await by.did(session, Action.SECRET_REVEALED, name, now=now)
