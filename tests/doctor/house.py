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
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from sqlalchemy import text

from golub.backup.folder import name_of
from golub.clock import HOUR, MINUTE, Clock, now
from golub.doctor import Doctor, Finding, Inside, Machine, Reach, worst_first
from golub.health import Disk, disk_of
from golub.model import DEFAULT_EVENT_TYPES
from golub.server import Server
from golub.simulator import Account
from golub.spool import Received
from golub.store import Store
from golub.vault import Vault
from tests.doctor.proxy import HOST, Proxy, authority, serving, sign, trusting
from tests.guide import town
from tests.guide.town import Town

PUBLIC_ADDRESS = "93.184.216.34"
DEAD_ADDRESS = "93.184.216.35"
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
    town: Town
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
    patience: float = 5.0
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def store(self) -> Store:
        """The doctor's own."""
        store = Store(self.database_url)
        self.stack.push_async_callback(store.close)
        return store

    @property
    def data(self) -> Path:
        return self.town.parts.settings.data_dir

    @property
    def backups(self) -> Path:
        return self.town.parts.settings.effective_backup_dir

    def doctor(self) -> Doctor:
        parts = self.town.parts

        async def resolve(host: str, port: int) -> list[str]:
            if host not in self.names:
                raise OSError("no such name")
            return self.names[host]

        def route(host: str, port: int) -> tuple[str, int]:
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

    async def certificate(self, *, host: str = HOST, days: tuple[float, float] = (-30.0, 60.0)) -> None:
        between = authority()[1]
        await self.serve(443, serving(self.folder, sign(HOST, between, host=host, days=days), between))

    async def buyer_writes(self, count: int = 1) -> None:
        chat = self.town.sim.add_chat(self.shop, "Анна")
        for number in range(count):
            self.town.sim.buyer_says(chat, f"Добрый день, {number}")
        await self.town.applied()

    async def change(self, statement: Any) -> None:
        async with self.town.parts.store.write() as session:
            await session.execute(statement)

    async def say(self, statement: str) -> None:
        """To the database, as somebody who knows SQL would."""
        await self.change(text(statement))

    async def post(self, body: bytes, times: int = 1) -> None:
        """Deliveries at the account's own address, past the proxy."""
        webhook = await self.town.parts.subscriptions.get(self.account_id)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.proxy.golub_port}") as client:
            for _ in range(times):
                (await client.post(urlsplit(webhook.url).path, content=body)).raise_for_status()
        await self.town.applied()

    async def holds_up(self, size: int) -> None:
        """Apply has stopped, and a delivery has waited for ten minutes."""
        self.beside = True
        parts = self.town.parts
        await asyncio.to_thread(parts.applier.stop)
        await parts.spool.put(Received(os.urandom(16), now() - 10 * MINUTE, None, None, "", b"[]", bytes(size)))

    def copy_of_folder(self) -> Path:
        return Path(shutil.copytree(self.data, self.folder / "copy", ignore=shutil.ignore_patterns("ballast")))

    def write(self, name: str, text: str) -> None:
        (self.proc / name).parent.mkdir(exist_ok=True)
        (self.proc / name).write_text(text)


@asynccontextmanager
async def opened(folder: Path, database_url: str, **settings: Any) -> AsyncGenerator[House]:
    """All is well in it."""
    chosen = {"alert_url": "https://alerts.example.com/golub", **settings}
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(town.opened(folder / "data", database_url, **chosen))
        server = Server(place.golub.asgi, "127.0.0.1", 0)
        serving_on = asyncio.create_task(server.run())
        proxy = Proxy(server.port)
        shop = place.sim.add_account(7_001, "Велосипеды")
        connected = await place.parts.accounts.connect(shop.client_id, shop.client_secret)
        account_id = connected.account.id
        url = place.parts.subscriptions.recommended_url()
        await place.parts.subscriptions.register(account_id, url, DEFAULT_EVENT_TYPES)
        house = House(
            place, folder, proxy, Avito(httpx2.ASGITransport(place.sim.app)), shop, account_id,
            folder / "proc", {}, stack, database_url, vault=place.parts.vault,
        )  # fmt: skip
        _furnish(house)
        await house.certificate()
        redirect = Proxy(CLOSED, answers=lambda asked: _to_https(asked.target))
        house.ports[80] = await stack.enter_async_context(redirect.listening(None))
        yield house
        server.stop()
        await serving_on


def _furnish(house: House) -> None:
    """A machine that has everything."""
    house.proc.mkdir()
    data = house.town.parts.settings.data_dir
    data.chmod(0o700)
    backups = house.town.parts.settings.effective_backup_dir
    backups.mkdir(mode=0o700)
    (backups / name_of(now() - HOUR, "scheduled")).write_bytes(bytes(1 << 20))
    house.write("meminfo", "MemTotal: 4000000 kB\nMemFree: 1000000 kB\nMemAvailable: 2000000 kB\n")
    house.write("loadavg", "0.20 0.15 0.10 1/200 4000\n")
    house.write("mounts", "/dev/sda1 / ext4 rw,relatime 0 0\n")
    house.write("locks", f"1: FLOCK  ADVISORY  WRITE {os.getpid()} 08:01:{(data / 'spool.lock').stat().st_ino} 0 EOF\n")
    house.write(f"{os.getpid()}/limits", "Max open files            65536                65536                files\n")


def _to_https(target: str) -> bytes:
    from tests.doctor.proxy import plain

    return plain("301 Moved Permanently", b"", ("Location", f"https://{HOST}{target}"))
