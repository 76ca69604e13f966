"""The page of one account: how it stands, what to do, what its webhook missed, and what happened to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.clock import Millis
from golub.coverage import Coverage, Day, Tally
from golub.errors import GolubError
from golub.model import standing_of
from golub.web.language import Reader, reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.session import Admin, Doer, SuperAdmin

router = APIRouter()

DAYS = 14
DONE = ("paused", "resumed", "renewed", "allowed", "forbidden")

CHART_HEIGHT = 120  # of the tallest bar, in pixels
LEAST_HEIGHT = 3  # one missed message among thousands is to be seen


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart. Places are shares of its width in per cent, heights pixels."""

    day: Day
    left: float
    middle: float
    width: float
    brought: int
    missed: int


@router.get("/admin/accounts/{account_id}")
async def show(request: Request, parts: Given, _: Admin, account_id: RowId, done: str = "") -> Response:
    """How the account stands, coverage by day, the timeline, and what keeping it in step costs."""
    return await _page(request, parts, account_id, done=done if done in DONE else "")


@router.post("/admin/accounts/{account_id}/pause")
async def pause(parts: Given, _: Admin, by: Doer, account_id: RowId) -> Response:
    """Golub asks Avito nothing for the account any more; webhooks are kept."""
    await parts.accounts.pause(account_id, by=by)
    return _back(account_id, "paused")


@router.post("/admin/accounts/{account_id}/resume")
async def resume(parts: Given, _: Admin, by: Doer, account_id: RowId) -> Response:
    """What was written meanwhile is fetched at once."""
    await parts.accounts.resume(account_id, by=by)
    parts.backfill.nudge()
    return _back(account_id, "resumed")


@router.post("/admin/accounts/{account_id}/keys")
async def renew_keys(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    account_id: RowId,
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
) -> Response:
    """New keys of the same shop; its chats stay where they are."""
    try:
        await parts.accounts.connect(client_id, client_secret, only=account_id, by=by)
    except GolubError as error:
        return await _page(request, parts, account_id, error=error, client_id=client_id[:200], status=error.status)
    parts.backfill.nudge()
    return _back(account_id, "renewed")


@router.post("/admin/accounts/{account_id}/self-repair")
async def allow_self_repair(
    parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, allowed: Annotated[bool, Form()] = False
) -> Response:
    """Whether Golub may take a lost subscription back by itself."""
    await parts.subscriptions.allow_self_repair(account_id, allowed, by=by)
    return _back(account_id, "allowed" if allowed else "forbidden")


def _back(account_id: int, done: str) -> Response:
    return RedirectResponse(f"/admin/accounts/{account_id}?done={done}", 303)


async def _page(
    request: Request,
    parts: Parts,
    account_id: int,
    *,
    done: str = "",
    error: GolubError | None = None,
    client_id: str = "",
    status: int = 200,
) -> Response:
    account = await parts.accounts.get(account_id)
    holdings = await parts.accounts.holdings(account_id)
    days = await Coverage(parts.store, parts.clock).days(account_id, midnights(reader_of(request), DAYS))
    return render(
        request,
        "admin/account.html",
        status=status,
        account=account,
        webhook=account.webhook,
        holdings=holdings,
        standing=standing_of(account, account.webhook, unread_history=holdings.unread_history),
        days=[day for day in reversed(days) if day.tally.sent],
        total=sum((day.tally for day in days), Tally()),
        bars=bars_of(days),
        chart_height=CHART_HEIGHT,
        timeline=await parts.accounts.timeline(account_id),
        used=parts.avito.used(account_id),
        limit=parts.settings.requests_per_minute,
        done=done,
        error=error,
        client_id=client_id,
    )


def midnights(reader: Reader, count: int) -> list[Millis]:
    """When the reader's last days began, oldest first."""
    today = datetime.fromtimestamp(reader.now / 1000, reader.zone).date()
    dates = (today - timedelta(days=back) for back in range(count - 1, -1, -1))
    return [int(datetime(date.year, date.month, date.day, tzinfo=reader.zone).timestamp()) * 1000 for date in dates]


def bars_of(days: Sequence[Day]) -> list[Bar]:
    """The tallest day fills the chart; where something was missed it shows, however little."""
    tallest = max((day.tally.sent for day in days), default=0) or 1
    column = 100 / max(len(days), 1)
    bars: list[Bar] = []
    for place, day in enumerate(days):
        height = max(round(day.tally.sent / tallest * CHART_HEIGHT), LEAST_HEIGHT if day.tally.sent else 0)
        missed = round(day.tally.missed / tallest * CHART_HEIGHT)
        missed = min(max(missed, LEAST_HEIGHT), height) if day.tally.missed else 0
        left = place * column
        bars.append(Bar(day, round(left + column * 0.2, 3), round(left + column / 2, 3), round(column * 0.6, 3),
                        height - missed, missed))  # fmt: skip
    return bars
