"""`/api/chats`: what a program that works beside the inbox needs first: which chats there are, what is said in them,
and answering. It sees the accounts that its operator sees, and its replies are his.

A reply is taken once for one `Idempotency-Key` in a chat: the same request again queues nothing and tells how far the
first one is. From there the outbox sends it at most once.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query

from golub import inbox, outbox
from golub.clock import Millis
from golub.composing.filling import find_places
from golub.errors import Invalid
from golub.inbox import CHATS_A_PAGE, LARGEST_ID, MESSAGES_A_PAGE, Line, Place, View, Wanted
from golub.model import Direction, Message, Operator, OutgoingMessage, OutgoingState
from golub.web.api import shapes
from golub.web.api.shapes import ACCEPTED, OK, answers
from golub.web.inbox import ChatId
from golub.web.parts import Given
from golub.web.session import Seen, Signed

PATH = "/api/chats"
MOST = 100  # rows of an answer

router = APIRouter(prefix=PATH)

Before = Annotated[str, Query(max_length=40, description="`next` or `older` of the page before")]


@router.get("", responses=answers(OK, shapes.Chats, 422))
async def list_chats(
    parts: Given,
    operator: Signed,
    sight: Seen,
    view: View = View.ALL,
    account: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    before: Before = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = CHATS_A_PAGE,
) -> shapes.Chats:
    """A page of the list, in the view's order. `all` are those that are open."""
    wanted = Wanted(operator.id, view, account)
    async with parts.store.read() as session:
        page = await inbox.list_chats(session, sight, wanted, before=_place(before), limit=limit)
    return shapes.Chats(chats=[_chat(line) for line in page.lines], next=str(page.next) if page.next else None)


@router.get("/{chat_id}/messages", responses=answers(OK, shapes.Messages, 404, 422))
async def list_messages(
    parts: Given,
    _: Signed,
    sight: Seen,
    chat_id: ChatId,
    before: Before = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = MESSAGES_A_PAGE,
) -> shapes.Messages:
    """The newest messages of a chat, or those before a place. Nothing becomes read by that."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        said, older = await inbox.list_messages(session, chat, before=_place(before), limit=limit)
        outgoing = await inbox.list_outgoing(session, chat, now=parts.clock())
    return shapes.Messages(
        messages=[_message(message) for message in said],
        older=str(older) if older else None,
        outgoing=[_outgoing(one.message) for one in outgoing],
    )


@router.post(
    "/{chat_id}/messages", status_code=ACCEPTED, responses=answers(ACCEPTED, shapes.ReplyTaken, 404, 409, 413, 422)
)
async def reply(
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    asked: shapes.ReplyAsked,
    idempotency_key: Annotated[
        str, Header(min_length=1, max_length=200, description="one for each reply; the same again sends nothing twice")
    ],
) -> shapes.ReplyTaken:
    """Takes a reply into the queue, in the operator's name. Repeat the request to learn what became of it."""
    if places := find_places(asked.text):
        told = ", ".join(dict.fromkeys(places))
        message = "Fill in {places} first: a reply with a variable in it is not sent."
        raise Invalid(message, field="text", places=told)
    client_key = _client_key(operator, idempotency_key)
    async with parts.store.write() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        await outbox.hold(session, chat_id)
        taken = await outbox.is_taken(session, chat_id=chat_id, client_key=client_key)
        queued = await outbox.queue(
            session,
            chat=chat,
            operator_id=operator.id,
            text=asked.text,
            client_key=client_key,
            now=parts.clock(),
        )
    if not taken:
        parts.outbox.nudge()
        await inbox.Care(parts.store, parts.applier).take_for_answer(chat, operator, now=parts.clock())
    return shapes.ReplyTaken(outgoing=[_outgoing(one) for one in queued])


def _client_key(operator: Operator, idempotency_key: str) -> str:
    """Apart from those that browsers make, and from those of other operators' programs."""
    return f"api-{hashlib.sha256(f'{operator.id} {idempotency_key}'.encode()).hexdigest()[:40]}"


def _place(before: str) -> Place | None:
    return Place.parse(before) if before else None


def _chat(line: Line) -> shapes.Chat:
    chat = line.chat
    item = None
    if chat.item_id is not None:
        item = shapes.Item(id=chat.item_id, title=chat.item_title, price=chat.item_price, url=chat.item_url)
    return shapes.Chat(
        id=chat.id,
        account_id=chat.account_id,
        avito_id=chat.avito_id,
        state=chat.state,
        buyer=shapes.Buyer(id=chat.buyer_id, name=chat.buyer_name),
        item=item,
        owner_id=chat.owner_id,
        labels=[label.name for label in line.labels],
        unread=chat.unread,
        waiting_since=None if chat.waiting_since is None else _moment(chat.waiting_since),
        last_message=None if line.last is None else _message(line.last),
    )


def _message(message: Message) -> shapes.ChatMessage:
    deleted = message.deleted_at is not None or message.type == "deleted"
    return shapes.ChatMessage(
        id=message.id,
        avito_id=message.avito_id,
        direction=Direction(message.direction),
        type=message.type,
        text="" if deleted else message.text,
        created_at=_moment(message.created_at),
        deleted=deleted,
        edited=message.edited,
        unread=message.unread,
        read_by_buyer=message.read_by_peer,
    )


def _outgoing(outgoing: OutgoingMessage) -> shapes.Outgoing:
    return shapes.Outgoing(
        id=outgoing.id,
        state=OutgoingState(outgoing.state),
        text=outgoing.text,
        error=outgoing.error,
        created_at=_moment(outgoing.created_at),
        message_avito_id=outgoing.message_avito_id,
    )


def _moment(at: Millis) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
