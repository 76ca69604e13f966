"""What Golub does unasked where a team wants it so: its rules, and what became of each message they were about."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Table


class RuleKind(StrEnum):
    GREETING = "greeting"  # answers the first message of a new chat
    AWAY = "away"  # answers what is written outside working hours
    NUDGE = "nudge"  # tells the team that a buyer waits

    @property
    def slot(self) -> "Slot":
        return Slot.NUDGE if self is RuleKind.NUDGE else Slot.REPLY


class Slot(StrEnum):
    """What may be done once about one message, whichever rule does it."""

    REPLY = "reply"
    NUDGE = "nudge"


class Outcome(StrEnum):
    """What became of a message that a rule was about: it was done, or why not."""

    DONE = "done"
    ANSWERED = "answered"  # one of us was quicker
    DELETED = "deleted"
    TOLD = "told"  # since the shop closed this buyer was written to already
    CAPPED = "capped"  # so many automatic replies in one day look like two machines talking
    BLOCKED = "blocked"
    OURS = "ours"  # the buyer is another account of ours
    UNCONFIRMED = "unconfirmed"  # Avito's API has not borne the message out in time
    UNFILLED = "unfilled"  # the chat has nothing for one of the text's variables
    LATE = "late"


class AutomaticRule(Table):
    """One of the three kinds, for all chats, an account's, or those about one item. Off: `active_since` is None."""

    __tablename__ = "automatic_rules"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    item_id: Mapped[int | None]  # Avito's
    texts: Mapped[list[str]]  # a message each, with variables; a nudge has one, for the team
    hours: Mapped[dict[str, Any]]  # of `away`: see `automation.hours`
    minutes: Mapped[int] = mapped_column(Integer)  # of `nudge`
    active_since: Mapped[int | None]  # what came before that is left alone
    changed_at: Mapped[int]


class RulePicture(Table):
    """A photo of a rule, drawn as it goes to Avito."""

    __tablename__ = "rule_pictures"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("automatic_rules.id", ondelete="CASCADE"), index=True)
    place: Mapped[int] = mapped_column(Integer)  # photos go in this order, before the texts
    extension: Mapped[str] = mapped_column(String(4))  # jpg, png
    picture: Mapped[bytes]
    small: Mapped[bytes]  # a WebP for pages


class AutomaticAct(Table):
    """What a rule did about one message, or why it did nothing. Its key is what keeps an automatic reply single."""

    __tablename__ = "automatic_acts"
    __table_args__ = (
        UniqueConstraint("message_id", "slot"),
        Index("ix_automatic_acts_chat_id_at", "chat_id", "at"),
        Index("ix_automatic_acts_account_id_id", "account_id", "id"),
        Index("ix_automatic_acts_rule_id_id", "rule_id", "id"),
        Index("ix_automatic_acts_at", "at"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slot: Mapped[str] = mapped_column(String(8))
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))  # the buyer's
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("automatic_rules.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    at: Mapped[int]
