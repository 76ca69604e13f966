"""What an operator decides after it was said: to delete a message of ours, to keep a buyer away.

Both are done at Avito at once, because a person waits; both may be repeated without harm, so nothing is queued.
"""

from typing import Any

import structlog
from sqlalchemy import select

from golub.apply import Applier
from golub.avito.client import Avito
from golub.avito.wire import MessageSeen, read_message
from golub.clock import HOUR, SECOND, Millis
from golub.errors import Invalid, NotFound
from golub.live import Live, Ring
from golub.model import Account, BlockedBuyer, Chat, Direction, Message
from golub.store import Store

DELETABLE_FOR = HOUR  # deleteMessage

log = structlog.get_logger(__name__)


async def take_back(store: Store, avito: Avito, applier: Applier, message_id: int, *, now: Millis) -> int:
    """Deletes a message of ours at Avito and here; returns its chat's id. Raises `Invalid` where it is too late."""
    async with store.read() as session:
        found = (
            await session.execute(
                select(Message, Chat.avito_id, Account.user_id)
                .join(Chat, Chat.id == Message.chat_id)
                .join(Account, Account.id == Message.account_id)
                .where(Message.id == message_id)
            )
        ).one_or_none()
    if found is None or found[0].direction != Direction.OUT:
        raise NotFound("There is no such message.")
    message, chat_avito_id, user_id = found
    if message.deleted_at is not None:
        return message.chat_id
    if message.created_at <= now - DELETABLE_FOR:
        raise Invalid("Avito lets a message be deleted within an hour. This one is older.")
    await avito.delete_message(message.account_id, chat_avito_id, message.avito_id)
    log.info("a message was deleted at Avito", account=message.account_id, message=message.id)
    told: dict[str, Any] = {
        "id": message.avito_id,
        "author_id": user_id,
        "created": message.created_at // SECOND,
        "type": "deleted",
        "content": {},
    }
    seen = read_message(told, user_id, chat_avito_id, now)
    if isinstance(seen, MessageSeen):
        await applier.submit(message.account_id, [seen])
    return message.chat_id


async def block_buyer(
    store: Store, avito: Avito, live: Live, chat: Chat, *, reason: int, operator_id: int, now: Millis
) -> None:
    """Raises `Invalid` where nobody knows yet who the buyer is."""
    if chat.buyer_id is None or chat.chat_type == "a2u":
        raise Invalid("Avito has not said yet who this buyer is.")
    await avito.block(chat.account_id, chat.buyer_id, reason, chat.item_id)
    log.info("a buyer was blocked at Avito", account=chat.account_id, chat=chat.id, reason=reason)
    row = {
        "account_id": chat.account_id,
        "buyer_id": chat.buyer_id,
        "reason": reason,
        "operator_id": operator_id,
        "blocked_at": now,
    }
    async with store.write() as session:
        statement = store.insert(BlockedBuyer).values(**row)
        await session.execute(
            statement.on_conflict_do_update(index_elements=["account_id", "buyer_id"], set_={"reason": reason})
        )
    live.ring([Ring(chat.account_id, chat.id, chat.version)])
