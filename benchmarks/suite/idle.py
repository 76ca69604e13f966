"""What a Golub takes that nobody writes to: processor and memory.

The server runs with everything on, and no account, for a minute (`--full`: ten) after its first half a minute.
"""

import time
from collections.abc import Mapping, Sequence

from benchmarks import served
from benchmarks.frame import Bench, Figure, Measures, Part

SETTLES = 30  # seconds
WATCHED = {False: 60, True: 600}

FIGURES = (
    Figure("processor", "processor of an idle server", "%", at_most=1.0),
    Figure("memory", "its memory (PSS)", "MB", at_most=110),
)


def parts(bench: Bench) -> Sequence[Part]:
    def idle() -> Measures:
        with served.golub(bench.empty_folder("idle"), on=bench.cores.server) as server:
            time.sleep(SETTLES)
            before, began = server.processor_seconds(), time.monotonic()
            time.sleep(WATCHED[bench.full])
            taken = (server.processor_seconds() - before) / (time.monotonic() - began)
            return {"processor": 100 * taken, "memory": server.memory()}

    return [Part("idle", idle)]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    return measured.get("idle", {})
