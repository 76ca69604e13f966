"""A browser's EventSource, for tests of whatever the live stream tells."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.types import Message, Scope

from tests.web.conftest import Browser


@dataclass
class Listener:
    """Below HTTP: it sees each write, and may stop reading."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    writes: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue[bytes])
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    reads: bool = True
    last_id: str = ""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        if not self.reads:
            await asyncio.Event().wait()
        if message["body"]:
            self.writes.put_nowait(message["body"])
        if not message.get("more_body"):
            self.ended.set()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> tuple[str, object]:
        text = (await self.writes.get()).decode()
        lines = dict(line.split(": ", 1) for line in text.strip().splitlines())
        self.last_id = lines.get("id", self.last_id)
        return lines["event"], json.loads(lines["data"])

    async def event(self, wanted: str) -> object:
        """The next event of that name, whatever comes before it."""
        async with asyncio.timeout(60):  # over all of them: ticks alone never end
            while True:
                name, told = await self.next()
                if name == wanted:
                    return told


@asynccontextmanager
async def listening(
    site: FastAPI, browser: Browser, *, reads: bool = True, after: str = ""
) -> AsyncGenerator[Listener]:
    listener = Listener(reads=reads)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    scope: Scope = {
        "type": "http", "method": "GET", "path": "/stream", "raw_path": b"/stream", "query_string": b"",
        "root_path": "", "scheme": "http", "http_version": "1.1",
        "client": ("192.0.2.7", 50_000), "server": ("localhost", 80),
        "headers": [(b"host", b"localhost"), (b"cookie", cookies.encode()), (b"last-event-id", after.encode())],
    }  # fmt: skip
    task = asyncio.create_task(site(scope, listener.receive, listener.send))
    try:
        yield listener
    finally:
        listener.left.set()
        async with asyncio.timeout(60):
            await task
