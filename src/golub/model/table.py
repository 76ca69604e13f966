"""The ground of every table: column types that both databases hold alike, and names for constraints."""

from typing import Any, NewType

from sqlalchemy import JSON, BigInteger, Boolean, Integer, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

Key = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only where the type is INTEGER
Sealed = NewType("Sealed", bytes)  # by the vault; nothing else can be opened, so no column can hold one unmarked
Document = JSON().with_variant(JSONB(), "postgresql")


def where(condition: str) -> dict[str, Any]:
    """Arguments that make an `Index` partial on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class SealedBytes(LargeBinary):
    """The type of every column of ciphertexts: by it a change of the key finds them all."""


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        int: BigInteger,
        str: Text,
        bool: Boolean,
        bytes: LargeBinary,
        Sealed: SealedBytes,
        dict[str, Any]: Document,
        list[str]: Document,
        list[Any]: Document,
    }
