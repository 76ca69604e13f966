"""The condition of an account: its many columns as the one thing that a person should know first.

The only place that decides it; pages have the words (`templates/admin/condition.html`).
"""

from dataclasses import dataclass
from enum import StrEnum

from golub.errors import NOT_PAID
from golub.model.accounts import Account, AccountState, SubscriptionState, Webhook


class Condition(StrEnum):
    FRESH = "fresh"  # just connected, or still without a webhook
    IMPORTING = "importing"
    HEALTHY = "healthy"
    DEGRADED = "degraded"  # messages come late, or replies wait; nothing is lost
    STOLEN = "stolen"
    UNPAID = "unpaid"
    NO_RIGHTS = "no_rights"
    WRONG_KEYS = "wrong_keys"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Standing:
    """`reason` tells kinds of `fresh` (starting, no_webhook) and of `degraded` apart (unreachable, missing, deaf,
    unknown)."""

    condition: Condition
    reason: str = ""


def standing_of(account: Account, webhook: Webhook | None, *, unread_history: int = 0) -> Standing:
    """What hinders most comes first. `unread_history`: chats whose history is still to be read."""
    if account.paused_at is not None:
        return Standing(Condition.PAUSED)
    if account.state == AccountState.WRONG_KEYS:
        return Standing(Condition.WRONG_KEYS)
    if account.state == AccountState.NO_ACCESS:
        return Standing(Condition.UNPAID if account.state_detail == NOT_PAID else Condition.NO_RIGHTS)
    if webhook is not None and webhook.subscription == SubscriptionState.FOREIGN:
        return Standing(Condition.STOLEN)
    if reason := _what_is_late(account, webhook):
        return Standing(Condition.DEGRADED, reason)
    if account.backfill_offset == 0 and account.backfilled_at == 0 and account.swept_at == 0:
        return Standing(Condition.FRESH, "starting")
    if account.backfill_offset is not None or unread_history:
        return Standing(Condition.IMPORTING)
    if webhook is None:
        return Standing(Condition.FRESH, "no_webhook")
    return Standing(Condition.HEALTHY)


def _what_is_late(account: Account, webhook: Webhook | None) -> str:
    if account.state == AccountState.UNREACHABLE:
        return "unreachable"
    if webhook is None:
        return ""
    if webhook.subscription == SubscriptionState.MISSING:
        return "missing"
    if account.deaf_since is not None:
        return "deaf"
    if webhook.subscription == SubscriptionState.UNKNOWN and webhook.last_error_at:
        return "unknown"
    return ""
