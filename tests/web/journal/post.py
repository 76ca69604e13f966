"""What is posted to our door, and what the journal's page shows of it."""

from typing import Any

import httpx2
from sqlalchemy import select

from golub.apply import Applier
from golub.clock import SECOND
from golub.model import Chat, Delivery, Message
from tests import shapes, shop
from tests.door import PUBLIC, World
from tests.guide.page import Page
from tests.web.conftest import Browser

PAGE = "/admin/deliveries"

PATIENCE = 20.0


class Post:
    """Avito and strangers, who post to our door, and an applier that takes what they posted."""

    def __init__(self, world: World, applier: Applier, url: str) -> None:
        self.world = world
        self.applier = applier
        self.url = url
        self._client = httpx2.AsyncClient(transport=world.way, base_url=PUBLIC)

    async def brings(self, body: bytes, *, bare: bool = False, headers: dict[bytes, bytes] | None = None) -> str:
        """One POST, applied. Returns the delivery's id as URLs write it. The clock goes on a second."""
        self.world.clock.step(SECOND)
        before = {one.id for one in await self.kept()}
        answer = await self._client.post("/webhook/avito" if bare else self.url, content=body, headers=headers)
        assert answer.status_code == 200
        assert self.applier.wait_applied(PATIENCE)
        (new,) = [one.id for one in await self.kept() if one.id not in before]
        return new.hex()

    async def kept(self) -> list[Delivery]:
        return await self._all(Delivery)

    async def messages(self) -> list[Message]:
        return await self._all(Message)

    async def chats(self) -> list[Chat]:
        return await self._all(Chat)

    async def choose(self, *types: str) -> None:
        await self.world.subscriptions.update(self.world.account_id, self.url, types, skip_probe=True)

    async def _all(self, table: type[Any]) -> list[Any]:
        async with self.world.store.read() as session:
            return list(await session.scalars(select(table)))


def message(**changes: Any) -> bytes:
    return shapes.message(user_id=shop.USER_ID, **changes)


def event(kind: str, **value: Any) -> bytes:
    return shapes.body({}, payload={"type": kind, "value": {"user_id": shop.USER_ID, **value}})


async def opened(browser: Browser, url: str) -> Page:
    answer = await browser.get(url)
    assert answer.status_code == 200, answer.text
    return Page(answer.text, url)


def listed(page: Page) -> list[str]:
    """The ids on the page, in order."""
    return [attrs["id"].removeprefix("delivery-") for attrs in page.all("tr") if "id" in attrs]
