"""A shop at the simulated Avito, and the same shop as an account of ours: what tests of the API's users begin with."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from starlette.applications import Starlette

from golub import simulator
from golub.apply import Applier
from golub.avito.client import Avito
from golub.avito.pace import Pace
from golub.clock import Clock
from golub.live import Live
from golub.model import Account
from golub.settings import Settings
from golub.simulator import Simulator
from golub.spool import Spool
from golub.store import Store
from golub.vault import Vault

USER_ID = 94_235_311
VAULT = Vault(bytes(32))
SETTINGS = Settings.model_validate({"avito_url": "http://avito.test"})


async def connect(store: Store, shop: simulator.Account, clock: Clock) -> int:
    """The row that connecting the shop's keys makes. Returns its id."""
    account = Account(
        user_id=shop.user_id,
        name=shop.name,
        client_id=shop.client_id,
        client_secret=VAULT.seal(shop.client_secret),
        created_at=clock(),
    )
    async with store.write() as session:
        session.add(account)
    return account.id


async def account(store: Store, account_id: int) -> Account:
    async with store.read() as session:
        return await session.get_one(Account, account_id)


@asynccontextmanager
async def avito(
    store: Store,
    clock: Clock,
    transport: httpx2.AsyncBaseTransport | Simulator | None,
    *,
    settings: Settings = SETTINGS,
    failure_gap: float = 0.05,
    call_seconds: float = 30.0,
) -> AsyncGenerator[Avito]:
    if isinstance(transport, Simulator):
        transport = httpx2.ASGITransport(transport.app)
    pace = Pace(settings.requests_per_minute, failure_gap=failure_gap)
    client = Avito(settings, store, VAULT, clock, transport, pace=pace, call_seconds=call_seconds)
    yield client
    await client.close()


@asynccontextmanager
async def applier(store: Store, clock: Clock, folder: Path, live: Live) -> AsyncGenerator[tuple[Applier, Spool]]:
    """Apply with a spool of its own. It drains when a test says so."""
    spool = Spool(folder / "node", quota=8 << 20, clock=clock)
    spool.start()
    applier = Applier(spool, store, live, clock)
    yield applier, spool
    await asyncio.to_thread(applier.stop)
    await asyncio.to_thread(spool.close)


class Network(httpx2.ASGITransport):
    """The way to the simulator, which says when a message to be sent has arrived there. `meanwhile(path)` is what
    happens between Avito's answer to a POST and its arrival here."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(app)
        self.arrived = asyncio.Event()
        self.meanwhile: Callable[[str], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and request.url.path.endswith(("/messages", "/messages/image")):
            self.arrived.set()
        response = await super().handle_async_request(request)
        if self.meanwhile and request.method == "POST":
            await self.meanwhile(request.url.path)
        return response


class Scripted(httpx2.AsyncBaseTransport):
    """Answers below HTTP that no simulator can give: connections that never come, or break half-way."""

    def __init__(self, *calls: httpx2.Response | Exception) -> None:
        self.calls = list(calls)
        self.seen: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        if request.url.path == "/token":
            return httpx2.Response(200, content=json.dumps({"access_token": "t", "expires_in": 86400}).encode())
        answer = self.calls.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
