"""An operator's own page: the password, the second factor, the browsers in which he is signed in."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import Invalid
from golub.model import Operator, Role, Session
from golub.operators import handle_of
from golub.web.devices import Device, device_of
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.proof import must_be_proved
from golub.web.session import Doer, NotSignedIn, Signed, signing_of
from golub.web.sign_in import check_alike

router = APIRouter(prefix="/me")

DONE = ("password", "second-factor-off", "session", "sessions")


@dataclass(frozen=True)
class ShownSession:
    """`handle` names it in its form's address."""

    session: Session
    device: Device
    handle: str
    mine: bool  # the browser that asks


@router.get("")
async def show(request: Request, parts: Given, operator: Signed, done: str = "") -> Response:
    """The operator's own password, second factor and sessions."""
    return await _page(request, parts, operator, done=done if done in DONE else "")


@router.post("/password")
async def change_password(
    request: Request,
    parts: Given,
    operator: Signed,
    by: Doer,
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
    keys_too: Annotated[bool, Form()] = False,
) -> Response:
    """Every other session of the operator ends, and his API keys where he asks for it."""
    must_be_proved(request, "/me")
    try:
        check_alike(password, again)
        await parts.operators.change_password(_session(request), operator, password, keys_too=keys_too, by=by)
    except Invalid as error:
        return await _page(request, parts, operator, error=error)
    return RedirectResponse("/me?done=password", 303)


@router.post("/sessions/end")
async def end_others(request: Request, parts: Given, operator: Signed, by: Doer) -> Response:
    """All of the operator's but this one."""
    await parts.operators.end_other_sessions(operator, _session(request).hash, by=by)
    return RedirectResponse("/me?done=sessions", 303)


@router.post("/sessions/{handle}/end")
async def end_one(parts: Given, operator: Signed, by: Doer, handle: str) -> Response:
    """One of the operator's own."""
    await parts.operators.end_session(operator, handle, by=by)
    return RedirectResponse("/me?done=session", 303)


async def _page(
    request: Request, parts: Parts, operator: Operator, *, done: str = "", error: Invalid | None = None
) -> Response:
    here = _session(request).hash
    sessions = [
        ShownSession(opened, device_of(opened.user_agent), handle_of(opened), opened.hash == here)
        for opened in await parts.operators.list_sessions(operator.id)
    ]
    return render(
        request,
        "profile.html",
        status=422 if error else 200,
        sessions=sorted(sessions, key=lambda one: not one.mine),
        codes_left=await parts.operators.count_recovery_codes(operator.id),
        keys=len(await parts.operators.list_keys(operator.id)),
        needed=parts.settings.second_factor_required and operator.role == Role.SUPER_ADMIN,
        done=done,
        error=error,
    )


def _session(request: Request) -> Session:
    signing = signing_of(request)
    if signing is None:
        raise NotSignedIn("Not authenticated")
    return signing.session
