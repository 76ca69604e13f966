"""A shop at the simulated Avito, our rows, and the backfill that keeps the two in step; time goes by as a test says."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select, update

from golub import simulator
from golub.apply import Applier
from golub.avito.client import Avito
from golub.backfill import Backfill
from golub.clock import DAY, HOUR, SECOND
from golub.live import Live
from golub.model import Account, Chat, Delivery, Message
from golub.simulator import Simulator
from golub.simulator.wire import webhook_body, webhook_value
from golub.spool import Received, Spool
from golub.store import Store
from tests import shop
from tests.conftest import SteppedClock

PERIOD = int(shop.SETTINGS.sweep_period) * SECOND


@dataclass
class Town:
    """The simulated Avito, our rows, and what keeps the two in step."""

    sim: Simulator
    seller: simulator.Account
    store: Store
    avito: Avito
    applier: Applier
    spool: Spool
    live: Live
    clock: SteppedClock
    backfill: Backfill
    account_id: int = 0

    async def connect(self) -> int:
        self.account_id = await shop.connect(self.store, self.seller, self.clock)
        return self.account_id

    async def work(self) -> None:
        while await self.backfill.run_once() is not None:
            self.clock.step(1)

    async def bring_in(self) -> None:
        """As after an import that read every chat, without its thousand requests."""
        await self.connect()
        await self.backfill.run_once()
        async with self.store.write() as session:
            await session.execute(update(Chat).values(fetch_due_at=None, verified_to=Chat.updated_at))
        self.clock.step(HOUR)
        await self.work()

    async def later(self, by: int = PERIOD) -> None:
        self.clock.step(by)
        await self.work()

    async def chat(self, avito_id: str) -> Chat:
        async with self.store.read() as session:
            return (await session.execute(select(Chat).where(Chat.avito_id == avito_id))).scalar_one()

    async def account(self) -> Account:
        return await shop.account(self.store, self.account_id)

    async def messages(self) -> dict[str, Message]:
        async with self.store.read() as session:
            return {message.avito_id: message for message in await session.scalars(select(Message))}

    async def unread(self) -> int:
        async with self.store.read() as session:
            return await session.scalar(select(func.coalesce(func.sum(Chat.unread), 0))) or 0

    async def call_without_token(self, *bodies: bytes) -> list[bytes]:
        """The bare webhook path, which anybody can call. Returns the deliveries' ids."""
        ids = [random.randbytes(16) for _ in bodies]
        for delivery_id, body in zip(ids, bodies, strict=True):
            await self.spool.put(Received(delivery_id, self.clock(), None, None, "192.0.2.7", b"[]", body))
        await asyncio.to_thread(self.applier.drain)
        return ids

    async def delivery(self, delivery_id: bytes) -> Delivery:
        async with self.store.read() as session:
            return await session.get_one(Delivery, delivery_id)

    async def count(self) -> Counter[str]:
        """Requests by operation since the last count."""
        counted = Counter(call.operation for call in self.sim.calls)
        self.sim.gate.calls.clear()
        return counted


@asynccontextmanager
async def opened(store: Store, clock: SteppedClock, folder: Path) -> AsyncGenerator[Town]:
    sim = Simulator(clock=lambda: clock.now / 1000)
    seller = sim.add_account(shop.USER_ID, "Кедр и Ко")
    live = Live()
    settings = shop.SETTINGS.model_copy(update={"requests_per_minute": 100_000})
    async with (
        shop.applier(store, clock, folder, live) as (applier, spool),
        shop.avito(store, clock, sim, settings=settings, failure_gap=0.001, call_seconds=0.3) as avito,
    ):
        backfill = Backfill(store, avito, applier, settings, clock)
        yield Town(sim, seller, store, avito, applier, spool, live, clock, backfill)


def history(town: Town, chats: int, messages: int = 1) -> list[simulator.Chat]:
    """Chats of the last days, the newest last."""
    made: list[simulator.Chat] = []
    start = town.clock.now // 1000 - chats * 60 - DAY // 1000
    for number in range(chats):
        chat = town.sim.add_chat(town.seller, f"Покупатель {number}", created=start + number * 60)
        for place in range(messages):
            town.sim.buyer_says(chat, f"вопрос {place}", quiet=True, at=start + number * 60 + place // 4)
        made.append(chat)
    return made


def hint(message: simulator.Message) -> bytes:
    return webhook_body("00000000-0000-0000-0000-000000000000", message.created, webhook_value(message))
