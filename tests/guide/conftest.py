"""The town of the guide's tests, on each database; `boss` is signed in, and `shop` is connected with its webhook."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.model import Role
from golub.simulator import Account
from tests.guide.town import Browser, Town, opened


@pytest.fixture
async def town(tmp_path: Path, database_url: str) -> AsyncGenerator[Town]:
    async with opened(tmp_path / "data", database_url) as town:
        yield town


@pytest.fixture
async def boss(town: Town) -> Browser:
    """The super_admin."""
    return await town.sign_in(Role.SUPER_ADMIN)


@pytest.fixture
async def shop(town: Town) -> Account:
    """A shop that is connected and whose webhook is registered just as the panel proposes."""
    shop = town.sim.add_account(7_001, "Велосипеды")
    await town.serve(shop)
    return shop
