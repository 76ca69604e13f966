"""A whole Golub before a simulated Avito, and people at it: what the guide promises is tried from the outside.

Nothing is replaced but the network between the two: webhooks go from the simulator to Golub's door, Golub's calls to
the simulator's API, and the public address leads to that same door.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import structlog
from sqlalchemy import select

from golub import logs
from golub.app import Golub
from golub.clock import Clock as OurClock
from golub.clock import now
from golub.guarded import Guarded
from golub.model import DEFAULT_EVENT_TYPES, Delivery, Operator, Role
from golub.settings import Settings
from golub.simulator import Account, Simulator
from golub.subscription import Subscriptions
from golub.web.parts import Parts
from tests.guide.page import Form, Page

PUBLIC = "https://golub.example.ru"
AVITO = "http://avito.test"
AVITO_ADDRESS = "185.89.12.9"
PATIENCE = 60.0  # seconds

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], good: Callable[[T], object]) -> T:
    """Looks again and again, for what only the outside shows. Fails with what it saw last."""
    end = time.monotonic() + PATIENCE
    while not good(seen := await look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE} s; seen last: {getattr(seen, 'text', seen)}")
        await asyncio.sleep(0.03)  # between two looks at a page, which has no signal for us
    return seen


class Clock:
    """Avito's, a little behind ours, so that a test can let a second pass there: its times have no finer grain."""

    behind = 10.0

    def __call__(self) -> float:
        return time.time() - self.behind


class Street(httpx2.AsyncBaseTransport):
    """The way from the internet to our door; `leads_to` may be another house, or a status that somebody answers."""

    def __init__(self, leads_to: httpx2.ASGITransport | int) -> None:
        self.leads_to = leads_to

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if watch := request.extensions.get("trace"):
            await watch("connection.connect_tcp.complete", {})
            await watch("connection.start_tls.complete", {})
        if isinstance(self.leads_to, int):
            return httpx2.Response(self.leads_to, request=request)
        return await self.leads_to.handle_async_request(request)


class Browser:
    """An HTTP client that behaves as a browser does: keeps cookies, names its origin, sends forms as they stand."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def open(self, url: str, **more: Any) -> Page:
        return _page(await self.client.get(url, **more))

    async def send(self, page: Page, action: str = "", **given: str | list[str]) -> Page:
        """Fills in the page's form for that action and sends it; returns the page that it leads to."""
        form: Form = page.form(action)
        fields: dict[str, list[str]] = {}
        for name, value in form.filled(**given):
            fields.setdefault(name, []).append(value)
        return _page(await self.client.post(form.action or page.url, data=fields))

    @property
    def session(self) -> str:
        return self.client.cookies["session"]


