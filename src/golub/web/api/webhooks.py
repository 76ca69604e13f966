"""`/api/admin/webhooks`: the guide's API. Statuses, keys and texts are those of the system that the guide was written
for, so that what was built against it goes on working; answers are always JSON.

What it adds: several accounts (`webhooks`, `?account=`), `"replace": true` for another service's place and
`"forward": true` to go on supplying it, and a `warning` where the URL did not answer a try from this machine. A URL
ends in a secret: five minutes after the sign-in, and for an API key always, it is masked, and the answer says so
(`"masked": true`).
"""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, cast

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from golub.audit import By
from golub.clock import Millis
from golub.errors import Invalid, NotFound
from golub.model import DEFAULT_EVENT_TYPES, Account, SubscriptionState, Webhook
from golub.subscription import ForeignSubscription, ProbeFailed
from golub.web.api.shapes import (
    CREATED,
    OK,
    WebhookAsked,
    WebhookChanged,
    WebhookDeleted,
    WebhookRead,
    answers,
    body,
)
from golub.web.parts import Given, Parts
from golub.web.proof import is_proved
from golub.web.revealing import reveal
from golub.web.session import Doer, SuperAdmin
from golub.web.takeover import forwarding

PATH = "/api/admin/webhooks"
NO_SHOPS = {"webhook": None, "error": "No shops with API credentials found"}
CHANGING = (404, 409, 413, 422, 502)

router = APIRouter()


@router.get(PATH, responses=answers(OK, WebhookRead, 404))
async def read(request: Request, parts: Given, _: SuperAdmin, by: Doer, account: str = "") -> JSONResponse:
    """The webhook, or null; with several accounts all of them."""
    accounts, whole = await parts.accounts.list(), is_proved(request)
    if not accounts:
        return JSONResponse(NO_SHOPS, 404)
    if account:
        webhook = _pick(accounts, account).webhook
        if whole:
            await reveal(request, parts, by, [webhook] if webhook else [])
        return JSONResponse({"webhook": await _shown(parts, webhook, whole)})
    hooks = [(one, one.webhook) for one in accounts if one.webhook is not None]
    if whole:
        await reveal(request, parts, by, [hook for _, hook in hooks])
    answer: dict[str, Any] = {"webhook": await _shown(parts, hooks[0][1] if hooks else None, whole)}
    if len(accounts) > 1:
        answer["webhooks"] = [{**await _webhook(parts, hook, whole), "account": _named(one)} for one, hook in hooks]
        answer["accounts"] = [_named(one) for one in accounts]
    return JSONResponse(answer)


@router.post(
    PATH,
    status_code=CREATED,
    responses=answers(CREATED, WebhookChanged, *CHANGING),
    openapi_extra=body(WebhookAsked),
)
async def create(request: Request, parts: Given, _: SuperAdmin, by: Doer, account: str = "") -> JSONResponse:
    """Registers `{"url", "types"}`; `"replace": true` takes another service's place, `"forward": true` with it
    forwards everything to that service."""
    return await _change(request, parts, by, account, new=True)


@router.put(PATH, responses=answers(OK, WebhookChanged, *CHANGING), openapi_extra=body(WebhookAsked))
async def change(request: Request, parts: Given, _: SuperAdmin, by: Doer, account: str = "") -> JSONResponse:
    """Changes `url`, `types` or both."""
    return await _change(request, parts, by, account, new=False)


@router.delete(PATH, responses=answers(OK, WebhookDeleted, 404, 409, 502))
async def delete(parts: Given, _: SuperAdmin, by: Doer, account: str = "") -> JSONResponse:
    """Unsubscribes; another service's URL is left alone."""
    found = await _account(parts, account)
    if isinstance(found, JSONResponse):
        return found
    listed = await parts.subscriptions.remove(found.id, by=by)
    left = {"foreign_host": listed.foreign_host} if listed.foreign else {}
    return JSONResponse({"success": True, "message": "Webhook deleted successfully", **left})


