"""The kinds of trouble that a person is told of, and for each the page that mends it."""

from enum import StrEnum
from typing import NamedTuple


class AlertKind(StrEnum):
    """In the order in which a page shows them: what loses or hides messages comes first."""

    DISK_FULL = "disk_full"
    SPOOL_FILLS = "spool_fills"
    APPLY_STOPPED = "apply_stopped"
    SPOOL_STUCK = "spool_stuck"
    DATABASE_AWAY = "database_away"
    WORKER_AWAY = "worker_away"
    SUBSCRIPTION_STOLEN = "subscription_stolen"
    SUBSCRIPTION_MISSING = "subscription_missing"
    WEBHOOK_SILENT = "webhook_silent"
    REPAIR_RESTS = "repair_rests"
    WRONG_KEYS = "wrong_keys"
    NO_ACCESS = "no_access"
    AVITO_UNREACHABLE = "avito_unreachable"
    OUTBOX_WAITS = "outbox_waits"
    QUARANTINE_GROWS = "quarantine_grows"
    BAD_SIGNATURE = "bad_signature"
    IP_NOT_ALLOWED = "ip_not_allowed"
    RELAY_FAILING = "relay_failing"
    COVERAGE_LOW = "coverage_low"
    LOOP_STUCK = "loop_stuck"
    DISK_LOW = "disk_low"
    BACKUP_OLD = "backup_old"
    TEST = "test"


class Way(NamedTuple):
    """Where it is mended. `path` may have a place for `{account}`; `label` is a key of the catalogue, for a button."""

    path: str
    label: str


URGENT = frozenset(
    {
        AlertKind.DISK_FULL,
        AlertKind.SPOOL_FILLS,
        AlertKind.APPLY_STOPPED,
        AlertKind.SPOOL_STUCK,
        AlertKind.DATABASE_AWAY,
        AlertKind.WORKER_AWAY,
        AlertKind.SUBSCRIPTION_STOLEN,
        AlertKind.SUBSCRIPTION_MISSING,
        AlertKind.WEBHOOK_SILENT,
        AlertKind.BAD_SIGNATURE,
        AlertKind.IP_NOT_ALLOWED,
    }
)
"""Told in the quiet hours too: messages are late or will soon be refused, and every hour makes it worse."""

_DOCTOR = Way("/admin/doctor", "Ask the doctor")
_WEBHOOK = "/admin/webhooks#account-{account}"
_ACCOUNT = "/admin/accounts/{account}"

WAYS: dict[AlertKind, Way] = {
    AlertKind.DISK_FULL: _DOCTOR,
    AlertKind.SPOOL_FILLS: _DOCTOR,
    AlertKind.APPLY_STOPPED: _DOCTOR,
    AlertKind.SPOOL_STUCK: _DOCTOR,
    AlertKind.DATABASE_AWAY: _DOCTOR,
    AlertKind.WORKER_AWAY: _DOCTOR,
    AlertKind.SUBSCRIPTION_STOLEN: Way(_ACCOUNT, "Decide who stays"),
    AlertKind.SUBSCRIPTION_MISSING: Way(_ACCOUNT, "Register again"),
    AlertKind.WEBHOOK_SILENT: Way(_WEBHOOK, "Check the address"),
    AlertKind.REPAIR_RESTS: Way(_ACCOUNT, "Decide who stays"),
    AlertKind.WRONG_KEYS: Way(_ACCOUNT + "#keys", "Enter new keys"),
    AlertKind.NO_ACCESS: Way(_ACCOUNT, "See the account"),
    AlertKind.AVITO_UNREACHABLE: Way(_ACCOUNT, "See the account"),
    AlertKind.OUTBOX_WAITS: Way("/inbox", "Open the inbox"),
    AlertKind.QUARANTINE_GROWS: Way("/admin/deliveries?state=quarantined", "See the causes"),
    AlertKind.BAD_SIGNATURE: Way("/admin/webhooks/{account}/signature", "See the signature"),
    AlertKind.IP_NOT_ALLOWED: Way("/admin/webhooks/{account}/networks", "See the networks"),
    AlertKind.RELAY_FAILING: Way("/admin/webhooks#relays-{account}", "See the forwarding"),
    AlertKind.COVERAGE_LOW: Way(_ACCOUNT + "#coverage-title", "See what was missed"),
    AlertKind.LOOP_STUCK: _DOCTOR,
    AlertKind.DISK_LOW: _DOCTOR,
    AlertKind.BACKUP_OLD: Way("/admin/backups", "To the backups"),
    AlertKind.TEST: Way("/admin/alerts", "Alerts"),
}


def path_of(kind: AlertKind, account_id: int) -> str:
    """Of the page that mends it."""
    return WAYS[kind].path.format(account=account_id)
