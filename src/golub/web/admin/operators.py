"""The page of operators: who there is, with which role, and the links by which they choose their passwords."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import Conflict, GolubError, Invalid, Rejected
from golub.model import Operator, Role
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.proof import must_be_proved
from golub.web.session import Admin, Doer

PAGE = "/admin/operators"

router = APIRouter(prefix=PAGE)

Text = Annotated[str, Form()]


@router.get("")
async def show(request: Request, parts: Given, me: Admin) -> Response:
    return await _page(request, parts, me)


@router.post("")
async def invite(
    request: Request, parts: Given, me: Admin, by: Doer, login: Text = "", name: Text = "", role: Text = Role.MANAGER
) -> Response:
    must_be_proved(request, PAGE)
    try:
        made, secret = await parts.operators.invite(
            login, name=name, role=_role(role), locale=reader_of(request).locale, by=by
        )
    except (Invalid, Conflict) as error:
        given = {"login": login, "name": name, "role": role}
        return await _page(request, parts, me, given=given, error=error)
    return await _page(request, parts, me, made=made, link=_link(request, parts, secret))


@router.post("/{operator_id}")
async def change(
    request: Request, parts: Given, me: Admin, by: Doer, operator_id: RowId, role: Text = "", active: Text = ""
) -> Response:
    """`role` changes the role; `active` (yes or no) lets the operator in or keeps him out."""
    must_be_proved(request, PAGE)
    if operator_id == me.id:
        raise Conflict("Somebody else has to change your own role: you could lock yourself out.")
    await parts.operators.change(
        operator_id, by=by, role=_role(role) if role else None, active=active == "yes" if active else None
    )
    return RedirectResponse(PAGE, 303)


@router.post("/{operator_id}/link")
async def link(request: Request, parts: Given, me: Admin, by: Doer, operator_id: RowId) -> Response:
    must_be_proved(request, PAGE)
    secret = await parts.operators.reset(operator_id, by=by)
    made = await parts.operators.get(operator_id)
    return await _page(request, parts, me, made=made, link=_link(request, parts, secret))


@router.post("/{operator_id}/second-factor")
async def remove_second_factor(request: Request, parts: Given, me: Admin, by: Doer, operator_id: RowId) -> Response:
    """Takes the second factor off an operator who lost the phone."""
    must_be_proved(request, PAGE)
    if operator_id == me.id:
        raise Conflict("Your own second factor is turned off on your own page.")
    await parts.operators.remove_second_factor(operator_id, by=by)
    return RedirectResponse(PAGE, 303)


async def _page(
    request: Request,
    parts: Parts,
    me: Operator,
    *,
    made: Operator | None = None,
    link: str = "",
    given: dict[str, str] | None = None,
    error: GolubError | None = None,
) -> Response:
    return render(
        request,
        "admin/operators.html",
        status=422 if error else 200,
        operators=await parts.operators.list_all(),
        last_seen=await parts.operators.last_seen(),
        account_counts=await parts.operators.account_counts(),
        roles=[role for role in Role if Role(me.role).covers(role)],
        rescued=[Role.MANAGER] if me.role == Role.ADMIN else list(Role),
        made=made,
        link=link,
        given=given or {"login": "", "name": "", "role": Role.MANAGER},
        error=error,
    )


def _link(request: Request, parts: Parts, secret: str) -> str:
    origin = parts.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{origin}/password/{secret}"


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise Rejected("There is no such role.") from None
