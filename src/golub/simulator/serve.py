"""The simulator as a process, and as a server inside somebody else's event loop.

`run` is what `golub simulate` calls. `serving` is for whoever has a loop already: a demo, a test that needs a real
socket. Both bind first and build afterwards, so that links inside messages carry the real port.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.loops.auto import auto_loop_factory

from golub.simulator.crowd import seed_crowd
from golub.simulator.seed import seed_demo
from golub.simulator.simulator import Simulator

WAREHOUSE = 180_000_001  # the shop that has the crowd in a world without the demo's shops


def bind(host: str = "127.0.0.1", port: int = 0) -> tuple[socket.socket, str]:
    """A listening socket and the URL it is reached by. Port 0 takes a free one. Raises OSError when taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, backlog=512)
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return bound, f"http://{name}:{bound.getsockname()[1]}"


@asynccontextmanager
async def serving(sim: Simulator, bound: socket.socket) -> AsyncGenerator[None]:
    """Enters the simulator and answers on the socket, which it closes, until the block ends."""
    config = uvicorn.Config(
        _cuttable(sim.app),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=3,
    )
    server = _Server(config)
    async with sim:
        serve = asyncio.create_task(server.serve(sockets=[bound]), name="simulator http")
        try:
            await server.ready.wait()
            yield
        finally:
            server.should_exit = True
            sim.gate.release()
            await serve


def run(
    host: str = "127.0.0.1",
    port: int = 8090,
    *,
    log_path: Path | None = None,
    seed: int = 1,
    demo: bool = True,
    pace: float | None = None,
    base_url: str | None = None,
    retries: Sequence[float] = (),
    chats: int = 0,
    scenarios: Sequence[str] = (),
) -> None:
    """Serves until SIGINT or SIGTERM. `demo` seeds three shops; `pace` keeps buyers writing, a message each so often.

    `chats` are so many more, spread over the shops; `scenarios` are played from the start, and what happens in them
    as soon as a shop has a webhook.
    `base_url` is what pictures and voices are linked by, where the outside sees another address.
    """
    bound, url = bind(host, port)
    sim = Simulator(log_path, seed=seed, base_url=base_url or url, retries=retries)
    if demo:
        seed_demo(sim)
    if chats:
        shops = list(sim.world.accounts.values()) or [sim.add_account(WAREHOUSE, "Большой склад")]
        for number, shop in enumerate(shops):
            if share := chats // len(shops) + (number < chats % len(shops)):
                seed_crowd(sim, shop, share)
    for name in scenarios:
        sim.stage.play(name, wait=True)
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_until_stopped(sim, bound, url, pace))


async def _until_stopped(sim: Simulator, bound: socket.socket, url: str, pace: float | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with serving(sim, bound):
        sim.control.live(pace)
        print(f"Avito simulator: {url}/  (control API: {url}/_sim/)", flush=True)
        for account in sim.world.accounts.values():
            print(
                f"  {account.name}: user_id {account.user_id}, client_id {account.client_id}, "
                f"client_secret {account.client_secret}",
                flush=True,
            )
        await stop.wait()


def _cuttable(app: ASGIApp) -> ASGIApp:
    """An answer that was cut on purpose (`gate.Cut`) closes its connection, and is no traceback on the terminal."""

    async def cuttable(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except httpx2.RemoteProtocolError:
            return

    return cuttable


class _Server(uvicorn.Server):
    """uvicorn re-raises the signals it catches, which would end us before we have closed: we catch our own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
