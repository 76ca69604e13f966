"""Temporary copies of tables, empty at first, to which a connection writes as if they were the real ones."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Index, MetaData, Result, UniqueConstraint, text
from sqlalchemy import Table as SQLTable


class Shadow:
    """`connection` meets the temporary copies, and everything else by its own name is not there; `read` meets what is
    real. Commit now and then: until then it sees one snapshot."""

    def __init__(self, connection: Connection, real: dict[str | None, str | None]) -> None:
        self.connection = connection
        self._real = {"schema_translate_map": real}

    def read(self, statement: Any, parameters: Any = None) -> Result[Any]:
        return self.connection.execute(statement, parameters, execution_options=self._real)

    def commit(self) -> None:
        self.connection.commit()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """In this block everything is read as it was at one moment."""
        self.connection.commit()
        if self.connection.dialect.name != "sqlite":  # there every transaction is one
            self.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        yield
        self.connection.commit()


def copied(tables: Sequence[SQLTable], schema: str) -> MetaData:
    """Their columns, keys and plain indexes, without anything that leads to other tables."""
    metadata = MetaData(schema=schema)
    for table in tables:
        columns = [
            Column(one.name, one.type, primary_key=one.primary_key, nullable=one.nullable) for one in table.columns
        ]
        unique = [
            UniqueConstraint(*(one.name for one in found.columns))
            for found in table.constraints
            if isinstance(found, UniqueConstraint)
        ]
        copy = SQLTable(table.name, metadata, *columns, *unique)
        for index in table.indexes:
            if not any(index.dialect_options[name].get("where") is not None for name in ("sqlite", "postgresql")):
                Index(index.name, *(copy.c[column.name] for column in index.columns))
    return metadata
