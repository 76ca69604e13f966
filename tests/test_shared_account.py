"""One account served by several processes on one PostgreSQL: one asks for its token, and all keep to one budget."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from golub.avito.client import Avito
from golub.avito.pace import Lane, Pace
from golub.avito.shares import Shares
from golub.avito.turns import SharedTurns
from golub.clock import DAY, MINUTE, now
from golub.errors import Paced, WrongKeys
from golub.model import PaceShare
from golub.nodes import Nodes
from golub.settings import Settings
from golub.simulator import Simulator
from golub.store import Store
from tests import shop
from tests.conftest import AtScale, SteppedClock
from tests.promises import Figures

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def sim(clock: SteppedClock) -> Simulator:
    return Simulator(clock=lambda: clock.now / 1000)


@pytest.fixture
async def account_id(postgres_url: str, sim: Simulator, clock: SteppedClock) -> int:
    store = Store(postgres_url)
    account_id = await shop.connect(store, sim.add_account(shop.USER_ID, "Кедр и Ко"), clock)
    await store.close()
    return account_id


@asynccontextmanager
async def processes(url: str, sim: Simulator, clock: SteppedClock, number: int) -> AsyncGenerator[list[Avito]]:
    async with AsyncExitStack() as stack:
        clients: list[Avito] = []
        for _ in range(number):
            store = Store(url)
            stack.push_async_callback(store.close)
            clients.append(await stack.enter_async_context(shop.avito(store, clock, sim)))
        yield clients


@pytest.mark.promise("P17")
async def test_twenty_tasks_of_four_processes_ask_for_one_token(
    postgres_url: str, sim: Simulator, clock: SteppedClock, account_id: int
) -> None:
    async with processes(postgres_url, sim, clock, 4) as clients:
        for _ in range(3):
            sim.calls.clear()
            tokens = await asyncio.gather(*(one.token_for(account_id) for one in clients * 5))
            assert len(set(tokens)) == 1
            assert [call.operation for call in sim.calls] == ["token"]
            clock.step(2 * DAY)


@pytest.mark.promise("P17")
async def test_wrong_keys_are_tried_once_a_minute_by_all_together(
    postgres_url: str, sim: Simulator, clock: SteppedClock, account_id: int
) -> None:
    next(iter(sim.world.accounts.values())).revoked = True
    async with processes(postgres_url, sim, clock, 3) as clients:
        for minute in range(1, 4):
            for one in clients * 2:
                with pytest.raises(WrongKeys):
                    await one.token_for(account_id)
            assert len(sim.calls) == minute
            clock.step(MINUTE)


async def test_a_process_that_dies_while_it_asks_loses_its_turn(
    postgres_url: str, sim: Simulator, clock: SteppedClock, account_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    take = SharedTurns.take

    async def noted(self: SharedTurns, account_id: int, keys: bytes) -> bool:
        looks.append(await take(self, account_id, keys))
        return looks[-1]

    monkeypatch.setattr(SharedTurns, "take", noted)
    async with processes(postgres_url, sim, clock, 2) as (one, other):
        sim.fault("token", delay=30)
        asking = asyncio.create_task(one.token_for(account_id))
        while not sim.calls:  # noqa: ASYNC110 - the simulator tells nobody
            await asyncio.sleep(0.01)  # until it has asked
        waiting = asyncio.create_task(other.token_for(account_id))
        while looks.count(False) < 2:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.01)  # until the one who waits has looked twice
        assert not waiting.done()
        clock.step(MINUTE)
        assert await waiting
        asking.cancel()


class Minute:
    """An Avito whose minute lasts `window` seconds, and the account's processes before it. They live as long as `lease`
    seconds: nothing here says again that they do."""

    def __init__(self, url: str, folder: Path, limit: int, *, window: float, lease: float = 600.0) -> None:
        began = time.monotonic()
        self.window = window
        self.simulator = Simulator(clock=lambda: 1_790_000_000 + (time.monotonic() - began) * 60 / window)
        self.simulator.policy.rate_limit = limit
        self.seller = self.simulator.add_account(shop.USER_ID, "Кедр и Ко")
        self.settings = Settings.model_validate(
            {"avito_url": "http://avito.test", "database_url": url, "data_dir": folder, "requests_per_minute": limit}
        )
        self.lease = lease
        self.account_id = 0

    @asynccontextmanager
    async def process(self) -> AsyncGenerator[tuple[Avito, Nodes]]:
        store = Store(self.settings.database_url)
        nodes = Nodes(store, self.settings, now, lease=self.lease)
        shares = Shares(store, nodes, self.settings.requests_per_minute, window=self.window, lease=self.lease)
        pace = Pace(self.settings.requests_per_minute, shares, window=self.window)
        transport = httpx2.ASGITransport(self.simulator.app)
        avito = Avito(self.settings, store, shop.VAULT, now, transport, pace=pace)
        self.account_id = self.account_id or await shop.connect(store, self.seller, now)
        tidying = asyncio.create_task(avito.run())
        yield avito, nodes
        tidying.cancel()
        await asyncio.wait([tidying])
        await avito.close()
        await store.close()

    @property
    def refused(self) -> int:
        return sum(call.status == 429 for call in self.simulator.calls)

    @property
    def most(self) -> int:
        """In any minute, by the simulator's own time."""
        times = sorted(call.at for call in self.simulator.calls if call.operation != "token")
        return max(bisect_left(times, start + 60) - place for place, start in enumerate(times))


