"""The rules that answer and remind by themselves: the list, a form for each kind, and the log of what they did."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from golub import inbox
from golub.automation import acts, wording
from golub.automation.hours import Hours, write_date
from golub.automation.rules import LATE, MOST_A_DAY
from golub.automation.wording import Wording
from golub.avito.client import TEXT_LIMIT
from golub.clock import DAY, MINUTE
from golub.composing.filling import NAMES
from golub.errors import Conflict, GolubError, Invalid, NotFound, Rejected
from golub.inbox import LARGEST_ID
from golub.model import AutomaticRule, Outcome, RuleKind
from golub.web.language import N_, reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId, parse_id
from golub.web.pictures import HEADERS
from golub.web.prepared import Text, Texts, read_item, read_pictures, sort_pictures
from golub.web.session import Admin, Doer, Seen

router = APIRouter(prefix="/admin/automation")

# What a form begins with.
EXAMPLES: dict[RuleKind, str] = {
    RuleKind.GREETING: N_("Hello, {buyer}! Thank you for your message about “{item}”. We answer within 15 minutes."),
    RuleKind.AWAY: N_("Hello, {buyer}! We are closed at the moment and answer as soon as we are open again."),
    RuleKind.NUDGE: N_("The buyer has waited for {minutes} minutes. Who answers?"),
}
USUAL_DAYS = ("9:00–18:00",) * 5 + ("", "")
USUAL_MINUTES = "15"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a form is filled with."""

    kind: RuleKind
    texts: Sequence[str]
    account_id: int | None = None
    item: str = ""
    days: Sequence[str] = USUAL_DAYS
    holidays: str = ""
    minutes: str = USUAL_MINUTES
    kept: Sequence[int] = field(default_factory=tuple[int, ...])
    attached: Sequence[str] = field(default_factory=tuple[str, ...])


@router.get("")
async def show(request: Request, parts: Given, _: Admin, sight: Seen) -> Response:
    async with parts.store.read() as session:
        rules = await wording.list_all(session)
        pictures = await wording.list_pictures(session)
        done = await acts.count_done(session, since=parts.clock() - 7 * DAY)
        accounts = {account.id: account for account in await inbox.list_accounts(session, sight)}
    return render(
        request,
        "automation/list.html",
        rules=rules,
        pictures=pictures,
        done=done,
        accounts=accounts,
        hours={rule.id: Hours.of(rule.hours) for rule in rules if rule.hours},
        kinds=list(RuleKind),
        late=LATE // MINUTE,
        most_a_day=MOST_A_DAY,
    )


@router.get("/new")
async def new(request: Request, parts: Given, _: Admin, sight: Seen, kind: RuleKind = RuleKind.GREETING) -> Response:
    shape = Shape(kind, [reader_of(request).words(EXAMPLES[kind])])
    return await _form(request, parts, sight, None, shape)


@router.get("/log")
async def log(
    request: Request,
    parts: Given,
    _: Admin,
    sight: Seen,
    rule: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    outcome: Annotated[str, Query(max_length=16)] = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
) -> Response:
    chosen = Outcome(outcome) if outcome in set(Outcome) else None
    async with parts.store.read() as session:
        page = await acts.list_acts(session, sight, rule_id=rule, outcome=chosen, before=before)
        accounts = {account.id: account for account in await inbox.list_accounts(session, sight)}
    query = "".join(f"&{name}={value}" for name, value in (("rule", rule), ("outcome", chosen)) if value)
    return render(
        request,
        "automation/log.html",
        page=page,
        accounts=accounts,
        outcomes=list(Outcome),
        outcome=chosen,
        rule=rule,
        query=query,
    )


@router.get("/pictures/{picture_id}")
async def picture(parts: Given, _: Admin, picture_id: RowId) -> Response:
    async with parts.store.read() as session:
        small = await wording.read_small(session, picture_id)
    return Response(small, media_type="image/webp", headers=HEADERS)


@router.post("")
async def add(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    sight: Seen,
    text: Texts,
    day: Texts,
    picture: Texts,
    kind: Annotated[RuleKind, Form()],
    account: Text = "",
    item: Text = "",
    holidays: Text = "",
    minutes: Text = "",
) -> Response:
    """A new rule is off, so that it can be tried first."""
    shape = _shape(kind, text, account, item, day, holidays, minutes, picture)
    return await _write(request, parts, by, sight, None, shape)


