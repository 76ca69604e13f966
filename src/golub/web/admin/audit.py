"""The page of the audit: who did what to Golub, when, from where. It only reads; nothing anywhere changes an entry."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from golub import audit
from golub.audit import Wanted
from golub.clock import Millis
from golub.web.audited import GROUPS, changes_of, doer_of, sentence_of
from golub.web.language import Reader, reader_of
from golub.web.page import render
from golub.web.parts import Given, parse_id
from golub.web.session import SuperAdmin

router = APIRouter()

SHOWN = 50
TEXT_LIMIT = 100
WHOSE = ("console", "itself", "stranger")


@dataclass(frozen=True, slots=True)
class Choice:
    """The filter as it stands in the URL: what made no sense is left out."""

    who: str = ""  # an operator's id, or one of `WHOSE`
    what: str = ""  # one of `GROUPS`
    since: str = ""  # days, YYYY-MM-DD, both included
    until: str = ""
    text: str = ""

    @classmethod
    def of(cls, who: str, what: str, since: str, until: str, text: str) -> "Choice":
        known = who in WHOSE or parse_id(who) is not None
        return cls(
            who if known else "",
            what if what in GROUPS else "",
            since if _day(since) else "",
            until if _day(until) else "",
            text.replace("\0", "").strip()[:TEXT_LIMIT],
        )

    def wanted(self, reader: Reader) -> Wanted:
        since, until = _day(self.since), _day(self.until)
        return Wanted(
            operator_id=int(self.who) if self.who.isdigit() else None,
            whose=self.who if self.who in WHOSE else "",
            actions=GROUPS[self.what][1] if self.what else (),
            since=_midnight(since, reader) if since else None,
            until=_midnight(until + timedelta(days=1), reader) if until else None,
            text=self.text,
        )

    def query(self, **more: str) -> str:
        fields = {"who": self.who, "what": self.what, "since": self.since, "until": self.until, "text": self.text}
        said = {name: value for name, value in {**fields, **more}.items() if value}
        return f"?{urlencode(said)}" if said else ""


@router.get("/admin/audit")
async def show(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    who: str = "",
    what: str = "",
    since: str = "",
    until: str = "",
    text: str = "",
    before: str = "",
) -> Response:
    """Newest first; by operator, kind of action, days, and part of a login, a subject or an address."""
    choice = Choice.of(who, what, since, until, text)
    place = parse_id(before)
    async with parts.store.read() as session:
        page = await audit.list_entries(session, choice.wanted(reader_of(request)), before=place, limit=SHOWN)
    return render(
        request,
        "admin/audit.html",
        page=page,
        is_later=place is not None,
        choice=choice,
        groups=GROUPS,
        people=await parts.operators.list_all(),
        sentence_of=sentence_of,
        doer_of=doer_of,
        changes_of=changes_of,
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 < found.year < 9000 else None


def _midnight(day: date, reader: Reader) -> Millis:
    return int(datetime(day.year, day.month, day.day, tzinfo=reader.zone).timestamp()) * 1000
