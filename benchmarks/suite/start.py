"""How long a start takes, until the first 200, with a year's messages and a spool that was not drained.

The town has a million messages; a hundred thousand deliveries wait in the spool (`--full`; else a tenth of both). The
process is started as a person starts it; from then on a webhook is sent every few milliseconds until one gets its 200.
"""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import inbox, load, machine, served, shop
from benchmarks.frame import Bench, Figure, Measures, Part
from benchmarks.town import Town
from golub.app import Golub
from golub.clock import now
from golub.settings import Settings
from golub.spool import Received

MESSAGES = {False: 100_000, True: 1_000_000}
UNDRAINED = {False: 10_000, True: 100_000}
AGAIN = 0.003  # seconds between two tries

FIGURES = (
    Figure("start", "from the process's start to the first 200, a town and a full spool", "s", at_most=2.5),
    Figure("empty", "… with nothing there yet", "s"),
    Figure("page", "… and to the first page of the inbox (its sign-in form)", "s"),
)


def parts(bench: Bench) -> Sequence[Part]:
    machine.pin(bench.cores.load)

    def start(full: bool) -> Measures:
        folder = bench.empty_folder("node")
        if full:
            shutil.copytree(_made(bench), folder / "node")
        else:
            shop.make(folder, bench.folder / "pattern")
        return _start(bench, folder)

    return [Part("empty", lambda: start(full=False)), Part("town", lambda: start(full=True))]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    if town := measured.get("town"):
        found |= {"start": town["webhook"], "page": town["page"]}
    if empty := measured.get("empty"):
        found["empty"] = empty["webhook"]
    return found


def _start(bench: Bench, folder: Path) -> Measures:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    letters = load.Letters(shop.PATH, seed=2)
    found: dict[str, float] = {}
    environment = {"GOLUB_DATA_DIR": str(folder / "node"), "GOLUB_PORT": str(port), **shop.QUIET}
    page = b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    began = time.perf_counter()
    with served.served(
        [served.GOLUB, "serve"], folder / "said", on=bench.cores.server, ready=None, environment=environment
    ) as server:
        for name, request in (("webhook", letters[10**11]), ("page", page)):
            while not _answers(port, request):
                if time.perf_counter() - began > served.PATIENCE or server.process.poll() is not None:
                    raise SystemExit(f"no 200 came:\n{(folder / 'said').read_text()[-2000:]}")
                time.sleep(AGAIN)
            found[name] = time.perf_counter() - began
    return found


def _answers(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as line:
            line.sendall(request)
            return line.recv(1024).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _made(bench: Bench) -> Path:
    """The folder of data with the town and the deliveries; made once, and kept with the towns."""
    messages, undrained = MESSAGES[bench.full], UNDRAINED[bench.full]
    made = bench.towns / f"start-{messages}"
    if (made / "whole").exists():
        return made / "node"
    shutil.rmtree(made, ignore_errors=True)
    town = bench.towns / str(messages)
    town.mkdir(parents=True, exist_ok=True)
    settings = Settings.model_validate({"data_dir": town})
    bench.say(f"a town of {messages} messages is built, or looked at")
    inbox.build(Town(messages), settings)
    (made / "node").mkdir(parents=True)
    for path in town.glob("golub.db*"):
        shutil.copy2(path, made / "node" / path.name)
    bench.say(f"{undrained} deliveries are put into its spool")
    asyncio.run(_fill(Settings.model_validate({"data_dir": made / "node"}), undrained))
    (made / "node/ballast").unlink(missing_ok=True)
    (made / "whole").touch()
    return made / "node"


async def _fill(settings: Settings, number: int) -> None:
    golub = Golub(settings)
    letters = load.Letters(shop.PATH, seed=3)
    async with golub.opened() as parts:
        await golub.migrate()
        account = await asyncio.to_thread(shop.open_account, golub)
        for start in range(0, number, 500):
            bodies = (letters[10**10 + one].partition(b"\r\n\r\n")[2] for one in range(start, start + 500))
            await asyncio.gather(*(parts.spool.put(_received(body, account), within=60) for body in bodies))


def _received(body: bytes, account_id: int) -> Received:
    return Received(
        id=os.urandom(16),
        received_at=now(),
        account_id=account_id,
        token_id=1,
        address="203.0.113.7",
        headers=b'[["content-type","application/json"]]',
        body=body,
    )
