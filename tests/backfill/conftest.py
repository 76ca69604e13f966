"""The town of these tests, on each database; its shop is not connected yet."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.store import Store
from tests.backfill.town import Town, opened
from tests.conftest import SteppedClock


@pytest.fixture
async def town(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Town]:
    async with opened(store, clock, tmp_path) as town:
        yield town
