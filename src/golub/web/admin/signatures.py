"""The signature lab of one account: what its deliveries' signatures show, and what is demanded of them.

Only super administrators come here: whoever demands a signature decides which messages are believed.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select

from golub.errors import GolubError
from golub.model import Delivery, SignatureMode
from golub.signatures import PROVED_BY, Digest, Register, Signed
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.session import Doer, SuperAdmin
from golub.web.signing import DEFAULT, DIGESTS, SIGNED, example_of, told_of, words_of

router = APIRouter(prefix="/admin/webhooks/{account_id}/signature")

DONE = ("demanded", "observed", "off", "added", "removed")


@router.get("")
async def show(request: Request, parts: Given, _: SuperAdmin, account_id: RowId, done: str = "") -> Response:
    """Whether deliveries are signed, which way of signing fits how many, and how to check it by hand."""
    return await _page(request, parts, account_id, done=done if done in DONE else "")


@router.post("/demand")
async def demand(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, scheme: Annotated[str, Form()] = ""
) -> Response:
    """From now on what is not signed in this way goes to quarantine. Only for one that has proved itself."""
    try:
        await _register(parts).enforce(account_id, scheme, by=by)
    except GolubError as error:
        return await _page(request, parts, account_id, error=error)
    return _back(account_id, "demanded")


@router.post("/mode")
async def choose(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, mode: Annotated[str, Form()] = ""
) -> Response:
    """Looks at signatures without demanding any, or does not look."""
    wanted = SignatureMode.OFF if mode == SignatureMode.OFF else SignatureMode.OBSERVE
    await _register(parts).choose(account_id, wanted, by=by)
    return _back(account_id, "off" if wanted is SignatureMode.OFF else "observed")


@router.post("/secrets")
async def add_secret(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    account_id: RowId,
    header: Annotated[str, Form()] = "",
    secret: Annotated[str, Form()] = "",
    signed: Annotated[str, Form()] = "",
    digest: Annotated[str, Form()] = "",
) -> Response:
    """A secret that the shop's own proxy signs with; it is tried like the others."""
    try:
        await _register(parts).add_secret(
            account_id,
            header,
            secret,
            Signed(signed) if signed in set(Signed) else None,
            Digest(digest) if digest in set(Digest) else None,
            by=by,
        )
    except GolubError as error:
        return await _page(request, parts, account_id, error=error, header=header)
    return _back(account_id, "added")


@router.post("/secrets/{secret_id}/remove")
async def remove_secret(
    request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId, secret_id: RowId
) -> Response:
    """Refused while the signature is demanded with it."""
    try:
        await _register(parts).remove_secret(account_id, secret_id, by=by)
    except GolubError as error:
        return await _page(request, parts, account_id, error=error)
    return _back(account_id, "removed")


def _register(parts: Parts) -> Register:
    return Register(parts.store, parts.vault, parts.clock)


def _back(account_id: int, done: str) -> Response:
    return RedirectResponse(f"/admin/webhooks/{account_id}/signature?done={done}", 303)


async def _page(
    request: Request,
    parts: Parts,
    account_id: int,
    *,
    done: str = "",
    error: GolubError | None = None,
    header: str = "",
) -> Response:
    account = await parts.accounts.get(account_id)
    standing = await _register(parts).get(account_id)
    newest = (
        select(Delivery.id, Delivery.received_at, Delivery.signature)
        .where(Delivery.account_id == account_id, Delivery.token_id.is_not(None), Delivery.event_type == "message")
        .order_by(Delivery.received_at.desc(), Delivery.id.desc())
        .limit(1)
    )
    async with parts.store.read() as session:
        last = (await session.execute(newest)).one_or_none()
    shown = standing.rule or (standing.best.scheme if standing.best else DEFAULT)
    return render(
        request,
        "admin/signature.html",
        status=error.status if error else 200,
        account=account,
        standing=standing,
        needed=PROVED_BY,
        fits=[(fit, words_of(fit.scheme)) for fit in standing.fits],
        rule=words_of(standing.rule) if standing.rule else None,
        last=last,
        last_told=told_of(last.signature) if last else None,
        shown=words_of(shown),
        example=example_of(shown),
        headers=parts.settings.signature_headers,
        signed=SIGNED,
        digests=DIGESTS,
        done=done,
        error=error,
        header=header,
    )
