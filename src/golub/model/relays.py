"""Further addresses that an account's deliveries are forwarded to, and how far each delivery has come."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Sealed, Table, where


class RelayState(StrEnum):
    WORKING = "working"
    PAUSED = "paused"  # by a person; deliveries wait meanwhile
    STALLED = "stalled"  # by Golub, after long failure; deliveries wait until a person goes on
    GONE = "gone"  # the receiver answered 410: nothing is kept for it any more


class Relay(Table):
    """One address that gets every delivery of an account as Avito sent it."""

    __tablename__ = "relays"
    __table_args__ = (UniqueConstraint("account_id", "url_hash"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    url: Mapped[Sealed]  # another service's address is that service's secret
    url_hash: Mapped[bytes]  # SHA-256: a click that comes twice adds one relay
    host: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), default=RelayState.WORKING)
    created_at: Mapped[int]
    last_ok_at: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(String(16), default="")  # an HTTP status, or a `guarded.Failure`
    last_error_at: Mapped[int | None]
    failing_since: Mapped[int | None]  # the first failure after the last success
    failures: Mapped[int] = mapped_column(Integer, default=0)  # … and how many there were
    held_until: Mapped[int] = mapped_column(default=0)  # the receiver is left alone until then


class RelayedState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    GIVEN_UP = "given_up"  # every try failed; a person may send it again


class RelayedDelivery(Table):
    """One delivery on its way to one relay. A row with `due_at` is queued; in a chat the least id goes first."""

    __tablename__ = "relayed_deliveries"
    __table_args__ = (
        UniqueConstraint("delivery_id", "relay_id"),
        Index("ix_relayed_deliveries_queued", "relay_id", "chat_key", "id", **where("due_at IS NOT NULL")),
        Index("ix_relayed_deliveries_given_up", "relay_id", "id", **where("state = 'given_up'")),
        Index("ix_relayed_deliveries_finished_at", "finished_at", **where("finished_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    relay_id: Mapped[int] = mapped_column(ForeignKey("relays.id", ondelete="CASCADE"))
    delivery_id: Mapped[bytes] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    chat_key: Mapped[str]  # Avito's chat id; the delivery's own id where it has none, since nothing orders those
    state: Mapped[str] = mapped_column(String(16), default=RelayedState.QUEUED)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(String(16), default="")
    finished_at: Mapped[int | None]
