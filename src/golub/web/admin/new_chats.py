"""How an account gives new chats out: to nobody in particular, or to its managers in turn; and who would be next."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import GolubError, Invalid
from golub.rota import list_candidates
from golub.web.language import zone_names
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/accounts/{account_id}/new-chats")


@router.get("")
async def show(request: Request, parts: Given, _: Admin, account_id: RowId, done: str = "") -> Response:
    """What would happen is told first: who sees the account, who is ready now, and who would get the next chat."""
    return await _page(request, parts, account_id, done=done == "saved")


@router.post("")
async def choose(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    account_id: RowId,
    in_turn: Annotated[bool, Form()] = False,
    zone: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Chats that wait already stay where they are; the choice counts for those that come."""
    try:
        await parts.accounts.choose_new_chats(account_id, in_turn=in_turn, zone=zone, by=by)
    except Invalid as error:
        return await _page(request, parts, account_id, error=error, in_turn=in_turn, zone=zone)
    return RedirectResponse(f"/admin/accounts/{account_id}/new-chats?done=saved", 303)


async def _page(
    request: Request,
    parts: Parts,
    account_id: int,
    *,
    done: bool = False,
    error: GolubError | None = None,
    in_turn: bool | None = None,
    zone: str | None = None,
) -> Response:
    account = await parts.accounts.get(account_id)
    async with parts.store.read() as session:
        candidates = await list_candidates(session, account, now=parts.clock())
    return render(
        request,
        "admin/new_chats.html",
        status=422 if error else 200,
        account=account,
        candidates=candidates,
        next=next((one for one in candidates if one.ready), None),
        in_turn=account.in_turn_since is not None if in_turn is None else in_turn,
        zone=account.zone if zone is None else zone,
        zones=zone_names(),
        done=done,
        error=error,
    )
