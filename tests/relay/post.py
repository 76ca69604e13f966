"""A post office: what Avito sends comes in here, and what goes out arrives at a receiver."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from golub.apply import Applier
from golub.live import Live
from golub.model import Account, RelayedDelivery, Webhook
from golub.relay import Relays
from golub.settings import Settings
from golub.spool import Received, Spool
from golub.store import Store
from tests import shapes, shop
from tests.conftest import SteppedClock
from tests.receiver import Receiver

CRM = "https://crm.example.com/hooks/avito"
HEADERS = [
    ["host", "golub.example.ru"],
    ["content-type", "application/json; charset=utf-8"],
    ["content-length", "3"],
    ["user-agent", "Go-http-client/1.1"],
    ["x-avito-messenger-signature", "5f" * 32],
    ["x-odd", "\u00ff\u00fe"],
    ["x-odd", "twice"],
    ["accept-encoding", "gzip"],
    ["connection", "keep-alive, x-for-the-proxy"],
    ["x-for-the-proxy", "1"],
    ["x-forwarded-for", "192.0.2.7"],
    ["x-forwarded-proto", "https"],
    ["x-real-ip", "192.0.2.7"],
    ["forwarded", "for=192.0.2.7"],
    ["via", "1.1 proxy"],
    ["cookie", "a=b"],
    ["transfer-encoding", "chunked"],
]


class Post:
    def __init__(self, store: Store, folder: Path, clock: SteppedClock) -> None:
        self.store = store
        self.clock = clock
        self.settings = Settings.model_validate({"data_dir": folder, "public_url": "https://golub.example.ru"})
        self.receiver = Receiver()
        self.spool = Spool(folder / "node", quota=8 << 20, clock=clock)
        self.spool.start()
        self.applier = Applier(self.spool, store, Live(), clock)
        self.relays = self.process()
        self.account_id = self.add_account(shapes.USER_ID, "https://golub.example.ru/webhook/avito/" + "s" * 43)

    def process(self) -> Relays:
        """Another process's relays, on the same database."""
        return Relays(self.store, shop.VAULT, self.settings, self.clock, self.receiver.guarded())

    def add_account(self, user_id: int, webhook: str) -> int:
        with self.store.writing() as connection:
            account = self.store.insert(Account).values(
                user_id=user_id, client_id="id", client_secret=b"", created_at=self.clock()
            )
            account_id = connection.execute(account.returning(Account.id)).scalar_one()
            connection.execute(
                self.store.insert(Webhook).values(
                    account_id=account_id, url=webhook, types=["message"], created_at=0, updated_at=0
                )
            )
            return account_id

    async def arrive(
        self, *bodies: bytes, bare: bool = False, account_id: int = 0, headers: list[list[str]] = HEADERS
    ) -> list[bytes]:
        """Received, acked and applied. Returns the deliveries' ids."""
        ids: list[bytes] = []
        for body in bodies:
            received = Received(
                id=os.urandom(16),
                received_at=self.clock(),
                account_id=None if bare else account_id or self.account_id,
                token_id=None if bare else 1,
                address="192.0.2.7",
                headers=json.dumps(headers).encode(),
                body=body,
            )
            await self.spool.put(received)
            ids.append(received.id)
        await asyncio.to_thread(self.applier.drain)
        return ids

    async def send(self, relays: Relays | None = None) -> None:
        """All that can go now, to the last."""
        before = -1
        while before < len(self.receiver.got):
            before = len(self.receiver.got)
            await (relays or self.relays).run_once()

    async def rows(self) -> list[RelayedDelivery]:
        async with self.store.read() as session:
            return list(await session.scalars(select(RelayedDelivery).order_by(RelayedDelivery.id)))

    async def count(self, *conditions: Any) -> int:
        async with self.store.read() as session:
            counted = select(func.count()).select_from(RelayedDelivery).where(*conditions)
            return await session.scalar(counted) or 0

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]


def said(number: int, chat: str = "u2i-abc") -> bytes:
    return shapes.message(id=f"m-{chat}-{number}", chat_id=chat, content={"text": f"{chat} №{number}"})
