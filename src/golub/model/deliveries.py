"""The journal: every webhook POST as received, and what became of it."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Table, where


class DeliveryState(StrEnum):
    APPLIED = "applied"
    IGNORED = "ignored"  # understood and on purpose without effect: the cause says why
    PROBE = "probe"  # empty or {}: somebody asks whether we are here
    WAITING = "waiting"  # a hint on the bare path that Avito's API has not confirmed (yet)
    QUARANTINED = "quarantined"
    ERASED = "erased"  # what it brought was erased with the data of its buyer, and its bytes too
    DISCARDED = "discarded"  # it was in quarantine, and a person decided that nothing is to come of it


class Cause(StrEnum):
    """Why a delivery is not applied. For programs; the journal's page explains each to people."""

    NONE = ""
    # quarantined
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_DEEP = "too_deep"
    BAD_VALUE = "bad_value"  # a field that must be there is missing, or is of another kind, or out of range
    WRONG_ACCOUNT = "wrong_account"  # the token of one account, the user_id of another
    ROW_ERROR = "row_error"  # the database refused this very row
    CRASHED = "crashed"  # was being applied at two crashes
    BAD_SIGNATURE = "bad_signature"  # a person had made the signature a rule, and this one's does not fit
    IP_NOT_ALLOWED = "ip_not_allowed"  # a person had made a list of networks the rule, and it came from elsewhere
    # ignored
    TYPE_NOT_CHOSEN = "type_not_chosen"
    UNKNOWN_TYPE = "unknown_type"
    # waiting
    UNCONFIRMED = "unconfirmed"  # will be looked up in Avito's API
    NOT_CONFIRMED = "not_confirmed"  # the API was asked, and does not have it
    UNKNOWN_ACCOUNT = "unknown_account"
    NO_API = "no_api"  # token dead, or messenger access not paid
    NOTHING_CONFIRMS = "nothing_confirms"  # a user event: the API has no answer to it


_SIFTED = ("state", "cause", "event_type", "token_id", "address")


class Delivery(Table):
    """One webhook POST as received; all of them together are the journal."""

    __tablename__ = "deliveries"
    __table_args__ = (
        # Wide, so that no look through the journal ever reads a body: what it sifts by stands in the index.
        Index("ix_deliveries_listed", "received_at", "id", *_SIFTED, "account_id"),
        Index("ix_deliveries_listed_by_account", "account_id", "received_at", "id", *_SIFTED),
        Index("ix_deliveries_due_at", "due_at", **where("due_at IS NOT NULL")),
        Index("ix_deliveries_waiting", "account_id", "chat_avito_id", **where("state = 'waiting'")),
        Index("ix_deliveries_quarantined", "received_at", **where("state = 'quarantined'")),
        Index("ix_deliveries_quarantined_cause", "cause", "received_at", **where("state = 'quarantined'")),
    )

    id: Mapped[bytes] = mapped_column(primary_key=True)  # 16 random bytes, given at receipt
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    token_id: Mapped[int | None]  # None: the bare path
    received_at: Mapped[int]
    applied_at: Mapped[int]
    address: Mapped[str] = mapped_column(default="")
    headers: Mapped[list[Any]]  # [[name, value], …] in the order of arrival
    body: Mapped[bytes]
    state: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str] = mapped_column(String(24), default=Cause.NONE)
    detail: Mapped[str] = mapped_column(default="")
    event_type: Mapped[str] = mapped_column(default="")
    chat_avito_id: Mapped[str] = mapped_column(default="")
    message_avito_id: Mapped[str] = mapped_column(default="")
    signature: Mapped[str] = mapped_column(default="", server_default="")  # what its signature is: `signatures.Outcome`
    due_at: Mapped[int | None]  # when a hint is to be looked up next
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    ack_ms: Mapped[int | None] = mapped_column(Integer)  # until its 200 could go out; None: the process died meanwhile
    # Who discarded it, when, and why; empty in every other state.
    discarded_at: Mapped[int | None]
    discarded_by: Mapped[str] = mapped_column(default="", server_default="")
    discard_reason: Mapped[str] = mapped_column(default="", server_default="")
