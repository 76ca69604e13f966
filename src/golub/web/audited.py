"""The audit in words: a sentence for each action, a name for each thing that changed.

The audit's page relies on it. Texts are the catalogue's English keys; a test leaves no action without words.
"""

import json
from dataclasses import dataclass
from typing import Any, cast

from golub.audit import CONSOLE, Action
from golub.model import AuditEntry
from golub.web.language import N_

SENTENCES: dict[Action, str] = {
    Action.SIGNED_IN: N_("Signed in"),
    Action.SIGN_IN_FAILED: N_("A sign-in as {subject} failed"),
    Action.SIGNED_OUT: N_("Signed out"),
    Action.SET_UP: N_("Golub was set up, with {subject} as its super administrator"),
    Action.LINK_MADE: N_("A one-time link was made for {subject}"),
    Action.PASSWORD_SET: N_("A new password was set for {subject}"),
    Action.SESSIONS_ENDED: N_("Sessions of {subject} were ended from another browser"),
    Action.SECOND_FACTOR_ON: N_("{subject} set up a second factor"),
    Action.SECOND_FACTOR_OFF: N_("The second factor of {subject} was turned off"),
    Action.RECOVERY_CODES_MADE: N_("{subject} got new recovery codes"),
    Action.RECOVERY_CODE_USED: N_("{subject} used a recovery code"),
    Action.API_KEY_MADE: N_("{subject} made an API key"),
    Action.API_KEY_REVOKED: N_("An API key of {subject} was revoked"),
    Action.OPERATOR_ADDED: N_("Operator {subject} was added"),
    Action.OPERATOR_CHANGED: N_("Operator {subject} was changed"),
    Action.ACCOUNT_CONNECTED: N_("Account “{subject}” was connected"),
    Action.ACCOUNT_RENAMED: N_("Account “{subject}” got another name or colour"),
    Action.ACCOUNT_REMOVED: N_("Account “{subject}” was removed"),
    Action.ACCOUNT_PAUSED: N_("Account “{subject}” was paused"),
    Action.ACCOUNT_RESUMED: N_("Account “{subject}” was resumed"),
    Action.ACCOUNT_CHATS_CHANGED: N_("Account “{subject}” gives new chats in another way"),
    Action.KEYS_CHANGED: N_("Account “{subject}” got new keys"),
    Action.SAMPLE_LOADED: N_("The sample shop was loaded"),
    Action.SAMPLE_REMOVED: N_("The sample shop was removed"),
    Action.WEBHOOK_REGISTERED: N_("The webhook of “{subject}” was registered"),
    Action.WEBHOOK_UNCHANGED: N_("Avito did not take the change of the webhook of “{subject}”"),
    Action.WEBHOOK_CHANGED: N_("The webhook of “{subject}” got other events"),
    Action.WEBHOOK_REMOVED: N_("The webhook of “{subject}” was removed"),
    Action.OLD_ADDRESS_CLOSED: N_("The old webhook address of “{subject}” was closed"),
    Action.SECRET_REVEALED: N_("The whole webhook address of “{subject}” was shown"),
    Action.SELF_REPAIR_CHANGED: N_("Self-repair of “{subject}” was switched"),
    Action.SIGNATURE_MODE_CHANGED: N_("What is demanded of the signatures of “{subject}” was changed"),
    Action.SIGNATURE_SECRET_ADDED: N_("A secret for the signatures of “{subject}” was added"),
    Action.SIGNATURE_SECRET_REMOVED: N_("A secret for the signatures of “{subject}” was removed"),
    Action.ALLOW_LIST_CHANGED: N_("The networks that “{subject}” takes deliveries from were changed"),
    Action.ALLOW_LIST_COUNTED_ANEW: N_("The networks of “{subject}” are counted anew"),
    Action.RELAY_ADDED: N_("Forwarding to {subject} was added"),
    Action.RELAY_PAUSED: N_("Forwarding to {subject} was paused"),
    Action.RELAY_RESUMED: N_("Forwarding to {subject} was resumed"),
    Action.RELAY_REMOVED: N_("Forwarding to {subject} was removed"),
    Action.RELAY_REPLAYED: N_("Deliveries were forwarded to {subject} again"),
    Action.RULE_ADDED: N_("A rule of the automation was made: {subject}"),
    Action.RULE_CHANGED: N_("A rule of the automation was changed: {subject}"),
    Action.RULE_REMOVED: N_("A rule of the automation was removed: {subject}"),
    Action.ALERT_TESTED: N_("A test alert was sent: {subject}"),
    Action.REPLAYED: N_("Applied again: {subject}"),
    Action.DISCARDED: N_("Discarded: {subject}"),
    Action.EXPORTED: N_("Data were exported: {subject}"),
    Action.BUYER_EXPORTED: N_("A buyer's data were exported: {subject}"),
    Action.BUYER_ERASED: N_("A buyer's data are erased: {subject}"),
    Action.SECRET_KEY_CHANGED: N_("The key that seals the secrets was changed"),
    Action.BACKED_UP: N_("A backup was made: {subject}"),
    Action.RESTORED: N_("Golub was restored from a backup: {subject}"),
    Action.MOVED: N_("The database moved to {subject}"),
    Action.LABEL_ADDED: N_("Label “{subject}” was made"),
    Action.LABEL_CHANGED: N_("Label “{subject}” was changed"),
    Action.LABEL_REMOVED: N_("Label “{subject}” was removed"),
    Action.QUICK_REPLY_ADDED: N_("Quick reply “{subject}” was written for everybody"),
    Action.QUICK_REPLY_CHANGED: N_("Quick reply “{subject}” was changed"),
    Action.QUICK_REPLY_REMOVED: N_("Quick reply “{subject}” was removed"),
    Action.SETTINGS_CHANGED: N_("Settings were changed: {subject}"),
    Action.AUDIT_CUT: N_("Old entries of this audit were removed: their time was over"),
}

