"""Networks that deliveries come from: what was seen of each account, and whether a list of them is a rule."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Table


class AllowListMode(StrEnum):
    OFF = "off"
    OBSERVE = "observe"  # note the networks, refuse nothing: where no row says otherwise
    FLAG = "flag"  # what comes from elsewhere is applied, and marked in the journal
    ENFORCE = "enforce"  # … goes to quarantine


class AllowList(Table):
    """An account's list. Nobody but a person changes `mode` and `networks`; the rest is counted."""

    __tablename__ = "allow_lists"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    mode: Mapped[str] = mapped_column(String(8), default=AllowListMode.OBSERVE)
    networks: Mapped[str] = mapped_column(default="")  # CIDR, one a line; kept while the mode uses none
    changed_at: Mapped[int] = mapped_column(default=0)
    # Deliveries up to this place in the journal are counted, or never will be.
    counted_to: Mapped[int] = mapped_column(default=0)
    counted_id: Mapped[bytes] = mapped_column(default=b"")
    confirmed: Mapped[int] = mapped_column(Integer, default=0)  # messages counted: borne out by Avito, from one network
    doubtful: Mapped[int] = mapped_column(Integer, default=0)  # … that came from two networks at once: who is Avito?
    unplaced: Mapped[int] = mapped_column(Integer, default=0)  # … from no address, or from more networks than are kept
    last_at: Mapped[int | None]  # the newest of them


class SeenNetwork(Table):
    """A network, a /24 or a /48, that counted messages of this account came from."""

    __tablename__ = "seen_networks"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    network: Mapped[str] = mapped_column(String(48), primary_key=True)
    confirmed: Mapped[int] = mapped_column(Integer, default=0)
    lowest: Mapped[str] = mapped_column(String(48))  # address in it that something came from …
    highest: Mapped[str] = mapped_column(String(48))  # … and the highest such
    first_at: Mapped[int]
    last_at: Mapped[int]
