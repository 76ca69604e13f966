"""The shop's old CRM: a server to forward to, which remembers what it got and answers as a test wants."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
from starlette.types import Receive, Scope, Send

from golub.guarded import Guarded


@dataclass(frozen=True)
class Got:
    url: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        return found[0] if found else None

    @property
    def delivery(self) -> str:
        return self.header("x-golub-delivery") or ""


class Receiver:
    """`answer(got)` gives a status, or a status and headers; `open` cleared holds every answer back."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], int | tuple[int, dict[str, str]]] = lambda _: 200
        self.open = asyncio.Event()
        self.open.set()
        self.arrived = asyncio.Semaphore(0)
        self.at_once = 0
        self.most_at_once = 0

    @property
    def bodies(self) -> list[bytes]:
        return [got.body for got in self.got]

    def guarded(self, address: str = "93.184.216.34", *, allow_loopback: bool = False) -> Guarded:
        """The client that reaches this server whatever the name, which resolves to `address`."""

        async def resolve(host: str, port: int) -> list[str]:
            return [address]

        return Guarded(transport=httpx2.ASGITransport(self), resolve=resolve, allow_loopback=allow_loopback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        host = dict(scope["headers"]).get(b"host", b"").decode()
        got = Got(f"{scope['scheme']}://{host}{scope['path']}", list(scope["headers"]), body)
        self.got.append(got)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.arrived.release()
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        answer = self.answer(got)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b""})
