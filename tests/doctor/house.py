"""A whole Golub on a socket, behind a proxy with HTTPS, before a simulated Avito; and a doctor who comes to see it.

What leads out is led to sockets of this test: names, public addresses and ports, Linux' /proc. All else is real.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from sqlalchemy import text
from starlette.types import Receive, Scope, Send

from golub.app import Golub
from golub.backup.folder import name_of
from golub.clock import HOUR, MINUTE, Clock, now
from golub.doctor import Doctor, Finding, Inside, Machine, Reach, worst_first
from golub.health import Disk, disk_of
from golub.model import DEFAULT_EVENT_TYPES
from golub.server import Server
from golub.settings import Settings
from golub.simulator import Account, Simulator
from golub.spool import Received
from golub.store import Store
from golub.vault import Vault
from golub.web.parts import Parts
from tests.doctor.proxy import HOST, Proxy, authority, plain, serving, sign, trusting
from tests.guide.town import AVITO, PUBLIC
from tests.guide.town import Clock as AvitosClock

PUBLIC_ADDRESS = "93.184.216.34"
DEAD_ADDRESS = "93.184.216.35"
_numbers = count()
CLOSED = 9  # a port that nobody serves


class Avito(httpx2.AsyncBaseTransport):
    """The way to the simulator, which tells the time as every server on the internet does."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner = inner
        self.wrong_by = 0.0  # seconds

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self.inner.handle_async_request(request)
        response.headers["date"] = format_datetime(
            datetime.fromtimestamp(time.time() + self.wrong_by, UTC), usegmt=True
        )
        return response


@dataclass
class House:
    parts: Parts
    sim: Simulator
    folder: Path
    proxy: Proxy
    avito: Avito
    shop: Account
    account_id: int
    proc: Path
    ports: dict[int, int]  # of the public address, and where they really lead
    stack: AsyncExitStack
    database_url: str
    names: dict[str, list[str]] = field(default_factory=lambda: {HOST: [PUBLIC_ADDRESS]})
    disk: Callable[[Path], Disk] = disk_of
    clock: Clock = now
    vault: Vault | None = None
    beside: bool = False  # the command, and not the server's own page
    leads_to: str = "127.0.0.1"
    on_route: Callable[[str], None] = lambda _: None
    patience: float = 5.0
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    lent_store: Store | None = None  # which has its statements compiled

    @cached_property
    def store(self) -> Store:
        """The doctor's own."""
        if self.lent_store is not None and self.lent_store.url == self.database_url:
            return self.lent_store
        store = Store(self.database_url)
        self.stack.push_async_callback(store.close)
        return store

    @property
    def data(self) -> Path:
        return self.parts.settings.data_dir

    @property
    def backups(self) -> Path:
        return self.parts.settings.effective_backup_dir

    def doctor(self) -> Doctor:
        parts = self.parts

        async def resolve(host: str, port: int) -> list[str]:
            if host not in self.names:
                raise OSError("no such name")
            return self.names[host]

        def route(host: str, port: int) -> tuple[str, int]:
            self.on_route(host)
            return self.leads_to, self.ports.get(port, CLOSED) if host != DEAD_ADDRESS else CLOSED

        return Doctor(
            parts.settings.model_copy(update=self.settings),
            self.store,
            self.clock,
            self.vault,
            None if self.beside else Inside(parts.health, parts.spool, parts.subscriptions),
            reach=Reach(resolve=resolve, route=route, tls=trusting(), patience=self.patience),
            machine=Machine(proc=self.proc, disk=self.disk),
            avito=self.avito,
        )

    async def examine(self) -> list[Finding]:
        return await self.doctor().examine()

    async def first(self) -> Finding:
        """What is to be mended first."""
        found = worst_first(await self.examine())
        assert found, "the doctor finds nothing wrong"
        return found[0]

    async def serve(self, port: int, tls: Any) -> None:
        """Another listener for the public port, in the place of the one that is there."""
        self.ports[port] = await self.stack.enter_async_context(self.proxy.listening(tls))

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator["House"]:
        """The same house for one fault, with a proxy and a surrounding of its own."""
        async with AsyncExitStack() as stack:
            proc = self.folder / f"proc-{next(_numbers)}"
            lent = House(
                self.parts, self.sim, self.folder, Proxy(self.proxy.golub_port), Avito(self.avito.inner), self.shop,
                self.account_id, proc, dict(self.ports), stack, self.database_url, vault=self.vault,
                lent_store=self.store,
            )  # fmt: skip
            furnish(lent, self.data)
            await lent.certificate()
            yield lent

    async def certificate(self, *, host: str = HOST, days: tuple[float, float] = (-30.0, 60.0)) -> None:
        between = authority()[1]
        await self.serve(443, serving(self.folder, sign(HOST, between, host=host, days=days), between))

    async def buyer_writes(self) -> None:
        chat = self.sim.add_chat(self.shop, "Анна")
        self.sim.buyer_says(chat, "Добрый день")
        await self.applied()

    async def applied(self) -> None:
        await self.sim.idle()
        assert await asyncio.to_thread(self.parts.applier.wait_applied, 10)

    async def change(self, statement: Any) -> None:
        async with self.parts.store.write() as session:
            await session.execute(statement)

    async def say(self, statement: str) -> None:
        """To the database, as somebody who knows SQL would."""
        await self.change(text(statement))

    async def post(self, body: bytes, times: int = 1) -> None:
        """Deliveries at the account's own address, past the proxy."""
        url = await self.parts.subscriptions.url_of(await self.parts.subscriptions.get(self.account_id))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.proxy.golub_port}") as client:
            for _ in range(times):
                (await client.post(urlsplit(url).path, content=body)).raise_for_status()
        await self.applied()

    async def holds_up(self, size: int) -> None:
        """Apply has stopped, and a delivery has waited for ten minutes."""
        self.beside = True
        parts = self.parts
        await asyncio.to_thread(parts.applier.stop)
        await parts.spool.put(Received(os.urandom(16), now() - 10 * MINUTE, None, None, "", b"[]", bytes(size)))

    def copy_of_folder(self) -> Path:
        return Path(shutil.copytree(self.data, self.folder / "copy", ignore=shutil.ignore_patterns("ballast")))

    def write(self, name: str, text: str) -> None:
        (self.proc / name).parent.mkdir(exist_ok=True, parents=True)
        (self.proc / name).write_text(text)


