"""`/stream`: the doorbell as server-sent events, one stream for all tabs of a browser.

It carries ids and versions only; what they stand for is fetched, and authorised, by its own request. Every `TICK` the
session is looked at again (a revoked one ends the stream) and a silent stream says that it lives, so that a browser
notices a dead line. A reader that takes nothing for `SEND_LIMIT` is cut. Each batch has an id; a reader who comes back
with the last one he has, to any process, hears what rang since, or that anything may have changed.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from golub import metrics
from golub.errors import Unavailable
from golub.live import EVERYTHING, Heard
from golub.web.parts import Given, Parts
from golub.web.session import COOKIE, Signed

router = APIRouter()

TICK = 5.0  # seconds
SEND_LIMIT = 15.0  # seconds


@router.get("/stream")
async def stream(request: Request, parts: Given, operator: Signed) -> Response:
    after = request.headers.get("last-event-id", "")[:64]
    return Stream(parts, request.cookies[COOKIE], after, tick=TICK, send_limit=SEND_LIMIT)


class Stream(Response):
    """Events: `hello` (seconds between ticks), `rings` ([[chat id, version], …]; `[]`: anything may have changed),
    `tick`, and `bye` when the session has ended."""

    media_type = "text/event-stream"

    def __init__(self, parts: Parts, secret: str, after: str = "", *, tick: float, send_limit: float) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._parts = parts
        self._secret = secret
        self._after = after
        self._tick = tick
        self._send_limit = send_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with metrics.streams_open.track_inprogress():
            async with asyncio.TaskGroup() as group:
                talking = group.create_task(self._talk(send))
                gone = group.create_task(_gone(receive))
                await asyncio.wait((talking, gone), return_when=asyncio.FIRST_COMPLETED)
                talking.cancel()
                gone.cancel()

    async def _talk(self, send: Send) -> None:
        async def say(event: str, value: object, more: str = "") -> None:
            text = f"{more}event: {event}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n"
            async with asyncio.timeout(self._send_limit):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        try:
            began = "" if self._after else _id(self._parts.live.place)
            async with self._parts.live.subscribe(self._after) as batches:
                await say("hello", self._tick, f"retry: 2000\n{began}")
                async for batch in self._batches(batches):
                    if batch is None:
                        if not await self._may_listen():
                            await say("bye", "session")
                            break
                        await say("tick", 0)
                    else:
                        await say("rings", _told(batch), _id(batch.place))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # nobody reads: the server closes the connection behind us

    async def _batches(self, batches: AsyncIterator[Heard]) -> AsyncIterator[Heard | None]:
        """The batches, and None at every tick, however busy it is between."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._tick
        coming = asyncio.ensure_future(anext(batches, None))
        try:
            while True:
                await asyncio.wait((coming,), timeout=max(0.0, due - loop.time()))
                if coming.done():
                    batch = coming.result()
                    if batch is None:
                        return
                    yield batch
                    coming = asyncio.ensure_future(anext(batches, None))
                if loop.time() >= due:
                    due = loop.time() + self._tick
                    yield None
        finally:
            coming.cancel()

    async def _may_listen(self) -> bool:
        """While the database is away nobody's session can be looked at; rings alone tell nothing."""
        try:
            return await self._parts.operators.find_session(self._secret) is not None
        except Unavailable:
            return True


def _told(batch: Heard) -> list[list[int]]:
    return [] if EVERYTHING in batch else [[ring.chat_id, ring.version] for ring in batch]


def _id(place: str) -> str:
    return f"id: {place}\n"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
