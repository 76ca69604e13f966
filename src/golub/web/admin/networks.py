"""The allow-list of one account: which networks its deliveries come from, and what becomes of those from elsewhere.

Only super administrators come here, and each change asks once more who they are: whoever changes the list decides which
messages are believed.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.allowlist import JOB_SECTION, PROVED_BY, Register, Standing
from golub.errors import GolubError
from golub.model import AllowListMode
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.proof import must_be_proved
from golub.web.session import Doer, SuperAdmin

router = APIRouter(prefix="/admin/webhooks/{account_id}/networks")

DONE = ("kept", "enforced", "observed", "off", "anew")
TEXT_LIMIT = 16_384  # characters; more is refused as too many networks


@router.get("")
async def show(
    request: Request, parts: Given, _: SuperAdmin, account_id: RowId, done: str = "", preset: str = ""
) -> Response:
    """Which networks confirmed deliveries came from. `preset` fills the form: `seen`, or `job`, which is a guess."""
    return await _page(request, parts, account_id, done=done if done in DONE else "", preset=preset)


@router.post("/list")
async def keep(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, networks: Annotated[str, Form()] = ""
) -> Response:
    """Keeps a list; what comes from elsewhere is marked from now on. An enforced one stays enforced."""
    must_be_proved(request, _path(account_id))
    try:
        await Register(parts.store, parts.clock).keep(account_id, networks[:TEXT_LIMIT], by=by)
    except GolubError as error:
        return await _page(request, parts, account_id, error=error, text=networks[:TEXT_LIMIT])
    return _back(account_id, "kept")


@router.post("/enforce")
async def enforce(request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId) -> Response:
    """From now on what comes from elsewhere goes to quarantine. Only for a list that has proved itself."""
    must_be_proved(request, _path(account_id))
    try:
        await Register(parts.store, parts.clock).enforce(account_id, by=by)
    except GolubError as error:
        return await _page(request, parts, account_id, error=error)
    return _back(account_id, "enforced")


@router.post("/mode")
async def choose(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, mode: Annotated[str, Form()] = ""
) -> Response:
    """Notes networks without a list, or does not look at them."""
    must_be_proved(request, _path(account_id))
    wanted = AllowListMode.OFF if mode == AllowListMode.OFF else AllowListMode.OBSERVE
    await Register(parts.store, parts.clock).choose(account_id, wanted, by=by)
    return _back(account_id, "off" if wanted is AllowListMode.OFF else "observed")


@router.post("/anew")
async def count_anew(request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId) -> Response:
    """Forgets the networks that were seen so far."""
    must_be_proved(request, _path(account_id))
    await Register(parts.store, parts.clock).count_anew(account_id, by=by)
    return _back(account_id, "anew")


def _path(account_id: int) -> str:
    return f"/admin/webhooks/{account_id}/networks"


def _back(account_id: int, done: str) -> Response:
    return RedirectResponse(f"{_path(account_id)}?done={done}", 303)


async def _page(
    request: Request,
    parts: Parts,
    account_id: int,
    *,
    done: str = "",
    preset: str = "",
    error: GolubError | None = None,
    text: str = "",
) -> Response:
    account = await parts.accounts.get(account_id)
    register = Register(parts.store, parts.clock)
    standing = await register.get(account_id)
    listed = standing.row.networks
    return render(
        request,
        "admin/networks.html",
        status=error.status if error else 200,
        account=account,
        standing=standing,
        elsewhere=await register.elsewhere(account_id, listed) if listed else None,
        needed=PROVED_BY,
        preset=preset,
        written=text or _preset(standing, preset) or listed,
        done=done,
        error=error,
    )


def _preset(standing: Standing, preset: str) -> str:
    """What the form holds before anything is typed."""
    if preset == "job":
        return "\n".join(JOB_SECTION)
    if preset == "seen":
        return "\n".join(one.row.network for one in standing.seen if not one.is_closed)
    return ""
