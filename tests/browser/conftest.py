"""A whole Golub over the simulated Avito, and a real Chromium that looks at it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Page
from sqlalchemy import select

from golub.app import Golub
from golub.model import DEFAULT_EVENT_TYPES, Chat, Role
from golub.server import Server
from golub.settings import Settings
from golub.simulator import Simulator, world
from golub.subscription.url import make_url
from golub.web.parts import Parts
from tests.chromium import PATIENCE

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class World:
    """A running Golub with one shop, and what a browser must never do."""

    sim: Simulator
    shop: world.Account
    parts: Parts
    account_id: int
    url: str
    secret: str
    browser: Browser
    ways: set[str] = field(default_factory=set[str])  # the hosts, with their ports, at which the server was reached
    foreign: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])

    async def page(
        self, path: str, size: dict[str, int] = WIDE, context: BrowserContext | None = None, *, url: str = ""
    ) -> Page:
        """`url`: another way to the same server. Without a context it is Anna's browser."""
        url = url or self.url
        self.ways.add(urlsplit(url).netloc)
        if context is None:
            context = await self.browser.new_context(
                viewport={"width": size["width"], "height": size["height"]}, service_workers="block"
            )
            await context.add_cookies([{"name": "session", "value": self.secret, "url": self.url}])
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("request", lambda request: self._look(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("console", lambda said: self.complaints.append(said.text) if "Content Security" in said.text else None)
        await page.goto(url + path)
        return page

    def _look(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc not in self.ways:
            self.foreign.append(url)

    async def chat_id(self, chat: world.Chat) -> int:
        """Ours, once the webhook's message has been applied."""
        await self.sim.idle()
        async with self.parts.live.subscribe() as rings:
            while True:
                async with self.parts.store.read() as session:
                    found = await session.scalar(select(Chat.id).where(Chat.avito_id == chat.id))
                if found:
                    return found
                await anext(rings)


@pytest.fixture
async def golub(tmp_path: Path, sqlite_url: str, browser: Browser) -> AsyncGenerator[World]:
    """`sqlite_url` has put a migrated database where Golub looks for it: that is a second saved each time."""
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "avito_url": "http://avito.test", "allow_loopback_webhook": True, "sweep_period": 3600}
    )
    hooks: httpx2.AsyncHTTPTransport = httpx2.AsyncHTTPTransport()
    sim = Simulator(base_url="http://avito.test", deliver=hooks)
    shop = sim.add_account(94_235_311, "Мебель Дубрава")
    server_of = Golub(settings, transport=httpx2.ASGITransport(sim.app))
    async with sim, server_of.working() as parts:
        server = Server(server_of.asgi, "127.0.0.1", 0)
        server.on_stop.append(parts.live.close)
        serving = asyncio.create_task(server.run())
        url = f"http://127.0.0.1:{server.port}"
        connected = await parts.accounts.connect(shop.client_id, shop.client_secret)
        await parts.subscriptions.register(connected.account.id, make_url(url), DEFAULT_EVENT_TYPES)
        operator = await parts.operators.create("anna", "correct horse battery", name="Анна", role=Role.SUPER_ADMIN)
        secret, _ = await parts.operators.open_session(operator)
        there = World(sim, shop, parts, connected.account.id, url, secret, browser)
        try:
            yield there
            assert there.foreign == []
            assert there.complaints == []
        finally:
            for context in browser.contexts:
                await context.close()
            server.stop()
            await serving
