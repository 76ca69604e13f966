"""Everybody's API keys, for the super administrator: who has which, when and from where they were used. No secret is
here, and none could be shown."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from golub.web.api_keys import SCOPE_WORDS
from golub.web.page import render
from golub.web.parts import Given, RowId
from golub.web.session import Doer, SuperAdmin

PAGE = "/admin/api-keys"

router = APIRouter(prefix=PAGE)


@router.get("")
async def show(request: Request, parts: Given, _: SuperAdmin, done: str = "") -> Response:
    """The API keys of all operators, without their secrets."""
    return render(
        request,
        "admin/api_keys.html",
        keys=await parts.operators.list_all_keys(),
        now=parts.clock(),
        words=SCOPE_WORDS,
        done=done if done == "revoked" else "",
    )


@router.post("/{key_id}/revoke")
async def revoke(parts: Given, _: SuperAdmin, by: Doer, key_id: RowId) -> Response:
    """Anybody's: from the next request on it opens nothing."""
    await parts.operators.revoke_key(key_id, by=by)
    return RedirectResponse(f"{PAGE}?done=revoked", 303)
