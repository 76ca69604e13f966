"""Avito, one shop and our door, on each database; the shop is connected, its webhook is not registered yet."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.store import Store
from tests import door
from tests.conftest import SteppedClock
from tests.door import World


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    async with door.world(store, clock, tmp_path) as made:
        yield made
