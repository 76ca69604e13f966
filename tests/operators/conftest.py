"""Operators on both databases, and the first of them."""

from collections.abc import AsyncGenerator

import pytest

from golub.model import Operator, Role
from golub.operators import Operators
from golub.store import Store
from golub.vault import Vault
from tests.conftest import SteppedClock
from tests.operators.team import PASSWORD


@pytest.fixture
async def operators(store: Store, clock: SteppedClock) -> AsyncGenerator[Operators]:
    made = Operators(store, clock, Vault(bytes(32)))
    yield made
    made.close()


@pytest.fixture
async def boss(operators: Operators) -> Operator:
    return await operators.create("boss", PASSWORD, name="Boss", role=Role.SUPER_ADMIN)
