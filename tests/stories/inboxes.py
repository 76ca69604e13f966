"""Browsers with the inbox open, below the browser: each listens to the stream and fetches what it rings, as the page
does. And a way to them that can fall silent: a proxy that keeps its connections open and carries nothing any more."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import httpx2
from sqlalchemy import select

from golub.model import Chat
from golub.store import Store
from tests import processes
from tests.stories.panel import operator
from tests.stories.scene import Scene

SILENCE = 7.5  # seconds without a word after which the page takes its line for dead: static/stream.js
AGAIN = 0.2  # seconds to the next try
DRAWING = 0.4  # seconds that the way to us takes, and the browser to draw what it has fetched
AT_ONCE = 50  # rows in one request: static/inbox.js

Known = dict[int, int]  # chat, version
Rings = list[list[int]]  # chat, version, and 1 where a buyer's new message rang


class Inbox:
    """`known` are the versions that it has heard of; it fetches them all where it cannot know better."""

    def __init__(self, client: httpx2.AsyncClient, url: str, shelf: "Shelf", *, draws: bool) -> None:
        self.known: Known = {}
        self.repeated = 0  # rings that it had heard before
        self.connections = 0
        self.fetched = 0
        self._client = client
        self._url = url
        self._shelf = shelf
        self._draws = draws
        self._heard: Known = {}
        self._last_id = ""
        self._due: set[int] = set()
        self._is_due = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen_for_ever())
            if self._draws:
                tasks.create_task(self._refresh())

    async def _listen_for_ever(self) -> None:
        while True:
            with suppress(httpx2.HTTPError):
                await self._listen()
            await asyncio.sleep(AGAIN)  # as a browser pauses

    async def _listen(self) -> None:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        async with self._client.stream("GET", f"{self._url}/stream", headers=headers, timeout=SILENCE) as answer:
            if answer.status_code != 200:
                return
            self.connections += 1
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                else:
                    await self._take(event["event"], json.loads(event["data"]), is_back=bool(headers))
                    self._last_id = event.get("id", self._last_id)
                    event = {}

    async def _take(self, event: str, told: Rings, *, is_back: bool) -> None:
        if (event == "hello" and not is_back) or (event == "rings" and not told):
            self.known = await self._shelf.versions()
        elif event == "rings":
            for chat, version, *_ in told:
                self.repeated += version <= self._heard.get(chat, -1)
                self._heard[chat] = version
                self.known[chat] = max(version, self.known.get(chat, 0))
            self._due.update(chat for chat, *_ in told)
            self._is_due.set()

    async def _refresh(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while self._due:
                asked = [self._due.pop() for _ in range(min(AT_ONCE, len(self._due)))]
                ids = ",".join(str(chat) for chat in asked)
                with suppress(httpx2.HTTPError):
                    answer = await self._client.get(f"{self._url}/inbox/rows", params={"ids": ids})
                    self.fetched += answer.status_code == 200
                await asyncio.sleep(DRAWING)  # what a person's browser is busy with


class Shelf:
    """The versions of all chats as they are in the database."""

    def __init__(self, town: Scene) -> None:
        self.store = Store(town.settings.effective_database_url)
        self._turns = asyncio.Semaphore(4)  # all inboxes may come back at once, and a store waits a second, no longer

    async def versions(self) -> Known:
        async with self._turns, self.store.read() as session:
            found = await session.execute(select(Chat.id, Chat.version))
            return {row.id: row.version for row in found}


@asynccontextmanager
async def inboxes(town: Scene, number: int, *, url: str = "", draws: bool = True) -> AsyncGenerator[list[Inbox]]:
    """So many, of one operator, all of them connected; over `url`, or straight to the server."""
    shelf = Shelf(town)
    async with operator(town) as signed, httpx2.AsyncClient(
        cookies=signed.cookies, trust_env=False, timeout=20, limits=httpx2.Limits(max_connections=None)
    ) as client:  # fmt: skip
        opened = [Inbox(client, url or town.golub.url.rstrip("/"), shelf, draws=draws) for _ in range(number)]
        try:
            async with asyncio.TaskGroup() as group:  # one that fails ends the story
                tasks = [group.create_task(inbox.run()) for inbox in opened]
                async with asyncio.timeout(processes.PATIENCE):
                    while not all(inbox.connections for inbox in opened):  # noqa: ASYNC110 - they tell nobody
                        await asyncio.sleep(0.02)  # between two looks
                yield opened
                for task in tasks:
                    task.cancel()
        finally:
            await shelf.store.close()


async def all_right(town: Scene, opened: list[Inbox], within: float) -> float:
    """Seconds until each knows what the database knows. Fails when it takes longer."""
    shelf = Shelf(town)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        while True:
            true = await shelf.versions()
            if not (behind := [inbox for inbox in opened if inbox.known != true]):
                return loop.time() - began
            assert loop.time() - began < within, f"{len(behind)} of {len(opened)} inboxes are behind"
            await asyncio.sleep(0.05)  # between two looks at the database
    finally:
        await shelf.store.close()


class Line:
    """A way to a port. `fall_silent`: what is open stays open and carries nothing; what comes afterwards is well.
    `cut`: so does whatever is opened before `mend`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._is_cut = False
        self._carries = asyncio.Event()  # of those that are open now; set: no more
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for writer in self._open:
                writer.close()

    def fall_silent(self) -> None:
        self._carries.set()
        self._carries = asyncio.Event()

    def cut(self) -> None:
        self._is_cut = True
        self.fall_silent()

    def mend(self) -> None:
        self._is_cut = False

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = self._carries
        if self._is_cut:
            self._open.add(writer)
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._open |= {writer, back}
        pipes = [asyncio.create_task(_pipe(reader, back)), asyncio.create_task(_pipe(there, writer))]
        hush = asyncio.create_task(silent.wait())
        await asyncio.wait([*pipes, hush], return_when=asyncio.FIRST_COMPLETED)
        for task in (*pipes, hush):
            task.cancel()
        if not silent.is_set():
            for one in (writer, back):
                self._open.discard(one)
                one.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while sent := await reader.read(65536):
            writer.write(sent)
            await writer.drain()


def deaf(port: int, cookie: str) -> socket.socket:
    """Asks for the stream and never reads a byte of it."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    one.connect(("127.0.0.1", port))
    one.sendall(f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: session={cookie}\r\n\r\n".encode())
    return one
