"""Search: a page whose address is the question, and the same results alone for one that is open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from golub import inbox, search
from golub.clock import Millis
from golub.errors import Invalid
from golub.inbox import LARGEST_ID
from golub.index.keyboard import switched as switched_layout
from golub.index.question import LONGEST, Question, ask
from golub.model import Chat, Direction
from golub.search import CHATS_A_PAGE, CHATS_SHOWN, Found, Hit, Narrowed
from golub.search.catching_up import find_share
from golub.web.inbox import render_inbox
from golub.web.language import Reader, reader_of
from golub.web.links import calm, visible
from golub.web.parts import Given
from golub.web.session import Seen

router = APIRouter()

WITHIN = 2.0  # seconds of the database for one page, whatever is asked
SHOWN_BEFORE, SHOWN = 60, 320  # characters of a message before its first mark, and in all
_NUMBERS = {"account": "account_id", "chat": "chat_id", "item": "item_id"}
_ORDER: tuple[str, ...] = ("q", "account", "who", "from", "to", "photo", "chat", "item", "chats")

Piece = tuple[str, bool]  # and whether it is marked


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a query made sense, by name; the rest is empty. Days are the reader's own."""

    fields: Mapping[str, str]
    narrowed: Narrowed

    @classmethod
    def of(cls, query: Mapping[str, str], reader: Reader) -> "Choice":
        fields: dict[str, str] = dict.fromkeys(_ORDER, "")
        fields["q"] = " ".join(query.get("q", "").replace("\0", " ").split())
        chosen: dict[str, Any] = {}
        for name, column in _NUMBERS.items():
            text = query.get(name, "")
            if text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= LARGEST_ID:
                fields[name], chosen[column] = text, int(text)
        if (who := query.get("who", "")) in set(Direction):
            fields["who"], chosen["author"] = who, Direction(who)
        elif who == "note":
            fields["who"], chosen["notes"] = who, True
        for name, column, more in (("from", "since", 0), ("to", "until", 1)):  # to the end of that day
            if (at := _day(query.get(name, ""), reader, more)) is not None:
                fields[name], chosen[column] = query[name], at
        if query.get("photo"):
            fields["photo"], chosen["photo"] = "1", True
        if query.get("chats") == "all":
            fields["chats"] = "all"
        return cls(fields, Narrowed(**chosen))

    def other(self, **changes: Any) -> str:
        """The address with other fields; None takes one away."""
        chosen = {**self.fields, **changes}
        fields = {name: value for name in _ORDER if (value := chosen.get(name))}
        return f"/inbox/search?{urlencode(fields)}" if fields else "/inbox/search"

    @property
    def unfiltered(self) -> str:
        """The address of the words alone."""
        return Choice({"q": self.fields["q"]}, Narrowed()).other()

    @property
    def is_narrowed(self) -> bool:
        return self.narrowed != Narrowed()


@dataclass(frozen=True, slots=True)
class Group:
    """What was found in one chat, one after the other in the order of the whole."""

    chat: Chat
    hits: Sequence[tuple[Hit, Sequence[Piece]]]


@router.get("/inbox/search")
async def page(
    request: Request, parts: Given, sight: Seen, before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None
) -> HTMLResponse:
    """What was said, by `q`, `account`, `who` (in, out, system, note), `from` and `to` (days), `photo`, `chat`, `item`.
    `before` goes on where a page ended; `chats=all` shows every chat whose buyer or item fits."""
    choice = Choice.of(request.query_params, reader_of(request))
    found, error, question, share, item = search.NOTHING, None, Question("", None), 1.0, ""
    switched = False
    async with parts.store.read(within=WITHIN) as session:
        accounts = await inbox.list_accounts(session, sight)
        try:
            question = ask(choice.fields["q"])
            shown = CHATS_A_PAGE if choice.fields["chats"] else CHATS_SHOWN
            found = await search.find(session, question, choice.narrowed, sight.accounts, before=before, chats=shown)
            if not (found.chats or found.hits) and (other := _meant(question)) is not None:
                meant = await search.find(session, other, choice.narrowed, sight.accounts, before=before, chats=shown)
                if meant.chats or meant.hits:
                    found, question, switched = meant, other, True
            share = await find_share(session)
            if choice.narrowed.item_id:
                item = await search.find_item_title(session, choice.narrowed.item_id, sight.accounts)
        except Invalid as refusal:
            error = refusal

    def marked(text: str) -> list[Piece]:
        return cut_out(question, visible(text))

    in_part = "hx-request" in request.headers
    template = "search_more" if before else "search_results" if in_part else "search"
    answer = render_inbox(
        request,
        parts,
        f"inbox/{template}.html",
        choice=choice,
        question=question,
        groups=_groups(found, question),
        found=found,
        error=error,
        share=share,
        item=item,
        switched=switched,
        accounts={one.id: one for one in accounts},
        several=len(accounts) > 1,
        marked=marked,
        question_limit=LONGEST,
    )
    answer.status_code = error.status if error else 200
    return answer


def _meant(question: Question) -> Question | None:
    """The same keys with the other keyboard layout."""
    text = switched_layout(question.text)
    try:
        return ask(text) if text else None
    except Invalid:
        return None


def cut_out(question: Question, text: str, before: int = SHOWN_BEFORE, shown: int = SHOWN) -> list[Piece]:
    """The part of a text that is worth showing, with its marks; what was cut off leaves an ellipsis."""
    marks = question.marks(text)
    start = max(0, (marks[0][0] if marks else 0) - before)
    if start:
        start = text.rfind(" ", 0, start + 1) + 1 or start  # at a word's beginning, where there is one
    start = max(start, (marks[0][0] if marks else 0) - 2 * before) if start else 0
    end = min(len(text), start + shown)
    pieces: list[Piece] = [("…", False)] if start else []
    place = start
    for left, right in marks:
        if right > end:
            break
        pieces += [(text[place:left], False), (text[left:right], True)]
        place = right
    pieces += [(text[place:end], False), ("…" if end < len(text) else "", False)]
    return [piece for piece in pieces if piece[0]]


def _groups(found: Found, question: Question) -> list[Group]:
    groups: list[tuple[Chat, list[tuple[Hit, Sequence[Piece]]]]] = []
    places: dict[int, int] = {}
    for hit in found.hits:
        place = places.setdefault(hit.chat.id, len(groups))
        if place == len(groups):
            groups.append((hit.chat, []))
        text = calm(" ".join(hit.said.text.split()))
        groups[place][1].append((hit, cut_out(question, visible(text)) if text else []))
    return [Group(chat, hits) for chat, hits in groups]


def _day(text: str, reader: Reader, more: int) -> Millis | None:
    """When that day begins, or the one so many days later."""
    try:
        day = date.fromisoformat(text[:10]) + timedelta(days=more)
        begins = datetime.combine(day, time(), reader.zone)
        return max(0, int(begins.timestamp() * 1000))
    except (ValueError, OverflowError):
        return None
