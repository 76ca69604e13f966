"""Empties the spool of a node that is gone into the main database: `golub spool drain DIR`.

A live node owns its spool and empties it itself, so a folder whose lock is held is refused. Whatever was drained before
is passed over, so it may be cut off and run again as often as one likes; the rows stay in the folder for the hour that
every spool keeps them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from golub.apply import Applier, Failure
from golub.clock import Clock
from golub.errors import NotFound
from golub.live import open_live
from golub.signatures import Trial
from golub.spool import Spool
from golub.store import Store

QUOTA = 1 << 40  # bytes: nothing is taken in here
LOOK_EVERY = 0.2  # seconds between two words about how far it is

Tell = Callable[[str, float], None]  # told the step, and what share of it is done


@dataclass(frozen=True, slots=True)
class Drained:
    deliveries: int
    quarantined: int


async def drain(
    folder: Path, store: Store, clock: Clock, tell: Tell = lambda _, __: None, trial: Trial | None = None
) -> Drained:
    """Raises `NotFound` where no spool is, `Conflict` where its node lives, `Rejected` for a database that is not of
    this release, `Unavailable` in an outage: what was drained until then stays so."""
    if not (folder / "spool.db").is_file():
        raise NotFound("There is no spool in {folder}.", folder=folder)
    await asyncio.to_thread(store.must_be_of_this_release)
    had_ballast = (folder / "ballast").exists()
    spool = Spool(folder, quota=QUOTA, clock=clock)
    live = open_live(store)
    applier = Applier(spool, store, live, clock, trial)
    failed: list[Failure] = []
    applier.on_failed = failed.append
    spool.start()
    try:
        total = spool.pending
        work = asyncio.create_task(asyncio.to_thread(applier.drain))
        while not (await asyncio.wait({work}, timeout=LOOK_EVERY))[0]:
            tell("draining", 1 - spool.pending / max(total, 1))
        count = await work
        tell("draining", 1.0)
        return Drained(count, len(failed))
    finally:
        await asyncio.to_thread(applier.stop)
        live.close()
        await asyncio.to_thread(spool.close)
        if not had_ballast:
            (folder / "ballast").unlink(missing_ok=True)
