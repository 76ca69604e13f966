"""Quick replies in a chat: which fit, and one of them filled in, for a person to look at before it is sent."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from golub import inbox
from golub.composing import quick_replies
from golub.composing.filling import fill, values_of
from golub.errors import Invalid
from golub.inbox import LARGEST_ID
from golub.model import Account
from golub.outbox import Screen
from golub.web.inbox import ChatId, render_inbox
from golub.web.parts import Given
from golub.web.session import Seen, Signed

router = APIRouter()

Known = Annotated[int | None, Query(ge=0, le=LARGEST_ID)]
Told = Annotated[int | None, Form(ge=0, le=LARGEST_ID)]


@router.get("/inbox/{chat_id}/quick-replies")
async def choose(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    seen_message: Known = None,
    seen_outgoing: Known = None,
) -> HTMLResponse:
    """Those that fit the chat: the list beside the composer, or a page. What its reader has seen goes along."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        account = await session.get_one(Account, chat.account_id)
        found = await quick_replies.list_for_chat(session, sight, operator, chat)
        pictures = await quick_replies.list_pictures(session, [quick.id for quick in found])
    values = values_of(chat, account, operator)
    return render_inbox(
        request,
        parts,
        "inbox/quick_list.html" if "hx-request" in request.headers else "inbox/quick_list_page.html",
        chat=chat,
        choices=[(quick, " ⏎ ".join(fill(text, values).text for text in quick.texts)) for quick in found],
        photos={quick_id: len(ids) for quick_id, ids in pictures.items()},
        screen=_screen(seen_message, seen_outgoing),
    )


@router.post("/inbox/{chat_id}/quick-replies/{quick_id}")
async def take(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    quick_id: ChatId,
    seen_message: Told = None,
    seen_outgoing: Told = None,
) -> Response:
    """One of them for this chat: its photos attached, its variables filled in, and told which could not be. One text
    goes into the composer, several are shown as they will follow each other. Nothing is queued yet."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        account = await session.get_one(Account, chat.account_id)
        quick = await quick_replies.get(session, sight, operator, quick_id)
        drawn = await quick_replies.read_pictures(session, quick.id)
    if chat.chat_type == "a2u":
        raise Invalid("This is Avito's own chat: it takes no replies.", field="text")
    pictures = [await parts.outbox.pictures.take(one.extension, one.picture, one.small) for one in drawn]
    async with parts.store.write() as session:
        await quick_replies.note_use(session, quick.id, now=parts.clock())
    values = values_of(chat, account, operator)
    filled = [fill(text, values) for text in quick.texts]
    context: dict[str, Any] = {
        "chat": chat,
        "quick": quick,
        "texts": [one.text for one in filled],
        "missing": list(dict.fromkeys(place for one in filled for place in one.missing)),
        "names": pictures,
        "client_key": secrets.token_hex(16),
        "screen": _screen(seen_message, seen_outgoing),
    }
    if "hx-request" not in request.headers:
        return render_inbox(request, parts, "inbox/quick_page.html", **context)
    template = "inbox/quick_dialog.html" if len(filled) > 1 else "inbox/quick_filled.html"
    return render_inbox(request, parts, template, **context)


def _screen(message_id: int | None, outgoing_id: int | None) -> Screen | None:
    return None if message_id is None or outgoing_id is None else Screen(message_id, outgoing_id)