_UNKNOWN_LOGIN = N_("A sign-in with an unknown login failed")
_FURTHER = N_("Further sign-ins failed")


def _named(beginning: str) -> tuple[Action, ...]:
    return tuple(action for action in Action if action.startswith(beginning))


GROUPS: dict[str, tuple[str, tuple[Action, ...]]] = {
    "sign-in": (
        N_("Signing in"),
        (
            Action.SIGNED_IN,
            Action.SIGN_IN_FAILED,
            Action.SIGNED_OUT,
            Action.SESSIONS_ENDED,
            *_named("second_factor_"),
            *_named("recovery_code"),
            *_named("api_key_"),
        ),
    ),
    "operators": (
        N_("Operators"),
        (Action.SET_UP, Action.LINK_MADE, Action.PASSWORD_SET, Action.OPERATOR_ADDED, Action.OPERATOR_CHANGED),
    ),
    "accounts": (
        N_("Accounts"),
        (*_named("account_"), Action.KEYS_CHANGED, *_named("sample_")),
    ),
    "webhooks": (
        N_("Webhooks"),
        (
            *_named("webhook_"),
            Action.OLD_ADDRESS_CLOSED,
            Action.SECRET_REVEALED,
            Action.SELF_REPAIR_CHANGED,
            *_named("signature_"),
            *_named("allow_list_"),
        ),
    ),
    "relays": (N_("Forwarding"), _named("relay_")),
    "rules": (N_("Automation"), _named("rule_")),
    "journal": (N_("Journal"), (Action.REPLAYED, Action.DISCARDED)),
    "data": (
        N_("Backups and exports"),
        (
            *(Action.SECRET_KEY_CHANGED, Action.BACKED_UP, Action.RESTORED, Action.MOVED),
            *(Action.EXPORTED, Action.AUDIT_CUT, *_named("buyer_")),
        ),
    ),
    "words": (N_("Labels and quick replies"), (*_named("label_"), *_named("quick_reply_"))),
    "settings": (N_("Settings and alerts"), (Action.SETTINGS_CHANGED, Action.ALERT_TESTED)),
}

