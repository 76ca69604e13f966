"""Several chats of the list at once: what was done with how many, with one Undo, and which were refused and why."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse

from golub.inbox import LARGEST_ID
from golub.inbox.bulk import Verb, Wanted, act_on_all, parse
from golub.web.inbox import render_inbox
from golub.web.language import reader_of
from golub.web.parts import Given
from golub.web.session import Seen, Signed
from golub.web.snoozing import moment_of, snooze_times

router = APIRouter()

NAMED = 5  # refused chats that are told one by one

OptionalFormId = Annotated[int | None, Form(ge=1, le=LARGEST_ID)]


@router.post("/inbox/bulk")
async def bulk(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    verb: Annotated[Verb, Form()],
    chats: Annotated[str, Form(max_length=8192)] = "",
    operator_id: OptionalFormId = None,
    label_id: OptionalFormId = None,
    until: Annotated[str, Form(max_length=16)] = "",
    at: Annotated[str, Form(max_length=32)] = "",
) -> HTMLResponse:
    """`chats`: "17.42,18.7", each with the version that the list shows. `until` and `at` are those of a snooze."""
    reader = reader_of(request)
    ends = None
    if verb is Verb.SNOOZE:
        offered = {name: time for name, _, time in snooze_times(reader)}
        ends = offered[until] if until in offered else moment_of(at, reader)
    wanted = Wanted(verb, operator_id, label_id, ends)
    done = await act_on_all(parts.store, parts.applier, sight, operator, parse(chats), wanted, now=parts.clock())
    if verb in (Verb.CLOSE, Verb.READ):
        parts.backfill.nudge()  # Avito is told that they were read
    return render_inbox(
        request,
        parts,
        "inbox/bulk_done.html",
        verb=verb,
        done=done,
        named=NAMED,
        label_id=label_id,
    )
