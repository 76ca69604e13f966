"""Avito with one shop, and our side of it, as the internet sees it: our public address leads to our own door."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
from sqlalchemy import select

from golub import simulator
from golub.accounts import Accounts
from golub.alerts import Alerts
from golub.apply import Applier
from golub.avito.client import Avito
from golub.errors import NotFound
from golub.guarded import Guarded
from golub.health import Health
from golub.ingest import Ingest
from golub.live import Live
from golub.meter import Meter
from golub.model import PathToken
from golub.nodes import Nodes
from golub.operators import Operators
from golub.relay import Relays
from golub.settings import Settings
from golub.signatures import Trial
from golub.simulator import Simulator
from golub.spool import Spool
from golub.store import Store
from golub.subscription import Subscriptions, token_of
from golub.web.parts import Parts
from golub.web.webhook import Webhook
from tests import shop
from tests.conftest import SteppedClock

PUBLIC = "https://golub.example.ru"
FOREIGN = "https://crm.example.com/hooks/avito"


class Way(httpx2.AsyncBaseTransport):
    """From the internet to us; a test may put something else at its end."""

    def __init__(self, *ends: httpx2.AsyncBaseTransport) -> None:
        self.ends = list(ends)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self.ends[-1].handle_async_request(request)


class Answers(httpx2.AsyncBaseTransport):
    """Somebody else's server, who always says the same, and keeps what he was told."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.status, request=request)


class Nudged:
    """Backfill's doorbell, where nothing is to be fetched."""

    def __init__(self) -> None:
        self.times = 0

    def nudge(self) -> None:
        self.times += 1


@dataclass
class World:
    avito: Simulator
    shop: simulator.Account
    account_id: int  # 0 until the shop is connected
    client: Avito
    settings: Settings
    store: Store
    spool: Spool
    ingest: Ingest
    subscriptions: Subscriptions
    accounts: Accounts
    relays: Relays
    alerts: Alerts
    backfill: Nudged
    clock: SteppedClock
    way: Way

    async def tokens(self) -> list[PathToken]:
        async with self.store.read() as session:
            return list(await session.scalars(select(PathToken).order_by(PathToken.id)))

    async def opens(self, url: str) -> bool:
        """Whether our door lets a delivery to this URL in."""
        try:
            entry = await self.ingest.recognise(token_of(url) or "")
        except NotFound:
            return False
        return entry.account_id == self.account_id

    def called(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.avito.calls)

    async def add_shop(self, user_id: int, name: str) -> int:
        return await shop.connect(self.store, self.avito.add_account(user_id, name), self.clock)

    @asynccontextmanager
    async def applying(self) -> AsyncGenerator[Applier]:
        applier = Applier(self.spool, self.store, Live(), self.clock, Trial(shop.VAULT))
        applier.start()
        try:
            yield applier
        finally:
            applier.stop()

    def parts(self, operators: Operators) -> Parts:
        """What the pages of the administration work with."""
        nobody = cast(Any, None)
        return Parts(
            settings=self.settings,
            clock=self.clock,
            store=self.store,
            vault=shop.VAULT,
            spool=self.spool,
            ingest=self.ingest,
            applier=nobody,
            live=nobody,
            nodes=Nodes(self.store, self.settings, self.clock),
            avito=self.client,
            outbox=nobody,
            backfill=cast(Any, self.backfill),
            operators=operators,
            accounts=self.accounts,
            subscriptions=self.subscriptions,
            relays=self.relays,
            replays=nobody,
            alerts=self.alerts,
            media=nobody,
            backups=nobody,
            health=Health(self.settings, self.store, self.spool, self.clock),
            meter=Meter(self.store, self.settings, self.clock),
            doctor=nobody,
            erasures=nobody,
        )


@asynccontextmanager
async def world(
    store: Store, clock: SteppedClock, folder: Path, *, connected: bool = True, **chosen: Any
) -> AsyncGenerator[World]:
    """`chosen` are settings. The clock of everything is the stepped one."""
    settings = Settings.model_validate(
        {"public_url": PUBLIC, "avito_url": "http://avito.test", "data_dir": folder, **chosen}
    )
    spool = Spool(folder, quota=64 << 20, clock=clock)
    spool.start()
    ingest = Ingest(spool, store, settings, clock)
    way = Way(httpx2.ASGITransport(Webhook(ingest, _nowhere)))
    guarded = Guarded(transport=way, resolve=_public_address)
    async with Simulator(folder / "oracle.jsonl", deliver=way) as avito, shop.avito(store, clock, avito) as client:
        keys = avito.add_account(shop.USER_ID, "Велосипеды")
        yield World(
            avito=avito,
            shop=keys,
            account_id=await shop.connect(store, keys, clock) if connected else 0,
            client=client,
            settings=settings,
            store=store,
            spool=spool,
            ingest=ingest,
            subscriptions=Subscriptions(store, client, spool, shop.VAULT, settings, clock, guarded),
            accounts=Accounts(store, client, shop.VAULT, clock),
            relays=Relays(store, shop.VAULT, settings, clock, guarded),
            alerts=Alerts(store, settings, clock, spool, shop.VAULT, Health(settings, store, spool, clock), guarded),
            backfill=Nudged(),
            clock=clock,
            way=way,
        )
    spool.close()


async def _nowhere(scope: object, receive: object, send: object) -> None:
    raise AssertionError("only webhooks come here")


async def _public_address(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]
