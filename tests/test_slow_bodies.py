"""The server's patience: a body that drips is cut, one that comes steadily or that we do not read is not; and a reader
who takes nothing is gone."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.types import Receive, Scope, Send

from golub import server as server_module
from golub.server import Server
from tests import machine

pytestmark = [pytest.mark.anyio, pytest.mark.promise("P22")]

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class Counting:
    """Answers with how many bytes came; `ends` hears how each request ended."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.ends: asyncio.Queue[int | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own
        await self.may_read.wait()
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ends.put_nowait(None)
                return
            size += len(message["body"])
            more = message["more_body"]
        self.ends.put_nowait(size)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def connected(app: Counting) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    server = Server(app, "127.0.0.1", 0)
    serving = asyncio.create_task(server.run())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(20):
        yield reader, writer
    writer.close()
    server.stop()
    await serving


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "BODY_WITHIN", 0.1)


@pytest.mark.row(30)
@pytest.mark.usefixtures("impatient")
async def test_a_body_that_drips_is_cut() -> None:
    app = Counting()
    app.may_read.set()
    async with connected(app) as (reader, writer):
        writer.write(HEAD % 1000)
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=0.01)
        with suppress(ConnectionResetError):  # what the server had not read yet
            assert await ended == b""
        assert await app.ends.get() is None


async def test_a_long_body_has_the_time_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "BODY_WITHIN", 0.5)
    monkeypatch.setattr(server_module, "BODY_RATE", 1000)
    app = Counting()
    app.may_read.set()
    async with connected(app) as (reader, writer):
        writer.write(HEAD % 4000)
        for _ in range(4):
            writer.write(b"x" * 1000)
            await asyncio.sleep(0.3)  # a slow sender, on purpose
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await app.ends.get() == 4000


@pytest.mark.usefixtures("impatient")
async def test_a_sender_does_not_pay_for_our_slowness() -> None:
    app, size = Counting(), 8 << 20  # more than all buffers hold
    async with connected(app) as (reader, writer):
        writer.write(HEAD % size + bytes(size))
        await asyncio.sleep(0.5)  # five times the patience
        app.may_read.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await app.ends.get() == size


@pytest.mark.row(30)
@pytest.mark.promise("P26")
async def test_a_reader_who_takes_nothing_is_gone_before_our_buffers_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    machine.must_have(machine.Need.STALLED_READERS)
    monkeypatch.setattr(server_module, "STALLED", 500)
    gone = asyncio.Event()

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        hung_up = asyncio.create_task(_hung_up(receive))
        while not hung_up.done():
            await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
            await asyncio.wait([hung_up], timeout=0.01)
        gone.set()

    server = Server(talk, "127.0.0.1", 0)
    serving = asyncio.create_task(server.run())
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(15):
            await gone.wait()
    server.stop()
    await serving


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
