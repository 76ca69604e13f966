"""A bench for each test, on either database."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.replays import Replays
from tests.apply.bench import Bench
from tests.conftest import SteppedClock


@pytest.fixture
async def bench(tmp_path: Path, database_url: str, clock: SteppedClock) -> AsyncGenerator[Bench]:
    made = Bench(tmp_path / "spool", database_url, clock)
    yield made
    await asyncio.to_thread(made.close)
    await made.store.close()


@pytest.fixture
def desk(bench: Bench) -> Replays:
    return Replays(bench.store, bench.applier, bench.clock, lambda: None)
