"""Pages are begun one after another, and whoever else has something to do has his turn between two of them.

To begin a page takes a millisecond or two of the event loop, and hundreds of requests can come in one moment: begun at
once they would keep every webhook waiting until the last of them. One that comes alone is not slowed.
"""

import asyncio
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send


class Turnstile:
    """Lets one request in with each turn of the loop, in the order in which they came."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turning = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._turning:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._turn()
        await self._app(scope, receive, send)

    def _turn(self) -> None:
        self._turning = True
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # whoever waited may have been cancelled
                turn.set_result(None)
                self._turn()
                return
        self._turning = False
