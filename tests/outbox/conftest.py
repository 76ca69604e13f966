from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.live import Live
from golub.outbox import Outbox, Pictures
from golub.simulator import Simulator
from golub.store import Store
from tests import shop
from tests.conftest import SteppedClock
from tests.outbox.desk import Desk


@pytest.fixture
def call_seconds() -> float:
    """After so many an answer is lost; few where that is wanted, since a busy machine's simulator is slow."""
    return 600.0


@pytest.fixture
async def desk(store: Store, clock: SteppedClock, tmp_path: Path, call_seconds: float) -> AsyncGenerator[Desk]:
    sim = Simulator(clock=lambda: clock.now / 1000)
    seller = sim.add_account(shop.USER_ID, "Кедр и Ко")
    account_id = await shop.connect(store, seller, clock)
    live = Live()
    network = shop.Network(sim.app)
    folder = tmp_path / "outgoing"
    folder.mkdir()
    async with (
        shop.applier(store, clock, tmp_path, live) as (applier, _),
        shop.avito(store, clock, network, failure_gap=0.001, call_seconds=call_seconds) as avito,
    ):
        outbox = Outbox(store, avito, applier, live, clock, Pictures(folder, clock))
        yield Desk(sim, seller, store, avito, applier, live, clock, account_id, outbox, network)
