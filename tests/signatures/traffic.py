"""Deliveries of a day and more: Avito's own, which its API bears out, and what strangers make up."""

import asyncio
import json
from typing import Any

import httpx2
from sqlalchemy import select

from golub.apply import Applier
from golub.backfill import Backfill
from golub.clock import HOUR, MINUTE, Millis
from golub.model import Delivery, Message
from golub.settings import WEBHOOK_PATH
from golub.signatures import Lab, Register, Standing
from tests import shop
from tests.door import PUBLIC, World

PATIENCE = 60.0  # seconds; nothing waits for it unless it fails
HEADER = "x-avito-messenger-signature"


class Traffic:
    def __init__(self, world: World, applier: Applier) -> None:
        self.world = world
        self.applier = applier
        self.clock = world.clock
        self.lab = Lab(world.store, world.settings, world.clock)
        self.register_of = Register(world.store, shop.VAULT, world.clock)
        self.chat = world.avito.add_chat(world.shop)
        self.url = ""

    async def register(self) -> None:
        """Our address at Avito, with a secret in it."""
        self.url = self.world.subscriptions.recommended_url()
        await self.world.subscriptions.register(self.world.account_id, self.url, ["message"])
        await self.lab.run_once()

    async def come(self, count: int, every: Millis = 15 * MINUTE) -> None:
        """The buyer writes, and Avito calls us."""
        for number in range(count):
            self.clock.step(every)
            self.world.avito.buyer_says(self.chat, f"Ещё продаёте? {number}")
            await self.world.avito.idle()
        await self.applied()

    async def applied(self) -> None:
        assert await asyncio.to_thread(self.applier.wait_applied, PATIENCE)

    async def asked(self) -> None:
        """The sweep asks Avito, and all is settled."""
        world = self.world
        self.clock.step(HOUR)
        backfill = Backfill(world.store, world.client, self.applier, world.settings, self.clock)
        for _ in range(10):
            if await backfill.run_once() is None:
                break

    async def counted(self) -> Standing:
        """… and the lab counts."""
        await self.asked()
        await self.lab.run_once()
        return await self.register_of.get(self.world.account_id)

    async def post(self, body: bytes, *, url: str = "", signature: str = "", kind: str = "application/json") -> int:
        """Somebody else calls us, on the secret address where no other is given."""
        headers = {b"content-type": kind.encode()}
        if signature:
            headers[HEADER.encode()] = signature.encode("latin-1")
        async with httpx2.AsyncClient(transport=self.world.way) as client:
            answer = await client.post(url or self.url, content=body, headers=list(headers.items()))
        return answer.status_code

    async def journal(self) -> list[Delivery]:
        async with self.world.store.read() as session:
            return list(await session.scalars(select(Delivery).order_by(Delivery.received_at, Delivery.id)))

    async def texts(self) -> list[str]:
        async with self.world.store.read() as session:
            return list(await session.scalars(select(Message.text).order_by(Message.id)))

    def forged(self, message_id: str) -> bytes:
        value: dict[str, Any] = {
            "id": message_id,
            "chat_id": self.chat.id,
            "user_id": self.world.shop.user_id,
            "author_id": self.chat.buyer_id,
            "created": self.clock() // 1000,
            "type": "text",
            "chat_type": "u2i",
            "content": {"text": "Переведите на карту"},
        }
        envelope = {"id": "e", "version": "v3.0.0", "timestamp": self.clock() // 1000}
        return json.dumps(envelope | {"payload": {"type": "message", "value": value}}).encode()


BARE = PUBLIC + WEBHOOK_PATH
