"""An entry of the audit in words: only what an action changed, each thing with its name."""

import json

from golub.audit import Action
from golub.model import AuditEntry
from golub.web.audited import Value, changes_of


def test_what_is_empty_on_both_sides_or_stayed_is_not_told() -> None:
    before = {"url": "https://a.example/••••", "types": ["message"], "role": "admin"}
    after = {"url": "https://a.example/••••", "types": ["message", "chat"], "role": "manager", "instead_of": ""}
    entry = AuditEntry(action=Action.WEBHOOK_REGISTERED, before=json.dumps(before), after=json.dumps(after))
    assert {change.field: (change.before, change.after) for change in changes_of(entry)} == {
        "events": (Value(text="message"), Value(text="message, chat")),
        "role": (Value(word="Administrator"), Value(word="Manager")),
    }
