"""The same webhook at what people use instead, beside Golub's: rate, p99, and what was acked and lost after kill -9.

Each peer checks the token and stores the message, as it is usually written (`benchmarks.peers`). A burst of ten seconds
over 64 connections; then once more, and the server and all that it started are killed in the middle. What it had
answered with 200 and has not kept is lost. Peers are installed into `build/benchmarks/peers` when they are first asked
for.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import machine, served, shop
from benchmarks.frame import Bench, Figure, Measures, Part
from benchmarks.load import Letters, drive
from benchmarks.peers import install, running

CONNECTIONS = 64
BURST = {False: 10, True: 30}  # seconds
KILLED_AFTER = 3
AHEAD = {"Flask": 40, "FastAPI": 15, "Node-RED": 35, "webhook": 1}  # times, on a burst
SETTLES = 2

Start = Callable[[Path], AbstractContextManager[served.Served]]

FIGURES = (
    *(Figure(f"rate {name}", f"burst over {name}", "×", at_least=goal) for name, goal in AHEAD.items()),
    *(Figure(f"p99 {name}", f"p99 over that of {name}", "×", at_most=1) for name in AHEAD),
    Figure("lost Golub", "acked and lost by Golub after kill -9", "", at_most=0),
    *(Figure(f"lost {name}", f"… by {name}", "") for name in AHEAD),
    Figure("n8n", "burst over n8n", "×", at_least=1),
)


def parts(bench: Bench) -> Sequence[Part]:
    machine.pin(bench.cores.load)
    letters = Letters(shop.PATH)
    on = bench.cores.server

    def ours(folder: Path) -> AbstractContextManager[served.Served]:
        if not (folder / "node").exists():
            shop.make(folder, bench.folder / "pattern")
        return served.golub(folder, on=on, environment=shop.QUIET)

    def kept_by_us(folder: Path) -> set[int]:
        with ours(folder):  # it drains what its predecessor left
            shop.wait_until_drained(folder, bench.say)
            return shop.kept(folder)

    def measure(start: Start, kept: Callable[[Path], set[int]]) -> Measures:
        folder = bench.empty_folder("burst")
        with start(folder) as server:
            time.sleep(SETTLES)
            warm = drive(server.port, letters, connections=CONNECTIONS, seconds=1)
            loaded = drive(server.port, letters, connections=CONNECTIONS, seconds=BURST[bench.full], first=warm.sent)
        return {"rate": loaded.rate, "p99": loaded.at(0.99)} | _killed(start, kept, bench, letters)

    def peer(name: str) -> Callable[[], Measures]:
        start = running.ALL[name]
        return lambda: measure(lambda folder: start(bench.folder, folder, on), running.kept)

    def without_n8n() -> Measures:
        install.n8n(bench.folder)
        return {}

    found = [Part("n8n", without_n8n, once=True)]
    for name in AHEAD:
        found += [Part(f"Golub beside {name}", lambda: measure(ours, kept_by_us)), Part(name, peer(name))]
    return found


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name in AHEAD:
        us, them = measured.get(f"Golub beside {name}"), measured.get(name)
        if us:
            found["lost Golub"] = found.get("lost Golub", 0) + us["lost"]
        if us and them:
            found[f"rate {name}"] = us["rate"] / max(them["rate"], 0.1)
            found[f"p99 {name}"] = us["p99"] / max(them["p99"], 0.001)
            found[f"lost {name}"] = them["lost"]
    return found


def _killed(start: Start, kept: Callable[[Path], set[int]], bench: Bench, letters: Letters) -> Measures:
    folder = bench.empty_folder("killed")
    with start(folder) as server:
        time.sleep(SETTLES)
        began = time.monotonic()

        def kill() -> None:
            if time.monotonic() - began >= KILLED_AFTER and server.process.poll() is None:
                server.kill()

        loaded = drive(server.port, letters, connections=CONNECTIONS, seconds=KILLED_AFTER + 3, each_second=kill)
    return {"acked": float(len(loaded.acked)), "lost": float(len(set(loaded.acked) - kept(folder)))}
