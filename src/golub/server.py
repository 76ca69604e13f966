"""The HTTP server: uvicorn, embedded in the event loop that `app` already runs.

It promises that stopping ends: listeners close first, `on_stop` ends the streams that would otherwise stay open for
ever, requests under way get their answer, also those on their way here, and what is left after `GRACE` seconds is
cut. It promises as well that slow or shapeless requests cost little: headers must be complete, small and with a Host
soon after the connection opened, and a body must not drip. How many connections one address may have is no rule of
ours: all of them come from the proxy.
Signals are not its business: `app` listens for them and calls `stop`.

An application may take some requests whole (`TakesWhole`): those that came in one piece, and are answered in one. That
spares a task and ASGI's messages; whatever is unusual about a request, it goes the ordinary way.
"""

import asyncio
import resource
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import uvicorn
from httptools import HttpParserError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from golub import metrics
from golub.errors import Conflict

HEADERS_WITHIN = 10.0  # seconds from the connection, or from a request's first byte
HEADERS_BYTES = 32 << 10
HEADERS_NUMBER = 100
BODY_WITHIN = 10.0  # seconds for a body; one that is longer has more, if it comes …
BODY_RATE = 4 << 10  # … so many bytes a second. The webhook has a shorter limit of its own
KEEP_ALIVE = 15  # seconds that an idle connection is kept; longer than Avito and proxies usually pause
GRACE = 8  # seconds for requests under way when we stop …
ON_ITS_WAY = 0.3  # … and for the first one of a connection that was just opened, or one whose headers have begun
STALLED = 30_000  # ms that a reader may leave what we sent untaken, also one that has silently gone (Linux)
FILES = 65_536
CONNECTIONS = 10_000
BACKLOG = 2048


class Whole:
    """A request that has come whole; whoever takes it calls `answer` once, in the event loop.

    To uvicorn it is the cycle of its connection: what is pipelined behind it waits, and so does stopping.
    """

    __slots__ = ("_protocol", "body", "disconnected", "headers", "keep_alive", "response_complete", "scope", "url")

    def __init__(self, protocol: "_Protocol", body: bytes) -> None:
        self.url = protocol.url  # as sent
        self.headers = protocol.headers  # names in lower case
        self.scope: Scope = cast(Any, protocol).scope  # ASGI's, but for what is worked out of the URL
        self.body = body
        self.keep_alive: bool = cast(Any, protocol).parser.should_keep_alive() and not protocol.is_ending
        self.disconnected = False
        self.response_complete = False
        self._protocol = protocol

    @property
    def message_event(self) -> "Whole":
        return self

    def set(self) -> None:
        """uvicorn tells whoever waits for a body that the connection is lost; nobody does."""

    def answer(self, status: bytes, rest: bytes) -> None:
        """`status` is the line, `rest` the headers, an empty line and the body."""
        self.response_complete = True
        transport = self._protocol.transport
        if self.disconnected or transport.is_closing():
            return
        if self.keep_alive:
            transport.write(status + rest)
        else:  # we stop, or the sender wishes it
            transport.write(status + b"connection: close\r\n" + rest)
            transport.close()
        self._protocol.on_response_complete()


class TakesWhole(Protocol):
    """An application that can take POST requests whole whose URL begins with `whole_under`."""

    whole_under: bytes

    def take_whole(self, request: Whole) -> bool:
        """Whether it will be answered through `request`. If not, nothing has been done, and it comes as ASGI has it."""
        ...


