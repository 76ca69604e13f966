"""Webhooks answered 200, which means: on stable storage; beside an ASGI application that stores nothing.

Everything is on as it is for everybody: the token is checked, address and headers are kept, commits are FULL, and each
delivery gets its line in the log. *burst*: each connection sends again as soon as it has its answer, for ten seconds
behind a second that does not count; then what was not applied meanwhile, and how long that took. *steady*: so many a
second, whoever is ready, at the highest rate of `RATES` at which 99 of 100 answers come within 200 ms and the oldest
delivery in the spool is never older than two seconds. After each run every message that was acked is looked for in the
spool and in the database; one that is missing ends the run.

`noop` answers without a look at the request, embedded as Golub is, with uvicorn, uvloop and httptools; `uvicorn` is the
same as uvicorn comes. Processor time is that of the whole process, apply and the log included.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import load, machine, served, shop, slow_disk
from benchmarks.frame import Bench, Figure, Measures, Part
from benchmarks.load import Letters, Loaded, drive

BURST = {False: 10, True: 30}  # seconds
STEADY = {False: 15, True: 60}
WARM = 1
FEW, MANY = 64, 256  # connections
RATES = (1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, 6000, 7000)  # a second
GOAL_RATE = 3500
LONGEST = 200.0  # ms, at p99
OLDEST = 2.0  # seconds

FIGURES = (
    Figure("burst_64", f"burst over the no-op, {FEW} connections", "×", at_least=0.65),
    Figure("burst_256", f"burst over the no-op, {MANY} connections", "×", at_least=0.80),
    Figure("burst_uvicorn", f"burst over a no-op on uvicorn as it comes, {FEW} connections", "×"),
    Figure("processor", "processor a request above the no-op's", "µs", at_most=20),
    Figure("processor_noop", "processor a request of the no-op", "µs"),
    Figure("p99", f"p99 in a burst, {FEW} connections", "ms", at_most=15),
    Figure("rate", f"answers in a burst, {FEW} connections", "/s"),
    Figure("apply", "share of the deliveries that is applied during the burst", "%"),
    Figure("backlog", "deliveries left behind a burst", ""),
    Figure("drain", "… and how fast they are applied", "/s"),
    Figure("fastapi", "burst over FastAPI's no-op", "×"),
    Figure("single", "burst over one commit a request", "×"),
    Figure("slow_disk", "… on a disk with 5 ms flushes", "×", at_least=25),
    Figure("steady", "steady, apply keeping up", "/s", at_least=GOAL_RATE),
    Figure("steady_p99", "… its p99", "ms", at_most=LONGEST),
)

Measured = dict[str, float]


def parts(bench: Bench) -> Sequence[Part]:
    machine.pin(bench.cores.load)
    letters = Letters(shop.PATH)

    def bare(kind: str, connections: int = FEW, *, slow: bool = False) -> Callable[[], Measures]:
        def run() -> Measures:
            folder = bench.empty_folder(kind)
            with _bare(bench, kind, folder, slow=slow) as server:
                return _burst(bench, server, letters, connections)[0]

        return run

    def ours(connections: int = FEW, *, slow: bool = False) -> Callable[[], Measures]:
        def run() -> Measures:
            folder = bench.empty_folder("golub")
            environment = slow_disk.environment(bench.folder) if slow else {}
            with _golub(bench, folder, environment) as server:
                measured, loaded = _burst(bench, server, letters, connections)
                backlog, _ = shop.pending(folder)
                began = time.monotonic()
                shop.wait_until_drained(folder, bench.say)
                drained = time.monotonic() - began
                number = len(loaded.acked)
                applied = 100 * max(number - backlog, 0) / number
                _look_for_all(loaded, folder)
            return measured | {"backlog": backlog, "drain": backlog / max(drained, 0.1), "applied": applied}

        return run

    def steady() -> Measures:
        place, best, tried = RATES.index(GOAL_RATE), {"rate": 0.0, "p99": 0.0}, set[int]()
        while 0 <= place < len(RATES) and place not in tried:
            tried.add(place)
            held = _steady(bench, letters, RATES[place])
            if held["held"] and held["rate"] > best["rate"]:
                best = held
            place += 1 if held["held"] else -1
        return best

    return [
        Part("noop 64", bare("noop")),
        Part("golub 64", ours()),
        Part("uvicorn 64", bare("uvicorn")),
        Part("noop 256", bare("noop", MANY)),
        Part("golub 256", ours(MANY)),
        Part("fastapi 64", bare("fastapi")),
        Part("single 64", bare("single")),
        Part("single 64, slow disk", bare("single", slow=True)),
        Part("golub 64, slow disk", ours(slow=True)),
        Part("steady", steady),
    ]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found: Measured = {}

    def over(name: str, one: str, other: str) -> None:
        if one in measured and other in measured:
            found[name] = measured[one]["rate"] / measured[other]["rate"]

    over("burst_64", "golub 64", "noop 64")
    over("burst_256", "golub 256", "noop 256")
    over("burst_uvicorn", "golub 64", "uvicorn 64")
    over("fastapi", "golub 64", "fastapi 64")
    over("single", "golub 64", "single 64")
    over("slow_disk", "golub 64, slow disk", "single 64, slow disk")
    if (ours := measured.get("golub 64")) and (noop := measured.get("noop 64")):
        found |= {name: ours[name] for name in ("p99", "rate", "backlog", "drain")}
        found["apply"] = ours["applied"]
        found["processor_noop"] = noop["processor"]
        found["processor"] = ours["processor"] - noop["processor"]
    if steady := measured.get("steady"):
        found |= {"steady": steady["rate"], "steady_p99": steady["p99"]}
    return found


def _golub(bench: Bench, folder: Path, environment: Mapping[str, str]) -> AbstractContextManager[served.Served]:
    shop.make(folder, bench.folder / "pattern")
    return served.golub(folder, on=bench.cores.server, environment=shop.QUIET | dict(environment))


def _bare(bench: Bench, kind: str, folder: Path, *, slow: bool) -> AbstractContextManager[served.Served]:
    return served.served(
        [sys.executable, "-m", "benchmarks.bare", kind, str(folder)],
        folder / "said",
        on=bench.cores.server,
        ready=r"^Bare: (\S+)",
        environment=slow_disk.environment(bench.folder) if slow else {},
    )


def _burst(bench: Bench, server: served.Served, letters: Letters, connections: int) -> tuple[Measured, Loaded]:
    time.sleep(WARM)  # a server that has just started still makes its pages ready
    warm = drive(server.port, letters, connections=connections, seconds=WARM)
    before = server.processor_seconds()
    loaded = drive(server.port, letters, connections=connections, seconds=BURST[bench.full], first=warm.sent)
    taken = server.processor_seconds() - before
    if loaded.idle < 0.05:
        bench.say(f"the load itself waited only {100 * loaded.idle:.0f} % of the time: it may be what was measured")
    measured = {
        "rate": loaded.rate,
        "processor": 1e6 * taken / max(len(loaded.acked), 1),
        "processor_share": taken / loaded.seconds,
        "p50": loaded.at(0.5),
        "p99": loaded.at(0.99),
        "refused": float(loaded.refused),
        "cut": float(loaded.cut),
        "load_idle": loaded.idle,
    }
    loaded.acked += warm.acked
    return measured, loaded


def _steady(bench: Bench, letters: Letters, rate: int) -> Measured:
    folder = bench.empty_folder("golub")
    with _golub(bench, folder, {}) as server:
        time.sleep(WARM)
        warm = drive(server.port, letters, connections=FEW, seconds=WARM, rate=rate)
        shop.wait_until_drained(folder, bench.say)
        oldest: list[float] = []
        loaded = drive(
            server.port,
            letters,
            connections=FEW,
            seconds=STEADY[bench.full],
            rate=rate,
            first=warm.sent,
            each_second=lambda: oldest.append(shop.pending(folder)[1]),
        )
        oldest.append(shop.pending(folder)[1])
        shop.wait_until_drained(folder, bench.say)
        loaded.acked += warm.acked
        _look_for_all(loaded, folder)
    held = (
        loaded.at(0.99) <= LONGEST
        and max(oldest) <= OLDEST
        and not (loaded.refused or loaded.cut)
        and len(loaded.times) >= 0.98 * rate * STEADY[bench.full]
    )
    bench.say(f"{rate}/s: p99 {loaded.at(0.99):.0f} ms, oldest {max(oldest):.1f} s: {'held' if held else 'not held'}")
    return {"rate": float(rate), "p99": loaded.at(0.99), "oldest": max(oldest), "held": float(held)}


def _look_for_all(loaded: load.Loaded, folder: Path) -> None:
    """Ends the run where an acked message is nowhere."""
    missing = set(loaded.acked) - shop.kept(folder)
    if missing:
        raise SystemExit(f"acked and lost: {len(missing)}, the first {min(missing)}")
