"""The page of accounts: the shops at Avito, connected by their keys, renamed, given up."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.accounts import COLOURS, Holdings
from golub.errors import GolubError
from golub.model import Account, standing_of
from golub.web.page import render
from golub.web.parts import Given, Parts, RowId
from golub.web.session import Admin, Doer

router = APIRouter()

DONE = ("connected", "renewed", "renamed", "removed")


@router.get("/admin/accounts")
async def show(request: Request, parts: Given, _: Admin, edit: int = 0, done: str = "", account: int = 0) -> Response:
    """The shops, whether each can send and receive, and how far its history is. `edit` opens an account's form."""
    return await _page(request, parts, edit=edit, done=done if done in DONE else "", of=account)


@router.post("/admin/accounts")
async def connect(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
) -> Response:
    """Connects an account, or renews its keys. The secret is never sent back, not even into the form it came from."""
    try:
        connected = await parts.accounts.connect(client_id, client_secret, by=by)
    except GolubError as error:
        return await _page(request, parts, error=error, client_id=client_id[:200], status=error.status)
    parts.backfill.nudge()
    return _back("renewed" if connected.renewed else "connected", connected.account.id)


@router.post("/admin/accounts/{account_id}")
async def rename(
    request: Request,
    parts: Given,
    _: Admin,
    by: Doer,
    account_id: RowId,
    name: Annotated[str, Form()] = "",
    colour: Annotated[str, Form()] = "",
) -> Response:
    """Name and colour, for the eyes of the team."""
    try:
        await parts.accounts.rename(account_id, name, colour, by=by)
    except GolubError as error:
        return await _page(request, parts, edit=account_id, edit_error=error, status=error.status)
    return _back("renamed", account_id)


@router.get("/admin/accounts/{account_id}/remove")
async def ask_to_remove(request: Request, parts: Given, _: Admin, account_id: RowId) -> Response:
    """What will happen to its data is said first, in numbers."""
    account = await parts.accounts.get(account_id)
    return render(
        request, "admin/account_remove.html", account=account, holdings=await parts.accounts.holdings(account_id)
    )


@router.post("/admin/accounts/{account_id}/remove")
async def remove(parts: Given, _: Admin, by: Doer, account_id: RowId) -> Response:
    """Unsubscribes, then removes the account with its chats."""
    await parts.accounts.get(account_id)
    async with parts.subscriptions.forgetting(account_id, by=by):
        await parts.accounts.remove(account_id, by=by)
    return _back("removed", 0)


@router.get("/admin/accounts/{account_id}/history")
async def show_history(request: Request, parts: Given, _: Admin, account_id: RowId) -> Response:
    """How far the import of the history is; asked every few seconds until it is done."""
    account = await parts.accounts.get(account_id)
    return render(request, "admin/history.html", account=account, holdings=await parts.accounts.holdings(account_id))


def _back(done: str, account_id: int) -> Response:
    return RedirectResponse(f"/admin/accounts?done={done}&account={account_id}", 303)


async def _page(
    request: Request,
    parts: Parts,
    *,
    edit: int = 0,
    done: str = "",
    of: int = 0,
    error: GolubError | None = None,
    edit_error: GolubError | None = None,
    client_id: str = "",
    status: int = 200,
) -> Response:
    rows: list[tuple[Account, Holdings]] = [
        (account, await parts.accounts.holdings(account.id)) for account in await parts.accounts.list()
    ]
    return render(
        request,
        "admin/accounts.html",
        status=status,
        rows=rows,
        edit=edit,
        done=done,
        done_account=next((account for account, _ in rows if account.id == of), None),
        error=error,
        edit_error=edit_error,
        client_id=client_id,
        colours=COLOURS,
        standing_of=standing_of,
    )
