"""The way in and out: sign-in in one step or two, sign-out, first set-up, and links that work once.

Whoever has a second factor gets a session from his code alone, whichever way led him to it. Until then his browser has
a cookie that opens nothing else, for five minutes.
"""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import GolubError, Invalid, NotFound, Paced, Rejected
from golub.model import Operator
from golub.operators import HALF_LIFE, too_late
from golub.web.language import reader_of
from golub.web.next_page import safe_next
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.session import address_of, drop_cookie, set_cookie, signing_of

router = APIRouter()

HOME = "/inbox"
CODE_PAGE = "/sign-in/code"
HALF_COOKIE = "half_sign_in"

Text = Annotated[str, Form()]


@router.get("/")
async def home(request: Request) -> Response:
    return RedirectResponse(HOME if signing_of(request) else "/sign-in", 303)


@router.get("/sign-in")
async def show_sign_in(request: Request, parts: Given, next: str = "/") -> Response:  # noqa: A002
    if signing_of(request):
        return RedirectResponse(safe_next(next, HOME), 303)
    return await _sign_in_page(request, parts, next)


@router.post("/sign-in")
async def sign_in(request: Request, parts: Given, login: Text = "", password: Text = "", next: Text = "/") -> Response:  # noqa: A002
    try:
        operator = await parts.operators.authenticate(login, password, address_of(request))
    except (Rejected, Paced) as error:
        return await _sign_in_page(request, parts, next, login=login, error=error)
    wanted = safe_next(next, HOME)
    return await _enter(request, parts, operator, HOME if wanted == "/" else wanted)


@router.get(CODE_PAGE)
async def show_code(request: Request, parts: Given, next: str = "/", recovery: bool = False) -> Response:  # noqa: A002
    """The second step, for the browser that has just given the right password."""
    if await parts.operators.find_half(request.cookies.get(HALF_COOKIE, "")) is None:
        return RedirectResponse("/sign-in", 303)
    return _code_page(request, next, recovery)


@router.post(CODE_PAGE)
async def take_code(
    request: Request,
    parts: Given,
    code: Text = "",
    next: Text = "/",  # noqa: A002
    recovery: Annotated[bool, Form()] = False,
) -> Response:
    """A code of the app, or a recovery code: then the session opens."""
    half = request.cookies.get(HALF_COOKIE, "")
    try:
        operator = await parts.operators.finish_half(half, code[:100], address_of(request))
    except NotFound:
        return await _sign_in_page(request, parts, next, error=too_late())
    except (Rejected, Paced) as error:
        return _code_page(request, next, recovery, error)
    answer = await _open(request, parts, operator, safe_next(next, HOME))
    answer.delete_cookie(
        HALF_COOKIE, path=CODE_PAGE, httponly=True, samesite="lax", secure=parts.settings.cookie_secure
    )
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, parts: Given) -> Response:
    if signing := signing_of(request):
        await parts.operators.close_session(signing.session.hash, address=address_of(request))
    answer = RedirectResponse("/sign-in", 303)
    answer.headers["Clear-Site-Data"] = '"cache"'
    drop_cookie(answer, parts.settings)
    return answer


@router.get("/setup/{secret}")
async def show_setup(request: Request, parts: Given, secret: str) -> Response:
    await parts.operators.find_link("setup", secret)
    return render(request, "setup.html", login="", name="", error=None)


@router.post("/setup/{secret}")
async def set_up(
    request: Request,
    parts: Given,
    secret: str,
    login: Text = "",
    name: Text = "",
    password: Text = "",
    again: Text = "",
) -> Response:
    try:
        check_alike(password, again)
        locale = reader_of(request).locale
        operator = await parts.operators.set_up(
            secret, login=login, name=name, password=password, locale=locale, address=address_of(request)
        )
    except Invalid as error:
        return render(request, "setup.html", status=422, login=login, name=name, error=error)
    return await _enter(request, parts, operator, "/admin/start")


@router.get("/enter/{secret}")
async def show_enter(request: Request, parts: Given, secret: str) -> Response:
    await parts.operators.find_link("sign_in", secret)
    return render(request, "enter.html")


@router.post("/enter/{secret}")
async def enter(request: Request, parts: Given, secret: str) -> Response:
    link = await parts.operators.use_link("sign_in", secret)
    return await _enter(request, parts, await parts.operators.get(link.operator_id or 0), HOME)


@router.get("/password/{secret}")
async def show_password(request: Request, parts: Given, secret: str) -> Response:
    await parts.operators.find_link("password", secret)
    return render(request, "password.html", error=None)


@router.post("/password/{secret}")
async def set_password(request: Request, parts: Given, secret: str, password: Text = "", again: Text = "") -> Response:
    try:
        check_alike(password, again)
        operator = await parts.operators.set_password(secret, password, address=address_of(request))
    except Invalid as error:
        return render(request, "password.html", status=422, error=error)
    return await _enter(request, parts, operator, HOME)


async def _sign_in_page(
    request: Request, parts: Parts, wanted: str, *, login: str = "", error: GolubError | None = None
) -> Response:
    page = render(
        request,
        "sign_in.html",
        status=error.status if error else 200,
        next=safe_next(wanted),
        login=login[:64],
        error=error,
        needs_setup=await parts.operators.needs_setup(),
    )
    return paced(page, error)


def _code_page(request: Request, wanted: str, recovery: bool, error: GolubError | None = None) -> Response:
    page = render(
        request,
        "sign_in_code.html",
        status=error.status if error else 200,
        next=safe_next(wanted),
        recovery=recovery,
        error=error,
    )
    return paced(page, error)


def paced(page: Response, error: GolubError | None) -> Response:
    """The page, with when to try again."""
    if isinstance(error, Paced):
        page.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return page


async def _enter(request: Request, parts: Parts, operator: Operator, target: str) -> Response:
    """To the target; or to the code, and from there."""
    if not operator.active:
        raise Rejected("This operator has been deactivated.")
    if operator.second_factor_at is None:
        return await _open(request, parts, operator, target)
    answer = RedirectResponse(f"{CODE_PAGE}?next={quote(target)}", 303)
    answer.set_cookie(
        HALF_COOKIE,
        await parts.operators.open_half(operator),
        max_age=HALF_LIFE // 1000,
        httponly=True,
        samesite="lax",
        secure=parts.settings.cookie_secure,
        path=CODE_PAGE,
    )
    return answer


async def _open(request: Request, parts: Parts, operator: Operator, target: str) -> Response:
    """Always a new session, whatever cookie the browser brought; the one it had ends."""
    if signing := signing_of(request):
        await parts.operators.close_session(signing.session.hash, address=address_of(request))
    secret, _ = await parts.operators.open_session(
        operator, address=address_of(request), user_agent=request.headers.get("user-agent", "")
    )
    answer = RedirectResponse(target, 303)
    set_cookie(answer, secret, parts.settings)
    return answer


def check_alike(password: str, again: str) -> None:
    if password != again:
        raise Invalid("The two passwords differ.", field="again")
