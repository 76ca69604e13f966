from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.store import Store
from tests.automation.house import House, house
from tests.conftest import SteppedClock


@pytest.fixture
async def home(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[House]:
    async with house(store, clock, tmp_path) as made:
        yield made
