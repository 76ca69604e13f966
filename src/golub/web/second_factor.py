"""Setting up one's second factor, and taking it off: the QR code, the first code, recovery codes that are shown once.

The pages stand before the panel, since whoever must set it up reaches nothing else until then.
"""

from typing import Annotated

import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import Conflict, Paced, Rejected
from golub.model import Role
from golub.operators import uri_of
from golub.web.page import render
from golub.web.parts import Given
from golub.web.proof import must_be_proved
from golub.web.session import Doer, Signed
from golub.web.sign_in import paced

PAGE = "/me/second-factor"

router = APIRouter(prefix=PAGE)


@router.get("")
async def show(request: Request, parts: Given, operator: Signed) -> Response:
    """How to set up the second factor, with the QR code once it was asked for."""
    if operator.second_factor_at is not None:
        return RedirectResponse("/me", 303)
    return await _page(request, parts, operator)


@router.post("")
async def begin(request: Request, parts: Given, operator: Signed) -> Response:
    """A new secret for the app; it counts for nothing yet."""
    must_be_proved(request, PAGE)
    await parts.operators.begin_second_factor(operator.id)
    return RedirectResponse(PAGE, 303)


@router.post("/confirm")
async def confirm(
    request: Request, parts: Given, operator: Signed, by: Doer, code: Annotated[str, Form()] = ""
) -> Response:
    """The app's first code: from then on signing in takes one, and the recovery codes are shown."""
    must_be_proved(request, PAGE)
    try:
        made = await parts.operators.confirm_second_factor(operator, code[:100], by=by)
    except Conflict:
        raise
    except (Rejected, Paced) as error:
        return paced(await _page(request, parts, operator, error), error)
    return render(request, "recovery_codes.html", codes=made, first=True)


@router.post("/codes")
async def make_codes(request: Request, parts: Given, operator: Signed, by: Doer) -> Response:
    """Ten new recovery codes; the earlier ones stop working."""
    must_be_proved(request, "/me")
    made = await parts.operators.make_recovery_codes(operator.id, by=by)
    return render(request, "recovery_codes.html", codes=made, first=False)


@router.post("/off")
async def take_off(request: Request, parts: Given, operator: Signed, by: Doer) -> Response:
    """Signing in takes the password alone again, unless the settings ask for more."""
    must_be_proved(request, "/me")
    if parts.settings.second_factor_required and operator.role == Role.SUPER_ADMIN:
        raise Conflict("Super administrators need a second factor here, so it stays on.")
    await parts.operators.remove_second_factor(operator.id, by=by)
    return RedirectResponse("/me?done=second-factor-off", 303)


async def _page(request: Request, parts: Given, operator: Signed, error: Rejected | Paced | None = None) -> Response:
    seed = await parts.operators.find_new_seed(operator.id)
    if seed:
        must_be_proved(request, PAGE)
    return render(
        request,
        "second_factor.html",
        status=error.status if error else 200,
        needed=parts.settings.second_factor_required and operator.role == Role.SUPER_ADMIN,
        picture=_picture(uri_of(seed, operator.login)) if seed else "",
        seed=" ".join(seed[at : at + 4] for at in range(0, len(seed), 4)) if seed else "",
        error=error,
    )


def _picture(text: str) -> str:
    """A QR code as the address of an image: black on white in a dark page too, or cameras do not see it."""
    return segno.make(text, error="m", micro=False).svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
