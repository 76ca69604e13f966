"""The inbox: the list of chats, and what its pages have in common. Whole pages for an address that is opened,
fragments for one that is open.

A fragment is what `static/inbox.js` or htmx puts into the page; nothing in a page is true for longer than until the
stream rings, and then the same functions here tell the truth again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any

from babel.units import format_unit
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox, onboarding, outbox
from golub.avito.client import TEXT_LIMIT
from golub.clock import DAY, HOUR, MINUTE, Millis
from golub.composing.drafts import find_drafted
from golub.errors import Invalid
from golub.inbox import LARGEST_ID, Line, Place, View, Wanted
from golub.inbox.bulk import MOST as BULK_MOST
from golub.inbox.card import Other
from golub.inbox.notes import BEHIND_MESSAGES, NOTE_LIMIT
from golub.model import Chat, Message, Operator, Role
from golub.sight import Sight
from golub.web.content import avito_chat_url, preview
from golub.web.language import reader_of
from golub.web.links import visible
from golub.web.page import render
from golub.web.parts import Given, Parts, parse_id
from golub.web.pictures import Addresses
from golub.web.session import Seen, Signed
from golub.web.snoozing import snooze_times

router = APIRouter()

ROWS_AT_ONCE = 100
_LEFT_BY_ANSWERING = (View.UNREAD, View.WAITING)
_UNITS = (("day", DAY), ("hour", HOUR), ("minute", MINUTE))

ChatId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
OptionalId = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which list is shown: every link within the inbox carries it on."""

    view: View = View.ALL
    account: int | None = None
    label: int | None = None
    item: int | None = None

    @property
    def query(self) -> str:
        """`?view=unread&account=2`, or nothing for the list that everybody sees first."""
        parts = [f"view={self.view}"] if self.view is not View.ALL else []
        narrowed = {"account": self.account, "label": self.label, "item": self.item}
        parts += [f"{name}={value}" for name, value in narrowed.items() if value]
        return "?" + "&".join(parts) if parts else ""

    def joined(self, more: str) -> str:
        return f"{self.query}&{more}" if self.query else f"?{more}"

    def other(self, **changed: Any) -> "Choice":
        return replace(self, **changed)

    def wanted(self, operator: Operator) -> Wanted:
        return Wanted(operator.id, self.view, self.account, self.label, self.item)

    @classmethod
    def of(cls, wanted: Wanted) -> "Choice":
        return cls(wanted.view, wanted.account_id, wanted.label_id, wanted.item_id)


async def _choice(
    view: View = View.ALL, account: OptionalId = None, label: OptionalId = None, item: OptionalId = None
) -> Choice:
    return Choice(view, account, label, item)


Chosen = Annotated[Choice, Depends(_choice)]


@router.get("/inbox")
async def page(request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen) -> HTMLResponse:
    """The list alone; on a wide screen with room for a thread beside it."""
    async with parts.store.read() as session:
        context = await list_context(session, operator, sight, choice)
        offered = Role(operator.role).covers(Role.ADMIN) and await onboarding.is_offered(session)
    return render_inbox(request, parts, "inbox/page.html", **context, thread=None, start_offered=offered)


@router.get("/inbox/list")
async def more(
    request: Request, parts: Given, operator: Signed, sight: Seen, choice: Chosen, before: str = ""
) -> HTMLResponse:
    """A page of the list."""
    place = Place.parse(before) if before else None
    async with parts.store.read() as session:
        context = await _page(session, operator, sight, choice, place)
    return render_inbox(request, parts, "inbox/more.html", **context, open_id=None)


@router.get("/inbox/rows")
async def rows(
    request: Request,
    parts: Given,
    operator: Signed,
    sight: Seen,
    choice: Chosen,
    ids: str = "",
    opened: OptionalId = None,
) -> HTMLResponse:
    """The rows of some chats as they are now, and the counts. A chat that is not in the answer has left the view; the
    one that is `opened` stays in it while only its reader's own look or answer took it out."""
    asked, wanted = _ids(ids), choice.wanted(operator)
    async with parts.store.read() as session:
        lines = await inbox.find_lines(session, sight, asked, wanted)
        if wanted.view in _LEFT_BY_ANSWERING and opened in asked and opened not in {line.chat.id for line in lines}:
            lines += await inbox.find_lines(session, sight, [opened], replace(wanted, view=View.ALL))
        context = await _rows(session, operator, sight, choice, lines)
        context |= await _counted(session, operator, sight, choice)
    return render_inbox(request, parts, "inbox/changed_rows.html", **context, open_id=opened)


