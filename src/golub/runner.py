"""The loop of everything that runs by itself: one turn, then wait for the next due time, or for a nudge.

Outages are waited out with growing, jittered pauses; an unexpected error is logged with its traceback and waited out
as well, because one part's mistake must not take down the process that acks webhooks. `health` reads what each notes
of its turns.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from golub import metrics
from golub.clock import SECOND, Clock, Millis, now
from golub.errors import Unavailable

LONGEST_WAIT = 1.0  # seconds: what another process made due is noticed this late
PART_AGAIN = 5.0  # seconds until a part that failed starts again
LONGEST_PAUSE = 30.0  # seconds, after failures

Turn = Callable[[], Awaitable[Millis | None]]
Start = Callable[[Coroutine[Any, Any, None]], object]  # … and go on without waiting for it
StartingTurn = Callable[[Start], Awaitable[Millis | None]]

log = structlog.get_logger(__name__)

_running: "set[Loop]" = set()


def running() -> "list[Loop]":
    """The loops that run in this process now."""
    return sorted(_running, key=lambda loop: loop.name)


class Loop:
    """`run(turn)` until cancelled. `turn` returns when the next thing is due (as `clock` tells time), None: unknown.

    However far off that is, the next turn comes after `longest_wait` seconds: clocks jump, and other processes write.
    `turn_began` is None between two turns; `broken_since` is when turns began to end in a mistake of ours. Both are
    monotonic.
    """

    def __init__(self, name: str, clock: Clock = now, *, longest_wait: float = LONGEST_WAIT) -> None:
        self.name = name
        self.turn_began: float | None = None
        self.broken_since: float | None = None
        self._clock = clock
        self._longest_wait = longest_wait
        self._nudged = asyncio.Event()
        self._runs_in: asyncio.AbstractEventLoop | None = None
        self._failures = 0

    def nudge(self) -> None:
        """Something is due now. From any thread; before `run` it is remembered."""
        loop = self._runs_in
        if loop is None:
            self._nudged.set()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._nudged.set)

    async def run(self, turn: Turn) -> None:
        self._runs_in = asyncio.get_running_loop()
        _running.add(self)
        try:
            while True:
                self._nudged.clear()
                wait = await self._turn(turn)
                try:
                    async with asyncio.timeout(wait):
                        if self._failures:
                            await asyncio.sleep(wait)  # a nudge does not mend an outage
                        await self._nudged.wait()
                except TimeoutError:
                    continue
        finally:
            _running.discard(self)

    async def run_starting(self, turn: StartingTurn) -> None:
        """`run`, for a turn that starts what it finds: the next turn does not wait for that."""
        async with asyncio.TaskGroup() as tasks:
            await self.run(lambda: turn(tasks.create_task))

    async def _turn(self, turn: Turn) -> float:
        """Seconds until the next one."""
        self.turn_began = time.monotonic()
        metrics.loop_turns.labels(self.name).inc()
        try:
            due = await turn()
        except Unavailable as error:
            log.warning("could not run; trying again", loop=self.name, error=str(error))
            self.broken_since = None
            return self._pause(error.retry_after)
        except Exception:  # a mistake of ours: see above
            log.exception("a turn failed", loop=self.name)
            metrics.loop_failures.labels(self.name).inc()
            self.broken_since = self.broken_since or self.turn_began
            return self._pause(1.0)
        finally:
            self.turn_began = None
        self._failures, self.broken_since = 0, None
        if due is None:
            return self._longest_wait
        return min(max((due - self._clock()) / SECOND, 0.0), self._longest_wait)

    def _pause(self, least: float) -> float:
        self._failures += 1
        grown = max(least, 0.5 * 2 ** min(self._failures - 1, 10))
        return min(grown, LONGEST_PAUSE) * random.uniform(0.7, 1.3)  # noqa: S311


async def finish(turn: StartingTurn) -> Millis | None:
    """One such turn and all that it starts; returns when the next is due."""
    tasks: list[asyncio.Task[None]] = []
    due = await turn(lambda work: tasks.append(asyncio.create_task(work)))
    await asyncio.gather(*tasks)
    return due


async def keep(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a part for ever. A fault in one must not end the others, least of all the webhook."""
    while True:
        try:
            return await run()
        except Exception:
            log.exception("a part failed and will start again", part=name)
            await asyncio.sleep(PART_AGAIN)
