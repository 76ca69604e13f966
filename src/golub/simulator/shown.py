"""The JSON of the control API and of the buyer's page: our own shapes, not Avito's."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from golub.simulator import wire
from golub.simulator.faults import Fault
from golub.simulator.gate import Call
from golub.simulator.world import Account, Chat, Message

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator


def account_json(account: Account) -> dict[str, Any]:
    return {
        "user_id": account.user_id,
        "name": account.name,
        "client_id": account.client_id,
        "client_secret": account.client_secret,
        "subscription": account.subscription,
        "stolen": account.stolen,
        "paid": account.paid,
        "revoked": account.revoked,
        "rate_limit": account.rate_limit,
        "blacklist": sorted(account.blacklist),
        "chats": len(account.chats),
    }


def chat_json(chat: Chat, url: str) -> dict[str, Any]:
    last = chat.history[-1] if chat.history else None
    item = chat.item
    return {
        "id": chat.id,
        "account": chat.account.user_id,
        "chat_type": chat.chat_type,
        "buyer": chat.buyer,
        "buyer_id": chat.buyer_id,
        "created": chat.created,
        "updated": chat.updated,
        "messages": len(chat.history),
        "unseen": len(chat.unseen),  # replies that the buyer has not read
        "omits": sorted(chat.omits),
        "item": {
            "id": item.id,
            "title": item.title,
            "price_string": wire.price_string(item.price),
            "picture": f"{url}/img/140x105/{wire.item_picture(item)}.jpg",
        }
        if item
        else None,
        "last": message_json(last) if last else None,
    }


def message_json(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "chat": message.chat.id,
        "author_id": message.author_id,
        "from": writer(message),
        "created": message.created,
        "type": message.type,
        "content": message.content,
        "read": message.read,
        "is_read": message.is_read,
        "edited": message.edited,
        "deleted": message.deleted,
        "delivery": asdict(message.delivery) if message.delivery else None,
    }


def writer(message: Message) -> str:
    if message.outgoing:
        return "shop"
    return "avito" if message.type == "system" or message.chat.chat_type == "a2u" else "buyer"


def call_json(call: Call) -> dict[str, Any]:
    return asdict(call)


def fault_json(fault: Fault) -> dict[str, Any]:
    body = fault.body.decode(errors="replace") if isinstance(fault.body, bytes) else fault.body
    return asdict(fault) | {"body": body, "headers": dict(fault.headers)}


def truth_json(sim: "Simulator") -> dict[str, Any]:
    """How much happened, for whoever waits and counts."""
    return {
        "sent": len(sim.sent),
        "acked": len(sim.acked),
        "dropped": len(sim.dropped),
        "backlog": sim.deliveries.backlog,
        "calls": len(sim.calls),
        "now": sim.clock(),
    }
