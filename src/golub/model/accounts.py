"""Accounts at Avito, the webhook registered for each, and the secrets in its URL."""

from enum import StrEnum

from sqlalchemy import ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from golub.model.table import Key, Sealed, Table


class AccountState(StrEnum):
    """The sending half: may we use Avito's API for this account?"""

    WORKING = "working"
    WRONG_KEYS = "wrong_keys"
    NO_ACCESS = "no_access"  # no rights, or messenger access is not paid
    UNREACHABLE = "unreachable"


SAMPLE_USER_ID = 9_000_000_000_000_000  # of the sample shop; Avito's own have ten digits


class Account(Table):
    """An Avito account (shop) that we serve."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    colour: Mapped[str] = mapped_column(String(9), default="#7c5cff")
    profile_url: Mapped[str] = mapped_column(default="")
    client_id: Mapped[str]
    client_secret: Mapped[Sealed]
    access_token: Mapped[Sealed | None]
    token_expires_at: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16), default=AccountState.WORKING)
    state_detail: Mapped[str] = mapped_column(default="")
    state_at: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int]
    sweep_due_at: Mapped[int] = mapped_column(default=0, index=True)
    swept_at: Mapped[int] = mapped_column(default=0)
    backfill_offset: Mapped[int | None] = mapped_column(default=0)  # next page of the chat list; None: done
    backfilled_at: Mapped[int] = mapped_column(default=0)
    paused_at: Mapped[int | None]  # by a person: webhooks are kept, and Avito gets no request of ours
    # What the last sweep cost, for people: requests, its reading of the chats included, and chats that had changed.
    sweep_requests: Mapped[int] = mapped_column(default=0, server_default="0")
    sweep_changed: Mapped[int] = mapped_column(default=0, server_default="0")
    # Kept by `silence`.
    watch_due_at: Mapped[int] = mapped_column(default=0, server_default="0")
    watched_at: Mapped[int] = mapped_column(default=0, server_default="0")  # what came in until then is accounted for
    looked_at: Mapped[int] = mapped_column(default=0, server_default="0")  # at Avito, during a silence
    deaf_since: Mapped[int | None]  # buyers write and no webhook comes
    in_turn_since: Mapped[int | None]  # chats that began to wait since then are given out in turn; None: the pool
    zone: Mapped[str] = mapped_column(String(64), default="Europe/Moscow", server_default="Europe/Moscow")

    webhook: Mapped["Webhook | None"] = relationship(back_populates="account", lazy="raise", cascade="all, delete")

    @property
    def is_sample(self) -> bool:
        return self.user_id == SAMPLE_USER_ID


class SubscriptionState(StrEnum):
    """What Avito says it will call, against what we registered."""

    UNKNOWN = "unknown"  # not asked yet, or Avito did not answer
    ACTIVE = "active"
    MISSING = "missing"
    FOREIGN = "foreign"  # another service's URL took the account's only place


class Webhook(Table):
    """Our record of an account's subscription; Avito itself keeps no id, types or dates."""

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), unique=True)
    url: Mapped[str]  # for people: dots where the secret stands
    token_hash: Mapped[bytes | None]  # the secret's, as in `PathToken.hash`; None: a URL without one
    types: Mapped[list[str]]
    subscription: Mapped[str] = mapped_column(String(16), default=SubscriptionState.UNKNOWN)
    foreign_host: Mapped[str] = mapped_column(default="")
    checked_at: Mapped[int] = mapped_column(default=0)
    check_due_at: Mapped[int] = mapped_column(default=0, index=True)
    last_error: Mapped[str] = mapped_column(default="")
    last_error_at: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int]
    updated_at: Mapped[int]
    rotating_since: Mapped[int | None]  # a new secret is registered; older ones open until its first delivery
    self_repair: Mapped[bool] = mapped_column(default=False, server_default=false())
    repair_rests_until: Mapped[int | None]  # another service fights back

    account: Mapped[Account] = relationship(back_populates="webhook", lazy="raise")


EVENT_TYPES = ("message", "chat", "user")
DEFAULT_EVENT_TYPES = ("message", "chat")


class PathToken(Table):
    """The secret in a webhook URL: matched by hash, kept sealed because re-registering needs it."""

    __tablename__ = "path_tokens"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    hash: Mapped[bytes] = mapped_column(unique=True)  # SHA-256 of the token's text
    token: Mapped[Sealed]
    created_at: Mapped[int]
    retired_at: Mapped[int | None]
