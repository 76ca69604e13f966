"""An operator's keys for his programs: made after a proof, shown once, revoked at once."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.errors import Conflict, Invalid
from golub.model import ApiKey, Operator, Scope
from golub.operators import LIVES, NAME_LONGEST, scopes_for
from golub.web.language import N_
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.proof import must_be_proved
from golub.web.session import Doer, Signed

PAGE = "/me/api-keys"
USUAL_LIFE = "365"

SCOPE_WORDS: dict[str, str] = {
    Scope.CHATS_READ: N_("Read the chats and messages that you see"),
    Scope.MESSAGES_WRITE: N_("Answer buyers in them, in your name"),
    Scope.WEBHOOKS_READ: N_("See which webhooks are registered, without their secrets"),
    Scope.WEBHOOKS_WRITE: N_("Register, change and remove webhooks"),
}

router = APIRouter(prefix=PAGE)

Text = Annotated[str, Form(max_length=10 * NAME_LONGEST)]


@router.get("")
async def show(request: Request, parts: Given, operator: Signed, done: str = "") -> Response:
    """The operator's own API keys, without their secrets."""
    return await _page(request, parts, operator, done=done if done == "revoked" else "")


@router.post("")
async def make(
    request: Request,
    parts: Given,
    operator: Signed,
    by: Doer,
    name: Text = "",
    scopes: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    days: Text = "",
) -> Response:
    """A new key; the answer is the only place where it is ever shown."""
    must_be_proved(request, PAGE)
    try:
        made, secret = await parts.operators.make_key(operator, name, scopes, days=_days(days), by=by)
    except (Invalid, Conflict) as error:
        given: dict[str, object] = {"name": name, "scopes": scopes, "days": days}
        return await _page(request, parts, operator, given=given, error=error)
    return await _page(request, parts, operator, made=made, secret=secret)


@router.post("/{key_id}/revoke")
async def revoke(parts: Given, _: Signed, by: Doer, key_id: RowId) -> Response:
    """One's own: from the next request on it opens nothing."""
    await parts.operators.revoke_key(key_id, by=by)
    return RedirectResponse(f"{PAGE}?done=revoked", 303)


async def _page(
    request: Request,
    parts: Parts,
    operator: Operator,
    *,
    done: str = "",
    made: ApiKey | None = None,
    secret: str = "",
    given: Mapping[str, object] | None = None,
    error: Invalid | Conflict | None = None,
) -> Response:
    return render(
        request,
        "api_keys.html",
        status=422 if error else 200,
        keys=await parts.operators.list_keys(operator.id),
        now=parts.clock(),
        offered=scopes_for(operator),
        words=SCOPE_WORDS,
        lives=LIVES,
        given=given or {"name": "", "scopes": [], "days": USUAL_LIFE},
        made=made,
        secret=secret,
        done=done,
        error=error,
    )


def _days(text: str) -> int | None:
    """Nothing: the key works until it is revoked."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