@dataclass
class Town:
    golub: Golub
    sim: Simulator
    street: Street
    parts: Parts
    clock: Clock
    _stack: AsyncExitStack
    accounts: dict[int, int] = field(default_factory=dict[int, int])  # our ids by Avito's

    async def client(self, **headers: str) -> httpx2.AsyncClient:
        """An HTTP client at the public address, with nothing of a browser."""
        transport = httpx2.ASGITransport(self.golub.asgi, client=("203.0.113.7", 50_000), raise_app_exceptions=False)
        return await self._stack.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url=PUBLIC, headers=headers)
        )

    async def stranger(self, language: str = "ru") -> Browser:
        client = await self.client(Origin=PUBLIC, **{"Accept-Language": language})
        client.follow_redirects = True
        return Browser(client)

    async def sign_in(self, role: Role, language: str = "ru") -> Browser:
        """An operator of that role, by the back door; the front one has tests of its own."""
        parts = self.parts
        async with parts.store.write() as session:
            operator = Operator(
                login=f"{role}-{language}",
                name="Мария",
                password_hash="",
                role=role,
                locale=language,
                active=True,
                created_at=parts.clock(),
            )
            session.add(operator)
        browser = await self.stranger(language)
        secret, _ = await parts.operators.open_session(operator)
        browser.client.cookies.set("session", secret, domain="golub.example.ru")
        return browser

    async def serve(self, shop: Account) -> None:
        """Connected, and its webhook registered just as the panel proposes; the panel has tests of its own."""
        parts = self.parts
        account = (await parts.accounts.connect(shop.client_id, shop.client_secret)).account
        self.accounts[shop.user_id] = account.id
        parts.backfill.nudge()
        await self.imported(account.id)
        await parts.subscriptions.register(account.id, parts.subscriptions.recommended_url(), DEFAULT_EVENT_TYPES)

    async def imported(self, account_id: int) -> None:
        """Until its history has been read."""
        accounts = self.parts.accounts

        async def look() -> bool:
            return (
                bool((await accounts.get(account_id)).swept_at)
                and not (await accounts.holdings(account_id)).unread_history
            )

        await eventually(look, bool)

    async def connect(self, boss: Browser, shop: Account) -> int:
        """By its keys, on the page of accounts; returns our id of it when its history has been read."""
        page = await boss.open("/admin/accounts")
        page = await boss.send(page, "/admin/accounts", client_id=shop.client_id, client_secret=shop.client_secret)
        found = re.search(r"done=connected&account=(\d+)", page.url)
        assert found, page.text
        self.accounts[shop.user_id] = int(found[1])
        await self.imported(int(found[1]))
        return int(found[1])

    async def register(self, boss: Browser, shop: Account, **given: str | list[str]) -> Page:
        """The form on the page of webhooks as it stands, but for what is given."""
        action = f"/admin/webhooks/{self.accounts[shop.user_id]}"
        return await boss.send(await boss.open("/admin/webhooks"), action, **given)

    def a_second_later(self) -> None:
        self.clock.behind -= 1

    async def applied(self) -> None:
        """Until Avito's deliveries are answered and we have applied what we took."""
        await self.sim.idle()
        assert await asyncio.to_thread(self.parts.applier.wait_applied, PATIENCE), "not applied in time"

    async def journal(self) -> list[Delivery]:
        """Every delivery, in the order of arrival."""
        async with self.parts.store.read() as session:
            return list(await session.scalars(select(Delivery).order_by(Delivery.received_at, Delivery.id)))

    async def chat_page(self, browser: Browser, name: str, view: str = "all") -> Page:
        """Opens the chat that the list shows with these words in its row."""
        page = await browser.open(f"/inbox?view={view}")
        rows = [row for row in page.ids("chat-") if name in page.within(row)]
        assert len(rows) == 1, page.text
        return await browser.open(f"/inbox/{rows[0].removeprefix('chat-')}")


@dataclass
class World:
    """What is there whoever lives behind the public address: Avito, its time, and the way to our door."""

    sim: Simulator
    street: Street
    clock: Clock


@asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[World]:
    clock, street = Clock(), Street(503)
    async with Simulator(folder / "simulator.jsonl", clock=clock, base_url=AVITO, deliver=street) as sim:
        yield World(sim, street, clock)


@asynccontextmanager
async def opened(
    folder: Path, database_url: str, *, our_clock: OurClock = now, **settings: Any
) -> AsyncGenerator[Town]:
    """Everything started, nobody signed in, no account connected."""
    async with world(folder) as around, housed(around, folder, database_url, our_clock=our_clock, **settings) as town:
        yield town


@asynccontextmanager
async def housed(
    around: World, folder: Path, database_url: str, *, our_clock: OurClock = now, **settings: Any
) -> AsyncGenerator[Town]:
    """A Golub that lives at the public address from here on, also after it has ended."""
    sim, street = around.sim, around.street
    chosen: Mapping[str, Any] = {
        "data_dir": folder,
        "database_url": database_url,
        "public_url": PUBLIC,
        "avito_url": AVITO,
    }
    golub = Golub(
        Settings.model_validate({**chosen, **settings}), clock=our_clock, transport=httpx2.ASGITransport(sim.app)
    )
    street.leads_to = httpx2.ASGITransport(golub.asgi, client=(AVITO_ADDRESS, 40_000))
    parts = golub.parts
    parts.subscriptions = Subscriptions(
        parts.store,
        parts.avito,
        parts.spool,
        parts.vault,
        golub.settings,
        parts.clock,
        Guarded(transport=street, resolve=_public_address),
    )
    with _logging(folder):
        async with golub.working(), AsyncExitStack() as stack:
            yield Town(golub, sim, street, parts, around.clock, stack)
            sim.release()  # or a call that hangs would hold up the end


@contextmanager
def _logging(folder: Path) -> Generator[None]:
    """The log as `golub serve` writes it, for as long as the server runs."""
    root = logging.getLogger()
    others, level = root.handlers[:], root.level
    root.handlers = []
    logs.configure(folder / "logs", "info", console=False)
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = others
        root.setLevel(level)
        structlog.reset_defaults()


async def _public_address(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]


def _page(answer: httpx2.Response) -> Page:
    return Page(answer.text, str(answer.url), answer.status_code)
