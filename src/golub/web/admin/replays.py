"""Many deliveries of the journal at once: how many they are, what applying them again would change, and then that; or
discarded, where they are in quarantine. A page shows how far it has come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select

from golub import journal
from golub.errors import GolubError
from golub.journal import Wanted
from golub.model import Chat, DeliveryState, ReplayKind
from golub.web.admin.deliveries import WITHIN
from golub.web.causes import CAUSES, STATES
from golub.web.filters import Choice
from golub.web.language import N_, reader_of
from golub.web.page import render
from golub.web.parts import Given, RowId
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/replays")

KINDS = {
    ReplayKind.TRY: N_("Dry run"),
    ReplayKind.APPLY: N_("Applying again"),
    ReplayKind.DISCARD: N_("Discarding"),
}
_SHOWN_COLUMNS = {  # columns of a message that a person would notice
    "text": N_("words"),
    "content": N_("content"),
    "deleted_at": N_("deleted"),
    "edited": N_("edited"),
    "unread": N_("unread"),
    "read_by_peer": N_("read"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """A line of the list of changes."""

    delivery: str
    chat: Chat | None
    chat_avito_id: str
    is_message: bool
    is_new: bool
    columns: list[str]


@router.get("")
async def plan(request: Request, parts: Given, _: Admin) -> Response:
    """How many deliveries pass the filter of the journal's page, and what can be done with them; the latest replays."""
    return await _plan(request, parts, Choice.of(request.query_params, reader_of(request)))


@router.post("")
async def start(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    kind: Annotated[ReplayKind, Form()],
    query: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Tries, applies or discards what passes the filter in `query`."""
    choice = Choice.parse(query, reader_of(request))
    try:
        replay_id = await parts.replays.start(kind, choice.wanted, by, reason=reason)
    except GolubError as error:
        return await _plan(request, parts, choice, error=error, reason=reason)
    return RedirectResponse(f"/admin/replays/{replay_id}", 303)


@router.get("/{replay_id}")
async def show(request: Request, parts: Given, _: Admin, replay_id: RowId) -> Response:
    """How far it has come, and what it changed or would change."""
    part = request.headers.get("hx-request") is not None
    return await _show(request, parts, replay_id, "admin/replay_progress.html" if part else "admin/replay.html")


@router.post("/{replay_id}/stop")
async def stop(parts: Given, _: Admin, by: Doer, replay_id: RowId) -> Response:
    """What is done stays done; it can go on from there."""
    await parts.replays.stop(replay_id, by)
    return RedirectResponse(f"/admin/replays/{replay_id}", 303)


@router.post("/{replay_id}/resume")
async def resume(parts: Given, _: Admin, by: Doer, replay_id: RowId) -> Response:
    """Goes on from where it was stopped."""
    await parts.replays.resume(replay_id, by)
    return RedirectResponse(f"/admin/replays/{replay_id}", 303)


async def _plan(
    request: Request, parts: Given, choice: Choice, *, error: GolubError | None = None, reason: str = ""
) -> Response:
    async with parts.store.read(within=WITHIN) as session:
        number, is_more = await journal.count(session, choice.wanted)
    recent = await parts.replays.list_recent()
    return render(
        request,
        "admin/replay_plan.html",
        status=error.status if error else 200,
        choice=choice,
        number=number,
        is_more=is_more,
        in_quarantine=choice.wanted.state is DeliveryState.QUARANTINED,
        recent=recent,
        running=next((one for one in recent if one.due_at is not None), None),
        error=error,
        reason=reason,
        **await _words(parts),
    )


async def _show(request: Request, parts: Given, replay_id: int, template: str) -> Response:
    replay = await parts.replays.get(replay_id)
    wanted = Wanted.of(replay.wanted)
    told = [(*key.split(" "), number) for key, number in replay.outcomes.items()]
    return render(
        request,
        template,
        replay=replay,
        wanted=wanted,
        outcomes=[(was, now, number) for was, now, number in told if was != now],
        stuck=sum(number for was, now, number in told if was == now),
        changes=await _changes(parts, replay.changes),
        query=_query(wanted, request),
        column_words=_SHOWN_COLUMNS,
        **await _words(parts),
    )


async def _words(parts: Given) -> dict[str, Any]:
    accounts = {one.id: one for one in await parts.accounts.list()}
    return {"kind_titles": KINDS, "states": STATES, "causes": CAUSES, "accounts": accounts}


async def _changes(parts: Given, kept: Sequence[Any]) -> list[Changed]:
    named = {(account, chat) for _, account, chat, _, _ in kept}
    async with parts.store.read() as session:
        rows = await session.scalars(
            select(Chat).where(
                Chat.account_id.in_({account for account, _ in named}), Chat.avito_id.in_({chat for _, chat in named})
            )
        )
        chats = {(chat.account_id, chat.avito_id): chat for chat in rows}
    return [
        Changed(
            delivery=delivery,
            chat=chats.get((account, chat)),
            chat_avito_id=chat,
            is_message=bool(message),
            is_new=not columns,
            columns=[name for name in columns if name in _SHOWN_COLUMNS],
        )
        for delivery, account, chat, message, columns in kept
    ]


def _query(wanted: Wanted, request: Request) -> str:
    """The journal's URL for the same filter."""
    return Choice.back(wanted, reader_of(request)).query
