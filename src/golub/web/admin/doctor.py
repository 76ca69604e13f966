"""The doctor's page: what is wrong first, with its fix and lines to copy; then every check, what is well folded away.

An examination runs in the background, because it calls the public address; the page asks how far it has come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from golub.audit import Action
from golub.doctor import GROUPS, TITLES, Group, Verdict, make_bundle
from golub.model import Operator
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.remedies import Row, rows_of
from golub.web.session import Admin, Doer

router = APIRouter(prefix="/admin/doctor")


@dataclass(frozen=True, slots=True)
class Section:
    """A group of checks; `told` is what is not well."""

    title: str  # a text of the catalogue
    told: Sequence[Row]
    well: Sequence[Row]

    @property
    def worst(self) -> Verdict:
        verdicts = {row.finding.verdict for row in self.told}
        order = (Verdict.WRONG, Verdict.WARNING, Verdict.UNKNOWN)
        return next((verdict for verdict in order if verdict in verdicts), Verdict.OK)


@router.get("")
async def show(request: Request, parts: Given, operator: Admin) -> Response:
    """What the last examination found. The first visit begins one by itself."""
    return _page(request, parts, operator, "admin/doctor.html")


@router.post("")
async def examine(request: Request, parts: Given, operator: Admin) -> Response:
    """Looks at everything anew, at most six times a minute."""
    parts.doctor.begin()
    if "hx-request" in request.headers:
        return _page(request, parts, operator, "admin/doctor_findings.html")
    return RedirectResponse("/admin/doctor", 303)


@router.get("/findings")
async def show_findings(request: Request, parts: Given, operator: Admin) -> Response:
    """How far the examination has come; asked each second until it has ended."""
    return _page(request, parts, operator, "admin/doctor_findings.html")


@router.post("/bundle")
async def download(request: Request, parts: Given, _: Admin, by: Doer) -> Response:
    """The archive for asking for help, without secrets and messages."""
    last = parts.doctor.last
    findings = last.findings if last and last.ended_at else await parts.doctor.examine()
    now = parts.clock()
    packed = await make_bundle(parts.settings, parts.store, findings, reader_of(request).words, now=now)
    async with parts.store.write() as session:
        await by.did(session, Action.EXPORTED, "doctor", now=now)
    name = f"golub-doctor-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d-%H%M}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(packed, media_type="application/zip", headers=headers)


def _page(request: Request, parts: Parts, operator: Operator, template: str) -> Response:
    examination, reader = parts.doctor.last, reader_of(request)

    found = rows_of(examination.findings, operator, reader.words) if examination else []
    to_mend = rows_of(examination.to_mend, operator, reader.words) if examination else []
    return render(
        request,
        template,
        examination=examination,
        running=examination is not None and examination.ended_at is None,
        first=to_mend[0] if to_mend else None,
        others=to_mend[1:],
        sections=[_section(group, found) for group in Group],
        looked=len({row.finding.check for row in found}),
        checks=len(TITLES),
        titles=TITLES,
    )


def _section(group: Group, rows: Sequence[Row]) -> Section:
    mine = [row for row in rows if row.finding.check.group is group]
    is_well = [row.finding.verdict is Verdict.OK for row in mine]
    return Section(
        GROUPS[group],
        [row for row, well in zip(mine, is_well, strict=True) if not well],
        [row for row, well in zip(mine, is_well, strict=True) if well],
    )
