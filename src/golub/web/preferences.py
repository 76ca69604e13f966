"""What a reader may choose on every page, signed in or not: the language."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from golub.web.language import LOCALE_COOKIE, LOCALES
from golub.web.next_page import safe_next
from golub.web.parts import Given
from golub.web.session import signing_of

router = APIRouter()

_YEAR = 365 * 24 * 3600  # seconds


@router.post("/preferences")
async def choose(
    request: Request,
    parts: Given,
    locale: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    answer = RedirectResponse(safe_next(next), 303)
    if locale in LOCALES:
        answer.set_cookie(
            LOCALE_COOKIE, locale, max_age=_YEAR, httponly=True, samesite="lax", secure=parts.settings.cookie_secure
        )
        if signing := signing_of(request):
            await parts.operators.set_locale(signing.operator.id, locale)
    return answer
