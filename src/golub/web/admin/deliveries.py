"""The journal: every delivery with what became of it and why, whole as it came, and applied again by a press.

What a delivery holds was written by strangers: it is shown as text, and nothing of it becomes a link or markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from golub import journal
from golub.journal import Kind, Place, Wanted
from golub.model import Cause, Delivery, DeliveryState
from golub.web.causes import CAUSES, STATES, Explained, oddities
from golub.web.links import visible
from golub.web.page import render
from golub.web.parts import Given
from golub.web.raw_body import read_raw
from golub.web.session import Admin

router = APIRouter(prefix="/admin/deliveries")

HEADER_SHOWN = 1000  # characters of one value


@dataclass(frozen=True, slots=True)
class Choice:
    """Which deliveries are listed: every link of the list carries it on."""

    wanted: Wanted

    @property
    def query(self) -> str:
        """`?state=ignored&account=2`, or nothing for the whole journal."""
        fields = {"state": self.wanted.state, "account": self.wanted.account_id, "kind": self.wanted.kind}
        said = {name: str(value) for name, value in fields.items() if value is not None}
        return f"?{urlencode(said)}" if said else ""

    def joined(self, more: str) -> str:
        return f"{self.query}&{more}" if self.query else f"?{more}"

    def of_state(self, state: DeliveryState | None) -> "Choice":
        return Choice(replace(self.wanted, state=state))


@router.get("")
async def show(
    request: Request, parts: Given, _: Admin, state: str = "", account: str = "", kind: str = "", before: str = ""
) -> Response:
    """Every delivery, newest first, with what became of it; by `state`, `account` and `kind` of event."""
    choice = Choice(Wanted(_state(state), _number(account), Kind(kind) if kind in set(Kind) else None))
    place = Place.parse(before) if before else None
    async with parts.store.read() as session:
        page = await journal.list_deliveries(session, choice.wanted, before=place)
        day = await journal.count_day(session, parts.clock())
        quarantined = await journal.count_quarantined(session)
    return render(
        request,
        "admin/deliveries.html",
        page=page,
        day=day,
        quarantined=quarantined,
        quarantine_limit=journal.QUARANTINE_COUNTED,
        choice=choice,
        is_later=place is not None,
        accounts={one.id: one for one in await parts.accounts.list()},
        kinds=list(Kind),
        states=STATES,
        causes=CAUSES,
    )


@router.get("/quarantined")
async def count_quarantined(request: Request, parts: Given, _: Admin) -> Response:
    """How many deliveries are in quarantine, for the navigation."""
    async with parts.store.read() as session:
        number = await journal.count_quarantined(session)
    return render(request, "admin/quarantined.html", number=number, limit=journal.QUARANTINE_COUNTED)


@router.get("/{delivery_id}")
async def show_one(request: Request, parts: Given, _: Admin, delivery_id: str, was: str = "") -> Response:
    """One delivery whole: times, address, headers and body. `was` is the state from which it was applied again."""
    async with parts.store.read() as session:
        delivery = await journal.get_delivery(session, journal.key_of(delivery_id))
        chat = await journal.find_chat(session, delivery)
    accounts = {one.id: one for one in await parts.accounts.list()}
    state = DeliveryState(delivery.state)
    return render(
        request,
        "admin/delivery.html",
        delivery=delivery,
        key=delivery_id,
        state=state,
        told=STATES[state],
        cause=_cause(delivery),
        oddities=oddities(delivery.detail) if state is not DeliveryState.QUARANTINED else [],
        detail=visible(delivery.detail) if state is DeliveryState.QUARANTINED else "",
        account=accounts.get(delivery.account_id or 0),
        chat=chat,
        headers=_headers(delivery.headers),
        raw=read_raw(bytes(delivery.body)),
        can_replay=journal.can_replay(delivery),
        was=_state(was),
    )


@router.post("/{delivery_id}/replay")
async def replay(parts: Given, _: Admin, delivery_id: str) -> Response:
    """Applies it again by the rules and choices of today; as often as one likes, it counts once."""
    key = journal.key_of(delivery_id)
    async with parts.store.read() as session:
        delivery = await journal.get_delivery(session, key)
    if journal.can_replay(delivery):
        await parts.applier.replay([key])
        parts.backfill.nudge()  # a hint is looked up anew
    return RedirectResponse(f"/admin/deliveries/{delivery_id}?was={delivery.state}", 303)


def _state(name: str) -> DeliveryState | None:
    return DeliveryState(name) if name in set(DeliveryState) else None


def _number(text: str) -> int | None:
    """An account's id; anything else filters nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _cause(delivery: Delivery) -> Explained | None:
    return CAUSES.get(Cause(delivery.cause)) if delivery.cause in set(Cause) else None


def _headers(kept: Sequence[Any]) -> list[tuple[str, str]]:
    """In the order of arrival; ingest has left out what proves who somebody is."""
    pairs = [cast(list[Any], pair) for pair in kept if isinstance(pair, list)]
    return [(visible(str(pair[0])), visible(str(pair[1])[:HEADER_SHOWN])) for pair in pairs if len(pair) == 2]
