"""The small facts that Golub keeps about its own database, and how fast it answered."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from golub.model.table import Table

KEY_CHECK = "key_check"  # the mark that names the key that seals


class Mark(Table):
    """Small facts about this database: the check value of the key, its own identity, whether set-up is done."""

    __tablename__ = "marks"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str]


class AckTally(Table):
    """How many of Avito's POSTs were answered within `within_ms` (and not within the step below) in five minutes."""

    __tablename__ = "ack_tallies"

    began_at: Mapped[int] = mapped_column(primary_key=True)
    within_ms: Mapped[int] = mapped_column(primary_key=True)  # 0: slower than all steps; -1: refused with 503
    count: Mapped[int]
