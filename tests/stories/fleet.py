"""Several processes of Golub on one PostgreSQL behind a balancer, for the stories that kill them in turn."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import stamina
from sqlalchemy import select

from golub.app import Golub
from golub.errors import Unavailable
from golub.model import DEFAULT_EVENT_TYPES, Chat
from golub.settings import Settings
from golub.simulator import Simulator
from golub.simulator.serve import bind, serving
from golub.simulator.world import Account as Seller
from golub.store import Store
from tests import hosts, processes
from tests.conftest import StartGolub
from tests.hosts import Host
from tests.stories.scene import CHATS, Scene

GONE_AFTER = 0.5  # seconds until the balancer gives a host up that says nothing
KEY = "the same secret key on every node"


@dataclass
class Fleet(Scene):
    """`settings` are those of the first web process, `url` is the balancer's."""

    url: str = ""
    webs: list[processes.Golub] = field(default_factory=list[processes.Golub])
    workers: list[processes.Golub] = field(default_factory=list[processes.Golub])

    async def kill_one_of_each(self, number: int) -> None:
        """kill -9, in turn, and again on the same folder and port."""
        for one in (kind[number % len(kind)] for kind in (self.webs, self.workers)):
            await asyncio.sleep(self.rng.uniform(0, 0.5))  # the moment is the story's die
            await one.kill()
            await one.restart()

    async def end(self) -> None:
        """All at once, in good order; what their spools still hold is applied."""
        await asyncio.gather(*(one.stop() for one in self.webs + self.workers))
        for web in self.webs[1:]:
            async with Golub(self.settings.model_copy(update={"data_dir": web.folder})).working() as parts:
                assert await asyncio.to_thread(parts.applier.wait_applied, processes.PATIENCE)

    @stamina.retry(on=Unavailable, timeout=processes.PATIENCE)
    async def versions(self) -> dict[int, int]:
        """Of every chat, as the database has them: what a page that fetches everything knows."""
        store = Store(self.settings.database_url)
        try:
            async with store.read() as session:
                found = await session.execute(select(Chat.id, Chat.version))
                return {row.id: row.version for row in found}
        finally:
            await store.close()


SetUp = Callable[[Settings, Seller], Awaitable[None]]


async def connect(settings: Settings, shop: Seller) -> None:
    async with Golub(settings).working() as parts:
        account = (await parts.accounts.connect(shop.client_id, shop.client_secret)).account
        address = parts.subscriptions.recommended_url()
        await parts.subscriptions.register(account.id, address, DEFAULT_EVENT_TYPES, skip_probe=True)


@asynccontextmanager
async def fleet(
    tmp_path: Path,
    start: StartGolub,
    database_url: str,
    *,
    seed: int,
    set_up: SetUp = connect,
    program: Sequence[str] = processes.PROGRAM,
    places: Sequence[Host] = (),
    **environment: str,
) -> AsyncGenerator[Fleet]:
    """Two processes that take webhooks and show pages, two that work, and a shop whose webhook leads to the former.
    `places`: a host for each of the four."""
    here = hosts.HERE if places else "127.0.0.1"
    bound, avito_url = bind(here)
    log = tmp_path / "oracle.jsonl"
    simulator = Simulator(log, seed=seed, base_url=avito_url)
    shop = simulator.add_account(94_235_311, "Лавка")
    for number in range(CHATS):
        simulator.add_chat(shop, f"Покупатель {number}")
    webs: list[processes.Golub] = []
    balancer = await asyncio.start_server(_balance(lambda: [_place(web) for web in webs]), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{balancer.sockets[0].getsockname()[1]}"
    chosen: dict[str, Any] = {
        "database_url": database_url,
        "secret_key": KEY,
        "public_url": url,
        "avito_url": avito_url,
        "allow_loopback_webhook": "true",
    }
    async with serving(simulator, bound), balancer:
        settings = Settings.model_validate({"data_dir": tmp_path / "setting-up", "port": 0, **chosen})
        await set_up(settings, shop)
        given = {f"GOLUB_{name.upper()}": str(value) for name, value in chosen.items()} | environment
        roles = ("web", "web", "worker", "worker")
        if places:
            given["GOLUB_SESSION_COOKIE_SECURE"] = "false"
        ways = [(*place.enter, *program) for place in places] or [program] * len(roles)
        at = [place.address for place in places] or [here] * len(roles)
        started = [
            await start("serve", program=way, GOLUB_ROLE=role, GOLUB_HOST=address, **given)
            for role, way, address in zip(roles, ways, at, strict=True)
        ]
        webs += started[:2]
        settings = settings.model_copy(update={"data_dir": webs[0].folder})
        yield Fleet(simulator, webs[0], settings, Random(seed), log, url=url, webs=webs, workers=started[2:])


class Reader:
    """A client of the event stream that trusts it: it fetches everything only when it is told to, or at its first
    hello, and after every break it comes back with its last id."""

    def __init__(self, client: httpx2.AsyncClient, fetch: Callable[[], Awaitable[dict[int, int]]]) -> None:
        self.known: dict[int, int] = {}
        self.connections = 0
        self._client = client
        self._fetch = fetch
        self._last_id = ""

    async def run(self) -> None:
        while True:
            with suppress(httpx2.HTTPError):
                await self._listen()
            await asyncio.sleep(0.2)  # as a browser pauses

    async def _listen(self) -> None:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        async with self._client.stream("GET", "/stream", headers=headers, timeout=12) as answer:
            if answer.status_code != 200:
                return
            self.connections += 1
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                    continue
                await self._take(event, bool(headers))
                event = {}

    async def _take(self, event: dict[str, str], is_back: bool) -> None:
        told = json.loads(event["data"])
        if (event["event"] == "hello" and not is_back) or (event["event"] == "rings" and not told):
            self.known = await self._fetch()
        elif event["event"] == "rings":
            for chat, version, *_ in told:
                self.known[chat] = max(version, self.known.get(chat, 0))
        self._last_id = event.get("id", self._last_id)


def _balance(
    places: Callable[[], list[tuple[str, int]]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Each connection to the next process; past those that do not answer."""
    turns = count()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known = places()
        turn = next(turns)
        for place in range(len(known)):
            try:
                async with asyncio.timeout(GONE_AFTER):
                    theirs = await asyncio.open_connection(*known[(turn + place) % len(known)])
            except OSError:  # a timeout too
                continue
            await asyncio.gather(_pipe(reader, theirs[1]), _pipe(theirs[0], writer))
            return
        writer.close()

    return carry


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while sent := await reader.read(65536):
            writer.write(sent)
            await writer.drain()
    writer.close()


def _place(one: processes.Golub) -> tuple[str, int]:
    host, _, port = one.url.rstrip("/").removeprefix("http://").rpartition(":")
    return host, int(port)
