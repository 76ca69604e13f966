"""A whole Golub, without its loops and sockets, before the simulated Avito: time goes by as a test says."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from golub import simulator
from golub.app import Golub
from golub.clock import MINUTE, Millis
from golub.coverage import Coverage
from golub.model import TimelineEntry
from golub.settings import Settings
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests import shop
from tests.conftest import SteppedClock

PUBLIC = "https://golub.example.ru"
TURN = MINUTE // 2  # what stands in for loops that are never still


@dataclass
class Village:
    sim: Simulator
    seller: simulator.Account
    golub: Golub
    clock: SteppedClock
    account_id: int

    @property
    def parts(self) -> Parts:
        return self.golub.parts

    @property
    def coverage(self) -> Coverage:
        return Coverage(self.parts.store, self.clock)

    async def arrived(self) -> None:
        """Everything that Avito sent is applied."""
        await self.sim.idle()
        assert await asyncio.to_thread(self.parts.applier.wait_applied, 10)

    async def work(self) -> None:
        while await self.parts.backfill.run_once() is not None:
            self.clock.step(1)

    async def turn(self, by: Millis = TURN) -> None:
        """A step of time, and what is due in it."""
        self.clock.step(by)
        await self.arrived()
        await self.parts.subscriptions.run_once()
        await self.work()
        await self.golub.silence.run_once()
        await self.work()

    async def pass_time(self, span: Millis, by: Millis = TURN) -> None:
        for _ in range(span // by):
            await self.turn(by)

    async def timeline(self) -> list[TimelineEntry]:
        """Oldest first."""
        return list(reversed(await self.parts.accounts.timeline(self.account_id)))

    async def register(self, url: str = "") -> str:
        url = url or self.parts.subscriptions.recommended_url()
        await self.parts.subscriptions.register(self.account_id, url, ["message"], skip_probe=True)
        return url


@asynccontextmanager
async def village(database_url: str, folder: Path, clock: SteppedClock, **chosen: Any) -> AsyncGenerator[Village]:
    """One shop, connected, its webhook registered. `chosen` are settings."""
    sqlite = database_url.startswith("sqlite")
    settings = Settings.model_validate(
        {
            "data_dir": folder if sqlite else folder / "node",
            "database_url": "" if sqlite else database_url,
            "public_url": PUBLIC,
            "avito_url": "http://avito.test",
            "requests_per_minute": 100_000,  # its pace runs by the real clock
            **chosen,
        }
    )
    sim = Simulator(clock=lambda: clock.now / 1000)
    golub = Golub(settings, clock=clock, transport=httpx2.ASGITransport(sim.app))
    sim.deliveries._transport = httpx2.ASGITransport(golub.asgi)  # pyright: ignore[reportPrivateUsage]
    seller = sim.add_account(shop.USER_ID, "Кедр и Ко")
    async with sim, golub.opened() as parts:
        await golub.migrate()
        parts.applier.start()
        connected = await parts.accounts.connect(seller.client_id, seller.client_secret)
        made = Village(sim, seller, golub, clock, connected.account.id)
        await made.work()
        clock.step(MINUTE)
        yield made
