"""Notes in a chat: the team's own words among the messages, which no buyer ever sees.

They have a form and addresses of their own, so that nothing written as a note can go out as a reply.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from golub import inbox
from golub.inbox import LARGEST_ID, Noted, card, notes
from golub.model import Note, Operator
from golub.web.inbox import ChatId
from golub.web.links import Link, calm, split_text
from golub.web.parts import Given
from golub.web.session import Seen, Signed

router = APIRouter()

Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class ShownNote:
    """A note as the thread draws it, for one operator: `mine` may be changed, `removable` removed."""

    note: Note
    text: list[str | Link]
    writer: str
    mine: bool
    removable: bool
    kind = "note"


def show_note(noted: Noted, operator: Operator) -> ShownNote:
    note = noted.note
    return ShownNote(
        note,
        split_text(calm(note.text)),
        noted.operator,
        mine=note.operator_id == operator.id,
        removable=notes.may_remove(note, operator),
    )


@router.post("/inbox/{chat_id}/notes")
async def write(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    text: Text = "",
    client_key: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Keeps a note, once for the same words of one form."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
    key = hashlib.sha256(f"{client_key or secrets.token_hex(16)}\0{text}".encode("utf-8", "replace")).hexdigest()
    await notes.write_note(parts.applier, chat, operator, text, client_key=key, now=parts.clock())
    return _back(request, chat_id)


@router.post("/inbox/notes/{note_id}")
async def change(
    request: Request, parts: Given, operator: Signed, sight: Seen, note_id: ChatId, text: Text = ""
) -> Response:
    """Gives a note of one's own other words."""
    async with parts.store.read() as session:
        note, chat = await notes.get_note(session, sight, note_id)
    await notes.change_note(parts.applier, chat, note, operator, text, now=parts.clock())
    return _back(request, chat.id)


@router.post("/inbox/notes/{note_id}/remove")
async def remove(request: Request, parts: Given, operator: Signed, sight: Seen, note_id: ChatId) -> Response:
    async with parts.store.read() as session:
        note, chat = await notes.get_note(session, sight, note_id)
    await notes.remove_note(parts.applier, chat, note, operator, now=parts.clock())
    return _back(request, chat.id)


@router.post("/inbox/{chat_id}/buyer-note")
async def write_about_buyer(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    text: Text = "",
    seen: Annotated[int, Form(ge=0, le=LARGEST_ID)] = 0,
) -> Response:
    """Gives the chat's buyer another note. `seen`: the time of the one that the operator had before him; 0 for none."""
    async with parts.store.read() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
    parts.live.ring(await card.write_buyer_note(parts.store, chat, operator, text, seen=seen, now=parts.clock()))
    return _back(request, chat_id)


def _back(request: Request, chat_id: int) -> Response:
    """The thread hears of it as of any change; a page without scripts is loaded anew."""
    return Response(status_code=204) if "hx-request" in request.headers else RedirectResponse(f"/inbox/{chat_id}", 303)
