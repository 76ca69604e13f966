"""The page of webhooks: what Avito calls for each account, registering it, trying it, giving it up.

Only super administrators come here: whoever can move a webhook can make every message go elsewhere.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from golub import allowlist
from golub.audit import By
from golub.errors import GolubError, Invalid, NotFound
from golub.guarded import Call
from golub.model import DEFAULT_EVENT_TYPES, Account, Delivery, Webhook
from golub.relay import Standing
from golub.signatures import Register
from golub.subscription import (
    ForeignSubscription,
    Listed,
    ProbeFailed,
    Replaced,
    Traffic,
    find_first_since,
    host_of,
    read_traffic,
    walk,
)
from golub.web.page import render
from golub.web.parts import LARGEST_ID, Given, Parts, RowId
from golub.web.revealing import reveal
from golub.web.session import Doer, SuperAdmin
from golub.web.takeover import forwarding, why_not

router = APIRouter()

DONE = ("registered", "changed", "removed", "old_closed", "relay_added", "relay_removed", "relay_again")


@dataclass(frozen=True)
class Draft:
    """What stands in a form, and what was wrong with it when it was sent."""

    url: str
    types: tuple[str, ...]
    error: GolubError | None = None
    foreign_host: str = ""  # that the person has agreed to replace
    skip_probe: bool = False
    forward: bool = True  # whom we replace goes on getting everything
    not_forwarded: GolubError | None = None  # why that cannot be

    @property
    def call(self) -> Call | None:
        return self.error.call if isinstance(self.error, ProbeFailed) else None

    @property
    def wants_host(self) -> str:
        """Whom registering would silence; to be agreed to."""
        return str(self.error.fields["host"]) if isinstance(self.error, ForeignSubscription) else ""


@dataclass(frozen=True)
class RelayDraft:
    """An address to forward to that was refused."""

    url: str
    error: GolubError


@dataclass(frozen=True)
class Card:
    """An account on the page. With a `draft` its form is open."""

    account: Account
    webhook: Webhook | None
    traffic: Traffic | None
    draft: Draft | None
    shown_url: str = field(default="")
    relays: tuple[Standing, ...] = ()
    relay_draft: RelayDraft | None = None
    replaced: Replaced | None = None  # older addresses that still open

    @property
    def host(self) -> str:
        return host_of(self.webhook.url) if self.webhook else ""

    @property
    def is_bare(self) -> bool:
        return self.webhook is not None and self.webhook.token_hash is None


@router.get("/admin/webhooks")
async def show(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    edit: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    fresh: bool = False,
    done: str = "",
    account: int = 0,
    host: str = "",
    count: int = 0,
) -> Response:
    """What Avito calls for each account. `edit` opens an account's form, `fresh` with a new
    secret in it."""
    done = done if done in DONE else ""
    if edit and not fresh and (webhook := await parts.subscriptions.find(edit)):
        await reveal(request, parts, by, [webhook])  # its form holds the address
    return await show_page(request, parts, edit=edit, fresh=fresh, done=done, of=account, host=host[:253], count=count)


@router.post("/admin/webhooks/{account_id}")
async def register(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    account_id: RowId,
    url: Annotated[str, Form()] = "",
    types: Annotated[list[str] | None, Form()] = None,
    foreign_host: Annotated[str, Form()] = "",
    skip_probe: Annotated[bool, Form()] = False,
    forward: Annotated[bool, Form()] = False,
) -> Response:
    """Registers, or changes what is registered. A warning brings the form back, with what it warns of."""
    await parts.accounts.get(account_id)
    chosen = types or []
    try:
        if not chosen:
            raise Invalid("Choose at least one kind of event.", field="types")
        existed = await parts.subscriptions.find(account_id)
        change = parts.subscriptions.update if existed else parts.subscriptions.register
        async with _forwarding(parts, account_id, foreign_host, forward, by):
            await change(account_id, url, chosen, replace_foreign=foreign_host or False, skip_probe=skip_probe, by=by)
    except GolubError as error:
        draft = Draft(
            url,
            tuple(chosen),
            error,
            foreign_host,
            skip_probe,
            forward or not foreign_host,
            await why_not(parts, account_id, error),
        )
        return await show_page(request, parts, drafts={account_id: draft}, status=error.status)
    return _back(account_id, "changed" if existed else "registered")


@router.post("/admin/webhooks/{account_id}/again")
async def register_again(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    account_id: RowId,
    foreign_host: Annotated[str, Form()] = "",
    forward: Annotated[bool, Form()] = False,
) -> Response:
    """The same URL once more, after Avito lost it or another service took its place."""
    webhook = await parts.subscriptions.get(account_id)
    url = await parts.subscriptions.url_of(webhook)
    try:
        async with _forwarding(parts, account_id, foreign_host, forward, by):
            await parts.subscriptions.register(
                account_id, url, webhook.types, replace_foreign=foreign_host or False, skip_probe=True, by=by
            )
    except GolubError as error:
        await reveal(request, parts, by, [webhook], back="/admin/webhooks")  # the form holds it
        draft = Draft(
            url,
            tuple(webhook.types),
            error,
            skip_probe=True,
            forward=forward or not foreign_host,
            not_forwarded=await why_not(parts, account_id, error),
        )
        return await show_page(request, parts, drafts={account_id: draft}, status=error.status)
    return _back(account_id, "registered")


@router.post("/admin/webhooks/{account_id}/remove")
async def remove(parts: Given, _: SuperAdmin, by: Doer, account_id: RowId) -> Response:
    """Unsubscribes our own URL; another service's is named and left alone."""
    try:
        listed = await parts.subscriptions.remove(account_id, by=by)
    except NotFound:
        return _back(account_id, "removed")
    return _back(account_id, "removed", listed.foreign_host)


