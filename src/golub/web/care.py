"""Whose a chat is, how far it is, and its labels: what the open chat's head does. Each answers with the head as it is
then; all other pages, and this one's list, hear the ring.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from golub import inbox
from golub.inbox import LARGEST_ID, Care
from golub.model import Chat
from golub.sight import Sight
from golub.web.inbox import ChatId, Choice, Chosen, render_inbox
from golub.web.language import reader_of
from golub.web.moments import moment
from golub.web.parts import Given, Parts
from golub.web.session import Seen, Signed
from golub.web.snoozing import moment_of, snooze_times
from golub.web.thread import opened

router = APIRouter()

Version = Annotated[int, Form(ge=0, le=LARGEST_ID)]
FormId = Annotated[int, Form(ge=1, le=LARGEST_ID)]


@router.post("/inbox/{chat_id}/take")
async def take(
    request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen, chat_id: ChatId
) -> Response:
    chat = await _chat(parts, sight, chat_id)
    chat = await _care(parts).take(chat, operator, now=parts.clock())
    return await _head(request, parts, sight, choice, chat)


@router.post("/inbox/{chat_id}/hand-over")
async def hand_over(
    request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen, chat_id: ChatId, operator_id: FormId
) -> Response:
    chat = await _chat(parts, sight, chat_id)
    chat = await _care(parts).hand_over(chat, operator, operator_id, now=parts.clock())
    return await _head(request, parts, sight, choice, chat)


@router.post("/inbox/{chat_id}/return")
async def give_back(
    request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen, chat_id: ChatId
) -> Response:
    """Nobody has the chat then."""
    chat = await _chat(parts, sight, chat_id)
    chat = await _care(parts).hand_over(chat, operator, None, now=parts.clock())
    return await _head(request, parts, sight, choice, chat)


@router.post("/inbox/{chat_id}/close")
async def close(
    request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen, chat_id: ChatId, version: Version
) -> Response:
    chat = await _chat(parts, sight, chat_id)
    chat = await _care(parts).close(chat, operator, version=version, now=parts.clock())
    parts.backfill.nudge()  # Avito is told that it was read
    return await _head(request, parts, sight, choice, chat, done=reader_of(request).words("The chat is closed."))


@router.post("/inbox/{chat_id}/snooze")
async def snooze(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    choice: Chosen,
    chat_id: ChatId,
    version: Version,
    until: Annotated[str, Form(max_length=16)] = "",
    at: Annotated[str, Form(max_length=32)] = "",
) -> Response:
    """`until` is one of `snooze_times`; else `at` is a local time as a browser writes it, "2026-11-23T09:00"."""
    reader = reader_of(request)
    chat = await _chat(parts, sight, chat_id)
    offered = {name: ends for name, _, ends in snooze_times(reader)}
    ends = offered[until] if until in offered else moment_of(at, reader)
    chat = await _care(parts).snooze(chat, ends, operator, version=version, now=parts.clock())
    return await _head(
        request, parts, sight, choice, chat, done=reader.words("Snoozed until {when}.", when=moment(reader, ends))
    )


@router.post("/inbox/{chat_id}/reopen")
async def reopen(
    request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen, chat_id: ChatId
) -> Response:
    chat = await _care(parts).reopen(await _chat(parts, sight, chat_id), operator)
    return await _head(request, parts, sight, choice, chat)


@router.post("/inbox/{chat_id}/labels")
async def label(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    choice: Chosen,
    chat_id: ChatId,
    label_id: FormId,
    on: Annotated[bool, Form()] = False,
) -> Response:
    chat = await _chat(parts, sight, chat_id)
    chat = await _care(parts).label(chat, label_id, on, operator, now=parts.clock())
    return await _head(request, parts, sight, choice, chat)


def _care(parts: Parts) -> Care:
    return Care(parts.store, parts.applier)


async def _chat(parts: Parts, sight: Sight, chat_id: int) -> Chat:
    async with parts.store.read() as session:
        return await inbox.get_chat(session, sight, chat_id)


async def _head(
    request: Request, parts: Parts, sight: Sight, choice: Choice, chat: Chat, *, done: str = ""
) -> Response:
    """`done` is told in passing, with a button that takes it back."""
    if "hx-request" not in request.headers:
        return RedirectResponse(f"/inbox/{chat.id}{choice.query}", 303)
    async with parts.store.read() as session:
        context = await opened(session, parts, sight, choice, chat)
    return render_inbox(request, parts, "inbox/cared.html", thread=context, done=done)
