"""A whole site over real stores, and browsers that visit it: strangers, and operators of each role."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from golub.backup import Backups
from golub.health import Health
from golub.meter import Meter
from golub.model import Operator, Role
from golub.operators import Operators
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from golub.vault import Vault
from golub.web.parts import Parts
from golub.web.routes import build
from tests import door
from tests.conftest import SteppedClock
from tests.door import World

ORIGIN = "http://localhost"


@dataclass
class Browser:
    """An HTTP client that behaves like a browser: keeps cookies, names its origin, sends the page's token."""

    client: httpx2.AsyncClient
    operator: Operator | None = None
    csrf: str = ""

    async def get(self, url: str, **more: Any) -> httpx2.Response:
        return await self.client.get(url, **more)

    async def post(self, url: str, data: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        return await self.client.post(url, data={"csrf": self.csrf, **(data or {})}, **more)


@pytest.fixture
async def parts(sqlite_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Parts]:
    """What the ground of the web needs; pages of a stage bring their own."""
    store = Store(sqlite_url)
    operators = Operators(store, clock, Vault(bytes(32)))
    spool = Spool(tmp_path, quota=8 << 20, clock=clock)
    spool.start()
    nobody = cast(Any, None)
    settings = Settings.model_validate({"data_dir": tmp_path})
    yield Parts(
        settings=settings,
        clock=clock,
        store=store,
        vault=Vault(bytes(32)),
        spool=spool,
        ingest=nobody,
        applier=nobody,
        live=nobody,
        nodes=nobody,
        avito=nobody,
        outbox=nobody,
        backfill=nobody,
        operators=operators,
        accounts=nobody,
        subscriptions=nobody,
        relays=nobody,
        replays=nobody,
        alerts=nobody,
        media=nobody,
        health=Health(settings, store, spool, clock),
        meter=Meter(store, settings, clock),
        doctor=nobody,
        erasures=nobody,
        backups=Backups(settings, Vault(bytes(32)), clock),
    )
    spool.close()
    operators.close()
    await store.close()


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    """Avito with one shop, which is connected; on each database."""
    async with door.world(store, clock, tmp_path) as made:
        yield made


@pytest.fixture
async def world_parts(world: World) -> AsyncGenerator[Parts]:
    """What the pages of that world work with: the `parts` of a module that is about them."""
    operators = Operators(world.store, world.clock, Vault(bytes(32)))
    yield world.parts(operators)
    operators.close()


@pytest.fixture
def site(parts: Parts) -> FastAPI:
    return build(parts)


Visit = Callable[[Role | None], Awaitable[Browser]]


@pytest.fixture
async def visit(site: FastAPI, parts: Parts) -> AsyncGenerator[Visit]:
    """`await visit(Role.ADMIN)`: an operator's browser, signed in; `await visit(None)`: a stranger's."""
    async with AsyncExitStack() as open_clients:

        async def visit(role: Role | None) -> Browser:
            transport = httpx2.ASGITransport(site, client=("192.0.2.7", 50_000), raise_app_exceptions=False)
            client = httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": ORIGIN})
            await open_clients.enter_async_context(client)
            if role is None:
                token = secrets.token_urlsafe(32)
                client.cookies.set("visitor", token, domain="localhost.local")
                return Browser(client, csrf=token)
            operator = await add_operator(parts, role)
            secret, opened = await parts.operators.open_session(operator, address="192.0.2.7")
            client.cookies.set("session", secret, domain="localhost.local")
            return Browser(client, operator, opened.csrf)

        yield visit


@pytest.fixture
async def admin(visit: Visit) -> Browser:
    return await visit(Role.ADMIN)


@pytest.fixture
async def owner(visit: Visit) -> Browser:
    """The super_admin."""
    return await visit(Role.SUPER_ADMIN)


async def add_operator(parts: Parts, role: Role) -> Operator:
    """One who has no password, which spares the hash: he is signed in by the back door."""
    async with parts.store.write() as session:
        number = await session.scalar(select(func.count()).select_from(Operator))
        login = f"{role}-{number}"
        operator = Operator(
            login=login, name=login, password_hash="", role=role, locale="en", active=True, created_at=parts.clock()
        )
        session.add(operator)
    return operator
