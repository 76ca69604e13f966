"""The audit: who did what to Golub itself. Rows are only ever added (triggers refuse the rest), each chained to the
one before it; `golub.audit` writes and verifies them."""

from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table


class Action(StrEnum):
    """`subject` names what it was done to: a login, an account's name, a host, a count."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"  # see `throttle`: strangers cannot fill the table
    SIGNED_OUT = "signed_out"
    SET_UP = "set_up"
    LINK_MADE = "link_made"  # a one-time link that signs in or sets a password
    PASSWORD_SET = "password_set"  # noqa: S105
    SESSIONS_ENDED = "sessions_ended"  # from elsewhere; `subject` is whose
    SECOND_FACTOR_ON = "second_factor_on"
    SECOND_FACTOR_OFF = "second_factor_off"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    API_KEY_MADE = "api_key_made"
    API_KEY_REVOKED = "api_key_revoked"
    OPERATOR_ADDED = "operator_added"
    OPERATOR_CHANGED = "operator_changed"  # name, role, whether let in, accounts, working hours
    ACCOUNT_CONNECTED = "account_connected"
    ACCOUNT_RENAMED = "account_renamed"
    ACCOUNT_REMOVED = "account_removed"
    ACCOUNT_PAUSED = "account_paused"
    ACCOUNT_RESUMED = "account_resumed"
    ACCOUNT_CHATS_CHANGED = "account_chats_changed"  # who gets new ones
    KEYS_CHANGED = "keys_changed"
    SAMPLE_LOADED = "sample_loaded"
    SAMPLE_REMOVED = "sample_removed"
    WEBHOOK_REGISTERED = "webhook_registered"  # written before Avito is told
    WEBHOOK_UNCHANGED = "webhook_unchanged"  # what was written before came to nothing
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_REMOVED = "webhook_removed"
    OLD_ADDRESS_CLOSED = "old_address_closed"
    SECRET_REVEALED = "secret_revealed"  # noqa: S105
    SELF_REPAIR_CHANGED = "self_repair_changed"
    SIGNATURE_MODE_CHANGED = "signature_mode_changed"
    SIGNATURE_SECRET_ADDED = "signature_secret_added"  # noqa: S105
    SIGNATURE_SECRET_REMOVED = "signature_secret_removed"  # noqa: S105
    ALLOW_LIST_CHANGED = "allow_list_changed"  # who may send deliveries
    ALLOW_LIST_COUNTED_ANEW = "allow_list_counted_anew"
    RELAY_ADDED = "relay_added"
    RELAY_PAUSED = "relay_paused"
    RELAY_RESUMED = "relay_resumed"
    RELAY_REMOVED = "relay_removed"
    RELAY_REPLAYED = "relay_replayed"
    RULE_ADDED = "rule_added"  # of the automation; `subject` is its kind
    RULE_CHANGED = "rule_changed"
    RULE_REMOVED = "rule_removed"
    ALERT_TESTED = "alert_tested"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    EXPORTED = "exported"
    BUYER_EXPORTED = "buyer_exported"  # `subject` is a number of ours: nothing here says who it was
    BUYER_ERASED = "buyer_erased"
    SECRET_KEY_CHANGED = "secret_key_changed"  # noqa: S105
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    MOVED = "moved"
    LABEL_ADDED = "label_added"
    LABEL_CHANGED = "label_changed"
    LABEL_REMOVED = "label_removed"
    QUICK_REPLY_ADDED = "quick_reply_added"  # everybody's; an operator's own is nobody's business
    QUICK_REPLY_CHANGED = "quick_reply_changed"
    QUICK_REPLY_REMOVED = "quick_reply_removed"
    SETTINGS_CHANGED = "settings_changed"
    AUDIT_CUT = "audit_cut"  # by retention


class AuditEntry(Table):
    """Texts are as they were then: renaming or removing an operator changes no row."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_operator_id_id", "operator_id", "id"),
        Index("ix_audit_action_id", "action", "id"),
        Index("ix_audit_at", "at"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)  # without gaps
    at: Mapped[int]
    operator_id: Mapped[int | None]  # None: a stranger, the command line, Golub itself
    who: Mapped[str] = mapped_column(default="")  # the operator's login
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(default="")
    before: Mapped[str] = mapped_column(default="")  # canonical JSON, or nothing
    after: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")  # "console": a command on the machine itself
    hash: Mapped[str] = mapped_column(String(64))  # SHA-256 over the hash before it and everything above
