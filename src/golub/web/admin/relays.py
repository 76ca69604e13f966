"""Forwarding, on the page of webhooks: further addresses that get an account's deliveries as Avito sent them.

Only super administrators come here, as for the webhooks: an address sees every message.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.clock import HOUR
from golub.errors import GolubError
from golub.model import Relay
from golub.web.admin.webhooks import RelayDraft, show_page
from golub.web.page import render
from golub.web.parts import Given, RowId
from golub.web.session import Doer, SuperAdmin

router = APIRouter()


@router.post("/admin/webhooks/{account_id}/relays")
async def add(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, address: Annotated[str, Form()] = ""
) -> Response:
    """From now on the account's deliveries go there too."""
    await parts.accounts.get(account_id)
    try:
        relay = await parts.relays.add(account_id, address, by=by)
    except GolubError as error:
        drafts = {account_id: RelayDraft(address, error)}
        return await show_page(request, parts, relay_drafts=drafts, status=error.status)
    return _back(relay, "relay_added")


@router.post("/admin/relays/{relay_id}/pause")
async def pause(parts: Given, _: SuperAdmin, by: Doer, relay_id: RowId) -> Response:
    """What comes meanwhile waits."""
    relay = await parts.relays.get(relay_id)
    await parts.relays.pause(relay_id, by=by)
    return _back(relay)


@router.post("/admin/relays/{relay_id}/resume")
async def resume(parts: Given, _: SuperAdmin, by: Doer, relay_id: RowId) -> Response:
    """Goes on after a pause, a long failure or a 410; what waits goes at once."""
    relay = await parts.relays.get(relay_id)
    await parts.relays.resume(relay_id, by=by)
    return _back(relay)


@router.post("/admin/relays/{relay_id}/remove")
async def remove(parts: Given, _: SuperAdmin, by: Doer, relay_id: RowId) -> Response:
    """Nothing goes there any more, nor what waits."""
    relay = await parts.relays.get(relay_id)
    await parts.relays.remove(relay_id, by=by)
    return _back(relay, "relay_removed")


@router.post("/admin/relays/{relay_id}/replay")
async def replay(
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    relay_id: RowId,
    hours: Annotated[int, Form(ge=0, le=72)] = 0,
    delivery: Annotated[int, Form(ge=0)] = 0,
) -> Response:
    """Sends again: one delivery that was given up, all of the last `hours`, or else all that were given up."""
    relay = await parts.relays.get(relay_id)
    if hours:
        count = await parts.relays.replay(relay_id, parts.clock() - hours * HOUR, by=by)
    else:
        count = await parts.relays.send_again(relay_id, delivery or None, by=by)
    return _back(relay, "relay_again", count)


@router.get("/admin/relays/{relay_id}/given-up")
async def show_given_up(request: Request, parts: Given, _: SuperAdmin, relay_id: RowId) -> Response:
    """The newest deliveries that no try could forward."""
    relay = await parts.relays.get(relay_id)
    return render(request, "admin/given_up.html", relay=relay, given_up=await parts.relays.list_given_up(relay_id))


def _back(relay: Relay, done: str = "", count: int = 0) -> Response:
    what = f"done={done}&count={count}&" if done else ""
    return RedirectResponse(f"/admin/webhooks?{what}account={relay.account_id}#relays-{relay.account_id}", 303)
