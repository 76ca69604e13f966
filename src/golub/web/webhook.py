"""The address that Avito calls: /webhook/avito, and /webhook/avito/<token> for one account.

A plain ASGI callable before sessions and pages, because this is the hot path: it must answer within 2 s whatever the
rest of Golub is doing, and a 200 means that the delivery is on stable storage. What a body says is looked at later, by
apply; here only its size counts.

Most deliveries are taken whole, without a task of their own (`server.TakesWhole`): those that came in one piece, with a
token known to this node. They are answered to the byte as those that take the ordinary way.
"""

import asyncio
import json
import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from golub import metrics
from golub.errors import GolubError, NotFound, Unavailable
from golub.ingest import BODY_LIMIT, Ingest
from golub.server import Whole
from golub.settings import WEBHOOK_PATH
from golub.web.address import address_reader

READ_DEADLINE = 5.0  # seconds for the whole body
DISCARD_LIMIT = 1 << 20  # bytes of a body that is too large, read and thrown away so that its sender sees our answer

_OK = b'{"status":"ok"}'
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # the path may hold a secret
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class _HTTPError(GolubError):
    """What HTTP itself has a status for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _HungUpError(GolubError):
    """The sender hung up before the end of his body."""


class Webhook:
    """Answers under `WEBHOOK_PATH`; everything else goes on to `rest`."""

    def __init__(self, ingest: Ingest, rest: ASGIApp) -> None:
        self._ingest = ingest
        self._rest = rest
        self._address_of = address_reader(ingest.settings.trusted_proxies)
        self._origin = ingest.settings.public_url
        self._headers = _HEADERS
        if self._origin.startswith("https://"):
            self._headers = [*_HEADERS, (b"strict-transport-security", b"max-age=31536000")]
        self.whole_under = f"{WEBHOOK_PATH}/".encode()
        self.stored = self._written(_OK, [])

    def take_whole(self, request: Whole) -> bool:
        """A delivery whose token is known here; anything else goes the ordinary way, on which it is refused."""
        began = time.perf_counter()
        ingest, token, headers = self._ingest, request.url[len(self.whole_under) :], request.headers
        entry = ingest.find(token)
        if entry is None or len(request.body) > BODY_LIMIT or b"content-encoding" in [name for name, _ in headers]:
            return False
        address = self._address_of(request.scope)
        waiter = _Waiting(self, request, began)
        try:
            ingest.take_for(waiter, entry, token.decode(), address, headers, request.body, began=began)
        except Unavailable:
            return False
        return True

    def refused(self, error: GolubError) -> tuple[bytes, bytes]:
        """What `Whole.answer` is told of a delivery that could not be stored."""
        extra = [(b"retry-after", b"%d" % math.ceil(error.retry_after))] if isinstance(error, Unavailable) else []
        return _line(error.status), self._written(json.dumps({"error": str(error)}).encode(), extra)

    def _written(self, body: bytes, extra: list[tuple[bytes, bytes]]) -> bytes:
        """Headers, an empty line and the body."""
        headers = [*self._headers, *extra, (b"content-length", b"%d" % len(body))]
        return b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not (path == WEBHOOK_PATH or path.startswith(WEBHOOK_PATH + "/")):
            await self._rest(scope, receive, send)
            return
        started = time.perf_counter()
        token = path[len(WEBHOOK_PATH) + 1 :]
        kind = "token" if token else "bare"
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, body = 200, await self._answer(scope, receive, token, started)
        except _HungUpError:
            return
        except GolubError as error:
            status, body = error.status, json.dumps({"error": str(error)}).encode()
            if isinstance(error, NotFound):
                kind = "unknown"
            if isinstance(error, Unavailable):
                extra.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
            if status == 405:
                extra.append((b"allow", b"GET, HEAD, POST"))
            if status == 408 or not _body_is_bounded(scope["headers"]):
                extra.append((b"connection", b"close"))  # or its sender could go on for ever
        _answers(kind, status).inc()
        extra.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": self._headers + extra})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        if status == 200 and scope["method"] == "POST":
            metrics.webhook_seconds.observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, token: str, began: float) -> bytes:
        """The body of a 200. Raises what is not one."""
        ingest = self._ingest
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise _HTTPError(405, "Method not allowed")
        entry = await ingest.recognise(token) if token else ingest.greet()
        if scope["method"] != "POST":
            return self._greeting(scope, WEBHOOK_PATH + ("/***" if token else ""))
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        _check(headers)
        if entry is None:
            ingest.spend()
        body = await _read(receive)
        address = self._address_of(scope)
        await ingest.take(entry, token, address, headers, body, began=began)
        return _OK

    def _greeting(self, scope: Scope, path: str) -> bytes:
        host, port = scope.get("server") or ("localhost", None)
        moment = datetime.fromtimestamp(self._ingest.clock() / 1000, UTC)
        shown: dict[str, Any] = {
            "status": "ok",
            "message": "Webhook endpoint is accessible",
            "url": (self._origin or f"http://{host}:{port}") + path,
            "timestamp": moment.isoformat(timespec="milliseconds"),
        }
        return json.dumps(shown).encode()


class _Waiting:
    """Waits for a delivery that was taken whole, as a future and a task would, for a fraction of their cost."""

    __slots__ = ("_began", "_over", "_request", "_webhook")

    def __init__(self, webhook: Webhook, request: Whole, began: float) -> None:
        self._webhook, self._request, self._began = webhook, request, began
        self._over = False

    def done(self) -> bool:
        return self._over

    def set_result(self, result: None, /) -> None:  # noqa: ARG002 - as a future has it
        self._over = True
        self._request.answer(_STORED, self._webhook.stored)
        _answers("token", 200).inc()
        metrics.webhook_seconds.observe(time.perf_counter() - self._began)

    def set_exception(self, error: GolubError, /) -> None:
        self._over = True
        self._request.answer(*self._webhook.refused(error))
        _answers("token", error.status).inc()


@cache
def _answers(kind: str, status: int) -> Counter:
    return metrics.webhook_answers.labels(kind, str(status))


def _line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


_STORED = _line(200)


def _check(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuses what need not be read at all."""
    length, waits = 0, False
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise _HTTPError(
                415, "Send the body as it is, without Content-Encoding"
            )  # we inflate nothing for strangers
        if name == b"content-length":
            length = _number(value)
        if name == b"expect":
            waits = True
    if length > (BODY_LIMIT if waits else DISCARD_LIMIT):
        raise _too_large()


async def _read(receive: Receive) -> bytes:
    """The whole body, whatever length was announced."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_DEADLINE):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise _HungUpError("The sender hung up")
                part = message.get("body", b"")
                size += len(part)
                if size > DISCARD_LIMIT:
                    break
                if size <= BODY_LIMIT:
                    parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError as error:
        raise _HTTPError(408, "The body did not arrive in time") from error
    if size > BODY_LIMIT:
        raise _too_large()
    return b"".join(parts)


def _too_large() -> _HTTPError:
    return _HTTPError(413, f"The body may have {BODY_LIMIT} bytes")


def _body_is_bounded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether what is left of the body is little enough to let the connection live."""
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and _number(value) > BODY_LIMIT):
            return False
    return True


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() and len(value) < 19 else DISCARD_LIMIT + 1