FIELDS: dict[str, str] = {
    "role": N_("role"),
    "name": N_("name"),
    "colour": N_("colour"),
    "active": N_("may sign in"),
    "for": N_("what for"),
    "more": N_("and as many further ones"),
    "sessions": N_("sessions"),
    "left": N_("recovery codes left"),
    "client_id": N_("client id"),
    "user_id": N_("number at Avito"),
    "url": N_("address"),
    "types": N_("events"),
    "instead_of": N_("instead of"),
    "allowed": N_("allowed"),
    "reason": N_("reason"),
    "state": N_("state"),
    "deliveries": N_("deliveries"),
    "since": N_("since"),
    "entries": N_("entries"),
    "accounts": N_("accounts"),
    "days": N_("days"),
    "hours": N_("hours"),
    "new_chats": N_("new chats"),
    "zone": N_("time zone"),
    "chat_limit": N_("limit of open chats"),
    "texts": N_("texts"),
    "photos": N_("photos"),
    "account": N_("account"),
    "item": N_("item"),
    "everybody": N_("for everybody"),
    "chats": N_("chats"),
    "switched_on": N_("switched on"),
    "text": N_("words"),
    "holidays": N_("days on which nobody works"),
    "minutes": N_("minutes"),
    "mode": N_("mode"),
    "networks": N_("networks"),
    "scheme": N_("scheme"),
    "header": N_("header"),
    "messages": N_("messages"),
    "key": N_("key"),
    "sealed": N_("secrets sealed anew"),
    "lost": N_("secrets that nobody can open"),
    "scopes": N_("scopes"),
    "api_key": N_("by API key"),
}

_WORDS: dict[tuple[str, str], str] = {
    ("role", "manager"): N_("Manager"),
    ("role", "admin"): N_("Administrator"),
    ("role", "super_admin"): N_("Super administrator"),
    ("for", "password"): N_("a new password"),
    ("for", "sign_in"): N_("signing in"),
    ("accounts", "every"): N_("every account"),
    ("mode", "off"): N_("off"),
    ("mode", "observe"): N_("observed"),
    ("mode", "flag"): N_("marked"),
    ("mode", "enforce"): N_("demanded"),
    ("new_chats", "pool"): N_("to nobody"),
    ("new_chats", "in_turn"): N_("in turn"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """`text` is shown as it is; `word` is a text of the catalogue; `at` a time."""

    text: str = ""
    word: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    field: str  # of the catalogue where it is known
    before: Value | None
    after: Value | None


def sentence_of(entry: AuditEntry) -> str:
    """To be filled with `subject`."""
    if entry.action == Action.SIGN_IN_FAILED and not entry.subject:
        return _UNKNOWN_LOGIN if entry.address else _FURTHER
    return SENTENCES.get(Action(entry.action), entry.action) if entry.action in set(Action) else entry.action


def doer_of(entry: AuditEntry) -> str:
    """Who it was, where it was no operator."""
    if entry.operator_id is not None:
        return ""
    if entry.address == CONSOLE.address:
        return N_("Command line")
    return N_("Unknown") if entry.address else N_("Golub itself")


def changes_of(entry: AuditEntry) -> list[Change]:
    """What the entry says beside its sentence; what stayed as it was is left out."""
    before, after = _read(entry.before), _read(entry.after)
    told = [
        Change(FIELDS.get(name, name), _value(name, before.get(name)), _value(name, after.get(name)))
        for name in dict.fromkeys((*before, *after))
    ]
    return [change for change in told if change.before != change.after]


def _read(text: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(text)) if text else {}


def _value(name: str, value: Any) -> Value | None:
    if value is None or value in ("", []):
        return None
    if isinstance(value, bool):
        return Value(word=N_("yes") if value else N_("no"))
    if name == "since" and isinstance(value, int):
        return Value(at=value)
    if word := _WORDS.get((name, str(value))):
        return Value(word=word)
    return Value(text=", ".join(map(str, cast(list[Any], value))) if isinstance(value, list) else str(value))