@asynccontextmanager
async def opened(folder: Path, database_url: str, **settings: Any) -> AsyncGenerator[House]:
    """All is well in it. Nothing runs by itself but receiving and applying, so that a fault stays as it was planted."""
    data = folder / "data"
    golub: Golub | None = None

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        assert golub
        await golub.asgi(scope, receive, send)

    street = httpx2.ASGITransport(door, client=("185.89.12.9", 40_000))
    sim = Simulator(folder / "simulator.jsonl", clock=AvitosClock(), base_url=AVITO, deliver=street)
    avito = Avito(httpx2.ASGITransport(sim.app))
    chosen = {"data_dir": data, "database_url": database_url, "public_url": PUBLIC, "avito_url": AVITO,
              "alert_url": "https://alerts.example.com/golub", **settings}  # fmt: skip
    golub = Golub(Settings.model_validate(chosen), transport=avito)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sim)
        parts = await stack.enter_async_context(golub.opened())
        await golub.migrate()
        parts.applier.start()
        server = Server(golub.asgi, "127.0.0.1", 0)
        serving_on = asyncio.create_task(server.run())
        shop = sim.add_account(7_001, "Велосипеды")
        account_id = (await parts.accounts.connect(shop.client_id, shop.client_secret)).account.id
        url = parts.subscriptions.recommended_url()
        await parts.subscriptions.register(account_id, url, DEFAULT_EVENT_TYPES, skip_probe=True)
        house = House(
            parts, sim, folder, Proxy(server.port), avito, shop, account_id, folder / "proc", {}, stack, database_url,
            vault=parts.vault,
        )  # fmt: skip
        furnish(house, data)
        _backed_up(house)
        await house.certificate()
        redirect = Proxy(CLOSED, answers=lambda asked: _to_https(asked.target))
        house.ports[80] = await stack.enter_async_context(redirect.listening(None))
        yield house
        server.stop()
        await serving_on


def furnish(house: House, folder: Path) -> None:
    """A machine that has everything, and on it a server that owns the folder."""
    house.write("meminfo", "MemTotal: 4000000 kB\nMemFree: 1000000 kB\nMemAvailable: 2000000 kB\n")
    house.write("loadavg", "0.20 0.15 0.10 1/200 4000\n")
    house.write("mounts", "/dev/sda1 / ext4 rw,relatime 0 0\n")
    lock = (folder / "spool.lock").stat().st_ino
    house.write("locks", f"1: FLOCK  ADVISORY  WRITE {os.getpid()} 08:01:{lock} 0 EOF\n")
    house.write(f"{os.getpid()}/limits", "Max open files            65536                65536                files\n")


def _backed_up(house: House) -> None:
    house.data.chmod(0o700)
    house.backups.mkdir(mode=0o700)
    (house.backups / name_of(now() - HOUR, "scheduled")).write_bytes(bytes(1 << 20))


def _to_https(target: str) -> bytes:
    return plain("301 Moved Permanently", b"", ("Location", f"https://{HOST}{target}"))
