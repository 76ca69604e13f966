"""A day without Golub: afterwards everything is there, in order, and Avito was never asked more than it bears.

Time runs fast here, for Golub, for the simulated Avito and for the loop they share, so that a minute of Avito's own
sliding window takes a second or two of ours.
"""

import asyncio
import random
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from golub import simulator, store
from golub.app import Golub
from golub.clock import DAY, MINUTE, SECOND
from golub.model import Chat, Message, TimelineKind
from golub.settings import Settings
from golub.simulator import Simulator
from golub.simulator.gate import Call
from golub.web.parts import Parts
from tests import shop
from tests.conftest import ONE_DATABASE, AtScale
from tests.promises import Figures

PUBLIC = "https://golub.example.ru"
BULK = 0.85  # of the budget is for what nobody waits for: 0.8 as we send, and what arrives closer together than it left

pytestmark = pytest.mark.promise("P6")


class Hurried(asyncio.SelectorEventLoop):
    """A loop for which a second is over in a fraction of one."""

    faster = 20.0

    def __init__(self) -> None:
        super().__init__()
        selector: Any = self._selector  # pyright: ignore[reportAttributeAccessIssue]
        wait: Callable[..., Any] = selector.select
        selector.select = lambda timeout=None: wait(timeout if timeout is None else timeout / self.faster)

    def time(self) -> float:
        return super().time() * self.faster


@pytest.fixture(scope="module")
def anyio_backend(at_scale: AtScale) -> tuple[str, dict[str, Any]]:
    Hurried.faster = at_scale(20, 4)  # the machine must be able to do the budget's requests in that time
    return "asyncio", {"loop_factory": Hurried}


class Time:
    """The loop's time, from a day on that can be moved; ms for Golub."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset = 1_790_000_000_000 - self._loop.time() * SECOND

    def __call__(self) -> int:
        return int(self._offset + self._loop.time() * SECOND)

    def step(self, by: int) -> None:
        self._offset += by


class Street(httpx2.AsyncBaseTransport):
    """The way to Golub's door, while there is one."""

    def __init__(self) -> None:
        self.door: httpx2.ASGITransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.door is None:
            raise httpx2.ConnectError("nobody lives here", request=request)
        return await self.door.handle_async_request(request)


@dataclass
class Shop:
    sim: Simulator
    seller: simulator.Account
    street: Street
    time: Time
    settings: Settings

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Parts]:
        """A process of Golub on the same data."""
        golub = Golub(self.settings, clock=self.time, transport=httpx2.ASGITransport(self.sim.app))
        async with golub.working() as parts:
            self.street.door = httpx2.ASGITransport(golub.asgi)
            try:
                yield parts
            finally:
                self.street.door = None


@pytest.fixture
async def town(
    database_url: str, tmp_path: Path, at_scale: AtScale, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Shop]:
    for patience in ("CHECKOUT_WAIT", "LOCK_WAIT"):  # the disk is no faster than it is
        monkeypatch.setattr(store, patience, getattr(store, patience) * Hurried.faster)
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path / "node",
            "database_url": database_url,
            "public_url": PUBLIC,
            "avito_url": "http://avito.test",
            "requests_per_minute": at_scale(100, 500),
        }
    )
    time, street = Time(), Street()
    sim = Simulator(tmp_path / "oracle.jsonl", clock=lambda: time() / SECOND, deliver=street)
    async with sim:
        yield Shop(sim, sim.add_account(shop.USER_ID, "Кедр и Ко"), street, time, settings)


async def everything_is_there(town: Shop, parts: Parts) -> None:
    """Until our rows have as many messages as Avito. Fails after half an hour of simulated time."""
    wanted = sum(1 for _ in town.sim.world.walk())
    async with asyncio.timeout(30 * 60):
        while True:
            async with parts.store.read() as session:
                have = await session.scalar(select(func.count()).select_from(Message))
                due = await session.scalar(select(func.count()).where(Chat.fetch_due_at.is_not(None)))
            if have == wanted and not due:
                return
            await asyncio.sleep(5)  # simulated seconds, between two looks at the database


def busiest_minute(calls: list[Call]) -> int:
    """The simulator's own sliding window: the most requests that came in any 60 s."""
    times = sorted(call.at for call in calls if call.operation != "token")
    return max((place + 1 - bisect_left(times, at - 60 + 1e-6) for place, at in enumerate(times)), default=0)


