"""Requests that an application takes whole: which they are, and that nobody outside can tell the difference."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from golub import server as server_module
from golub.server import Server, Whole

HEAD = b"POST /hook/a HTTP/1.1\r\nHost: x\r\n"
ONE = HEAD + b"Content-Length: 3\r\n\r\none"
TWO = HEAD + b"Content-Length: 3\r\n\r\ntwo"


class Hooks:
    """Takes everything under /hook/a; a body that is refused, and all else, comes as ASGI has it."""

    whole_under = b"/hook/a"

    def __init__(self) -> None:
        self.whole: list[Whole] = []
        self.ordinary: list[tuple[str, bytes]] = []
        self.came = asyncio.Event()

    def take_whole(self, request: Whole) -> bool:
        if request.body == b"refused":
            return False
        self.whole.append(request)
        self.came.set()
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.ordinary.append((scope["method"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": b"ordinary"})
        self.came.set()

    async def next(self) -> None:
        await self.came.wait()
        self.came.clear()

    def answer(self, number: int, body: bytes) -> None:
        self.whole[number].answer(b"HTTP/1.1 200 OK\r\n", b"content-length: %d\r\n\r\n%b" % (len(body), body))


class Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[bytes, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        return head, await self.reader.readexactly(length)


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[Server, Hooks, Line]]:
    hooks = Hooks()
    server = Server(hooks, "127.0.0.1", 0)
    serving = asyncio.create_task(server.run())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    yield server, hooks, Line(reader, writer)
    writer.close()
    server.stop()
    await serving


async def test_what_comes_in_one_piece_is_taken_whole_and_the_connection_lives_on() -> None:
    async with opened() as (_, hooks, line):
        for number, request in enumerate((ONE, TWO)):
            line.writer.write(request)
            await hooks.next()
            hooks.answer(number, b"done")
            assert await line.answer() == (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"done")
        assert [(one.url, one.body, one.headers[0]) for one in hooks.whole] == [
            (b"/hook/a", b"one", (b"host", b"x")),
            (b"/hook/a", b"two", (b"host", b"x")),
        ]
        assert hooks.ordinary == []


@pytest.mark.parametrize(
    ("pieces", "method", "body"),
    [
        ([ONE[:-2], ONE[-2:]], "POST", b"one"),
        ([ONE[:20], ONE[20:-1], ONE[-1:]], "POST", b"one"),
        ([HEAD + b"Content-Length: 7\r\n\r\nrefused"], "POST", b"refused"),
        ([ONE.replace(b"/hook/a", b"/hook/b")], "POST", b"one"),
        ([ONE.replace(b"POST", b"PUT")], "PUT", b"one"),
        ([b"GET /hook/a HTTP/1.1\r\nHost: x\r\n\r\n"], "GET", b""),
        ([ONE.replace(b"HTTP/1.1", b"HTTP/1.0")], "POST", b"one"),
        ([ONE.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")], "POST", b"one"),
    ],
    ids=["two pieces", "three pieces", "refused", "elsewhere", "another method", "GET", "HTTP/1.0", "100-continue"],
)
async def test_anything_else_goes_the_ordinary_way(pieces: list[bytes], method: str, body: bytes) -> None:
    async with opened() as (server, hooks, line):
        for number, piece in enumerate(pieces, 1):
            line.writer.write(piece)
            if number < len(pieces):  # until it is read: another connection's answer comes after it
                other = Line(*await asyncio.open_connection("127.0.0.1", server.port))
                other.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await other.answer()
                other.writer.close()
        head, said = await line.answer()
        if b"100 Continue" in head:
            head, said = await line.answer()
        assert said == b"ordinary"
        assert hooks.whole == []
        assert (method, body) in hooks.ordinary


async def test_what_is_pipelined_behind_it_waits_and_keeps_its_place() -> None:
    async with opened() as (_, hooks, line):
        line.writer.write(ONE + TWO + ONE)
        await hooks.next()
        assert ([one.body for one in hooks.whole], hooks.ordinary) == ([b"one"], [])
        hooks.answer(0, b"first")
        assert (await line.answer())[1] == b"first"
        assert (await line.answer())[1] == b"ordinary"
        assert (await line.answer())[1] == b"ordinary"
        assert hooks.ordinary == [("POST", b"two"), ("POST", b"one")]


async def test_who_wishes_the_connection_closed_is_told_so_and_it_is() -> None:
    async with opened() as (_, hooks, line):
        line.writer.write(ONE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        await hooks.next()
        hooks.answer(0, b"done")
        assert await line.reader.read() == b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndone"


async def test_stopping_waits_for_its_answer_and_closes_behind_it() -> None:
    async with opened() as (server, hooks, line):
        line.writer.write(ONE)
        await hooks.next()
        server.stop()
        while hooks.whole[0].keep_alive:  # noqa: ASYNC110 - until uvicorn has told it
            await asyncio.sleep(0)
        hooks.answer(0, b"done")
        assert (await line.reader.read()).startswith(b"HTTP/1.1 200 OK\r\nconnection: close\r\n")


@pytest.mark.parametrize("body", [b"one", b"refused"])
@pytest.mark.parametrize("sent_before", [0, 20])
async def test_a_request_that_is_on_its_way_when_we_stop_is_answered_and_is_the_last(
    body: bytes, sent_before: int
) -> None:
    async with asyncio.timeout(10), opened() as (server, hooks, line):
        other = Line(*await asyncio.open_connection("127.0.0.1", server.port))
        other.writer.write(TWO)  # once it is there, so is the line before it
        await hooks.next()
        request = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        line.writer.write(request[:sent_before])
        server.stop()
        hooks.answer(0, b"done")
        assert await other.reader.read() != b""
        line.writer.write(request[sent_before:])
        await hooks.next()
        if len(hooks.whole) > 1:
            hooks.answer(1, b"ordinary")
        told = await line.reader.read()  # to the end
        assert told.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close\r\n" in told.lower()
        assert told.endswith(b"ordinary")
        other.writer.close()


async def test_who_connects_and_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "ON_ITS_WAY", 0.01)
    async with opened() as (server, _, line):
        other = Line(*await asyncio.open_connection("127.0.0.1", server.port))
        other.writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await other.answer())[1] == b"ordinary"
        server.stop()
        assert await line.reader.read() == b""
        other.writer.close()


async def test_an_answer_to_who_has_hung_up_goes_nowhere() -> None:
    async with opened() as (server, hooks, line):
        line.writer.write(ONE)
        await hooks.next()
        line.writer.transport.abort()
        while not hooks.whole[0].disconnected:  # noqa: ASYNC110 - until uvicorn has told it
            await asyncio.sleep(0)
        hooks.answer(0, b"done")
        again = Line(*await asyncio.open_connection("127.0.0.1", server.port))
        again.writer.write(TWO)
        await hooks.next()
        hooks.answer(1, b"still here")
        assert (await again.answer())[1] == b"still here"
        again.writer.close()


@pytest.mark.parametrize("pieces", [1, 2])
async def test_an_address_that_is_none_is_refused_whether_or_not_it_came_in_one_piece(pieces: int) -> None:
    async with opened() as (_, hooks, line):
        request = HEAD.replace(b"/hook/a", b"/hook/a\xd0\xb9") + b"Content-Length: 7\r\n\r\nrefused"
        line.writer.write(request if pieces == 1 else request[:-1])
        assert (await line.reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert (hooks.whole, hooks.ordinary) == ([], [])