async def _change(request: Request, parts: Parts, by: By, account: str, *, new: bool) -> JSONResponse:
    asked = await _body(request)
    url, types = _url(asked, parts, needed=new), _types(asked)
    found = await _account(parts, account)
    if isinstance(found, JSONResponse):
        return found
    replace = asked.get("replace") is True

    async def register(*, skip_probe: bool) -> Webhook:
        supplied = forwarding(parts, found.id, None, by) if replace and asked.get("forward") is True else nullcontext()
        async with supplied:
            if new:
                chosen = DEFAULT_EVENT_TYPES if types is None else types
                return await parts.subscriptions.register(
                    found.id, url or "", chosen, replace_foreign=replace, skip_probe=skip_probe, by=by
                )
            return await parts.subscriptions.update(
                found.id, url, types, replace_foreign=replace, skip_probe=skip_probe, by=by
            )

    warning: dict[str, str] = {}
    try:
        try:
            webhook = await register(skip_probe=False)
        except ProbeFailed as error:  # nobody is here to be asked: an honest server behind NAT must get through
            webhook, warning = await register(skip_probe=True), {"warning": str(error)}
    except ForeignSubscription as error:
        host = error.fields["host"]
        return JSONResponse({"error": str(error), "code": error.code, "foreign_host": host}, error.status)
    shown = await _shown(parts, webhook, url is not None or is_proved(request))
    return JSONResponse({"success": True, "webhook": shown, **warning}, 201 if new else 200)


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        asked = json.loads(raw) if raw.strip() else None
    except (ValueError, RecursionError):
        raise Invalid("The body is not valid JSON", code="not_json") from None
    if not asked:
        raise Invalid("No data provided")
    if not isinstance(asked, dict):
        raise _unprocessable("The body must be a JSON object")
    return cast("dict[str, Any]", asked)


def _url(asked: dict[str, Any], parts: Parts, *, needed: bool) -> str | None:
    url = asked.get("url")
    if url in (None, ""):
        if needed or "url" in asked:
            raise Invalid("URL is required", field="url")
        return None
    if not isinstance(url, str):
        raise _unprocessable("URL must be a string", "url")
    if not url.strip().startswith(("https://", "http://") if parts.settings.allow_loopback_webhook else "https://"):
        raise Invalid("URL must start with https://", field="url")
    return parts.subscriptions.check_shape(url)


def _types(asked: dict[str, Any]) -> list[str] | None:
    """None: as they are, or the default. What is in the list is checked where webhooks are registered."""
    if "types" not in asked:
        return None
    types = asked["types"]
    if not isinstance(types, list) or not types:
        raise Invalid("Types must be a non-empty list", field="types")
    return cast("list[str]", types)


async def _account(parts: Parts, wanted: str) -> Account | JSONResponse:
    """The account that is meant. Never "the first": a change to the wrong shop silences it."""
    accounts = await parts.accounts.list()
    if not accounts:
        return JSONResponse(NO_SHOPS, 404)
    if wanted:
        return _pick(accounts, wanted)
    if len(accounts) > 1:
        named = [_named(account) for account in accounts]
        return JSONResponse(
            {"error": "There are several accounts: add ?account= with an id or a user_id", "accounts": named}, 400
        )
    return accounts[0]


def _pick(accounts: Sequence[Account], wanted: str) -> Account:
    by_user_id = [account for account in accounts if str(account.user_id) == wanted]
    by_id = [account for account in accounts if str(account.id) == wanted]
    for account in by_user_id + by_id:
        return account
    raise NotFound("There is no such account")


def _named(account: Account) -> dict[str, Any]:
    return {"id": account.id, "user_id": account.user_id, "name": account.name}


async def _shown(parts: Parts, webhook: Webhook | None, whole: bool) -> dict[str, Any] | None:
    return None if webhook is None else await _webhook(parts, webhook, whole)


async def _webhook(parts: Parts, webhook: Webhook, whole: bool) -> dict[str, Any]:
    whole = whole or webhook.token_hash is None
    return {
        "id": webhook.id,
        "url": await parts.subscriptions.url_of(webhook) if whole else webhook.url,
        **({} if whole else {"masked": True}),
        "types": webhook.types,
        "active": webhook.subscription == SubscriptionState.ACTIVE,
        "created_at": _iso(webhook.created_at),
        "updated_at": _iso(webhook.updated_at),
    }


def _iso(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _unprocessable(message: str, field: str = "") -> Invalid:
    error = Invalid(message, field=field)
    error.status = 422
    return error
