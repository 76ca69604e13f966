"""What it takes to read a thousand chats from Avito, and to look whether a webhook was missed: requests and time.

A shop of a thousand chats of ten messages at the simulator, which answers in this process. *first*: all of its history
is read. *quiet*: a sweep finds nothing new. *busy*: one chat in fifty has a message that no webhook brought. Seconds of
processor are ours and the simulator's together; at Avito, requests are what takes the time, and so many a minute are
asked at most (`GOLUB_REQUESTS_PER_MINUTE`).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from benchmarks import machine
from benchmarks.frame import Bench, Figure, Measures, Part
from golub.clock import MINUTE
from golub.settings import Settings
from golub.store import Store
from tests.backfill.town import PERIOD, Town, history, opened
from tests.conftest import SteppedClock

CHATS = 1000
MESSAGES = 10
MISSED_IN = 50  # one of so many chats
NOW = 1_790_000_000_000
ASKED = Settings.model_fields["requests_per_minute"].default

_NAMES = {
    "first": "all history of a thousand chats",
    "quiet": "a sweep that finds nothing",
    "busy": f"a sweep where one chat of {MISSED_IN} has a missed message",
}
FIGURES = tuple(
    figure
    for name, says in _NAMES.items()
    for figure in (
        Figure(f"{name}_requests", f"{says}: requests", ""),
        Figure(f"{name}_processor", "… processor", "s"),
        Figure(f"{name}_seconds", f"… the least time for them at {ASKED} requests a minute", "s"),
    )
)


def parts(bench: Bench) -> Sequence[Part]:
    return [Part("sweep", lambda: asyncio.run(_sweep(bench)))]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    return measured.get("sweep", {})


async def _sweep(bench: Bench) -> Measures:
    machine.pin(bench.cores.server)
    folder = bench.empty_folder("sweep")
    store, clock = Store(f"sqlite:///{folder / 'golub.db'}"), SteppedClock(NOW)
    store.migrate()
    try:
        async with opened(store, clock, folder) as town:
            return await _measure(town)
    finally:
        await store.close()


async def _measure(town: Town) -> Measures:
    chats = history(town, CHATS, MESSAGES)
    await town.connect()
    found = await _told(town, "first", 0)
    if (number := len(await town.messages())) != CHATS * MESSAGES:
        raise SystemExit(f"{number} messages were read, of {CHATS * MESSAGES}")
    await town.later()  # what the first read left due is done with
    await town.count()
    found |= await _told(town, "quiet", PERIOD)
    town.clock.step(MINUTE)
    for chat in chats[::MISSED_IN]:
        town.sim.buyer_says(chat, "Ещё продаёте?", quiet=True)
    found |= await _told(town, "busy", PERIOD)
    if (number := len(await town.messages())) != CHATS * MESSAGES + CHATS // MISSED_IN:
        raise SystemExit(f"{number} messages are known after the sweep")
    return found


async def _told(town: Town, name: str, later: int) -> dict[str, float]:
    began = time.process_time()
    await town.later(later)
    requests = sum((await town.count()).values())
    return {
        f"{name}_requests": float(requests),
        f"{name}_processor": time.process_time() - began,
        f"{name}_seconds": requests * 60 / ASKED,
    }
