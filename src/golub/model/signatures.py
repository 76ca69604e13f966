"""Signatures of deliveries: what is tried for an account, what fitted, and whether a person made it a rule."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Key, Sealed, Table


class SignatureMode(StrEnum):
    OFF = "off"
    OBSERVE = "observe"  # try, note, refuse nothing: where no row says otherwise
    ENFORCE = "enforce"  # what does not fit `scheme` goes to quarantine


class SignatureLab(Table):
    """An account's lab. Nobody but a person changes `mode` and `scheme`; the rest is counted."""

    __tablename__ = "signature_labs"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    mode: Mapped[str] = mapped_column(String(8), default=SignatureMode.OBSERVE)
    scheme: Mapped[str] = mapped_column(default="")  # as `signatures.Scheme` writes itself; empty unless enforced
    changed_at: Mapped[int] = mapped_column(default=0)
    # Deliveries up to this place in the journal are counted, or never will be.
    counted_to: Mapped[int] = mapped_column(default=0)
    counted_id: Mapped[bytes] = mapped_column(default=b"")
    confirmed: Mapped[int] = mapped_column(
        default=0
    )  # deliveries counted: with the account's secret, borne out by Avito
    signed: Mapped[int] = mapped_column(default=0)  # of them with one of the headers
    last_at: Mapped[int | None]  # the newest of them


class SignatureTally(Table):
    """One scheme that fitted a counted delivery of this account at least once."""

    __tablename__ = "signature_tallies"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    scheme: Mapped[str] = mapped_column(primary_key=True)
    fits: Mapped[int] = mapped_column(Integer, default=0)
    run: Mapped[int] = mapped_column(Integer, default=0)  # in a row, up to now …
    run_since: Mapped[int | None]  # … from this moment on
    last_at: Mapped[int | None]
    missed_at: Mapped[int | None]  # the last time that it did not fit


class SignatureSecret(Table):
    """A secret that the owner's own signing proxy uses."""

    __tablename__ = "signature_secrets"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    header: Mapped[str] = mapped_column(String(64))  # lower case
    secret: Mapped[Sealed]
    signed: Mapped[str] = mapped_column(String(16), default="")  # a `signatures.Signed`; empty: whatever fits
    digest: Mapped[str] = mapped_column(String(16), default="")
    created_at: Mapped[int]
