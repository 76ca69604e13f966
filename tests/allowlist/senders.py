"""Traffic of which a test says where it comes from: Avito's own, and what others post on the secret address."""

from collections.abc import Sequence

import httpx2

from golub.allowlist import Register, Standing, Watch
from golub.apply import Applier
from golub.clock import MINUTE, Millis
from tests.door import World
from tests.signatures.traffic import Traffic

AVITO = ("185.89.12.7", "185.89.13.200", "146.158.48.1")
LISTED = "185.89.12.0/22\n146.158.48.0/21"
STRANGER = "8.8.8.8"


class Proxy(httpx2.AsyncBaseTransport):
    """On this very machine before Golub, as in the guide: it names who called, after whatever he wrote himself."""

    def __init__(self, behind: httpx2.AsyncBaseTransport) -> None:
        self.behind = behind
        self.callers: Sequence[str] = AVITO
        self.claims = ""  # that callers write into X-Forwarded-For
        self.calls = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        caller = self.callers[self.calls % len(self.callers)]
        self.calls += 1
        if caller:
            request.headers["x-forwarded-for"] = f"{self.claims}, {caller}" if self.claims else caller
        return await self.behind.handle_async_request(request)


class Senders(Traffic):
    def __init__(self, world: World, applier: Applier) -> None:
        super().__init__(world, applier)
        self.proxy = Proxy(world.way.ends[-1])
        world.way.ends.append(self.proxy)
        self.watch = Watch(world.store, world.settings, world.clock)
        self.lists = Register(world.store, world.clock)

    async def register(self) -> None:
        self.world.avito.policy.change(timeout=120.0)  # no call is given up and repeated from another address
        await super().register()
        await self.watch.run_once()

    async def come_from(self, *callers: str, count: int, every: Millis = 15 * MINUTE) -> None:
        """The buyer writes, and Avito calls us from these addresses in turn."""
        self.proxy.callers, self.proxy.calls = callers, 0
        await self.come(count, every)

    async def posted_from(self, caller: str, body: bytes, *, url: str = "") -> int:
        """Somebody who is at this address calls us, on the secret address where no other is given."""
        callers, self.proxy.callers = self.proxy.callers, (caller,)
        status = await self.post(body, url=url)
        self.proxy.callers = callers
        await self.applied()
        return status

    async def noted(self) -> Standing:
        """Avito was asked, and what is settled is counted."""
        await self.asked()
        await self.watch.run_once()
        return await self.lists.get(self.world.account_id)
