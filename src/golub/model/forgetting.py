"""A buyer's data, erased: the work of erasing, and the little that keeps it from coming back. None of it says who it
was: chats and messages are kept as digests alone, and what an erasure is about is emptied at its end."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table, where


class ErasureState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"  # by a person; it goes on from where it is
    FINISHED = "finished"


class ErasureStep(StrEnum):
    """In this order."""

    CHATS = "chats"
    JOURNAL = "journal"
    REST = "rest"


class Erasure(Table):
    """What is to be erased, and how far that has come. `due_at` is set while it runs: whoever claims it does the next
    part."""

    __tablename__ = "erasures"
    __table_args__ = (Index("ix_erasures_due_at", "due_at", **where("due_at IS NOT NULL")),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default=ErasureState.RUNNING)
    step: Mapped[str] = mapped_column(String(16), default=ErasureStep.CHATS)
    about: Mapped[dict[str, Any]]  # {"buyer": Avito's id, "chats": [[row id, account, Avito's id], …]}; at the end {}
    place: Mapped[str] = mapped_column(default="")  # how far back in the journal it has come, as `journal.Place`
    asked_by: Mapped[str] = mapped_column(default="")  # the operator's name
    created_at: Mapped[int]
    finished_at: Mapped[int | None]
    due_at: Mapped[int | None]
    total: Mapped[int] = mapped_column(Integer, default=0)  # rows to be looked at, as counted beforehand …
    done: Mapped[int] = mapped_column(Integer, default=0)  # … and those that were
    counts: Mapped[dict[str, Any]]  # what went, by kind


class ForgottenChat(Table):
    """A chat that was erased. What was written in it before `erased_to` is not taken in any more."""

    __tablename__ = "forgotten_chats"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)  # of Avito's id: see `fold.forgotten`
    erased_to: Mapped[int]  # when its newest message was written
    erased_at: Mapped[int]
    last_message_id: Mapped[int]  # our row of the newest one then: what came in later is new


class ForgottenMessage(Table):
    """A message that was erased, also where a later observation gives it another time."""

    __tablename__ = "forgotten_messages"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)  # of Avito's ids of the chat and the message


class ForgottenFile(Table):
    """A kept picture or voice that was erased: every process has a disk of its own, and removes it there."""

    __tablename__ = "forgotten_files"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))  # in the folder of kept media; made of a digest
