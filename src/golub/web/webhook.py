"""The address that Avito calls: /webhook/avito, and /webhook/avito/<token> for one account.

A plain ASGI callable before sessions and pages, because this is the hot path: it must answer within 2 s whatever the
rest of Golub is doing, and a 200 means that the delivery is on stable storage. What a body says is looked at later, by
apply; here only its size counts.
"""

import asyncio
import json
import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from golub import metrics
from golub.errors import GolubError, NotFound, Unavailable
from golub.ingest import BODY_LIMIT, Ingest
from golub.settings import WEBHOOK_PATH
from golub.web.address import client_address

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
        self._origin = ingest.settings.public_url
        self._headers = _HEADERS
        if self._origin.startswith("https://"):
            self._headers = [*_HEADERS, (b"strict-transport-security", b"max-age=31536000")]

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
        metrics.webhook_answers.labels(kind, str(status)).inc()
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
        address = client_address(scope, ingest.settings.trusted_proxies)
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
