"""Finds, among the messages that we know, the one that a reply has become when Avito's answer to it was lost.

Only a message of ours that we learned of after the reply was started, and that no other reply has claimed. The outbox
relies on it: what is found here is never sent again.
"""

import json

from sqlalchemy import func, select

from golub.clock import MINUTE, SECOND
from golub.model import Direction, Message, OutgoingKind, OutgoingMessage, OutgoingState
from golub.store import Store

CLOCKS_DIFFER = 30 * SECOND  # Avito's `created` may be this much before our `started_at`
SHOWN_WITHIN = 3 * MINUTE  # a photo that came later than this is somebody else's


async def find_row(store: Store, outgoing: OutgoingMessage) -> str:
    """The Avito id of the message that this reply has become; empty where there is none yet."""
    started_at = outgoing.started_at or outgoing.created_at
    of_this_chat = OutgoingMessage.chat_id == outgoing.chat_id
    claimed = select(OutgoingMessage.message_avito_id).where(of_this_chat)
    async with store.read() as session:
        rows = list(
            await session.execute(
                select(Message.avito_id, Message.text, Message.content, Message.created_at)
                .where(
                    Message.chat_id == outgoing.chat_id,
                    Message.direction == Direction.OUT,
                    Message.type == outgoing.kind,
                    Message.created_at >= started_at - CLOCKS_DIFFER,
                    Message.received_at >= started_at,
                    Message.avito_id.not_in(claimed),
                )
                .order_by(Message.created_at, Message.id)
            )
        )
        if outgoing.kind == OutgoingKind.TEXT:
            words = outgoing.text.split()
            return next((row.avito_id for row in rows if row.text.split() == words), "")
        for row in rows:
            if outgoing.image_avito_id in json.dumps(row.content):
                return row.avito_id
        # Photos have no words. The only one that is looked for is the one that came at that time.
        others = await session.scalar(
            select(func.count()).where(
                of_this_chat,
                OutgoingMessage.kind == OutgoingKind.IMAGE,
                OutgoingMessage.state == OutgoingState.UNCONFIRMED,
                OutgoingMessage.id != outgoing.id,
            )
        )
    until = started_at + SHOWN_WITHIN
    return "" if others else next((row.avito_id for row in rows if row.created_at <= until), "")
