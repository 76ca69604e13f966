"""The open chat: the page with the list beside it, the thread alone, older messages, what changed since a version."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox, outbox
from golub.inbox import LARGEST_ID, Entry, Noted, Place, Said, card
from golub.inbox.around import list_after, list_around
from golub.model import Chat, Operator
from golub.sight import Sight
from golub.web.acts import ShownAct
from golub.web.content import Shown, avito_chat_url, show
from golub.web.drafts import find_begun
from golub.web.inbox import ChatId, Choice, Chosen, OptionalId, list_context, names, render_inbox
from golub.web.links import calm, read_link, split_text
from golub.web.notes import ShownNote, show_note
from golub.web.parts import Given, Parts
from golub.web.session import Seen, Signed

router = APIRouter()

BEFORE_UNREAD = 10  # messages shown before the first unread one, so that it is understood


@router.get("/inbox/{chat_id}")
async def chat_page(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    choice: Chosen,
    at: OptionalId = None,
    note: OptionalId = None,
) -> HTMLResponse:
    """The list with a chat opened, at its end, at one of its messages or one of its notes."""
    async with parts.store.read() as session:
        context = await list_context(session, operator, sight, choice)
        context["thread"] = await _thread(session, parts, operator, sight, choice, chat_id, at, note, around=context)
    return render_inbox(request, parts, "inbox/page.html", **context, start_offered=False)


@router.get("/inbox/{chat_id}/thread")
async def thread(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    choice: Chosen,
) -> HTMLResponse:
    """The thread alone, for the page that is already open."""
    async with parts.store.read() as session:
        shown = await _thread(session, parts, operator, sight, choice, chat_id)
    return render_inbox(request, parts, "inbox/thread.html", thread=shown)


@router.get("/inbox/{chat_id}/messages")
async def messages(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    choice: Chosen,
    after: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
    before: str = "",
    since: str = "",
) -> Response:
    """What came or changed since version `after`, with the head, the replies and the version that it is then; or a
    page of messages before a place, or since one. 205 when too much has changed: open the chat anew."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        if since:
            later = await list_after(session, chat, Place.parse(since))
            shown = await _shown(session, operator, chat, later.entries)
            return render_inbox(request, parts, "inbox/newer.html", chat=chat, entries=shown, newer=later.newer)
        if after is None:
            found = await inbox.list_entries(session, chat, before=Place.parse(before) if before else None)
            shown = await _shown(session, operator, chat, found.entries)
            return render_inbox(request, parts, "inbox/older.html", chat=chat, entries=shown, older=found.older)
        changed = await inbox.find_changed(session, chat, after=after)
        if changed is None:
            return Response(status_code=205)
        context = await opened(session, parts, sight, choice, chat)
        shown = await _shown(session, operator, chat, changed)
    return render_inbox(request, parts, "inbox/changes.html", thread=context | {"entries": shown})


@router.post("/inbox/{chat_id}/read")
async def read(
    parts: Given, sight: Seen, chat_id: ChatId, up_to: Annotated[int, Form(ge=1, le=LARGEST_ID)]
) -> Response:
    """The operator has the messages up to that row before his eyes."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
    if chat.unread:
        await inbox.mark_read(parts.applier, chat, up_to)
        parts.backfill.nudge()
    return Response(status_code=204)


async def _thread(
    session: AsyncSession,
    parts: Parts,
    operator: Operator,
    sight: Sight,
    choice: Choice,
    chat_id: int,
    at: int | None = None,
    note: int | None = None,
    around: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    chat = await inbox.get_chat(session, sight, chat_id)
    enough = min(max(inbox.MESSAGES_A_PAGE, chat.unread + BEFORE_UNREAD), inbox.CHANGES_AT_ONCE)
    found = await list_around(session, chat, at, note, newest=enough)
    return await opened(session, parts, sight, choice, chat, around) | {
        "entries": await _shown(session, operator, chat, found.entries),
        "older": found.older,
        "newer": found.newer,
        "first_unread": await inbox.find_first_unread(session, chat),
        "client_key": secrets.token_hex(16),
        "draft": await find_begun(session, parts, operator, chat.id),
        "newest_message": max((one.message.id for one in found.entries if isinstance(one, Said)), default=0),
        "note_key": secrets.token_hex(16),
    }


async def opened(
    session: AsyncSession,
    parts: Parts,
    sight: Sight,
    choice: Choice,
    chat: Chat,
    around: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the head, the card and the replies of an open chat need. `around`: of a list that the page has beside it."""
    if around is None:
        around = await names(session, sight) | {"labels": await inbox.list_labels(session)}
    buyer_note, block = await card.find_note_and_block(session, chat)
    return {
        "newest_outgoing": await outbox.find_newest_reply(session, chat.id),  # first: what comes meanwhile is unseen
        "chat": chat,
        "account": around["accounts"].get(chat.account_id),
        "outgoing": await inbox.list_outgoing(session, chat, now=parts.clock()),
        "choice": choice,
        "team": around["team"],
        "labels": await inbox.list_labels_of(session, chat.id),
        "all_labels": around["labels"],
        "block": block,
        "blocked": block.reason if block else None,
        "avito_url": avito_chat_url(chat.avito_id),
        "item_link": read_link(chat.item_url),
        "profile_link": read_link(chat.buyer_profile_url),
        "accounts": around["accounts"],
        "same_item": await card.find_chats_of_item(session, chat),
        "same_buyer": await card.find_chats_of_buyer(session, sight, chat),
        "buyer_known": card.known_buyer(chat) is not None,
        "buyer_note": buyer_note,
        "buyer_note_text": split_text(calm(buyer_note.note.text)) if buyer_note else [],
    }


async def _shown(
    session: AsyncSession, operator: Operator, chat: Chat, found: list[Entry]
) -> list[Shown | ShownNote | ShownAct]:
    writers = await inbox.find_writers(session, chat, [one.message for one in found if isinstance(one, Said)])

    def shown(one: Entry) -> Shown | ShownNote | ShownAct:
        if isinstance(one, Said):
            return show(one.message, writers.get(one.message.avito_id, ""))
        return show_note(one, operator) if isinstance(one, Noted) else ShownAct(one)

    return [shown(one) for one in found]
