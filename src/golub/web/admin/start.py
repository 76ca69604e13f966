"""The page of first steps: what is done, what to do now, what goes by itself, and the doctor's findings inline."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub import onboarding, sample
from golub.errors import GolubError
from golub.model import DEFAULT_EVENT_TYPES, Operator
from golub.onboarding import State, Step
from golub.subscription import ForeignSubscription
from golub.web.access import may_open
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.remedies import Row, rows_of
from golub.web.session import Admin, Doer, SuperAdmin

router = APIRouter(prefix="/admin/start")


@router.get("")
async def show(request: Request, parts: Given, operator: Admin) -> Response:
    """Every step with its state. The first visit has the doctor look at our address."""
    return await _page(request, parts, operator)


@router.get("/steps")
async def show_steps(request: Request, parts: Given, operator: Admin) -> Response:
    """The steps alone; asked every few seconds while something goes by itself."""
    return await _page(request, parts, operator, template="admin/start_steps.html")


@router.get("/link")
async def show_link(request: Request, parts: Given, _: Admin) -> Response:
    """The menu's way here, as long as there is something to do."""
    if await onboarding.is_finished(parts.store):
        return Response(status_code=204)
    return render(request, "admin/start_link.html")


@router.post("/look")
async def look(request: Request, parts: Given, operator: Admin) -> Response:
    """Has the doctor look, at most six times a minute."""
    parts.doctor.begin()
    if "hx-request" in request.headers:
        return await _page(request, parts, operator, template="admin/start_steps.html")
    return RedirectResponse("/admin/start", 303)


@router.post("/account")
async def connect(
    request: Request,
    parts: Given,
    operator: Admin,
    by: Doer,
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
) -> Response:
    """Connects the first account, or renews its keys."""
    try:
        await parts.accounts.connect(client_id, client_secret, by=by)
    except GolubError as error:
        return await _page(request, parts, operator, status=error.status, error=error, client_id=client_id[:200])
    parts.backfill.nudge()
    return RedirectResponse("/admin/start", 303)


@router.post("/webhook/{account_id}")
async def register(request: Request, parts: Given, operator: SuperAdmin, by: Doer, account_id: RowId) -> Response:
    """Registers the recommended address. What needs a decision is decided on the page of webhooks."""
    await parts.accounts.get(account_id)
    try:
        if not await parts.subscriptions.find(account_id):
            url = parts.subscriptions.recommended_url()
            await parts.subscriptions.register(account_id, url, DEFAULT_EVENT_TYPES, by=by)
    except GolubError as error:
        return await _page(request, parts, operator, status=error.status, not_registered=error)
    return RedirectResponse("/admin/start", 303)


@router.post("/later")
async def put_aside(parts: Given, _: Admin) -> Response:
    """The inbox does not lead here any more; the menu does."""
    await onboarding.put_aside(parts.store)
    return RedirectResponse("/inbox", 303)


async def _page(
    request: Request,
    parts: Parts,
    operator: Operator,
    *,
    template: str = "admin/start.html",
    status: int = 200,
    error: GolubError | None = None,
    client_id: str = "",
    not_registered: GolubError | None = None,
) -> Response:
    progress = await onboarding.find_progress(parts.store, parts.accounts, parts.doctor.last)
    troubles: list[Row] = rows_of(progress.troubles, operator, reader_of(request).words)
    context: dict[str, Any] = {
        "progress": progress,
        "troubles": troubles,
        "account": progress.account,
        "holdings": progress.holdings,
        "error": error,
        "client_id": client_id,
        "not_registered": not_registered,
        "is_foreign": isinstance(not_registered, ForeignSubscription),
        "has_sample": await sample.is_here(parts.store),
        "may_register": may_open(operator, "/admin/webhooks"),
    }
    return render(
        request, template, status=status, Step=Step, State=State, public_url=parts.settings.public_url, **context
    )
