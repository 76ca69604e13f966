"""Drafts as the composer shows them: saved while a person writes, and put back wherever he opens the chat."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox
from golub.composing import drafts
from golub.model import Operator
from golub.web.inbox import ChatId, render_inbox
from golub.web.parts import Given, Parts
from golub.web.session import Seen, Signed

router = APIRouter()


class Choice(StrEnum):
    SWAP = "swap"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Begun:
    """What the composer is filled with. `pictures` are those that still exist, `other` is another device's text."""

    version: int = 0
    text: str = ""
    pictures: tuple[str, ...] = ()
    other: str = ""
    stored: bool = True


async def find_begun(session: AsyncSession, parts: Parts, operator: Operator, chat_id: int) -> Begun:
    draft = await drafts.find_draft(session, chat_id, operator.id)
    if draft is None:
        return Begun()
    kept = tuple([name for name in draft.pictures if await parts.outbox.pictures.exists(name)])
    return Begun(draft.version, draft.text, kept, draft.other_text)


@router.post("/inbox/{chat_id}/draft")
async def save(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    chat_id: ChatId,
    text: Annotated[str, Form()] = "",
    pictures: Annotated[str, Form(max_length=1000)] = "",
    base: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """Keeps what the box shows; `base` is the version that it was filled with. Returns the version that it is then, and
    what another device wrote meanwhile."""
    async with parts.store.write() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        saved = await drafts.save(
            session,
            parts.store,
            chat_id=chat.id,
            operator_id=operator.id,
            text=text,
            pictures=[name for name in pictures.split(",") if name],
            base=base,
            now=parts.clock(),
        )
    return _answer(request, parts, chat.id, Begun(saved.version, other=saved.other, stored=saved.stored))


@router.post("/inbox/{chat_id}/draft/other")
async def settle(
    request: Request, parts: Given, operator: Signed, sight: Seen, chat_id: ChatId, choice: Annotated[Choice, Form()]
) -> Response:
    """A person has looked at both texts: takes the other one, or gives it up."""
    async with parts.store.write() as session:
        chat = await inbox.get_chat(session, sight, chat_id)
        if choice is Choice.SWAP:
            await drafts.swap(session, chat.id, operator.id, now=parts.clock())
        else:
            await drafts.forget_other(session, chat.id, operator.id)
        begun = await find_begun(session, parts, operator, chat.id)
    return _answer(request, parts, chat.id, begun, swapped=choice is Choice.SWAP)


def _answer(request: Request, parts: Parts, chat_id: int, begun: Begun, *, swapped: bool = False) -> Response:
    if "hx-request" not in request.headers:
        return RedirectResponse(f"/inbox/{chat_id}", 303)
    context: dict[str, Any] = {"chat_id": chat_id, "draft": begun, "swapped": swapped}
    return render_inbox(request, parts, "inbox/draft.html", **context)
