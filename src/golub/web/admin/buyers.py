"""One buyer's data: who he is, what is kept of him, all of it in one archive, and its erasure once it was confirmed.

A buyer is named by a chat's number, so nothing personal stands in an address or in the audit.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from golub.buyers import export_buyer, find_buyers, get_buyer, holdings_of, list_backups
from golub.buyers.exporting import Place, fresh_archive, take_away
from golub.errors import GolubError, Invalid
from golub.model import ErasureState
from golub.web.keeping import files_of
from golub.web.language import N_
from golub.web.page import render
from golub.web.parts import Given, RowId
from golub.web.proof import must_be_proved
from golub.web.session import Doer, SuperAdmin

router = APIRouter(prefix="/admin/buyers")

WITHIN = 3.0  # seconds that looking for somebody may take
TEXT_LIMIT = 200

STATES = {  # a badge's words and kind
    ErasureState.RUNNING: (N_("Running"), "info"),
    ErasureState.STOPPED: (N_("Stopped"), "warn"),
    ErasureState.FINISHED: (N_("Finished"), "ok"),
}


@router.get("")
async def find(request: Request, parts: Given, _: SuperAdmin, q: str = "") -> Response:
    """By Avito's number, a chat's address or id, or a name; and the latest erasures."""
    text = q.replace("\0", "").strip()[:TEXT_LIMIT]
    error: GolubError | None = None
    buyers = []
    try:
        async with parts.store.read(within=WITHIN) as session:
            buyers = await find_buyers(session, text)
    except Invalid as invalid:
        error = invalid
    return render(
        request,
        "admin/buyers.html",
        status=error.status if error else 200,
        text=text,
        buyers=buyers,
        erasures=await parts.erasures.list_recent(),
        states=STATES,
        error=error,
    )


@router.get("/erasures/{erasure_id}")
async def show_erasure(request: Request, parts: Given, _: SuperAdmin, erasure_id: RowId) -> Response:
    """How far it has come; and at its end where the buyer still is."""
    erasure = await parts.erasures.get(erasure_id)
    part = request.headers.get("hx-request") is not None
    return render(
        request,
        "admin/erasure_progress.html" if part else "admin/erasure.html",
        erasure=erasure,
        states=STATES,
        backups=await asyncio.to_thread(list_backups, parts.settings, None, erasure.finished_at or parts.clock()),
    )


@router.post("/erasures/{erasure_id}/stop")
async def stop(parts: Given, _: SuperAdmin, by: Doer, erasure_id: RowId) -> Response:
    """What is gone is gone; it can go on from there."""
    await parts.erasures.stop(erasure_id, by)
    return RedirectResponse(f"/admin/buyers/erasures/{erasure_id}", 303)


@router.post("/erasures/{erasure_id}/resume")
async def resume(parts: Given, _: SuperAdmin, by: Doer, erasure_id: RowId) -> Response:
    """Goes on from where it was stopped."""
    await parts.erasures.resume(erasure_id, by)
    return RedirectResponse(f"/admin/buyers/erasures/{erasure_id}", 303)


@router.get("/{chat_id}")
async def show(request: Request, parts: Given, _: SuperAdmin, chat_id: RowId) -> Response:
    """What is kept of this chat's buyer."""
    return await _show(request, parts, chat_id)


@router.post("/{chat_id}/export")
async def export(request: Request, parts: Given, _: SuperAdmin, by: Doer, chat_id: RowId) -> Response:
    """The archive; what was made for it here goes before it is sent."""
    must_be_proved(request, f"/admin/buyers/{chat_id}")
    async with parts.store.read() as session:
        buyer = await get_buyer(session, chat_id)
    data_dir = parts.settings.data_dir
    place = Place(await asyncio.to_thread(fresh_archive, data_dir), data_dir / "media")
    await export_buyer(parts.store, buyer, place, by, files_of=files_of, clock=parts.clock)
    headers = {
        "Content-Disposition": f'attachment; filename="golub-buyer-{buyer.confirmation}.zip"',
        "Content-Length": str(place.to.stat().st_size),
    }
    return StreamingResponse(take_away(place.to), media_type="application/zip", headers=headers)


@router.post("/{chat_id}/erase")
async def erase(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, chat_id: RowId, confirm: Annotated[str, Form()] = ""
) -> Response:
    """Begins; a page shows how far it is."""
    must_be_proved(request, f"/admin/buyers/{chat_id}")
    try:
        erasure_id = await parts.erasures.start(chat_id, confirm[:TEXT_LIMIT], by)
    except Invalid as error:
        return await _show(request, parts, chat_id, error)
    return RedirectResponse(f"/admin/buyers/erasures/{erasure_id}", 303)


async def _show(request: Request, parts: Given, chat_id: int, error: Invalid | None = None) -> Response:
    async with parts.store.read(within=WITHIN) as session:
        buyer = await get_buyer(session, chat_id)
        held = await holdings_of(session, buyer)
    return render(
        request,
        "admin/buyer.html",
        status=error.status if error else 200,
        buyer=buyer,
        held=held,
        backups=await asyncio.to_thread(list_backups, parts.settings, held.since),
        settings=parts.settings,
        error=error,
    )
