"""The door that every API call passes: it is recorded, runs into faults, shows its token, is counted, then answered.

`operation` wraps one handler into a Starlette endpoint. What it records is `Simulator.calls`, from which tests and
checkers count requests.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from golub.simulator import wire
from golub.simulator.faults import Fault, Faults
from golub.simulator.policy import Policy
from golub.simulator.tokens import Tokens
from golub.simulator.world import Account

KEPT_CALLS = 20_000

Answer = tuple[int, Any]
Handler = Callable[[Request, Account], Awaitable[Answer]]


@dataclass(slots=True)
class Call:
    """One call that arrived. `status` is None until it is answered; `body` is parsed JSON where it parses."""

    operation: str
    method: str
    path: str
    at: float
    body: Any = None
    status: int | None = None
    account: int | None = None
    query: str = ""


class Refused(Exception):
    """A handler's way out with an error answer."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers


class Cut(Response):
    """The first half of an answer; then the connection is gone.

    It ends in the exception that a client sees, so that one without a socket in between sees it as well.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        whole = bytes(self.body)
        headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        headers.append((b"content-length", str(max(len(whole), 1)).encode()))
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": whole[: len(whole) // 2], "more_body": True})
        raise httpx2.RemoteProtocolError("the simulator cut this answer")


class Gate:
    def __init__(self, tokens: Tokens, faults: Faults, policy: Policy, clock: Callable[[], float]) -> None:
        self.calls: list[Call] = []
        self._tokens = tokens
        self._faults = faults
        self._policy = policy
        self._clock = clock
        self._recent: dict[int, deque[float]] = {}
        self._released = asyncio.Event()
        self._expected: list[tuple[str, asyncio.Future[Call]]] = []

    async def arrived(self, operation: str) -> Call:
        """Waits for the next call of that operation; it may hang, and need not have been answered yet."""
        call: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._expected.append((operation, call))
        return await call

    def operation(self, name: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint behind the token check. The path's `user_id`, where it has one, must be the token's."""

        async def endpoint(request: Request) -> Response:
            async def answered(call: Call) -> Response:
                account = self._admit(request)
                call.account = account.user_id
                headers = self._count(account)
                status, body = await handler(request, account)
                return _response(status, body, headers)

            return await self._run(name, request, answered)

        return endpoint

    def public(self, name: str, handler: Callable[[Request], Awaitable[Answer]]) -> Callable[..., Awaitable[Response]]:
        """An endpoint that needs no token: POST /token, and the gateway's own answers."""

        async def endpoint(request: Request) -> Response:
            async def answered(_call: Call) -> Response:
                return _response(*await handler(request))

            return await self._run(name, request, answered)

        return endpoint

    def release(self) -> None:
        """Ends every call that hangs or waits; they answer 504."""
        self._released.set()
        self._released = asyncio.Event()

    async def _run(self, name: str, request: Request, answered: Callable[[Call], Awaitable[Response]]) -> Response:
        call = Call(name, request.method, request.url.path, self._clock(), query=request.url.query)
        owner = self._tokens.owner(request.headers.get("authorization"))
        call.account = request.path_params.get("user_id", owner)
        self.calls.append(call)
        if len(self.calls) > KEPT_CALLS:
            del self.calls[: KEPT_CALLS // 2]
        call.body = await _body(request)
        for expected in [pair for pair in self._expected if pair[0] == name]:
            self._expected.remove(expected)
            if not expected[1].done():
                expected[1].set_result(call)
        fault = self._faults.take(name, call.account)
        response = await self._suffer(fault, request) if fault and not fault.after else None
        if response is None:
            try:
                response = await answered(call)
            except Refused as refused:
                response = _response(refused.status, refused.body, refused.headers)
        if fault and fault.after:
            response = await self._suffer(fault, request) or response
        if fault and (fault.cut or fault.pad):
            response = _spoilt(response, fault)
        call.status = response.status_code
        return response

    async def _suffer(self, fault: Fault, request: Request) -> Response | None:
        """What a fault does to a call; None when it only made it slow."""
        if fault.hang or fault.delay:
            await self._wait(request, None if fault.hang else fault.delay)
        if fault.hang:
            return Response(status_code=504)
        if fault.status is None and fault.body is None:
            return None
        status, body = fault.status or 200, fault.body
        if isinstance(body, (str, bytes)):
            return Response(body, status, headers={"content-type": "text/html; charset=utf-8"} | dict(fault.headers))
        if body is None:
            body = wire.error(status, "Internal error" if status >= 500 else "Refused")
        return _response(status, body, fault.headers)

    async def _wait(self, request: Request, seconds: float | None) -> None:
        """Until the time is over, the client has gone, or `release`."""
        ends = {asyncio.ensure_future(self._released.wait()), asyncio.ensure_future(_gone(request))}
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def _admit(self, request: Request) -> Account:
        admitted = self._tokens.check(request.headers.get("authorization"), request.path_params.get("user_id"))
        if not isinstance(admitted, Account):
            raise Refused(*admitted)
        if not admitted.paid and request.url.path.startswith("/messenger/"):
            raise Refused(402, wire.error(402, "Payment required"))
        return admitted

    def _count(self, account: Account) -> Mapping[str, str]:
        """Counts the call in the minute that ends now, and says how many are left, in headers that may come."""
        limit = account.rate_limit if account.rate_limit is not None else self._policy.rate_limit
        if limit is None:
            return {}
        now = self._clock()
        recent = self._recent.setdefault(account.user_id, deque())
        while recent and recent[0] <= now - 60:
            recent.popleft()
        headers = {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(max(0, limit - len(recent) - 1))}
        if len(recent) >= limit:
            wait = int(recent[0] + 60 - now) + 1 if recent else 60
            raise Refused(429, wire.error(429, "Too many requests"), headers | {"retry-after": str(wait)})
        recent.append(now)
        return headers


def _spoilt(response: Response, fault: Fault) -> Response:
    """The same answer, longer, or cut off in the middle."""
    body = bytes(response.body) + b" " * fault.pad
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return (Cut if fault.cut else Response)(body, response.status_code, headers)


def _response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    if body is None:
        return Response(status_code=status, headers=headers)
    return Response(wire.encoded(body), status, headers=headers, media_type="application/json")


async def _body(request: Request) -> Any:
    """The call's body for the record: JSON parsed, a form or other text as text, an upload as its size."""
    raw = await request.body()
    if request.headers.get("content-type", "").startswith("multipart/"):
        return f"<{len(raw)} bytes>"
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
