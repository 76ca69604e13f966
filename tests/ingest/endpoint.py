"""The webhook behind a real socket, with a spool of its own and a main database that may be absent."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from starlette.applications import Starlette

from golub.ingest import Ingest
from golub.server import Server
from golub.settings import Settings
from golub.spool import Received, Spool
from golub.store import Store
from golub.web.webhook import Webhook
from tests.conftest import SteppedClock

TOKEN = "kN3vJ0" + "a" * 37
STRANGER = "z" * 43
BARE = "/webhook/avito"
PATH = f"{BARE}/{TOKEN}"
OK = (200, {"status": "ok"})


@dataclass
class Endpoint:
    server: Server
    spool: Spool
    store: Store
    ingest: Ingest
    client: httpx2.AsyncClient

    @property
    def stored(self) -> list[Received]:
        return self.spool.read(0, 100_000, 1 << 30)

    async def post(self, path: str = PATH, body: bytes = b"{}", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=body, headers=named)

    async def raw(self, request: bytes, *, hang_up: bool = False) -> bytes:
        """Everything that comes back until the server closes, or until the first answer is complete."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(request)
            if hang_up:
                writer.write_eof()
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as end:
                return end.partial
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
            return head + await reader.read(int(length.partition(b":")[2]))
        finally:
            writer.close()


@asynccontextmanager
async def opened(
    folder: Path, clock: SteppedClock, url: str = "", *, quota: int = 256 << 20, **chosen: object
) -> AsyncGenerator[Endpoint]:
    settings = Settings(data_dir=folder, port=0, **chosen)  # type: ignore[arg-type]
    spool = Spool(folder, quota=quota, clock=clock)
    spool.start()
    store = Store(url or f"sqlite:///{folder / 'absent' / 'golub.db'}")
    ingest = Ingest(spool, store, settings, clock)
    server = Server(Webhook(ingest, Starlette()), settings.host, settings.port)
    serving = asyncio.create_task(server.run())
    base = f"http://127.0.0.1:{server.port}"
    async with httpx2.AsyncClient(base_url=base, timeout=20, trust_env=False) as client:
        yield Endpoint(server, spool, store, ingest, client)
    server.stop()
    await serving
    await store.close()
    await asyncio.to_thread(spool.close)


def answer(response: httpx2.Response) -> tuple[int, object]:
    return response.status_code, response.json()


HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()
