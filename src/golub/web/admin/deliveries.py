"""The journal: every delivery with what became of it and why, whole as it came; applied again, or discarded, by a
press. Many at once are `replays`.

What a delivery holds was written by strangers: it is shown as text, and nothing of it becomes a link or markup.
"""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub import journal
from golub.clock import SECOND
from golub.errors import GolubError
from golub.journal import Kind, Place, Trust
from golub.model import Cause, Delivery, DeliveryState
from golub.web.causes import CAUSES, STATES, Explained, oddities
from golub.web.filters import Choice
from golub.web.language import reader_of
from golub.web.links import visible
from golub.web.page import render
from golub.web.parts import Given
from golub.web.raw_body import read_raw
from golub.web.session import Admin, Doer
from golub.web.signing import told_of

router = APIRouter(prefix="/admin/deliveries")

HEADER_SHOWN = 1000  # characters of one value
WITHIN = 1.5  # seconds of the database for one page, whatever is asked
NEWER_SHOWN = 20  # that a page takes in by itself; of more it only says how many
LATE = 5 * SECOND  # deliveries may enter the journal a little out of order: so far back they are offered once more


@router.get("")
async def show(request: Request, parts: Given, _: Admin, before: str = "") -> Response:
    """Every delivery, newest first, with what became of it; by `state`, `cause`, `kind`, `account`, `trust`, `from`,
    `to`, `address` and `text`."""
    choice = Choice.of(request.query_params, reader_of(request))
    place = Place.parse(before) if before else None
    is_work_list = choice.wanted.state is DeliveryState.QUARANTINED and place is None
    async with parts.store.read(within=WITHIN) as session:
        newest = await journal.newest(session)
        page = await journal.list_deliveries(session, choice.wanted, before=place)
        day = await journal.count_day(session, parts.clock())
        quarantined = await journal.count_quarantined(session)
        alike = await journal.count_alike(session) if is_work_list and not choice.wanted.cause else []
    return render(
        request,
        "admin/deliveries.html",
        page=page,
        newest=newest,
        day=day,
        quarantined=quarantined,
        quarantine_limit=journal.QUARANTINE_COUNTED,
        alike=alike,
        choice=choice,
        is_later=place is not None,
        accounts={one.id: one for one in await parts.accounts.list()},
        kinds=list(Kind),
        trusts=list(Trust),
        states=STATES,
        causes=CAUSES,
    )


@router.get("/newer")
async def show_newer(request: Request, parts: Given, _: Admin, after: str = "") -> Response:
    """What came since `after` and passes the same filters, for a page that stays open."""
    choice = Choice.of(request.query_params, reader_of(request))
    place = Place.parse(after) if after else Place(0, bytes(16))
    async with parts.store.read(within=WITHIN) as session:
        newest = await journal.newest(session) or place
        number, _more = await journal.count(session, choice.wanted, after=place)
        page = None
        if number <= NEWER_SHOWN:
            late = Place(max(0, place.at - LATE), place.id)
            page = await journal.list_deliveries(session, choice.wanted, after=late, limit=3 * NEWER_SHOWN)
    return render(
        request,
        "admin/newer.html",
        lines=page.lines if page else [],
        number=number,
        newest=max(newest, place, key=lambda one: (one.at, one.id)),
        accounts={one.id: one for one in await parts.accounts.list()},
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
async def show_one(
    request: Request, parts: Given, _: Admin, delivery_id: str, was: str = "", whole: bool = False
) -> Response:
    """One delivery: times, address, headers and body. `was` is the state from which it was applied again; `whole`
    shows a long body to its end."""
    return await _show_one(request, parts, delivery_id, was=_state(was), whole=whole)


@router.get("/{delivery_id}/body")
async def save_body(parts: Given, _: Admin, delivery_id: str) -> Response:
    """The bytes of its body as a file, as they came: to check a signature by hand."""
    async with parts.store.read() as session:
        delivery = await journal.get_delivery(session, journal.key_of(delivery_id))
    headers = {"Content-Disposition": 'attachment; filename="body.json"'}
    return Response(bytes(delivery.body), media_type="application/octet-stream", headers=headers)


@router.post("/{delivery_id}/replay")
async def replay(parts: Given, _: Admin, by: Doer, delivery_id: str) -> Response:
    """Applies it again by the rules and choices of today; as often as one likes, it counts once."""
    key = journal.key_of(delivery_id)
    async with parts.store.read() as session:
        delivery = await journal.get_delivery(session, key)
    if journal.can_replay(delivery):
        await parts.replays.replay_one(key, by)
    return RedirectResponse(f"/admin/deliveries/{delivery_id}?was={delivery.state}", 303)


@router.post("/{delivery_id}/discard")
async def discard(
    request: Request, parts: Given, _: Admin, by: Doer, delivery_id: str, reason: Annotated[str, Form()] = ""
) -> Response:
    """Takes it out of the quarantine, with a reason; it stays in the journal."""
    key = journal.key_of(delivery_id)
    try:
        await parts.replays.discard_one(key, reason, by)
    except GolubError as error:
        return await _show_one(request, parts, delivery_id, error=error, reason=reason)
    return RedirectResponse(f"/admin/deliveries/{delivery_id}", 303)


async def _show_one(
    request: Request,
    parts: Given,
    delivery_id: str,
    *,
    was: DeliveryState | None = None,
    whole: bool = False,
    error: GolubError | None = None,
    reason: str = "",
) -> Response:
    async with parts.store.read() as session:
        delivery = await journal.get_delivery(session, journal.key_of(delivery_id))
        chat = await journal.find_chat(session, delivery)
        message = await journal.find_message(session, delivery, chat)
    accounts = {one.id: one for one in await parts.accounts.list()}
    state = DeliveryState(delivery.state)
    is_unread = state in (DeliveryState.QUARANTINED, DeliveryState.DISCARDED)
    return render(
        request,
        "admin/delivery.html",
        status=error.status if error else 200,
        delivery=delivery,
        key=delivery_id,
        state=state,
        told=STATES[state],
        cause=_cause(delivery),
        oddities=[] if is_unread else oddities(delivery.detail),
        detail=visible(delivery.detail) if is_unread else "",
        account=accounts.get(delivery.account_id or 0),
        chat=chat,
        message=message,
        signature=told_of(delivery.signature),
        headers=_headers(delivery.headers),
        raw=read_raw(bytes(delivery.body), whole=whole),
        can_replay=journal.can_replay(delivery),
        was=was,
        error=error,
        reason=reason,
    )


def _state(name: str) -> DeliveryState | None:
    return DeliveryState(name) if name in set(DeliveryState) else None


def _cause(delivery: Delivery) -> Explained | None:
    return CAUSES.get(Cause(delivery.cause)) if delivery.cause in set(Cause) else None


def _headers(kept: Sequence[Any]) -> list[tuple[str, str]]:
    """In the order of arrival; ingest has left out what proves who somebody is."""
    pairs = [cast(list[Any], pair) for pair in kept if isinstance(pair, list)]
    return [(visible(str(pair[0])), visible(str(pair[1])[:HEADER_SHOWN])) for pair in pairs if len(pair) == 2]
