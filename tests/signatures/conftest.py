"""Avito with one shop, our door, and what proves that Avito has sent something: its API."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.store import Store
from tests import door
from tests.conftest import SteppedClock
from tests.signatures.traffic import Traffic


@pytest.fixture
async def traffic(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Traffic]:
    async with door.world(store, clock, tmp_path) as world, world.applying() as applier:
        made = Traffic(world, applier)
        await made.register()
        yield made
