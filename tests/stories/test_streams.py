"""What a browser hears has no gap and no repetition: over kills of the server, and over lines that fall silent.

An inbox here trusts the stream, and fetches everything only where the stream tells it to: so what it knows in the end
is what it was told.
"""

import asyncio
import time
from pathlib import Path

import pytest

from tests.conftest import AtScale, StartGolub
from tests.promises import Figures
from tests.stories.inboxes import Line, all_right, deaf, inboxes
from tests.stories.panel import operator
from tests.stories.scene import scene
from tests.stories.vitals import numbers, vitals

pytestmark = [pytest.mark.story, pytest.mark.promise("P26")]

RIGHT_WITHIN = 10.0  # seconds
CUT_WITHIN = 300.0  # until the buffers of a reader who takes nothing are full, and he is let go


async def test_no_kill_and_no_dead_line_leaves_a_gap(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    clients, kills = at_scale(10, 100), at_scale(2, 20)
    slowest = 0.0
    async with scene(tmp_path, start_golub, seed=seed) as town:
        line = Line(int(town.golub.url.rstrip("/").rpartition(":")[2]))
        async with line.opened() as url, inboxes(town, clients, url=url, draws=False) as opened:
            for number in range(kills):
                async with town.talking(20):
                    await asyncio.sleep(town.rng.uniform(0.2, 1))  # the moment is the story's die
                    if number == kills // 2:
                        line.fall_silent()
                    else:
                        await town.golub.kill()
                        await town.golub.restart()
                    await town.acked(5)
                await town.applied(RIGHT_WITHIN + at_scale(80, 0))
                slowest = max(slowest, await all_right(town, opened, RIGHT_WITHIN + at_scale(80, 0)))
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    figures(**verdict.figures, clients=clients, right_after=round(slowest, 1),
            repeated=sum(inbox.repeated for inbox in opened), connections=sum(inbox.connections for inbox in opened),
            )  # fmt: skip
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert [inbox.repeated for inbox in opened] == [0] * clients
    assert all(inbox.connections > kills for inbox in opened)


async def test_a_reader_who_takes_nothing_is_let_go(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    """In short form only that he costs nobody anything: how his buffers are bounded is a test of the stream's own."""
    async with scene(tmp_path, start_golub, seed=seed) as town, operator(town) as client:
        for number in range(200):
            town.simulator.add_chat(next(iter(town.simulator.world.accounts.values())), f"Очередь {number}")
        port = int(town.golub.url.rstrip("/").rpartition(":")[2])
        before = await vitals(town.golub)
        asleep = [deaf(port, client.cookies["session"]) for _ in range(5)]
        began = time.monotonic()
        async with town.talking(at_scale(30, 200)):
            await town.acked(at_scale(60, 1000))
            assert (await numbers(town.golub))["golub_streams_open"] == len(asleep)
            while at_scale(0, 1) and (await numbers(town.golub))["golub_streams_open"]:
                assert time.monotonic() - began < CUT_WITHIN
                await asyncio.sleep(1)  # between two looks
        cut = time.monotonic() - began
        after = await vitals(town.golub)
        for one in asleep:
            one.close()
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    figures(**verdict.figures, cut_after=round(cut, 1), memory_mb=round(after.memory - before.memory, 1))
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert verdict.is_prompt(busy=bool(at_scale(1, 0))), verdict
