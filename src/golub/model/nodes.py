"""What several processes on one PostgreSQL know of each other. On SQLite there is one process, and these stay empty."""

from sqlalchemy import ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Table


class Node(Table):
    """A process of Golub, from its start until a while after its end. Times are the database's, so that hosts whose
    clocks differ agree on who lives."""

    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # random, of this start alone
    folder: Mapped[str] = mapped_column(String(32), index=True)  # of the data folder, and its spool, for good
    name: Mapped[str]  # host and port, for people
    role: Mapped[str] = mapped_column(String(8))
    version: Mapped[str]
    started_at: Mapped[int]
    seen_at: Mapped[int]
    stopped_at: Mapped[int | None]  # ended in good order
    halted: Mapped[str] = mapped_column(default="", server_default="")  # why it only receives
    spool_waiting: Mapped[int] = mapped_column(default=0, server_default="0")  # acked and not yet applied
    spool_bytes: Mapped[int] = mapped_column(default=0, server_default="0")
    spool_oldest_at: Mapped[int | None]


class Pacing(Table):
    """What all processes must respect before they call Avito for an account."""

    __tablename__ = "pacings"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    not_before: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )  # Avito's own word, Retry-After, by the database's clock
    per_minute: Mapped[int | None] = mapped_column(Integer)  # Avito's own word, where it is less than ours
    token_asked_until: Mapped[int] = mapped_column(default=0, server_default="0")  # somebody is asking for a token
    refused_keys: Mapped[bytes | None] = mapped_column(LargeBinary)  # digest of keys that Avito does not know …
    refused_at: Mapped[int] = mapped_column(default=0, server_default="0")  # … and when it said so


class PaceShare(Table):
    """How much of an account's minute a process holds."""

    __tablename__ = "pace_shares"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, index=True)
    # Units for a lane of `avito.pace`; each may use those of the lanes below it, too.
    operators: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    prompt: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    bulk: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class AttachedPicture(Table):
    """A photo between attaching and sending: whoever sends it is another process than the one that took it."""

    __tablename__ = "attached_pictures"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    picture: Mapped[bytes]
    small: Mapped[bytes]
    created_at: Mapped[int]