@router.post("/admin/webhooks/{account_id}/close-old")
async def close_old(parts: Given, _: SuperAdmin, by: Doer, account_id: RowId) -> Response:
    """Refuses at once what still comes to an address that was replaced."""
    await parts.subscriptions.secrets.close_replaced(await parts.subscriptions.get(account_id), by)
    return _back(account_id, "old_closed")


@router.post("/admin/webhooks/{account_id}/walk")
async def show_walk(request: Request, parts: Given, _: SuperAdmin, account_id: RowId) -> Response:
    """The guide's step 4, step by step; then the page waits for the first message."""
    found = await walk(parts.subscriptions, parts.store, parts.clock, account_id)
    return render(request, "admin/walk.html", walk=found, webhook=found.webhook, since=parts.clock())


@router.get("/admin/webhooks/{account_id}/first")
async def show_first(request: Request, parts: Given, _: SuperAdmin, account_id: RowId, since: int) -> Response:
    """Asked every two seconds until a delivery has come."""
    webhook = await parts.subscriptions.get(account_id)
    first: Delivery | None = await find_first_since(parts.store, webhook, min(max(since, 0), parts.clock()))
    return render(request, "admin/first.html", webhook=webhook, since=since, first=first)


@router.get("/admin/webhooks/{account_id}/url")
async def show_url(request: Request, parts: Given, _: SuperAdmin, by: Doer, account_id: RowId) -> Response:
    """The whole URL with its secret, for one click."""
    webhook = await parts.subscriptions.get(account_id)
    await reveal(request, parts, by, [webhook])
    return render(request, "admin/url.html", webhook=webhook, url=await parts.subscriptions.url_of(webhook))


@router.get("/admin/webhooks/{account_id}/listed")
async def show_listed(request: Request, parts: Given, _: SuperAdmin, account_id: RowId) -> Response:
    """What Avito calls now for an account without a webhook of ours; apart, because Avito may be slow to say."""
    account = await parts.accounts.get(account_id)
    listed: Listed | None = None
    error: GolubError | None = None
    try:
        listed = await parts.subscriptions.preview(account_id)
    except GolubError as failure:
        error = failure
    return render(request, "admin/listed.html", account=account, listed=listed, error=error)


def _back(account_id: int, done: str, host: str = "") -> Response:
    """After a change the page is read anew, so that a reload repeats nothing."""
    more = f"&host={host}" if host else ""
    return RedirectResponse(f"/admin/webhooks?done={done}&account={account_id}{more}#account-{account_id}", 303)


@asynccontextmanager
async def _forwarding(parts: Parts, account_id: int, host: str, wanted: bool, by: By) -> AsyncGenerator[None]:
    """Where a person has agreed to replace `host`, and wants it to go on getting everything."""
    if not (host and wanted):
        yield
        return
    async with forwarding(parts, account_id, host, by):
        yield


async def show_page(
    request: Request,
    parts: Parts,
    *,
    edit: int = 0,
    fresh: bool = False,
    done: str = "",
    of: int = 0,
    host: str = "",
    count: int = 0,
    drafts: dict[int, Draft] | None = None,
    relay_drafts: dict[int, RelayDraft] | None = None,
    status: int = 200,
) -> Response:
    """The whole page, with forms as they were sent where something was wrong with them."""
    relays = await parts.relays.list_all()
    cards = [
        replace(
            await _card(parts, account, edit, fresh, drafts or {}),
            relays=tuple(relays.get(account.id, ())),
            relay_draft=(relay_drafts or {}).get(account.id),
        )
        for account in await parts.accounts.list()
    ]
    names = {card.account.id: card.account.name for card in cards}
    return render(
        request,
        "admin/webhooks.html",
        status=status,
        cards=cards,
        done=done if of in names or not of else "",
        done_name=names.get(of, ""),
        foreign_left=host,
        count=count,
        settings=parts.settings,
        public_host=host_of(parts.settings.public_url) if parts.settings.public_url else "",
        names=names,
        standings=await Register(parts.store, parts.vault, parts.clock).list(list(names)),
        senders=await allowlist.Register(parts.store, parts.clock).list(list(names)),
        channels=await parts.alerts.channels.list_all(),
    )


async def _card(parts: Parts, account: Account, edit: int, fresh: bool, drafts: dict[int, Draft]) -> Card:
    webhook = account.webhook
    draft = drafts.get(account.id)
    if webhook is None:
        draft = draft or Draft(parts.subscriptions.recommended_url(), DEFAULT_EVENT_TYPES)
        return Card(account, None, None, draft)
    if draft is None and edit == account.id:
        url = parts.subscriptions.recommended_url() if fresh or webhook.token_hash is None else ""
        draft = Draft(url or await parts.subscriptions.url_of(webhook), tuple(webhook.types))
    traffic = await read_traffic(parts.store, webhook, parts.clock())
    replaced = await parts.subscriptions.secrets.replaced(webhook)
    return Card(account, webhook, traffic, draft, webhook.url, replaced=replaced if replaced.count else None)