async def test_after_a_day_away_everything_is_there_in_order_and_within_the_budget(
    town: Shop, at_scale: AtScale, figures: Figures, seed: int
) -> None:
    dice = random.Random(seed)
    sim, limit = town.sim, town.settings.requests_per_minute
    old = [sim.add_chat(town.seller, f"Давний {number}") for number in range(at_scale(10, 50))]
    for chat in old:
        sim.buyer_says(chat, "было", quiet=True)
    async with town.open() as parts:
        account = (await parts.accounts.connect(town.seller.client_id, town.seller.client_secret)).account
        await everything_is_there(town, parts)
        url = parts.subscriptions.recommended_url()
        await parts.subscriptions.register(account.id, url, ["message"], skip_probe=True)
        town.time.step(MINUTE)
        sim.buyer_says(old[0], "последнее перед тишиной")
        await sim.idle()
        await everything_is_there(town, parts)

    chats = [*old, *(sim.add_chat(town.seller, f"Новый {number}") for number in range(at_scale(20, 750)))]
    count = at_scale(340, 5000)
    writers = [*chats, *dice.choices(chats, k=count - len(chats) - 250), *[old[0]] * 250]  # one has three pages
    dice.shuffle(writers)
    for number, chat in enumerate(writers):
        sim.buyer_says(chat, f"сообщение {number}")
        if number % 2:  # messages of one second are normal
            town.time.step(2 * DAY // count)
    await sim.idle()
    assert not town.street.door
    sim.calls.clear()

    began = town.time()
    async with town.open() as parts:
        await everything_is_there(town, parts)
        took = (town.time() - began) / SECOND
        calls = list(sim.calls)
        async with parts.store.read() as session:
            rows = (
                await session.execute(
                    select(Chat.avito_id, Message.avito_id)
                    .join(Chat)
                    .order_by(Message.chat_id, Message.created_at, Message.id)
                )
            ).all()
        timeline = await parts.accounts.timeline(account.id)
    stored = [(row[0], row[1]) for row in rows]
    said = [(message.chat.id, message.id) for message in sim.world.walk()]
    busiest = busiest_minute(calls)
    figures(
        acked=count, acked_missing=len(set(said) - set(stored)), applied_twice=len(stored) - len(set(stored)),
        chats=len(chats), simulated_seconds=round(took), requests=len(calls), busiest_minute=busiest, budget=limit,
    )  # fmt: skip
    assert set(stored) == set(said)
    assert len(stored) == len(set(stored))
    for chat in chats:
        assert [key[1] for key in stored if key[0] == chat.id] == [message.id for message in chat.history]
    assert busiest <= limit * BULK
    assert busiest > limit * 0.1  # or the budget was never tried
    assert any(entry.kind == TimelineKind.DOWN and (entry.until or 0) - entry.at >= DAY for entry in timeline)


async def test_the_sweep_at_the_start_covers_the_gap_since_the_last_delivery(town: Shop) -> None:
    """A short gap as well: long before the next sweep would have been due."""
    sim = town.sim
    chats = [sim.add_chat(town.seller, f"Покупатель {number}") for number in range(3)]
    async with town.open() as parts:
        account = (await parts.accounts.connect(town.seller.client_id, town.seller.client_secret)).account
        url = parts.subscriptions.recommended_url()
        await parts.subscriptions.register(account.id, url, ["message"], skip_probe=True)
        await everything_is_there(town, parts)
        await asyncio.sleep(10)  # simulated seconds
        swept_at = (await parts.accounts.get(account.id)).swept_at
    for chat in chats:
        sim.buyer_says(chat, "вы здесь?")
    await sim.idle()
    town.time.step(MINUTE)
    began = town.time()
    async with town.open() as parts:
        await everything_is_there(town, parts)
        assert town.time() - began < town.settings.sweep_period * SECOND / 2
        assert (await parts.accounts.get(account.id)).swept_at > swept_at
        async with parts.store.read() as session:
            assert await session.scalar(select(func.sum(Chat.unread))) == len(chats)


@ONE_DATABASE
async def test_a_lower_limit_that_avito_names_is_never_passed(town: Shop) -> None:
    """`X-RateLimit-Limit` of the first answer is known to all that follow: not one is refused."""
    sim = town.sim
    town.seller.rate_limit = 70
    for number in range(75):
        sim.buyer_says(sim.add_chat(town.seller, f"Давний {number}"), "было", quiet=True)
    async with town.open() as parts:
        await parts.accounts.connect(town.seller.client_id, town.seller.client_secret)
        await everything_is_there(town, parts)
    assert {call.status for call in sim.calls} == {200}
    assert busiest_minute(sim.calls) <= 70 * BULK
