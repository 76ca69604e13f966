"""An account's timeline: what happened to its two halves, as a person would tell it."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table


class TimelineKind(StrEnum):
    """`detail` is a host for `stolen`, `repaired`, `repair_rests`; Avito's words for `api_…` and `repair_failed`."""

    CONNECTED = "connected"
    NEW_KEYS = "new_keys"
    PAUSED = "paused"
    RESUMED = "resumed"
    REGISTERED = "registered"  # by a person
    ROTATED = "rotated"  # a new secret brought its first delivery
    OLD_CLOSED = "old_closed"  # a replaced secret, before that: by a person (`detail`), or after three silent days
    SUBSCRIBED = "subscribed"  # Avito says that it calls us, after it did not
    UNSUBSCRIBED = "unsubscribed"
    STOLEN = "stolen"
    REPAIRED = "repaired"  # by ourselves
    REPAIR_FAILED = "repair_failed"
    REPAIR_RESTS = "repair_rests"
    API_WORKING = "api_working"
    API_WRONG_KEYS = "api_wrong_keys"
    API_NO_ACCESS = "api_no_access"
    API_UNREACHABLE = "api_unreachable"
    DOWN = "down"  # Golub itself, until `until`
    SILENT = "silent"  # no webhook for unusually long, since `at`
    DEAF = "deaf"  # buyers wrote and no webhook came
    HEARING = "hearing"  # webhooks come again
    FOUND = "found"  # `count` messages that no webhook had brought, written between `detail`'s two times


class TimelineEntry(Table):
    __tablename__ = "timeline"
    __table_args__ = (Index("ix_timeline_account_id_at", "account_id", "at", "id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(24))
    at: Mapped[int]
    until: Mapped[int | None]  # None: a moment, or it goes on
    detail: Mapped[str] = mapped_column(default="")
    count: Mapped[int] = mapped_column(default=0)
