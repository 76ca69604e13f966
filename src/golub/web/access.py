"""Who may use which URL, and which of them an API key opens. What is not here is refused to everybody, so a new route
must be thought about first."""

import re
from enum import StrEnum
from urllib.parse import urlsplit

from golub.model import Operator, Role, Scope


class Anyone(StrEnum):
    """Not a role: the page is for people who have not signed in (yet)."""

    ANYONE = "anyone"


class AnyKey(StrEnum):
    """Not a scope: whatever key an operator has opens it."""

    ANY_KEY = "any key"


ANYONE = Anyone.ANYONE
ANY_KEY = AnyKey.ANY_KEY

# By the path as the route writes it; all its methods alike.
ACCESS: dict[str, Role | Anyone] = {
    "/": ANYONE,
    "/healthz/live": ANYONE,
    "/healthz/ready": ANYONE,
    "/metrics": ANYONE,  # guards itself: loopback or a token
    "/manifest.webmanifest": ANYONE,
    "/worker.js": ANYONE,
    "/offline": ANYONE,
    "/preferences": ANYONE,
    "/sign-in": ANYONE,
    "/sign-in/code": ANYONE,  # whose browser has given the right password
    "/sign-out": ANYONE,
    "/setup/{secret}": ANYONE,
    "/enter/{secret}": ANYONE,
    "/password/{secret}": ANYONE,
    "/me": Role.MANAGER,
    "/me/password": Role.MANAGER,
    "/me/sessions/end": Role.MANAGER,
    "/me/sessions/{handle}/end": Role.MANAGER,
    "/me/second-factor": Role.MANAGER,
    "/me/second-factor/confirm": Role.MANAGER,
    "/me/second-factor/codes": Role.MANAGER,
    "/me/second-factor/off": Role.MANAGER,
    "/me/proof": Role.MANAGER,
    "/me/api-keys": Role.MANAGER,
    "/me/api-keys/{key_id}/revoke": Role.MANAGER,
    "/guide": Role.MANAGER,
    "/inbox": Role.MANAGER,
    "/inbox/search": Role.MANAGER,
    "/inbox/list": Role.MANAGER,
    "/inbox/rows": Role.MANAGER,
    "/inbox/{chat_id}": Role.MANAGER,
    "/inbox/{chat_id}/thread": Role.MANAGER,
    "/inbox/{chat_id}/messages": Role.MANAGER,
    "/inbox/{chat_id}/reply": Role.MANAGER,
    "/inbox/{chat_id}/read": Role.MANAGER,
    "/inbox/{chat_id}/pictures": Role.MANAGER,
    "/inbox/views": Role.MANAGER,
    "/inbox/bulk": Role.MANAGER,
    "/inbox/views/{saved_id}/remove": Role.MANAGER,
    "/inbox/{chat_id}/take": Role.MANAGER,
    "/inbox/{chat_id}/return": Role.MANAGER,
    "/inbox/{chat_id}/hand-over": Role.MANAGER,  # from another operator's hands: an admin's
    "/inbox/{chat_id}/close": Role.MANAGER,
    "/inbox/{chat_id}/snooze": Role.MANAGER,
    "/inbox/{chat_id}/reopen": Role.MANAGER,
    "/inbox/{chat_id}/labels": Role.MANAGER,
    "/inbox/{chat_id}/draft": Role.MANAGER,
    "/inbox/{chat_id}/draft/other": Role.MANAGER,
    "/inbox/{chat_id}/quick-replies": Role.MANAGER,
    "/inbox/{chat_id}/quick-replies/{quick_id}": Role.MANAGER,
    "/inbox/{chat_id}/block": Role.ADMIN,
    "/inbox/{chat_id}/notes": Role.MANAGER,
    "/inbox/{chat_id}/buyer-note": Role.MANAGER,
    "/inbox/notes/{note_id}": Role.MANAGER,
    "/inbox/notes/{note_id}/remove": Role.MANAGER,
    "/inbox/pictures/{name}": Role.MANAGER,
    "/inbox/messages/{message_id}/delete": Role.MANAGER,
    "/inbox/outgoing/{outgoing_id}/retry": Role.MANAGER,
    "/inbox/outgoing/{outgoing_id}/discard": Role.MANAGER,
    "/quick-replies": Role.MANAGER,
    "/quick-replies/new": Role.MANAGER,
    "/quick-replies/pictures": Role.MANAGER,
    "/quick-replies/pictures/{picture_id}": Role.MANAGER,
    "/quick-replies/{quick_id}": Role.MANAGER,
    "/quick-replies/{quick_id}/remove": Role.MANAGER,
    "/media/{signature}/voice/{message_id}": Role.MANAGER,
    "/media/{signature}/{kind}/{row}/{size}": Role.MANAGER,
    "/reports": Role.MANAGER,
    "/reports/chats": Role.MANAGER,
    "/reports/waiting": Role.MANAGER,
    "/reports/csv/{figure}": Role.MANAGER,
    "/reports/target": Role.SUPER_ADMIN,
    "/stream": Role.MANAGER,
    "/presence": Role.MANAGER,
    "/admin/start": Role.ADMIN,
    "/admin/start/steps": Role.ADMIN,
    "/admin/start/link": Role.ADMIN,
    "/admin/start/look": Role.ADMIN,
    "/admin/start/account": Role.ADMIN,
    "/admin/start/webhook/{account_id}": Role.SUPER_ADMIN,
    "/admin/start/later": Role.ADMIN,
    "/admin/sample": Role.ADMIN,
    "/admin/sample/remove": Role.ADMIN,
    "/admin/operators": Role.ADMIN,
    "/admin/operators/{operator_id}": Role.ADMIN,
    "/admin/operators/{operator_id}/link": Role.ADMIN,
    "/admin/operators/{operator_id}/second-factor": Role.ADMIN,  # an admin's: a super_admin's alone
    "/admin/operators/{operator_id}/accounts": Role.ADMIN,
    "/admin/operators/{operator_id}/duty": Role.ADMIN,
    "/admin/audit": Role.SUPER_ADMIN,
    "/admin/api-keys": Role.SUPER_ADMIN,
    "/admin/api-keys/{key_id}/revoke": Role.SUPER_ADMIN,
    "/admin/labels": Role.ADMIN,
    "/admin/labels/{label_id}": Role.ADMIN,
    "/admin/labels/{label_id}/remove": Role.ADMIN,
    "/admin/accounts": Role.ADMIN,
    "/admin/accounts/{account_id}": Role.ADMIN,
    "/admin/accounts/{account_id}/remove": Role.ADMIN,
    "/admin/accounts/{account_id}/history": Role.ADMIN,
    "/admin/accounts/{account_id}/new-chats": Role.ADMIN,
    "/admin/deliveries": Role.ADMIN,
    "/admin/deliveries/quarantined": Role.ADMIN,
    "/admin/deliveries/newer": Role.ADMIN,
    "/admin/deliveries/{delivery_id}": Role.ADMIN,
    "/admin/deliveries/{delivery_id}/body": Role.ADMIN,
    "/admin/deliveries/{delivery_id}/replay": Role.ADMIN,
    "/admin/deliveries/{delivery_id}/discard": Role.ADMIN,
    "/admin/replays": Role.ADMIN,
    "/admin/replays/{replay_id}": Role.ADMIN,
    "/admin/replays/{replay_id}/stop": Role.ADMIN,
    "/admin/replays/{replay_id}/resume": Role.ADMIN,
    "/admin/accounts/{account_id}/pause": Role.ADMIN,
    "/admin/accounts/{account_id}/resume": Role.ADMIN,
    "/admin/accounts/{account_id}/keys": Role.ADMIN,
    "/admin/accounts/{account_id}/self-repair": Role.SUPER_ADMIN,
    "/admin/webhooks": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/again": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/remove": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/close-old": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/walk": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/first": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/url": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/listed": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/relays": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/signature": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/signature/demand": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/signature/mode": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/signature/secrets": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/signature/secrets/{secret_id}/remove": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/networks": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/networks/list": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/networks/enforce": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/networks/mode": Role.SUPER_ADMIN,
    "/admin/webhooks/{account_id}/networks/anew": Role.SUPER_ADMIN,
    "/admin/relays/{relay_id}/pause": Role.SUPER_ADMIN,
    "/admin/relays/{relay_id}/resume": Role.SUPER_ADMIN,
    "/admin/relays/{relay_id}/remove": Role.SUPER_ADMIN,
    "/admin/relays/{relay_id}/replay": Role.SUPER_ADMIN,
    "/admin/relays/{relay_id}/given-up": Role.SUPER_ADMIN,
    "/admin/automation": Role.ADMIN,
    "/admin/automation/new": Role.ADMIN,
    "/admin/automation/log": Role.ADMIN,
    "/admin/automation/dry-run": Role.ADMIN,
    "/admin/automation/pictures/{picture_id}": Role.ADMIN,
    "/admin/automation/{rule_id}": Role.ADMIN,
    "/admin/automation/{rule_id}/switch": Role.ADMIN,
    "/admin/automation/{rule_id}/remove": Role.ADMIN,
    "/admin/doctor": Role.ADMIN,
    "/admin/doctor/findings": Role.ADMIN,
    "/admin/doctor/bundle": Role.ADMIN,
    "/admin/status": Role.ADMIN,
    "/admin/status/now": Role.ADMIN,
    "/admin/status/badge": Role.ADMIN,
    "/admin/alerts": Role.SUPER_ADMIN,
    "/admin/alerts/channels/{kind}": Role.SUPER_ADMIN,
    "/admin/alerts/channels/{kind}/remove": Role.SUPER_ADMIN,
    "/admin/alerts/channels/{kind}/test": Role.SUPER_ADMIN,
    "/admin/alerts/rules": Role.SUPER_ADMIN,
    "/admin/backups": Role.ADMIN,
    "/admin/backups/progress": Role.ADMIN,
    "/admin/buyers": Role.SUPER_ADMIN,
    "/admin/buyers/erasures/{erasure_id}": Role.SUPER_ADMIN,
    "/admin/buyers/erasures/{erasure_id}/stop": Role.SUPER_ADMIN,
    "/admin/buyers/erasures/{erasure_id}/resume": Role.SUPER_ADMIN,
    "/admin/buyers/{chat_id}": Role.SUPER_ADMIN,
    "/admin/buyers/{chat_id}/export": Role.SUPER_ADMIN,
    "/admin/buyers/{chat_id}/erase": Role.SUPER_ADMIN,
    "/api/openapi.json": Role.MANAGER,
    "/api/chats": Role.MANAGER,
    "/api/chats/{chat_id}/messages": Role.MANAGER,
    "/api/admin/webhooks": Role.SUPER_ADMIN,
}

