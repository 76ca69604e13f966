"""Deliveries of which it is certain by now whether Avito sent them, and which it is: what may be counted as proof.

One counts where it came with the account's secret, told of a message that was new to us, and Avito's API has told of
the same message since. Whoever forges one can't do the last; whoever repeats a real one tells nothing new. Nobody asks
Avito for this: the sweep reads every chat in which something came, so a delivery is looked at once that must have
happened, and what is not borne out by then never counts. The signature lab and the allow-list rely on it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import MINUTE, SECOND, Millis
from golub.model import Chat, Delivery, Message
from golub.settings import Settings

PAGE = 500  # deliveries of one transaction
SETTLED = 15 * MINUTE  # after which the sweep must have told of a message …
SWEEPS = 3  # … or so many sweeps, where they are rarer


def settles_after(settings: Settings) -> Millis:
    return max(SETTLED, int(SWEEPS * settings.sweep_period * SECOND))


async def read_settled(
    session: AsyncSession, account_id: int, after: tuple[Millis, bytes], until: Millis, tried: ColumnElement[bool]
) -> Sequence[Any]:
    """The next deliveries in the journal's order, at most `PAGE`: whether each was `tried`, and whether it counts."""
    counts = and_(
        tried,
        Message.confirmed.is_(True),
        Message.received_at >= Delivery.received_at,  # this very delivery brought it, not one before it
    )
    wanted = (
        select(
            Delivery.received_at,
            Delivery.id,
            Delivery.signature,
            Delivery.address,
            Delivery.chat_avito_id,
            Delivery.message_avito_id,
            tried.label("tried"),
            counts.label("counts"),
        )
        .outerjoin(Chat, and_(Chat.account_id == Delivery.account_id, Chat.avito_id == Delivery.chat_avito_id))
        .outerjoin(Message, and_(Message.chat_id == Chat.id, Message.avito_id == Delivery.message_avito_id))
        .where(
            Delivery.account_id == account_id,
            tuple_(Delivery.received_at, Delivery.id) > tuple_(*after),
            Delivery.received_at <= until,
        )
        .order_by(Delivery.received_at, Delivery.id)
        .limit(PAGE)
    )
    return (await session.execute(wanted)).all()
