"""The migrations make what the model says, on both databases, and go back."""

import asyncio
from collections.abc import Generator

import pytest
from alembic import command

from golub import migrations
from golub.store import Store


@pytest.fixture
def opened(database_url: str) -> Generator[Store]:
    store = Store(database_url)
    yield store
    asyncio.run(store.close())


def test_they_end_where_the_model_is(opened: Store) -> None:
    assert migrations.differences(opened._apply) == []


def test_they_go_back_and_forth(opened: Store) -> None:
    config = migrations._config()
    with opened._apply.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    opened.migrate()
    assert migrations.differences(opened._apply) == []


def test_asking_where_the_schema_stands_leaves_nothing_behind(opened: Store) -> None:
    """It is asked every few seconds for as long as a server runs."""
    with opened._apply.connect() as connection:
        assert migrations.schema_of(connection) is migrations.Schema.CURRENT
        kept = len(opened._apply._compiled_cache or ())
        for _ in range(5):
            migrations.schema_of(connection)
        assert len(opened._apply._compiled_cache or ()) == kept
