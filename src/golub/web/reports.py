"""Reports: how many write, how fast they are answered, who waits, who was missed; the chats behind each figure, and
each figure as a file for a spreadsheet. Admins see the whole team, a manager his own answers and everybody's together,
and nobody more than the accounts in his sight.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from golub import reports
from golub.clock import MINUTE
from golub.errors import GolubError
from golub.inbox import Place
from golub.model import Operator
from golub.reports import Only, Question
from golub.sight import Sight
from golub.web.csv_file import csv_file
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.report_figures import Figure, Figures, sheet, waited_words
from golub.web.report_query import OWN, PRESETS, Asked, sees_operators
from golub.web.session import Doer, Seen, Signed, SuperAdmin

router = APIRouter(prefix="/reports")

WITHIN = 9.0  # seconds of the database for one page, whatever is asked

Step = Annotated[int | None, Query(ge=0, le=10)]
Hour = Annotated[int | None, Query(ge=0, le=23)]


@router.get("")
async def page(request: Request, parts: Given, operator: Signed, sight: Seen, done: str = "") -> Response:
    """Every figure of a `period` (`today`, `7`, `30`, `90`, or `own` with `from` and `to`), beside the one before it;
    of one `account`, `operator`, `item`."""
    return await _page(request, parts, operator, sight, done=done if done == "target" else "")


@router.get("/chats")
async def chats(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    only: Only = Only.ALL,
    hour: Hour = None,
    by: str = "",
    before: str = "",
) -> Response:
    """The chats behind a figure. `by=avito`: answered there, and not through Golub."""
    asked = Asked.of(request.query_params, reader_of(request), operator)
    place = Place.parse(before) if before else None
    async with parts.store.read(within=WITHIN) as session:
        question = await _question(session, asked, sight)
        found = await reports.list_waits(session, question, only, hour=hour, at_avito=by == "avito", before=place)
        names = await _names(session, asked, sight)
    further = {"only": only if only is not Only.ALL else None, "hour": hour, "by": "avito" if by == "avito" else None}
    return render(
        request, "reports/chats.html", asked=asked, page=found, only=only, hour=hour, by=by, further=further,
        is_later=place is not None, target=question.target, now=question.now, **names,
    )  # fmt: skip


@router.get("/waiting")
async def waiting(
    request: Request, parts: Given, operator: Signed, sight: Seen, step: Step = None, after: str = ""
) -> Response:
    """Who waits now, the longest first; of one `step` of how long."""
    asked = Asked.of(request.query_params, reader_of(request), operator)
    place = Place.parse(after) if after else None
    async with parts.store.read(within=WITHIN) as session:
        question = await _question(session, asked, sight)
        found = await reports.list_waiting(session, question, step=step, after=place)
        names = await _names(session, asked, sight)
    return render(
        request, "reports/waiting.html", asked=asked, page=found, step=step, is_later=place is not None,
        now=question.now, **names,
    )  # fmt: skip


@router.get("/csv/{figure}")
async def file(request: Request, parts: Given, operator: Signed, sight: Seen, figure: Figure) -> Response:
    """One figure as a file: semicolons between, times in seconds, what could be a formula made harmless."""
    reader = reader_of(request)
    asked = Asked.of(request.query_params, reader, operator)
    async with parts.store.read(within=WITHIN) as session:
        question = await _question(session, asked, sight)
        figures = await _figures(session, asked, question, sight, operator)
    return csv_file(f"golub-{figure}-{asked.period.first}-{asked.period.last}", sheet(figure, figures, reader))


@router.post("/target")
async def change_target(
    request: Request,
    parts: Given,
    operator: SuperAdmin,
    by: Doer,
    sight: Seen,
    minutes: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    """Within how many minutes a buyer is to be answered: for the whole team, and for the past as well."""
    number = int(minutes) if minutes.isascii() and minutes.isdigit() and len(minutes) < 6 else 0
    try:
        await reports.change_target(parts.store, number, by=by, now=parts.clock())
    except GolubError as error:
        return await _page(request, parts, operator, sight, error=error, minutes=minutes[:10], status=error.status)
    asked = Asked.parse(back, reader_of(request), operator)
    return RedirectResponse(f"/reports{asked.other(done='target')}#target", 303)


async def _page(
    request: Request,
    parts: Parts,
    operator: Operator,
    sight: Sight,
    *,
    done: str = "",
    error: GolubError | None = None,
    minutes: str = "",
    status: int = 200,
) -> Response:
    reader = reader_of(request)
    asked = Asked.of(request.query_params, reader, operator)
    async with parts.store.read(within=WITHIN) as session:
        question = await _question(session, asked, sight)
        figures = await _figures(session, asked, question, sight, operator)
        totals = await reports.count_totals(session, question.before())
        traffic_before = await reports.count_messages(session, question.before())
        progress = await reports.find_progress(session)
        items = await reports.find_items(session, [asked.item_id], question.accounts) if asked.item_id else {}

    def waited(step: int) -> str:
        return waited_words(figures, step, reader)

    return render(
        request,
        "reports/page.html",
        status=status,
        waited=waited,
        asked=asked,
        question=question,
        figures=figures,
        before=totals,
        traffic_before=traffic_before,
        progress=progress,
        presets=PRESETS,
        own=OWN,
        item_title=items.get(asked.item_id or 0, ""),
        sees_operators=sees_operators(operator),
        minutes=minutes or str(question.target // MINUTE),
        done=done,
        error=error,
    )


async def _question(session: AsyncSession, asked: Asked, sight: Sight) -> Question:
    seen = await reports.list_accounts(session, sight)
    chosen = tuple(key for key in seen if asked.account_id in (None, key))
    target = await reports.find_target(session)
    return Question(asked.period, chosen, target, asked.operator_id, asked.item_id)


async def _figures(
    session: AsyncSession, asked: Asked, question: Question, sight: Sight, operator: Operator
) -> Figures:
    answers = await reports.count_answers(session, question)
    most = sorted(answers.items, key=lambda item: (-answers.items[item].asked, item))[: Figures.ITEMS]
    operators = await reports.list_operators(session)
    if not sees_operators(operator):
        operators = {operator.id: operator.name}
    return Figures(
        asked=asked,
        question=question,
        answers=answers,
        traffic=await reports.count_messages(session, question),
        waiting=await reports.count_waiting(session, question),
        accounts=await reports.list_accounts(session, sight),
        operators=operators,
        items=await reports.find_items(session, most, question.accounts),
        sees_operators=sees_operators(operator),
    )


async def _names(session: AsyncSession, asked: Asked, sight: Sight) -> dict[str, Any]:
    items: Sequence[int] = [asked.item_id] if asked.item_id is not None else []
    accounts = await reports.list_accounts(session, sight)
    return {
        "accounts": accounts,
        "operators": await reports.list_operators(session),
        "item_title": (await reports.find_items(session, items, list(accounts))).get(asked.item_id or 0, ""),
    }
