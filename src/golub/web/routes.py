"""Every URL on one page. `access.ACCESS` says who may use each; a route that is not there answers 404 to everybody.

The webhook is not here: it is a plain endpoint that stands before all this (`webhook.py`).
"""

from functools import cache

from fastapi import APIRouter, Depends, FastAPI
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from golub.settings import ProcessRole
from golub.web import (
    api_keys,
    bulk,
    care,
    drafts,
    guide,
    health,
    inbox,
    installing,
    notes,
    picking,
    pictures,
    preferences,
    profile,
    proof,
    quick_replies,
    replies,
    reports,
    saved,
    search,
    second_factor,
    sign_in,
    stream,
    thread,
)
from golub.web.admin import (
    account,
    accounts,
    alerts,
    audit,
    automation,
    backups,
    buyers,
    deliveries,
    doctor,
    dry_run,
    labels,
    networks,
    new_chats,
    operator,
    operators,
    relays,
    replays,
    sample,
    signatures,
    start,
    status,
    webhooks,
)
from golub.web.admin import api_keys as all_keys
from golub.web.api import chats, document
from golub.web.api import webhooks as webhooks_api
from golub.web.errors import answer_errors
from golub.web.headers import Envelope
from golub.web.page import Static
from golub.web.parts import Parts
from golub.web.session import guard

LARGEST_BODY = 1 << 20  # bytes; the webhook has its own limit

ROUTERS = (
    health.router,  # /healthz/live, /healthz/ready, /metrics
    preferences.router,  # /preferences
    installing.router,  # /manifest.webmanifest, /worker.js, /offline
    sign_in.router,  # /, /sign-in, /sign-in/code, /sign-out, /setup/…, /enter/…, /password/…
    profile.router,  # /me, /me/password, /me/sessions/…
    api_keys.router,  # /me/api-keys
    second_factor.router,  # /me/second-factor
    proof.router,  # /me/proof
    guide.router,  # /guide
    search.router,  # /inbox/search
    inbox.router,  # /inbox, /inbox/list, /inbox/rows
    thread.router,  # /inbox/{chat_id}, …/thread, …/messages, …/read
    saved.router,  # /inbox/views
    bulk.router,  # /inbox/bulk
    care.router,  # /inbox/…/take, return, hand-over, close, snooze, reopen, labels
    notes.router,  # /inbox/{chat_id}/notes, …/buyer-note, /inbox/notes/…
    replies.router,  # /inbox/…/reply, /inbox/…/pictures, /inbox/outgoing/…, /inbox/messages/…, /inbox/…/block
    reports.router,  # /reports, /reports/…
    drafts.router,  # /inbox/…/draft
    picking.router,  # /inbox/…/quick-replies
    quick_replies.router,  # /quick-replies
    stream.router,  # /stream, /presence
    pictures.router,  # /media/…
    start.router,  # /admin/start
    sample.router,  # /admin/sample
    operators.router,  # /admin/operators
    operator.router,  # /admin/operators/{operator_id}, …/accounts, …/duty
    audit.router,  # /admin/audit
    all_keys.router,  # /admin/api-keys
    labels.router,  # /admin/labels
    dry_run.router,  # /admin/automation/dry-run, before the rules' own pages
    automation.router,  # /admin/automation
    accounts.router,  # /admin/accounts
    account.router,  # /admin/accounts/{account_id}, …/pause, …/resume, …/keys, …/self-repair
    new_chats.router,  # /admin/accounts/…/new-chats
    webhooks.router,  # /admin/webhooks
    signatures.router,  # /admin/webhooks/…/signature
    networks.router,  # /admin/webhooks/…/networks
    status.router,  # /admin/status
    doctor.router,  # /admin/doctor
    alerts.router,  # /admin/alerts
    deliveries.router,  # /admin/deliveries
    replays.router,  # /admin/replays
    relays.router,  # /admin/webhooks/…/relays, /admin/relays
    backups.router,  # /admin/backups
    buyers.router,  # /admin/buyers
    webhooks_api.router,  # /api/admin/webhooks
    chats.router,  # /api/chats
    document.router,  # /api/openapi.json
)


class Site(FastAPI):
    """FastAPI inside our envelope, so that even its own last-resort errors carry our headers."""

    def build_middleware_stack(self) -> ASGIApp:
        return Envelope(super().build_middleware_stack(), self.state.parts.settings)


def build(parts: Parts) -> FastAPI:
    """The pages and the API. Touches no database: it may be built, and answers 503, while that is away.
    A worker shows nobody anything but its health."""
    site = Site(
        routes=_routes(parts.settings.role is ProcessRole.WORKER),
        dependencies=[Depends(guard)],
        openapi_url=None,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
    )
    site.state.parts = parts
    answer_errors(site)
    return site


@cache
def _routes(only_health: bool) -> list[BaseRoute]:
    """The same for every site of this process: what FastAPI works out of a route costs 0.15 s for all of them."""
    pages = APIRouter(dependencies=[Depends(guard)], max_body_size=LARGEST_BODY)
    for router in (health.router,) if only_health else ROUTERS:
        pages.include_router(router)
    return [*pages.routes, Mount("/static", Static())]