# What a key must have for a method and path of the API, beside its operator's role. Keys open nothing else.
SCOPES: dict[tuple[str, str], Scope | AnyKey] = {
    ("GET", "/api/openapi.json"): ANY_KEY,
    ("GET", "/api/chats"): Scope.CHATS_READ,
    ("GET", "/api/chats/{chat_id}/messages"): Scope.CHATS_READ,
    ("POST", "/api/chats/{chat_id}/messages"): Scope.MESSAGES_WRITE,
    ("GET", "/api/admin/webhooks"): Scope.WEBHOOKS_READ,
    ("POST", "/api/admin/webhooks"): Scope.WEBHOOKS_WRITE,
    ("PUT", "/api/admin/webhooks"): Scope.WEBHOOKS_WRITE,
    ("DELETE", "/api/admin/webhooks"): Scope.WEBHOOKS_WRITE,
}

# Answered without a look into the database, and while nothing else is.
UNGUARDED = frozenset(
    {"/healthz/live", "/healthz/ready", "/metrics", "/manifest.webmanifest", "/worker.js", "/offline"}
)


def may_open(operator: Operator, page: str) -> bool:
    """Whether a link to this page of ours is of use to the operator. Accounts' pages have a number in their path."""
    path = re.sub(r"^/admin/accounts/\d+$", "/admin/accounts/{account_id}", urlsplit(page).path)
    needed = ACCESS.get(path)
    return isinstance(needed, Role) and Role(operator.role).covers(needed)
