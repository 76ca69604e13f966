"""Statements go to SQLite's thread once, and what comes back is what the plain driver would give."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from golub.store import Store, driver

ROWS = 2 * driver.AT_ONCE + 7


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncGenerator[AsyncConnection]:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'some.db'}", connect_args={"async_creator_fn": driver.connect}
    )
    async with engine.connect() as opened:
        await opened.execute(text("CREATE TABLE some (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"))
        yield opened
    await engine.dispose()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    go: Any = getattr(aiosqlite.Connection, "_execute")  # noqa: B009 - not ours, and the test is about it

    async def counted(self: aiosqlite.Connection, function: Any, *given: Any, **named: Any) -> Any:
        made.append(function.__name__)
        return await go(self, function, *given, **named)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    return made


async def fill(connection: AsyncConnection, number: int) -> None:
    rows = [{"id": one, "name": f"голубь {one}"} for one in range(1, number + 1)]
    await connection.execute(text("INSERT INTO some VALUES (:id, :name)"), rows)


async def test_a_statement_is_one_trip(connection: AsyncConnection, trips: list[str]) -> None:
    await fill(connection, 30)
    assert len(trips) == 1
    assert len((await connection.execute(text("SELECT * FROM some"))).all()) == 30
    assert len(trips) == 2


async def test_a_page_waits_for_its_statements_and_for_nothing_else(tmp_path: Path, trips: list[str]) -> None:
    """Not for a transaction's beginning and end; and each sees what was there when it first looked."""
    store = Store(f"sqlite:///{tmp_path / 'some.db'}")
    count = text("SELECT count(*) FROM some")
    async with store.write() as session:
        await session.execute(text("CREATE TABLE some (id INTEGER PRIMARY KEY)"))
    try:
        for seen in range(3):
            async with store.read() as session:
                trips.clear()
                assert await session.scalar(count) == seen
                async with store.write() as other:
                    await other.execute(text("INSERT INTO some VALUES (NULL)"))
                trips.clear()
                assert await session.scalar(count) == seen
                assert len(trips) == 1
            assert len(trips) == 1
    finally:
        await store.close()


async def test_very_many_rows_come_whole_and_in_order(connection: AsyncConnection, trips: list[str]) -> None:
    await fill(connection, ROWS)
    trips.clear()
    found = (await connection.execute(text("SELECT id, name FROM some ORDER BY id"))).all()
    assert [row.id for row in found] == list(range(1, ROWS + 1))
    assert found[-1].name == f"голубь {ROWS}"
    assert len(trips) == 2


async def test_what_is_streamed_is_read_as_it_is_asked_for(connection: AsyncConnection, trips: list[str]) -> None:
    await fill(connection, ROWS)
    trips.clear()
    options = {"yield_per": 100}
    rows = await connection.stream(text("SELECT id FROM some ORDER BY id"), execution_options=options)
    parts = rows.scalars().partitions(100)
    first = await anext(parts)
    assert list(first) == list(range(1, 101))
    assert len(trips) == 1
    rest = [one async for part in parts for one in part]
    assert rest == list(range(101, ROWS + 1))
    assert len(trips) >= 3


async def test_a_stream_that_is_left_lets_the_next_statement_write(connection: AsyncConnection) -> None:
    await fill(connection, ROWS)
    rows = await connection.stream(text("SELECT id FROM some"), execution_options={"yield_per": 10})
    await anext(rows.scalars().partitions())
    await rows.close()
    await connection.commit()
    await connection.execute(text("DROP TABLE some"))


async def test_counts_and_new_ids(connection: AsyncConnection) -> None:
    await fill(connection, 5)
    changed = await connection.execute(text("UPDATE some SET name = name || '!' WHERE id > 2"))
    assert changed.rowcount == 3
    given = await connection.execute(text("INSERT INTO some (name) VALUES ('новый') RETURNING id"))
    assert given.scalar_one() == 6
    added = await connection.execute(text("INSERT INTO some (name) VALUES ('ещё')"))
    assert added.lastrowid == 7


async def test_an_error_is_the_drivers_own_and_the_connection_goes_on(connection: AsyncConnection) -> None:
    await fill(connection, 1)
    with pytest.raises(IntegrityError):
        await connection.execute(text("INSERT INTO some (name) VALUES ('голубь 1')"))
    assert await connection.scalar(text("SELECT count(*) FROM some")) == 1
