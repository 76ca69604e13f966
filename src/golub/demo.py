"""`golub demo`: simulator and server in one process, so that anybody can see Golub work without an account at Avito.

Everything goes the way it goes in earnest: the shops are connected by their keys, the webhook is registered by the code
of the panel, and the link signs in an operator. Only the webhook's address may be this machine's own.
"""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from golub.app import Golub
from golub.errors import Conflict, Unavailable
from golub.model import DEFAULT_EVENT_TYPES, Role
from golub.settings import Settings
from golub.simulator import Lively, Simulator, seed_demo
from golub.simulator.serve import bind, serving
from golub.web.parts import Parts

LOGIN = "demo"
SWEEP_PERIOD = 60.0
FIRST_WORDS = 5  # messages that buyers send as soon as the webhook stands
AGAIN = 1.0  # seconds until what the database did not answer is tried again

log = structlog.get_logger("golub")


async def run(
    *, port: int, simulator_port: int, pace: float, seed: int, folder: Path | None, say: Callable[[str], None]
) -> None:
    """Runs until SIGTERM or SIGINT. Without `folder` everything lives in a temporary one, and goes with it."""
    kept = folder is not None
    folder = folder or Path(tempfile.mkdtemp(prefix="golub-demo-"))
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    try:
        await _run(port, simulator_port, pace, seed, folder, say)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(
    port: int, simulator_port: int, pace: float, seed: int, folder: Path, say: Callable[[str], None]
) -> None:
    bound, avito_url = bind("127.0.0.1", _free(simulator_port))
    port = _free(port)
    simulator = Simulator(folder / "simulator.jsonl", seed=seed, base_url=avito_url, retries=(1.0, 5.0, 15.0))
    seed_demo(simulator)
    golub = Golub(
        Settings(
            data_dir=folder,
            port=port,
            public_url=f"http://127.0.0.1:{port}",
            avito_url=avito_url,
            allow_loopback_webhook=True,
            sweep_period=SWEEP_PERIOD,
        )
    )
    async with serving(simulator, bound), asyncio.TaskGroup() as tasks:
        world: list[asyncio.Task[None]] = []

        def started(url: str, _: str | None) -> None:
            world.append(
                tasks.create_task(_enliven(golub.parts, simulator, pace, partial(_welcome, say, url, avito_url)))
            )

        await golub.run(started)
        for task in world:
            task.cancel()


async def _enliven(parts: Parts, simulator: Simulator, pace: float, welcome: Callable[[str, str], None]) -> None:
    while True:
        try:
            secret, password = await _set_up(parts, simulator)
            break
        except Unavailable as error:  # a busy machine, at the moment of its start: what was done stays done
            log.warning("the demo waits", reason=str(error))
            await asyncio.sleep(AGAIN)
    welcome(secret, password)
    lively = Lively(simulator, pace)
    for _ in range(FIRST_WORDS):
        lively.once()
    await lively.run()


async def _set_up(parts: Parts, simulator: Simulator) -> tuple[str, str]:
    """Connects the shops and registers their webhooks; returns the secret of a link that signs in, and a password.
    Raises `Unavailable`, and may be called again."""
    for shop in simulator.world.accounts.values():
        connected = await parts.accounts.connect(shop.client_id, shop.client_secret)
        found = await parts.subscriptions.find(connected.account.id)
        url = await parts.subscriptions.url_of(found) if found else parts.subscriptions.recommended_url()
        # Without the probe: a busy machine may be slow to answer itself, and the first message proves more.
        await parts.subscriptions.register(connected.account.id, url, DEFAULT_EVENT_TYPES, skip_probe=True)
    return await _sign_in_link(parts)


async def _sign_in_link(parts: Parts) -> tuple[str, str]:
    password = secrets.token_urlsafe(12)
    with suppress(Conflict):  # the folder was kept from an earlier demo
        await parts.operators.create(LOGIN, password, name="Мария", role=Role.SUPER_ADMIN)
    operator = await parts.operators.find(LOGIN)
    operator_id = operator.id if operator else None
    await parts.operators.set_password(await parts.operators.make_link("password", operator_id), password)
    return await parts.operators.make_link("sign_in", operator_id), password


def _welcome(say: Callable[[str], None], url: str, avito_url: str, secret: str, password: str) -> None:
    say(f"Golub: {url}/enter/{secret}")
    say("       open this link: it signs you in, once")
    say(f"       where Golub asks for the password again: {password}")
    say(f"Avito: {avito_url}/ (the simulator: play the buyer here)")
    say("Ctrl+C ends the demo.")


def _free(port: int) -> int:
    """The port itself, or a free one where it is taken."""
    for wanted in (port, 0):
        with suppress(OSError):
            probe, _ = bind("127.0.0.1", wanted)
            with probe:
                return int(probe.getsockname()[1])
    raise Conflict("No port is free on this machine.")
