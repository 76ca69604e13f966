"""Avito with one shop, our door behind a proxy of ours, and what proves that Avito has sent something: its API."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.store import Store
from tests import door
from tests.allowlist.senders import Senders
from tests.conftest import SteppedClock


@pytest.fixture
async def senders(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Senders]:
    async with door.world(store, clock, tmp_path) as world, world.applying() as applier:
        made = Senders(world, applier)
        await made.register()
        yield made
