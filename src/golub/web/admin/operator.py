"""The page of one operator: which accounts he sees, and when new chats may be given to him."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.duty import Duty
from golub.errors import GolubError, Invalid
from golub.live import EVERYTHING
from golub.model import Role
from golub.web.page import render
from golub.web.parts import LARGEST_ID, Given, Parts, RowId, parse_id
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/operators/{operator_id}")

DONE = ("accounts", "duty")

Text = Annotated[str, Form(max_length=40)]


@router.get("")
async def show(request: Request, parts: Given, me: Admin, operator_id: RowId, done: str = "") -> Response:
    return await _page(request, parts, me.role, operator_id, done=done if done in DONE else "")


@router.post("/accounts")
async def choose_accounts(
    request: Request,
    parts: Given,
    me: Admin,
    by: Doer,
    operator_id: RowId,
    every: Annotated[bool, Form()] = False,
    accounts: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Every account, or the ticked ones. Open pages look again at once."""
    ticked = {number for one in accounts if (number := parse_id(one)) is not None}
    try:
        chosen = None if every else {one for one in ticked if one <= LARGEST_ID}
        await parts.operators.choose_accounts(operator_id, chosen, by=by)
    except Invalid as error:
        return await _page(request, parts, me.role, operator_id, error=error)
    parts.live.ring([EVERYTHING])
    return RedirectResponse(f"/admin/operators/{operator_id}?done=accounts", 303)


@router.post("/duty")
async def choose_duty(
    request: Request,
    parts: Given,
    me: Admin,
    by: Doer,
    operator_id: RowId,
    days: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    begins: Text = "",
    ends: Text = "",
    limit: Text = "",
) -> Response:
    """Days, hours and how many open chats at once."""
    try:
        duty = Duty.chosen(days, begins, ends, limit)
    except Invalid as error:
        given = {"days": days, "begins": begins, "ends": ends, "limit": limit}
        return await _page(request, parts, me.role, operator_id, error=error, given=given)
    await parts.operators.choose_duty(operator_id, duty, by=by)
    return RedirectResponse(f"/admin/operators/{operator_id}?done=duty", 303)


async def _page(
    request: Request,
    parts: Parts,
    my_role: str,
    operator_id: int,
    *,
    done: str = "",
    error: GolubError | None = None,
    given: Mapping[str, object] | None = None,
) -> Response:
    one = await parts.operators.get(operator_id)
    duty = Duty.of(one)
    return render(
        request,
        "admin/operator.html",
        status=422 if error else 200,
        one=one,
        chosen=await parts.operators.accounts_of(operator_id),
        accounts=await parts.accounts.list(),
        may_change=one.role == Role.MANAGER and Role(my_role).covers(Role.ADMIN),
        given=given
        or {
            "days": list(duty.days),
            "begins": "" if duty.all_day else _time(duty.begins),
            "ends": "" if duty.all_day else _time(duty.ends),
            "limit": "" if duty.limit is None else str(duty.limit),
        },
        done=done,
        error=error,
    )


def _time(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"
