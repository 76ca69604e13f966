"""The sample shop: loaded to look around in, and removed without a trace."""

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from golub import sample
from golub.web.parts import Given
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/sample")


@router.post("")
async def load(parts: Given, operator: Admin, by: Doer) -> Response:
    await sample.load(parts.store, parts.applier, parts.vault, operator, by=by, now=parts.clock())
    return RedirectResponse("/inbox", 303)


@router.post("/remove")
async def remove(parts: Given, _: Admin, by: Doer) -> Response:
    await sample.remove(parts.store, by=by, now=parts.clock())
    return RedirectResponse("/inbox", 303)
