"""What the HTTP server calls for as long as it runs: it leads to whoever has the main database now."""

from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from golub.server import Whole
from golub.settings import WEBHOOK_PATH
from golub.web.parts import Parts
from golub.web.webhook import Webhook


class House(Protocol):
    @property
    def asgi(self) -> ASGIApp: ...

    @property
    def parts(self) -> Parts: ...


class Door:
    """`house` may be changed at any time; requests under way stay with the one that took them."""

    whole_under = f"{WEBHOOK_PATH}/".encode()

    def __init__(self, house: House) -> None:
        self.house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.house.asgi(scope, receive, send)

    def take_whole(self, request: Whole) -> bool:
        asgi = self.house.asgi
        return isinstance(asgi, Webhook) and asgi.take_whole(request)

    def close(self) -> None:
        """Ends the streams that would keep the server from ending."""
        self.house.parts.live.close()
