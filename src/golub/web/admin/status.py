"""The page of status: is all well, and if not, what to do. Made for a shop's owner: what is wrong stands on top, in the
words of the alerts, each with one button to the page that mends it.

It asks what is true at this moment (`alerts.find`), whether or not anybody has been told.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select

from golub import __version__, backup
from golub.alerts import WAYS, AlertKind, path_of, text_of
from golub.clock import DAY, HOUR, Millis
from golub.coverage import Coverage, Tally
from golub.errors import Unavailable
from golub.health import Code
from golub.meter import IN_TIME, REFUSED, SLOWER, STEPS, Acks
from golub.model import Account, Delivery, DeliveryState, Operator, Role, Standing, standing_of
from golub.web.access import may_open
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.session import Admin

router = APIRouter(prefix="/admin/status")

CHART_HEIGHT = 120  # of the tallest column, in pixels
LEAST_HEIGHT = 3  # one late answer among thousands is to be seen
SPANS = (1, 24)  # hours

_TOLD_BY_ALERTS = frozenset(Code) - {Code.SCHEMA_NEWER, Code.WRONG_KEY, Code.SPOOL_FAILED}


@dataclass(frozen=True, slots=True)
class Trouble:
    """`path` is empty where this operator may not go there; `label` is a key of the catalogue."""

    kind: AlertKind
    text: str
    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One account, as far as one line goes."""

    account: Account
    standing: Standing
    last_delivery: Millis | None
    tally: Tally | None


@dataclass(frozen=True, slots=True)
class Column:
    """Of the chart; `step` as in `meter`. Places are shares of its width in per cent, heights pixels."""

    step: int
    count: int
    left: float
    middle: float
    width: float
    height: int

    @property
    def is_late(self) -> bool:
        return self.step in (SLOWER, REFUSED)


@router.get("")
async def show(request: Request, parts: Given, operator: Admin, hours: int = 1) -> Response:
    """Whether all is well, and if not, what to do; each account in a line; how fast Avito was answered."""
    return await _page(request, parts, operator, "admin/status.html", hours)


@router.get("/now")
async def show_now(request: Request, parts: Given, operator: Admin, hours: int = 1) -> Response:
    """What of the page changes by itself; asked every ten seconds."""
    return await _page(request, parts, operator, "admin/status_now.html", hours)


@router.get("/badge")
async def show_badge(request: Request, parts: Given, _: Admin) -> Response:
    """How much is wrong, for the navigation."""
    found = await parts.alerts.find()
    return render(request, "admin/status_badge.html", number=len(found.wrong))


async def _page(request: Request, parts: Parts, operator: Operator, template: str, hours: int) -> Response:
    hours, now = hours if hours in SPANS else SPANS[0], parts.clock()
    lines = await _lines(parts)
    names = {line.account.id: line.account.name for line in lines}
    found = await parts.alerts.find()
    acks = await parts.meter.acks(now - hours * HOUR)
    oldest_at, nodes = parts.spool.oldest_at, await parts.nodes.list_all()
    return render(
        request,
        template,
        troubles=_troubles(found.wrong, names, operator, reader_of(request).locale),
        reasons=[reason for reason in await parts.health.reasons() if reason.code not in _TOLD_BY_ALERTS],
        lines=lines,
        connected=bool(lines),
        unregistered=next((line.account for line in lines if line.standing.reason == "no_webhook"), None),
        is_told=bool(await parts.alerts.channels.list_all()),
        is_super_admin=operator.role == Role.SUPER_ADMIN,
        settings=parts.settings,
        waiting=parts.spool.pending,
        oldest_at=oldest_at,
        last_event=max((line.last_delivery or 0 for line in lines), default=0),
        last_sweep=max((line.account.swept_at for line in lines), default=0),
        backed_at=await backup.Schedule(parts.settings, parts.clock, parts.store).newest_at(),
        backup_failure=await asyncio.to_thread(backup.last_failure, parts.settings),
        disk=parts.health.disk(),
        version=__version__,
        database="SQLite" if parts.store.is_sqlite else "PostgreSQL",
        nodes=nodes if len(nodes) > 1 else (),
        acks=acks,
        columns=columns_of(acks),
        in_time=IN_TIME,
        hours=hours,
        spans=SPANS,
        chart_height=CHART_HEIGHT,
    )


async def _lines(parts: Parts) -> list[Line]:
    last = (
        select(func.max(Delivery.received_at))
        .where(Delivery.account_id == Account.id, Delivery.state != DeliveryState.PROBE)
        .correlate(Account)
        .scalar_subquery()
    )
    async with parts.store.read() as session:
        rows = await session.execute(select(Account.id, last))
        delivered = {row[0]: row[1] for row in rows}
    try:
        tallies: Mapping[int, Tally] = await Coverage(parts.store, parts.clock).all_since(parts.clock() - DAY)
    except Unavailable:
        tallies = {}
    return [
        Line(account, standing_of(account, account.webhook), delivered.get(account.id), tallies.get(account.id))
        for account in await parts.accounts.list()
    ]


def _troubles(
    wrong: Mapping[tuple[AlertKind, int], str], names: Mapping[int, str], operator: Operator, locale: str
) -> list[Trouble]:
    """In the order of `AlertKind`: what loses messages first."""
    order = list(AlertKind)
    found: list[Trouble] = []
    for (kind, account_id), detail in sorted(wrong.items(), key=lambda one: order.index(one[0][0])):
        text = text_of(kind, locale, closed=False, account=names.get(account_id, "Avito"), detail=detail)
        path = path_of(kind, account_id)
        found.append(Trouble(kind, text, path if may_open(operator, path) else "", WAYS[kind].label))
    return found


def columns_of(acks: Acks) -> Sequence[Column]:
    """The tallest column fills the chart; where anything was late or refused it shows, however little."""
    steps = (*STEPS, SLOWER, REFUSED)
    counts = [acks.counts.get(step, 0) for step in steps]
    tallest, width = max(counts) or 1, 100 / len(steps)
    return [
        Column(
            step,
            count,
            round(place * width + width * 0.15, 3),
            round((place + 0.5) * width, 3),
            round(width * 0.7, 3),
            max(round(count / tallest * CHART_HEIGHT), LEAST_HEIGHT) if count else 0,
        )
        for place, (step, count) in enumerate(zip(steps, counts, strict=True))
    ]
