"""A world for each test, on either database."""

import asyncio
from collections.abc import Generator

import pytest

from golub.store import Store
from tests.fold.world import World, a_world


@pytest.fixture
def opened(database_url: str) -> Generator[Store]:
    store = Store(database_url)
    yield store
    asyncio.run(store.close())


@pytest.fixture
def world(opened: Store) -> Generator[World]:
    with a_world(opened) as made:
        yield made
