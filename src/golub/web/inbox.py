"""The inbox: the list of chats, and what its pages have in common. Whole pages for an address that is opened,
fragments for one that is open.

A fragment is what `static/inbox.js` or htmx puts into the page; nothing in a page is true for longer than until the
stream rings, and then the same functions here tell the truth again.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Any

from babel.units import format_unit
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox, outbox
from golub.avito.client import TEXT_LIMIT
from golub.clock import DAY, HOUR, MINUTE, Millis
from golub.errors import Invalid
from golub.inbox import LARGEST_ID, Place, View
from golub.model import Message
from golub.sight import Sight
from golub.web.content import avito_chat_url, preview
from golub.web.language import reader_of
from golub.web.links import visible
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.pictures import Addresses
from golub.web.session import Seen

router = APIRouter()

ROWS_AT_ONCE = 100
_UNITS = (("day", DAY), ("hour", HOUR), ("minute", MINUTE))

ChatId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
OptionalId = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which list is shown: every link within the inbox carries it on."""

    view: View
    account: int | None

    @property
    def query(self) -> str:
        """`?view=unread&account=2`, or nothing for the list that everybody sees first."""
        parts = [f"view={self.view}"] if self.view is not View.ALL else []
        parts += [f"account={self.account}"] if self.account else []
        return "?" + "&".join(parts) if parts else ""

    def joined(self, more: str) -> str:
        return f"{self.query}&{more}" if self.query else f"?{more}"

    def other(self, **changed: Any) -> "Choice":
        return replace(self, **changed)


@router.get("/inbox")
async def page(
    request: Request, parts: Given, sight: Seen, view: View = View.ALL, account: OptionalId = None
) -> HTMLResponse:
    """The list alone; on a wide screen with room for a thread beside it."""
    async with parts.store.read() as session:
        context = await list_context(session, parts, sight, Choice(view, account))
    return render_inbox(request, parts, "inbox/page.html", **context, thread=None)


@router.get("/inbox/list")
async def more(
    request: Request,
    parts: Given,
    sight: Seen,
    view: View = View.ALL,
    account: OptionalId = None,
    before: str = "",
) -> HTMLResponse:
    """A page of the list."""
    place = Place.parse(before) if before else None
    async with parts.store.read() as session:
        context = await list_context(session, parts, sight, Choice(view, account), place)
    return render_inbox(request, parts, "inbox/more.html", **context, open_id=None)


@router.get("/inbox/rows")
async def rows(
    request: Request,
    parts: Given,
    sight: Seen,
    ids: str = "",
    view: View = View.ALL,
    account: OptionalId = None,
    opened: OptionalId = None,
) -> HTMLResponse:
    """The rows of some chats as they are now, and the counts. A chat that is not in the answer has left the view;
    the one that is `opened` stays in it."""
    wanted = _ids(ids)
    async with parts.store.read() as session:
        lines = await inbox.find_lines(session, sight, wanted, view, account_id=account)
        if opened in wanted and opened not in {line.chat.id for line in lines}:
            lines += await inbox.find_lines(session, sight, [opened], View.ALL)
        counts = await inbox.count_chats(session, sight, account_id=account)
        everywhere = counts if account is None else await inbox.count_chats(session, sight)
        accounts = await inbox.list_accounts(session, sight)
    return render_inbox(
        request,
        parts,
        "inbox/changed_rows.html",
        lines=lines,
        counts=counts,
        everywhere=everywhere,
        accounts={one.id: one for one in accounts},
        several=len(accounts) > 1,
        choice=Choice(view, account),
        open_id=opened,
    )


async def list_context(
    session: AsyncSession, parts: Parts, sight: Sight, choice: Choice, before: Place | None = None
) -> dict[str, Any]:
    found = await inbox.list_chats(session, sight, choice.view, account_id=choice.account, before=before)
    counts = await inbox.count_chats(session, sight, account_id=choice.account)
    everywhere = counts if choice.account is None else await inbox.count_chats(session, sight)
    accounts = await inbox.list_accounts(session, sight)
    return {
        "lines": found.lines,
        "next": found.next,
        "counts": counts,
        "everywhere": everywhere,
        "accounts": {account.id: account for account in accounts},
        "several": len(accounts) > 1,
        "choice": choice,
    }


def render_inbox(request: Request, parts: Parts, template: str, **context: Any) -> HTMLResponse:
    reader = reader_of(request)

    def in_words(message: Message) -> str:
        return preview(message, reader.words)

    def waited(since: Millis) -> str:
        return how_long(max(reader.now - since, MINUTE), reader.locale)

    def deletable(message: Message) -> bool:
        return _is_deletable(message, reader.now)

    def left(message: Message) -> str:
        return how_long(max(message.created_at + outbox.DELETABLE_FOR - reader.now, MINUTE), reader.locale)

    return render(
        request,
        template,
        media=Addresses(parts),
        preview=in_words,
        waited=waited,
        many=many,
        dot=dot,
        visible=visible,
        avito_chat_url=avito_chat_url,
        text_limit=TEXT_LIMIT,
        longest=outbox.LONGEST,
        pictures_at_once=outbox.PICTURES_AT_ONCE,
        has_picture=parts.outbox.pictures.has,
        deletable=deletable,
        deletable_for=outbox.DELETABLE_FOR,
        left=left,
        **context,
    )


def _is_deletable(message: Message, now: Millis) -> bool:
    named = not message.avito_id.startswith("~")  # else Avito gave it no name to call it by
    return named and message.created_at > now - outbox.DELETABLE_FOR


def many(count: int) -> str:
    """A count as far as it was counted."""
    return f"{inbox.COUNT_LIMIT - 1}+" if count >= inbox.COUNT_LIMIT else str(count)


def how_long(span: Millis, locale: str) -> str:
    """«14 мин», «3 ч», «21 дн.»: as `inbox.js` goes on counting."""
    unit, one = next((unit, one) for unit, one in _UNITS if span >= one)
    return format_unit(span // one, f"duration-{unit}", length="short", locale=locale)


def dot(colour: str) -> Markup:
    """An account's colour. Drawn, because our policy forbids style attributes."""
    shown = colour if re.fullmatch(r"#[0-9a-fA-F]{6}", colour) else "#888888"
    circle = '<circle cx="5" cy="5" r="5" fill="{}"/>'
    svg = f'<svg class="account-dot" width="10" height="10" aria-hidden="true">{circle}</svg>'
    return Markup(svg).format(shown)  # noqa: S704 - format escapes, and the pattern has been checked


def _ids(text: str) -> list[int]:
    """From "17,4,23"."""
    ids = [int(part) for part in text.split(",") if part.isascii() and part.isdigit() and len(part) < 19]
    if len(ids) > ROWS_AT_ONCE:
        raise Invalid("Ask for fewer chats at once.", field="ids")
    return ids
