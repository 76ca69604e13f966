"""The inbox over a real database, applier and outbox; Avito is the simulator."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.model import Role
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.talk import Talk, add_account, parts_for
from tests.web.conftest import Browser, Visit


@pytest.fixture
async def sim(clock: SteppedClock) -> AsyncGenerator[Simulator]:
    async with Simulator(clock=lambda: clock() / 1000, base_url="http://avito.test") as sim:
        yield sim


@pytest.fixture
async def parts(database_url: str, tmp_path: Path, clock: SteppedClock, sim: Simulator) -> AsyncGenerator[Parts]:
    async with parts_for(database_url, tmp_path, clock, sim) as parts:
        yield parts


@pytest.fixture
async def talk(parts: Parts) -> Talk:
    return await add_account(parts)


@pytest.fixture
async def manager(visit: Visit) -> Browser:
    return await visit(Role.MANAGER)
