"""Alerts, the channels that carry them to a person, and each notice on its way through one."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Sealed, Table, where


class Alert(Table):
    """Something is broken, and a person is told of it; and once more when it is well again."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open", "kind", "account_id", unique=True, **where("closed_at IS NULL")),
        Index("ix_alerts_due_at", "due_at", **where("due_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    account_id: Mapped[int] = mapped_column(default=0)  # 0: not of one account; below 0: of one of several processes
    detail: Mapped[str] = mapped_column(default="")
    opened_at: Mapped[int]
    closed_at: Mapped[int | None]
    told_at: Mapped[int | None]  # first, through any channel
    recovery_told_at: Mapped[int | None]
    due_at: Mapped[int | None]  # when to remind of it
    attempts: Mapped[int] = mapped_column(Integer, default=0)  # reminders so far


class ChannelKind(StrEnum):
    TELEGRAM = "telegram"
    EMAIL = "email"
    URL = "url"


class AlertChannel(Table):
    """A way to a person. Without `options` it is configured by the environment, and the row keeps how it fares."""

    __tablename__ = "alert_channels"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    options: Mapped[Sealed | None]  # JSON: tokens and passwords are in it
    changed_at: Mapped[int] = mapped_column(default=0)
    last_ok_at: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(default="")  # of the last try; empty: it went well
    last_error_at: Mapped[int | None]


class NoticeKind(StrEnum):
    OPENED = "opened"
    REMINDER = "reminder"
    CLOSED = "closed"


class Notice(Table):
    """What is to be told of one alert through one channel, once. A row with `due_at` is still to be told."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("alert_id", "channel", "kind", "number"),
        Index("ix_notices_due_at", "due_at", **where("due_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer, default=0)  # of a reminder
    due_at: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    told_at: Mapped[int | None]
