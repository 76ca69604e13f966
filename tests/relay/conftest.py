import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.store import Store
from tests.conftest import SteppedClock
from tests.relay.post import Post


@pytest.fixture
async def post(store: Store, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Post]:
    made = Post(store, tmp_path, clock)
    yield made
    await asyncio.to_thread(made.applier.stop)
    await asyncio.to_thread(made.spool.close)