@router.get("/{rule_id}")
async def edit(request: Request, parts: Given, _: Admin, sight: Seen, rule_id: RowId) -> Response:
    async with parts.store.read() as session:
        rule = await wording.get(session, rule_id)
        kept = (await wording.list_pictures(session)).get(rule.id, [])
    shape = Shape(
        RuleKind(rule.kind),
        rule.texts or [""],
        account_id=rule.account_id,
        item=str(rule.item_id or ""),
        minutes=str(rule.minutes or USUAL_MINUTES),
        kept=kept,
    )
    if rule.hours:
        hours = Hours.of(rule.hours)
        days = [hours.written(weekday) for weekday in range(7)]
        shape = replace(shape, days=days, holidays="\n".join(map(write_date, hours.holidays)))
    return await _form(request, parts, sight, rule, shape)


@router.post("/{rule_id}")
async def change(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    sight: Seen,
    rule_id: RowId,
    text: Texts,
    day: Texts,
    picture: Texts,
    account: Text = "",
    item: Text = "",
    holidays: Text = "",
    minutes: Text = "",
) -> Response:
    async with parts.store.read() as session:
        rule = await wording.get(session, rule_id)
    shape = _shape(RuleKind(rule.kind), text, account, item, day, holidays, minutes, picture)
    return await _write(request, parts, by, sight, rule, shape)


@router.post("/{rule_id}/switch")
async def switch(parts: Given, _: Admin, by: Doer, rule_id: RowId, on: Annotated[bool, Form()] = False) -> Response:
    async with parts.store.write() as session:
        await wording.switch(session, rule_id, on=on, by=by, now=parts.clock())
    return RedirectResponse("/admin/automation", 303)


@router.post("/{rule_id}/remove")
async def remove(parts: Given, _: Admin, by: Doer, rule_id: RowId) -> Response:
    async with parts.store.write() as session:
        await wording.remove(session, rule_id, by=by, now=parts.clock())
    return RedirectResponse("/admin/automation", 303)


async def _write(
    request: Request, parts: Parts, by: Doer, sight: Seen, rule: AutomaticRule | None, shape: Shape
) -> Response:
    try:
        said = Wording(
            texts=shape.texts,
            account_id=shape.account_id,
            item_id=read_item(shape.item),
            hours=Hours.chosen(shape.days, shape.holidays) if shape.kind is RuleKind.AWAY else None,
            minutes=_minutes(shape.minutes) if shape.kind is RuleKind.NUDGE else 0,
            pictures=await read_pictures(parts, shape.kept, shape.attached),
        )
        async with parts.store.write() as session:
            rule_id = rule.id if rule else None
            await wording.write(session, shape.kind, said, rule_id=rule_id, by=by, now=parts.clock())
    except (Invalid, Conflict, NotFound, Rejected) as error:
        return await _form(request, parts, sight, rule, shape, error)
    return RedirectResponse("/admin/automation", 303)


async def _form(
    request: Request,
    parts: Parts,
    sight: Seen,
    rule: AutomaticRule | None,
    shape: Shape,
    error: GolubError | None = None,
) -> Response:
    async with parts.store.read() as session:
        accounts = await inbox.list_accounts(session, sight)
    context: dict[str, Any] = {"rule": rule, "shape": shape, "accounts": accounts, "error": error}
    return render(
        request,
        "automation/form.html",
        status=422 if error else 200,
        variables={name: names for name, names in NAMES.items() if name != "operator"},
        texts_at_most=1 if shape.kind is RuleKind.NUDGE else wording.TEXTS,
        text_limit=TEXT_LIMIT,
        drawn=[_blocks(text, number) for number, text in enumerate(shape.days, 1)],
        **context,
    )


def _blocks(text: str, number: int) -> list[tuple[int, int]]:
    """A day's blocks for the drawing beside its field; none where it cannot be read."""
    try:
        days = [""] * 7
        days[number - 1] = text
        return list(Hours.chosen(days, "").week[number - 1])
    except Invalid:
        return []


def _shape(
    kind: RuleKind,
    texts: list[str],
    account: str,
    item: str,
    days: list[str],
    holidays: str,
    minutes: str,
    pictures: list[str],
) -> Shape:
    """A photo is named by its row if it is kept, else as it was attached."""
    kept, attached = sort_pictures(pictures, wording.PICTURES)
    return Shape(
        kind,
        texts or [""],
        account_id=parse_id(account),
        item=item.strip(),
        days=([one[:200] for one in days] + [""] * 7)[:7],
        holidays=holidays,
        minutes=minutes.strip(),
        kept=kept,
        attached=attached,
    )


def _minutes(given: str) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
