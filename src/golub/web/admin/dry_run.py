"""A dry run of the automation, some chats at a time: the page asks for part after part; the server keeps nothing.

What was counted so far rides in the address of the next part, so any process may answer it, and a part that fails is
simply asked for once more.
"""

import re
from collections import Counter
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox
from golub.automation import wording
from golub.automation.dry_run import Would, try_rules
from golub.automation.reading import list_active, rule_of
from golub.automation.rules import Rule
from golub.clock import DAY
from golub.inbox import LARGEST_ID
from golub.model import Chat, Outcome
from golub.web.page import render
from golub.web.parts import Given
from golub.web.session import Admin, Seen

router = APIRouter(prefix="/admin/automation/dry-run")

DAYS = 7
MOST_SHOWN = 300
WITHIN = 5.0  # seconds for a part

_COUNT = re.compile(r"(\d{1,18})-([a-z]{1,16})-(\d{1,9})")

Number = Annotated[int, Query(ge=0, le=LARGEST_ID)]


@router.get("")
async def show(
    request: Request,
    parts: Given,
    _: Admin,
    sight: Seen,
    rule: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    after: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
    until: Number = 0,
    chats: Number = 0,
    shown: Number = 0,
    counted: Annotated[str, Query(max_length=20_000)] = "",
) -> Response:
    """The page (no `after`), or the part behind that chat: of the rules that are on, and `rule` even if it is off."""
    now = parts.clock()
    until = min(until, now) or now
    async with parts.store.read(within=WITHIN) as session:
        rules = list(await list_active(session))
        if rule is not None and all(one.id != rule for one in rules):
            rules.append(await _read_rule(session, rule))
        accounts = {account.id: account for account in await inbox.list_accounts(session, sight)}
        found: list[Would] = []
        behind: dict[int, Chat] = {}
        counts = _read_counts(counted, rules)
        last = None if after is not None and not rules else 0
        if after is not None and rules:
            part = await try_rules(session, rules, since=until - DAYS * DAY, now=until, after=after)
            counts.update((one.verdict.rule.id, one.verdict.outcome.value) for one in part.found)
            found = list(part.found)[: max(0, MOST_SHOWN - shown)]
            wanted = select(Chat).where(Chat.id.in_({one.chat_id for one in found}))
            behind = {chat.id: chat for chat in await session.scalars(wanted)}
            chats, shown, last = chats + part.chats, shown + len(found), part.next
    query = {
        "after": last,
        "until": until,
        "chats": chats,
        "shown": shown,
        "counted": ".".join(f"{rule_id}-{outcome}-{count}" for (rule_id, outcome), count in counts.items()),
    } | ({"rule": rule} if rule else {})
    grows = "hx-request" in request.headers and after is not None
    return render(
        request,
        "automation/dry_part.html" if grows else "automation/dry_run.html",
        rules=rules,
        accounts=accounts,
        counts=counts,
        chats=chats,
        found=found,
        behind=behind,
        grows=grows,
        most_shown=MOST_SHOWN,
        next=None if last is None else f"/admin/automation/dry-run?{urlencode(query)}",
    )


async def _read_rule(session: AsyncSession, rule_id: int) -> Rule:
    row = await wording.get(session, rule_id)
    return rule_of(row, pictures=False)


def _read_counts(text: str, rules: list[Rule]) -> Counter[tuple[int, str]]:
    known = {rule.id for rule in rules}
    counts: Counter[tuple[int, str]] = Counter()
    for rule_id, outcome, count in _COUNT.findall(text):
        if int(rule_id) in known and outcome in set(Outcome):
            counts[int(rule_id), outcome] += int(count)
    return counts
