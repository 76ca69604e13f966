"""Alerts, and the small facts that Golub keeps about its own database."""

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table, where


class Alert(Table):
    """Something is broken, and a person is told of it once; and once more when it is well again."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open", "kind", "account_id", unique=True, **where("closed_at IS NULL")),
        Index("ix_alerts_due_at", "due_at", **where("due_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    account_id: Mapped[int] = mapped_column(default=0)  # 0: not of one account
    detail: Mapped[str] = mapped_column(default="")
    opened_at: Mapped[int]
    closed_at: Mapped[int | None]
    told_at: Mapped[int | None]
    recovery_told_at: Mapped[int | None]
    due_at: Mapped[int | None]  # when to tell, or to try again
    attempts: Mapped[int] = mapped_column(Integer, default=0)


class Mark(Table):
    """Small facts about this database: the check value of the key, its own identity, whether set-up is done."""

    __tablename__ = "marks"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str]