async def work(avito: Avito, account_id: int, number: int, lane: Lane = Lane.BULK) -> None:
    """So many requests, as fast as may be."""
    while number:
        try:
            await avito.chats(account_id, lane=lane)
            number -= 1
        except Paced as paced:
            await asyncio.sleep(paced.retry_after)  # as the stages do


@pytest.mark.promise("P18")
async def test_two_processes_never_exceed_the_limit_and_operators_do_not_wait(
    postgres_url: str, tmp_path: Path, at_scale: AtScale, figures: Figures
) -> None:
    """An operator's patience, after which `Paced` is raised here, is about a minute of this Avito."""
    limit, jobs = 200, at_scale(300, 10_000)
    minute = Minute(postgres_url, tmp_path, limit, window=2.0)
    async with minute.process() as (one, _), minute.process() as (other, _):
        bulk = [
            asyncio.create_task(work(client, minute.account_id, jobs // 20))
            for client in (one, other)
            for _ in "0123456789"
        ]
        waits: list[float] = []
        while not all(task.done() for task in bulk):
            for client in (one, other):
                began = time.monotonic()
                await client.chats(minute.account_id, lane=Lane.OPERATOR)
                waits.append(time.monotonic() - began)
            await asyncio.sleep(0.1)  # an operator's pace
        await asyncio.gather(*bulk)
    figures(requests=len(minute.simulator.calls), limit=limit, most=minute.most, longest_wait=round(max(waits), 3))
    assert minute.refused == 0
    assert minute.most <= limit
    assert max(waits) < at_scale(5, 2), "the machine may be busy while the whole suite runs"


async def test_history_in_one_process_leaves_something_to_what_is_prompt_in_another(
    postgres_url: str, tmp_path: Path
) -> None:
    minute = Minute(postgres_url, tmp_path, 100, window=600.0)  # none of it comes free before the test is over
    async with minute.process() as (one, _), minute.process() as (other, _):
        bulk = [asyncio.create_task(work(one, minute.account_id, 1000)) for _ in range(8)]
        while len(minute.simulator.calls) < 71:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)  # until history has all that it may have
        for _ in range(10):
            await other.chats(minute.account_id, lane=Lane.PROMPT)
        assert len(minute.simulator.calls) == 71 + 10
        for task in bulk:
            task.cancel()
        await asyncio.gather(*bulk, return_exceptions=True)
    assert minute.refused == 0


async def test_what_avito_says_to_one_process_binds_the_others(postgres_url: str, tmp_path: Path) -> None:
    minute = Minute(postgres_url, tmp_path, 100, window=2.0)
    async with minute.process() as (one, _), minute.process() as (other, _):
        await other.chats(minute.account_id)
        minute.simulator.fault("getChatsV2", status=429, headers={"retry-after": "60"})
        with pytest.raises(Paced):
            await one.chats(minute.account_id)
        number = len(minute.simulator.calls)
        account = other._pace._accounts[minute.account_id]
        while not account.all_at:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.05)  # until it has looked
        with pytest.raises(Paced) as paced:
            await other.chats(minute.account_id, lane=Lane.OPERATOR)
        assert 3 < paced.value.retry_after <= 60
        assert len(minute.simulator.calls) == number


async def test_a_dead_process_leaves_its_part_to_the_others_but_not_too_soon(postgres_url: str, tmp_path: Path) -> None:
    minute = Minute(postgres_url, tmp_path, 40, window=1.0, lease=1.0)
    async with minute.process() as (one, nodes), minute.process() as (other, _):
        await asyncio.gather(*(work(one, minute.account_id, 7) for _ in range(4)))
        died = time.monotonic()  # it says no more that it lives
        await asyncio.gather(*(work(other, minute.account_id, 10) for _ in range(4)))
        assert time.monotonic() - died > minute.window
        assert minute.most <= 40
        assert minute.refused == 0
        name = nodes.id
        await one.chats(minute.account_id, lane=Lane.OPERATOR)  # it only seemed dead: now it is another one
        assert nodes.id != name
    assert minute.most <= 40
    assert minute.refused == 0


async def test_what_is_not_needed_is_given_back(postgres_url: str, tmp_path: Path) -> None:
    minute, store = Minute(postgres_url, tmp_path, 100, window=0.5), Store(postgres_url)
    async with minute.process() as (one, _), minute.process():
        await asyncio.gather(*(work(one, minute.account_id, 15) for _ in range(4)))
        await given_back(store)
    await store.close()


async def test_what_could_not_be_given_back_at_once_is_given_back_later(postgres_url: str, tmp_path: Path) -> None:
    minute, store = Minute(postgres_url, tmp_path, 100, window=0.5), Store(postgres_url)
    async with minute.process() as (one, _):
        await asyncio.gather(*(work(one, minute.account_id, 15) for _ in range(4)))
        account = one._pace._accounts[minute.account_id]
        with store.writing() as connection:  # somebody else has the row, while nobody works any more
            assert connection.execute(select(PaceShare).with_for_update()).all()
            while any(account.held) or not account.to_keep or account.taking.locked():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)  # until a turn of tidying has failed
        await given_back(store)
    await store.close()


async def given_back(store: Store) -> None:
    async with asyncio.timeout(60):
        while True:
            async with store.read() as session:
                if not (await session.scalars(select(PaceShare.node_id))).all():
                    return
            await asyncio.sleep(0.05)  # until it is
