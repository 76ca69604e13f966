"""The page of backups: what there is, how the last try went, and a button that makes one now.

Nothing is offered for download: an archive holds every message, and belongs where the machine's owner fetches it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from golub.audit import Action
from golub.backup import Backed, Backups, Manifest, Step, read_manifest
from golub.errors import Conflict, Rejected
from golub.web.language import N_
from golub.web.page import render
from golub.web.parts import Given
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/backups")

SHOWN = 30

STEPS = {
    Step.SPOOL: N_("Copying what has just arrived"),
    Step.DATABASE: N_("Copying the database"),
    Step.PACKING: N_("Packing"),
    Step.VERIFYING: N_("Reading it back and comparing"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A backup of the list; no manifest where the file cannot be read."""

    backed: Backed
    manifest: Manifest | None


@router.get("")
async def show(request: Request, parts: Given, _: Admin) -> Response:
    """The archives of this node, newest first, and where they are."""
    lines = await asyncio.to_thread(_lines, parts.backups)
    return render(
        request,
        "admin/backups.html",
        lines=lines[:SHOWN],
        failed=await asyncio.to_thread(parts.backups.last_failure),
        progress=parts.backups.progress,
        steps=STEPS,
        folder=parts.backups.folder.absolute(),
        settings=parts.settings,
    )


@router.post("")
async def make(parts: Given, _: Admin, by: Doer) -> Response:
    """Makes one now, beside everything else; a second press changes nothing."""
    if not parts.backups.progress:
        async with parts.store.write() as session:
            await by.did(session, Action.BACKED_UP, str(parts.backups.folder), now=parts.clock())
        with suppress(Conflict):  # somebody else pressed it in the same moment
            parts.backups.begin()
    return RedirectResponse("/admin/backups", 303)


@router.get("/progress")
async def show_progress(request: Request, parts: Given, _: Admin) -> Response:
    """How far the one is that is being made; once it is done the whole page is loaded again."""
    if parts.backups.progress is None:
        return Response(headers={"HX-Refresh": "true"})
    return render(request, "admin/backup_progress.html", progress=parts.backups.progress, steps=STEPS)


def _lines(backups: Backups) -> Sequence[Line]:
    return [Line(backed, _manifest(backed)) for backed in backups.list_all()[:SHOWN]]


def _manifest(backed: Backed) -> Manifest | None:
    try:
        return read_manifest(backed.path)
    except Rejected:
        return None
