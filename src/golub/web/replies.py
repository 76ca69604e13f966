"""Answering: text, photos, second thoughts. What is queued here the outbox sends; what it says is in the thread."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from golub import inbox, outbox
from golub.avito.client import TEXT_LIMIT
from golub.errors import Invalid
from golub.model import Chat
from golub.redraw import LARGEST
from golub.sight import Sight
from golub.web.inbox import ChatId, render_inbox
from golub.web.parts import Given, Parts
from golub.web.pictures import HEADERS
from golub.web.session import Admin, Seen, Signed

router = APIRouter()

MessageId = ChatId
PictureName = Annotated[str, Path(max_length=40)]


@router.post("/inbox/{chat_id}/reply")
async def reply(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    text: Annotated[str, Form()] = "",
    client_key: Annotated[str, Form(max_length=64)] = "",
    pictures: Annotated[str, Form(max_length=1000)] = "",
    sure: Annotated[bool, Form()] = False,
) -> Response:
    """Queues a reply, its photos first, once for one `client_key`, and returns what is on its way.

    A reply that goes out in several messages, or says again what was just said, is shown first: it is queued when the
    person is `sure`.
    """
    text = text.replace("\r\n", "\n").strip()
    names = [name for name in pictures.split(",") if name]
    if not text and not names:
        raise Invalid("Write something first.", field="text")
    client_key = client_key or secrets.token_hex(16)
    async with parts.store.write() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        repeated = bool(text) and await outbox.is_repeated(
            session, chat_id=chat_id, text=text, client_key=client_key, now=parts.clock()
        )
        asks = not sure and (repeated or len(text) > TEXT_LIMIT)
        if not asks:
            written: outbox.Written = {
                "chat": chat,
                "operator_id": operator.id,
                "client_key": client_key,
                "now": parts.clock(),
            }
            await outbox.queue_pictures(session, pictures=names, **written)
            if text:
                await outbox.queue(session, text=text, **written)
    if asks:
        return _ask(request, parts, chat, text, client_key, repeated)
    parts.outbox.nudge()
    await inbox.Care(parts.store, parts.applier).take_for_answer(chat, operator, now=parts.clock())
    return await _after_reply(request, parts, sight, chat_id)


def _ask(request: Request, parts: Parts, chat: Chat, text: str, client_key: str, repeated: bool) -> HTMLResponse:
    """What would be sent, with the question whether it shall be."""
    if len(text) > outbox.LONGEST:
        raise Invalid("A reply may have at most {limit} characters.", field="text", limit=outbox.LONGEST)
    template = "inbox/preview.html" if "hx-request" in request.headers else "inbox/preview_page.html"
    return render_inbox(
        request,
        parts,
        template,
        chat=chat,
        text=text,
        pieces=outbox.split(text, TEXT_LIMIT),
        client_key=client_key,
        repeated=repeated,
    )


@router.post("/inbox/{chat_id}/pictures", max_body_size=LARGEST + 1024)
async def attach(request: Request, parts: Given, sight: Seen, chat_id: ChatId) -> Response:
    """Takes a file as the request's body, and returns it as it will be sent, small. Nothing is queued yet."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
    name = await parts.outbox.pictures.add(await request.body())
    return render_inbox(request, parts, "inbox/attached.html", chat=chat, name=name)


@router.get("/inbox/pictures/{name}")
async def attached(parts: Given, operator: Signed, name: PictureName) -> Response:
    """An attached photo, small. Its name is random: who knows it has been shown it."""
    return Response(await parts.outbox.pictures.small(name), media_type="image/webp", headers=HEADERS)


@router.post("/inbox/outgoing/{outgoing_id}/retry")
async def retry(request: Request, parts: Given, operator: Signed, sight: Seen, outgoing_id: ChatId) -> Response:
    """Sends once more what was rejected or stayed unconfirmed: a person has decided it."""
    async with parts.store.read() as session:
        outgoing = await inbox.get_outgoing(session, sight, outgoing_id)
    await parts.outbox.retry(outgoing.id, operator)
    return await _after_reply(request, parts, sight, outgoing.chat_id)


@router.post("/inbox/outgoing/{outgoing_id}/discard")
async def discard(request: Request, parts: Given, sight: Seen, outgoing_id: ChatId) -> Response:
    """Takes a reply that went wrong out of the thread: it arrived after all, or is not wanted any more."""
    async with parts.store.read() as session:
        outgoing = await inbox.get_outgoing(session, sight, outgoing_id)
    await parts.outbox.discard(outgoing.id)
    return await _after_reply(request, parts, sight, outgoing.chat_id)


async def _after_reply(request: Request, parts: Parts, sight: Sight, chat_id: int) -> Response:
    if "hx-request" not in request.headers:
        return RedirectResponse(f"/inbox/{chat_id}", 303)
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        outgoing = await inbox.list_outgoing(session, chat, now=parts.clock())
    return render_inbox(request, parts, "inbox/outgoing.html", thread={"chat": chat, "outgoing": outgoing})


@router.post("/inbox/messages/{message_id}/delete")
async def delete(request: Request, parts: Given, sight: Seen, message_id: MessageId) -> Response:
    """Takes a message of ours back, at Avito too; the thread hears of it as of any change."""
    async with parts.store.read() as session:
        await inbox.get_message(session, sight, message_id)
    chat_id = await outbox.take_back(parts.store, parts.avito, parts.applier, message_id, now=parts.clock())
    return _back(request, chat_id)


@router.post("/inbox/{chat_id}/block")
async def block(
    request: Request,
    parts: Given,
    operator: Admin,
    sight: Seen,
    chat_id: ChatId,
    reason: Annotated[int, Form(ge=1, le=4)],
) -> Response:
    """Puts the chat's buyer on the account's blacklist at Avito."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
    await outbox.block_buyer(
        parts.store, parts.avito, parts.live, chat, reason=reason, operator_id=operator.id, now=parts.clock()
    )
    return _back(request, chat_id)


def _back(request: Request, chat_id: int) -> Response:
    return Response(status_code=204) if "hx-request" in request.headers else RedirectResponse(f"/inbox/{chat_id}", 303)
