"""Answering: text, photos, second thoughts. What is queued here the outbox sends; what it says is in the thread."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox, outbox
from golub.composing import drafts
from golub.composing.filling import find_places
from golub.errors import Invalid
from golub.inbox import LARGEST_ID
from golub.model import Chat, Operator
from golub.outbox import Screen
from golub.redraw import LARGEST
from golub.sight import Sight
from golub.web.content import show
from golub.web.inbox import ChatId, render_inbox
from golub.web.parts import Given, Parts
from golub.web.pictures import HEADERS, uploaded
from golub.web.session import Admin, Seen, Signed

router = APIRouter()

TEXTS_AT_ONCE = 10

MessageId = ChatId
SeenId = Annotated[int | None, Form(ge=0, le=LARGEST_ID)]
PictureName = Annotated[str, Path(max_length=40)]


@router.post("/inbox/{chat_id}/reply")
async def reply(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    text: Annotated[list[str], Form(default_factory=list)],
    client_key: Annotated[str, Form(max_length=64)] = "",
    pictures: Annotated[str, Form(max_length=1000)] = "",
    seen_message: SeenId = None,
    seen_outgoing: SeenId = None,
    sure: Annotated[bool, Form()] = False,
    keep_draft: Annotated[bool, Form()] = False,
) -> Response:
    """Queues a reply, its photos first, once for one `client_key`, and returns what is on its way. Several texts go
    out one after another.

    It is shown first, and queued when the person is `sure`, where it goes out in more messages than were written or
    says again what was just said. It is shown too, sure or not, where the chat has something newer than `seen_message`
    and `seen_outgoing`, the newest rows on the writer's screen: what is shown counts as seen the next time. A program
    has no screen, and names none. The draft goes with it, unless it is another text: `keep_draft`.
    """
    texts = [one for whole in text if (one := whole.replace("\r\n", "\n").strip())]
    names = [name for name in pictures.split(",") if name]
    if not texts and not names:
        raise Invalid("Write something first.", field="text")
    if len(texts) > TEXTS_AT_ONCE:
        raise Invalid("Send at most {count} messages at once.", field="text", count=TEXTS_AT_ONCE)
    if places := [place for one in texts for place in find_places(one)]:
        told = ", ".join(dict.fromkeys(places))
        message = "Fill in {places} first: a reply with a variable in it is not sent."
        raise Invalid(message, field="text", places=told)
    messages = outbox.in_messages(texts)
    client_key = client_key or secrets.token_hex(16)
    screen = None if seen_message is None or seen_outgoing is None else Screen(seen_message, seen_outgoing)
    doubts = None
    async with parts.store.write() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        await outbox.hold(session, chat_id)
        taken = await outbox.is_taken(session, chat_id=chat_id, client_key=client_key)
        if not taken:
            doubts = await _doubts(session, parts, chat, operator, texts, messages, screen, sure=sure)
        if doubts is None:
            written: outbox.Written = {
                "chat": chat,
                "operator_id": operator.id,
                "client_key": client_key,
                "now": parts.clock(),
            }
            await outbox.queue_pictures(session, pictures=names, **written)
            if texts:
                await outbox.queue(session, text=texts[0], further=texts[1:], **written)
            if not taken and not keep_draft:
                await drafts.clear(session, chat_id, operator.id, now=parts.clock())
    if doubts:
        template = "inbox/preview.html" if "hx-request" in request.headers else "inbox/preview_page.html"
        asked: dict[str, Any] = {
            "chat": chat,
            "texts": texts,
            "pieces": messages,
            "client_key": client_key,
            "pictures": pictures,
        }
        asked["keep_draft"] = keep_draft
        return render_inbox(request, parts, template, **asked, **doubts)
    parts.outbox.nudge()
    await inbox.Care(parts.store, parts.applier).take_for_answer(chat, operator, now=parts.clock())
    return await _after_reply(request, parts, sight, chat_id)


async def _doubts(
    session: AsyncSession,
    parts: Parts,
    chat: Chat,
    operator: Operator,
    texts: list[str],
    messages: list[str],
    screen: Screen | None,
    *,
    sure: bool,
) -> dict[str, Any] | None:
    """What a person is to be asked before this is sent, as the preview shows it. None: nothing."""
    unseen = None if screen is None else await outbox.find_unseen(session, chat.id, operator.id, screen)
    repeated = await outbox.is_repeated(session, chat_id=chat.id, messages=messages, now=parts.clock())
    if not unseen and (sure or (not repeated and len(messages) == len(texts))):
        return None
    return {
        "unseen": [show(message) for message in unseen.messages] if unseen else [],
        "answered": unseen.replies if unseen else [],
        "screen": unseen.screen if unseen else screen,
        "repeated": repeated,
    }


@router.post("/inbox/{chat_id}/pictures", max_body_size=LARGEST + 1024)
async def attach(request: Request, parts: Given, sight: Seen, chat_id: ChatId) -> Response:
    """Takes a file as the request's body, and returns it as it will be sent, small. Nothing is queued yet."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
    name = await parts.outbox.pictures.add(await uploaded(request))
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
