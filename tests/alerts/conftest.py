"""A world with one shop, its webhook registered, and a listener at the end of the way that alerts take."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from golub.store import Store
from tests import door
from tests.alerts.listener import Make
from tests.conftest import SteppedClock
from tests.door import Answers, World


@pytest.fixture
async def make(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Make]:
    """`await make(alert_url=…)`: a world with these settings, its webhook registered, whose alerts go to `Answers`."""
    async with AsyncExitStack() as opened:

        async def make(**settings: Any) -> World:
            world = await opened.enter_async_context(
                door.world(store, clock, tmp_path, **cast(dict[str, Any], {"backup_every": 0, **settings}))
            )
            url = world.subscriptions.recommended_url()
            await world.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
            world.way.ends.append(Answers(200))
            return world

        yield make
