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

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from golub.simulator.seed import seed_demo
from golub.simulator.simulator import Simulator


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
        sim.app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=3
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
    chats: int = 14,
) -> None:
    """Serves until SIGINT or SIGTERM. `demo` seeds three shops; `pace` keeps buyers writing, a message each so often.

    `base_url` is what pictures and voices are linked by, where the outside sees another address.
    """
    bound, url = bind(host, port)
    sim = Simulator(log_path, seed=seed, base_url=base_url or url, retries=retries)
    if demo:
        seed_demo(sim, chats)
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