async def list_context(session: AsyncSession, operator: Operator, sight: Sight, choice: Choice) -> dict[str, Any]:
    """The list from its beginning, with its head."""
    return {
        **await _page(session, operator, sight, choice, None),
        **await _counted(session, operator, sight, choice),
        "labels": await inbox.list_labels(session),
    }


async def names(session: AsyncSession, sight: Sight) -> dict[str, Any]:
    """Whom chats belong to, by their ids: the accounts in sight, and everybody who is or was an operator."""
    return {
        "accounts": {account.id: account for account in await inbox.list_accounts(session, sight)},
        "team": {one.id: one for one in await inbox.list_team(session)},
    }


async def _page(
    session: AsyncSession, operator: Operator, sight: Sight, choice: Choice, before: Place | None
) -> dict[str, Any]:
    found = await inbox.list_chats(session, sight, choice.wanted(operator), before=before)
    return await _rows(session, operator, sight, choice, found.lines) | {"next": found.next}


async def _rows(
    session: AsyncSession, operator: Operator, sight: Sight, choice: Choice, lines: Sequence[Line]
) -> dict[str, Any]:
    """What the list's rows say. A fixed number of statements."""
    named = await names(session, sight)
    return named | {
        "lines": lines,
        "drafted": await find_drafted(session, operator.id, [line.chat.id for line in lines]),
        "several": len(named["accounts"]) > 1,
        "choice": choice,
        "wanted": choice.wanted(operator),
    }


async def _counted(session: AsyncSession, operator: Operator, sight: Sight, choice: Choice) -> dict[str, Any]:
    """How many chats each view has, narrowed as the list is; and the operator's own views, with theirs."""
    wanted = choice.wanted(operator)
    saved = await inbox.list_saved(session, operator.id)
    lists = [replace(wanted, view=view) for view in View]
    lists += [Wanted(operator.id, View.UNREAD), *(inbox.wanted_by(one) for one in saved)]
    counts = await inbox.count_chats(session, sight, lists)
    everywhere, *of_saved = counts[len(View) :]
    numbers = {view.value: str(count) for view, count in zip(View, counts, strict=False)}
    numbers |= {f"saved-{one.id}": str(count) for one, count in zip(saved, of_saved, strict=True)}
    return {
        "counts": numbers,
        "everywhere": str(everywhere),
        "saved": [(one, Choice.of(inbox.wanted_by(one))) for one in saved],
    }


def render_inbox(request: Request, parts: Parts, template: str, **context: Any) -> HTMLResponse:
    reader = reader_of(request)

    def in_words(message: Message) -> str:
        return preview(message, reader.words)

    def name_of(chat: Chat | Other) -> str:
        if chat.buyer_name:
            return visible(chat.buyer_name)
        return reader.words("Avito") if chat.chat_type == "a2u" else reader.words("Buyer")

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
        name_of=name_of,
        waited=waited,
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
        snooze_times=snooze_times(reader),
        note_limit=NOTE_LIMIT,
        bulk_most=BULK_MOST,
        behind_messages=BEHIND_MESSAGES,
        **context,
    )


def _is_deletable(message: Message, now: Millis) -> bool:
    named = not message.avito_id.startswith("~")  # else Avito gave it no name to call it by
    return named and message.created_at > now - outbox.DELETABLE_FOR


def how_long(span: Millis, locale: str) -> str:
    """«14 мин», «3 ч», «21 дн.»: as `inbox.js` goes on counting."""
    unit, one = next((unit, one) for unit, one in _UNITS if span >= one)
    return _in_units(span // one, unit, locale)


@lru_cache(1024)  # a list says the same few spans for each of its chats
def _in_units(number: int, unit: str, locale: str) -> str:
    return format_unit(number, f"duration-{unit}", length="short", locale=locale)


@lru_cache(256)
def dot(colour: str) -> Markup:
    """An account's colour. Drawn, because our policy forbids style attributes."""
    shown = colour if re.fullmatch(r"#[0-9a-fA-F]{6}", colour) else "#888888"
    circle = '<circle cx="5" cy="5" r="5" fill="{}"/>'
    svg = f'<svg class="account-dot" width="10" height="10" aria-hidden="true">{circle}</svg>'
    return Markup(svg).format(shown)  # noqa: S704 - format escapes, and the pattern has been checked


def _ids(text: str) -> list[int]:
    """From "17,4,23"."""
    ids = [chat_id for part in text.split(",") if (chat_id := parse_id(part)) is not None]
    if len(ids) > ROWS_AT_ONCE:
        raise Invalid("Ask for fewer chats at once.", field="ids")
    return ids