class Server:
    """Binds at once, so that `port` is known and a taken port is found out before anything else starts."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.on_stop: list[Callable[[], None]] = []
        self.sockets = [_bind(host, port)]
        self.port: int = self.sockets[0].getsockname()[1]
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",  # it would log every malformed request of every scanner
                access_log=False,  # paths hold secrets
                proxy_headers=False,  # golub.web.address believes nobody but the configured proxies
                server_header=False,
                date_header=False,
                limit_concurrency=max(64, min(CONNECTIONS, _raise_file_limit() - 256)),
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
            )
        )

    @property
    def started(self) -> bool:
        return self._uvicorn.started

    async def run(self) -> None:
        """Serves until `stop`, and returns when all is closed."""
        try:
            await self._uvicorn.serve(sockets=self.sockets)
        finally:
            for listener in self.sockets:
                listener.close()

    def stop(self) -> None:
        """Begins to stop; a second call waits for nobody any more. Call it in the event loop."""
        if self._uvicorn.should_exit:
            self._uvicorn.force_exit = True
            return
        self._uvicorn.should_exit = True
        self._uvicorn.stopping.set()
        for end in self.on_stop:
            end()


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """Waits to be stopped, where uvicorn looks ten times a second whether it is."""
        await self.stopping.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leaves them alone: uvicorn's own handler raises SIGTERM again, and our draining would never run."""
        yield


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline and a size for the headers, and a least pace for the body.

    A timer is set only where headers or body did not come in one piece, so an honest small request pays nothing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_timer: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._unread = 0  # bytes since the request, or its body, began
        self._in_body = False
        self._body_began = 0.0
        self._body_timer: asyncio.TimerHandle | None = None
        self._refusal = 400
        self._answered: RequestResponseCycle | Whole | None = None  # with pipelining not the newest one
        ours: Any = cast(Any, self).app
        self._takes: TakesWhole | None = ours if hasattr(ours, "take_whole") else None
        self._held: list[bytes] | None = None  # the body of a request that may be taken whole
        self.is_ending = False  # the next answer is the last one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # pyright: ignore[reportArgumentType] - uvicorn's own narrowing
        self._headers_timer = self.loop.call_later(HEADERS_WITHIN, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._watch_body(going_on=False)
        if self._answered and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """uvicorn calls it when we stop. Whoever has connected is about to ask: cut off now, it would get no answer."""
        if self._in_headers or cast(Any, self).cycle is None:
            self.is_ending = True
            self.loop.call_later(ON_ITS_WAY, super().shutdown)
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self._held is not None:
            try:
                self._go_the_ordinary_way()
            except (ValueError, HttpParserError):  # as the parser's own callers take it: the URL is none
                self.send_400_response("Invalid HTTP request received.")
        if self.transport.is_closing():
            return
        if self._in_headers and self._unread > HEADERS_BYTES:
            self._refusal = 431
            self.send_400_response("Request header fields too large.")
        elif self._in_headers or not self._is_busy():
            if self._headers_timer is None:
                self._headers_timer = self.loop.call_later(HEADERS_WITHIN, self._too_slow)
        else:
            self._stop_timer()
        self._watch_body(going_on=self._in_body)

    def on_message_begin(self) -> None:
        self._in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if len(self.headers) > HEADERS_NUMBER or self._unread > HEADERS_BYTES:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if len(self.headers) > HEADERS_NUMBER or size > HEADERS_BYTES:
                self._refusal = 431
                raise ValueError("headers too large")  # the parser stops, and uvicorn calls send_400_response
        self._unread = 0
        if [name for name, _ in self.headers].count(b"host") != 1:
            raise ValueError("one Host, please")
        self._in_body, self._body_began = True, self.loop.time()
        if self._takes and self.url.startswith(self._takes.whole_under) and self._may_be_taken_whole():
            self._held = []
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._held is not None:
            held = self._held
            whole = Whole(self, held[0] if len(held) == 1 else b"".join(held))
            if self._takes and self._takes.take_whole(whole):
                self._held = None
                self._answered = whole
                self.cycle = cast(Any, whole)
                return
            self._go_the_ordinary_way()
        super().on_message_complete()

    def _may_be_taken_whole(self) -> bool:
        """Nothing about it needs more than its bytes, and nobody is before it."""
        parser, before, limit = cast(Any, self).parser, cast(Any, self).cycle, self.limit_concurrency
        return (
            (before is None or before.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and not parser.should_upgrade()
            and not self.flow.write_paused
            and (limit is None or (len(self.connections) < limit and len(self.tasks) < limit))
        )

    def _go_the_ordinary_way(self) -> None:
        """It did not come in one piece, or the application does not want it so."""
        held, self._held = self._held or [], None
        if self.transport.is_closing():
            return
        self._begin()
        for body in held:
            super().on_body(body)

    def _begin(self) -> None:
        super().on_headers_complete()
        if self.is_ending and (cycle := cast(Any, self).cycle):
            cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        ours: Any = cast(Any, self).app
        chosen: Any = app if app is ours else _too_many
        super()._start_asgi_task(cycle, chosen)

    def send_400_response(self, msg: str) -> None:
        if self._refusal == 431:
            msg = "Request header fields too large."
        reason = b"431 Request Header Fields Too Large" if self._refusal == 431 else b"400 Bad Request"
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n"
            b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n\r\n%b"
            % (reason, len(msg), msg.encode())
        )
        self.transport.close()

    def _is_busy(self) -> bool:
        """Whether a request is being answered, or an idle connection has its own end set."""
        answering = self._answered is not None and not self._answered.response_complete
        return answering or self.timeout_keep_alive_task is not None

    def _too_slow(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _watch_body(self, *, going_on: bool) -> None:
        if not going_on and self._body_timer:
            self._body_timer.cancel()
            self._body_timer = None
        elif going_on and self._body_timer is None:
            self._body_timer = self.loop.call_later(BODY_WITHIN, self._look_at_body)

    def _look_at_body(self) -> None:
        self._body_timer = None
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self.flow.read_paused:  # it is we who do not read
            self._body_began = now
        left = self._body_began + BODY_WITHIN + self._unread / BODY_RATE - now
        if left <= 0:
            self.transport.close()
        else:
            self._body_timer = self.loop.call_later(left, self._look_at_body)

    def _stop_timer(self) -> None:
        if self._headers_timer:
            self._headers_timer.cancel()
            self._headers_timer = None


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's own
    """In the place of uvicorn's own answer, which does not say when to come again."""
    metrics.connections_refused.inc()
    headers = [(b"content-length", b"0"), (b"retry-after", b"1"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Conflict(
            "Cannot listen on {host}:{port}: {reason}.", code="port_in_use", host=host, port=port, reason=error.strerror
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # what is accepted has it too
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED)
    return listener


def _raise_file_limit() -> int:
    """Each connection takes a descriptor; most systems start us with 1024 and allow more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return FILES if soft == resource.RLIM_INFINITY else soft
