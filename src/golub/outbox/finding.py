"""Finds, among the messages that we know, the one that a reply has become when Avito's answer to it was lost.

Only a message of ours that we learned of after the reply was started, and that no other reply has claimed. The outbox
relies on it: what is found here is never sent again. A text is known by its words alone: where a colleague says the
very same in Avito's own application meanwhile, that may be taken for ours; the buyer has read the words then.
"""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from golub.avito.wire_fields import object_or_empty
from golub.clock import SECOND
from golub.model import Direction, Message, OutgoingKind, OutgoingMessage
from golub.store import Store

CLOCKS_DIFFER = 30 * SECOND  # Avito's `created` may be this much before our `started_at`


async def find_row(store: Store, outgoing: OutgoingMessage) -> str:
    """The Avito id of the message that this reply has become; empty where there is none yet."""
    started_at = outgoing.started_at or outgoing.created_at
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
                    Message.avito_id.not_in(claimed_in(outgoing.chat_id)),
                )
                .order_by(Message.created_at, Message.id)
            )
        )
    if outgoing.kind == OutgoingKind.TEXT:
        words = outgoing.text.split()
        return next((row.avito_id for row in rows if row.text.split() == words), "")
    # A photo has no words, and one that came at the right time may be a colleague's: its address must name the picture.
    return next((row.avito_id for row in rows if _shows(row.content, outgoing.image_avito_id)), "")


def claimed_in(chat_id: int) -> Select[str]:
    """The messages of a chat that a reply has become already."""
    reply = aliased(OutgoingMessage)  # the statement around may be about this table as well
    return select(reply.message_avito_id).where(reply.chat_id == chat_id)


def _shows(content: Any, image_avito_id: str) -> bool:
    """Whether one of a photo's addresses ends in Avito's name of the uploaded picture."""
    sizes = object_or_empty(object_or_empty(content.get("image")).get("sizes"))
    ends = [str(url).partition("?")[0].rpartition("/")[2] for url in sizes.values()]
    return bool(image_avito_id) and any(f"{end}.".startswith(f"{image_avito_id}.") for end in ends)
