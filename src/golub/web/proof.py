"""Who is signed in shows once more who he is, before what a stolen cookie alone must not do: seeing a secret, giving a
role, changing how one signs in. It counts for a few minutes, in this browser.
"""

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import GolubError, Paced, Rejected
from golub.web.csrf import SAFE_METHODS
from golub.web.next_page import safe_next
from golub.web.page import render
from golub.web.parts import Given, parts_of
from golub.web.session import Led, NotSignedIn, Signed, address_of, signing_of
from golub.web.sign_in import HOME, paced

router = APIRouter(prefix="/me/proof")

Text = Annotated[str, Form()]


def is_proved(request: Request) -> bool:
    """Whether he did so just now."""
    signing = signing_of(request)
    return signing is not None and parts_of(request).operators.is_proved(signing.session)


def must_be_proved(request: Request, back: str = "") -> None:
    """Raises `Led` to the page below, which leads on to where he was, or to `back`."""
    if is_proved(request):
        return
    if "hx-request" in request.headers:
        shown = urlsplit(request.headers.get("hx-current-url", ""))
        back = shown.path + (f"?{shown.query}" if shown.query else "")
    elif request.method in SAFE_METHODS:
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    undone = "" if request.method in SAFE_METHODS and "hx-request" not in request.headers else "&undone=true"
    raise Led(
        "Show once more who you are: sign in again, and repeat this within five minutes.",
        page=f"/me/proof?next={quote(safe_next(back))}{undone}",
        code="proof_needed",
    )


@router.get("")
async def show(request: Request, _: Signed, next: str = "/", undone: bool = False) -> Response:  # noqa: A002
    """Asks for the password again, and for the code where one is set."""
    return _page(request, next, undone)


@router.post("")
async def prove(
    request: Request,
    parts: Given,
    operator: Signed,
    password: Text = "",
    code: Text = "",
    next: Text = "/",  # noqa: A002
    undone: Annotated[bool, Form()] = False,
) -> Response:
    """Leads back to where the operator was."""
    signing = signing_of(request)
    if signing is None:
        raise NotSignedIn("Not authenticated")
    try:
        await parts.operators.prove(signing.session, operator, password, code[:100], address_of(request))
    except (Rejected, Paced) as error:
        return _page(request, next, undone, error)
    return RedirectResponse(safe_next(next, HOME), 303)


def _page(request: Request, wanted: str, undone: bool, error: GolubError | None = None) -> Response:
    page = render(
        request,
        "proof.html",
        status=error.status if error else 200,
        next=safe_next(wanted),
        undone=undone,
        error=error,
    )
    return paced(page, error)
