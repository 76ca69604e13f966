"""Many deliveries of the journal taken up again at once: tried, applied or discarded, by a person's wish."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table, where


class ReplayKind(StrEnum):
    TRY = "try"  # a dry run: says what applying would change, and changes nothing
    APPLY = "apply"
    DISCARD = "discard"  # of what is in quarantine


class ReplayState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"  # by a person; it goes on from where it is
    FINISHED = "finished"


class Replay(Table):
    """What is wanted, and how far it has come. `due_at` is set while it runs: whoever claims it does the next part."""

    __tablename__ = "replays"
    __table_args__ = (Index("ix_replays_due_at", "due_at", **where("due_at IS NOT NULL")),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16), default=ReplayState.RUNNING)
    wanted: Mapped[dict[str, Any]]  # the filter, as `journal.Wanted` writes it
    reason: Mapped[str] = mapped_column(default="")  # of a discard
    asked_by: Mapped[str] = mapped_column(default="")  # the operator's name
    created_at: Mapped[int]
    finished_at: Mapped[int | None]
    due_at: Mapped[int | None]
    total: Mapped[int] = mapped_column(Integer, default=0)  # deliveries counted beforehand …
    total_is_more: Mapped[bool] = mapped_column(default=False)  # … or so many, and more behind them
    place: Mapped[str] = mapped_column(default="")  # `journal.Place` that it has come to, from the newest to the oldest
    taken: Mapped[int] = mapped_column(Integer, default=0)  # deliveries so far
    changing: Mapped[int] = mapped_column(Integer, default=0)  # of them, those that change anything
    messages: Mapped[int] = mapped_column(Integer, default=0)  # messages that they change …
    message_digests: Mapped[bytes] = mapped_column(default=b"")  # … each by eight bytes, so that none counts twice
    # {"ignored applied": 3}: states before and after, of what moved or stays in quarantine
    outcomes: Mapped[dict[str, Any]]
    changes: Mapped[list[Any]]  # the first changes, for people
