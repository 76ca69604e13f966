"""A 2xx means that the event is on stable storage, whatever becomes of the process that said so."""

import asyncio
from pathlib import Path
from random import SystemRandom

import pytest

from tests import processes
from tests.conftest import AtScale, StartGolub
from tests.stories.scene import scene

pytestmark = pytest.mark.story


async def test_kill_9_loses_nothing_that_was_acked_and_applies_nothing_twice(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, database_url: str
) -> None:
    seed = SystemRandom().randrange(1 << 32)
    async with scene(tmp_path, start_golub, seed=seed, database_url=database_url) as town:
        async with town.talking(100):
            for _ in range(at_scale(3, 50)):
                await asyncio.sleep(town.rng.uniform(0.1, 3))  # the moment is the story's die
                await town.golub.kill()
                await town.golub.restart()
        await town.golub.kill()
        verdict = await town.judge()
    assert verdict.acked > 100
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


async def test_sigterm_under_load_answers_what_is_under_way_and_ends_well(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale
) -> None:
    seed = SystemRandom().randrange(1 << 32)
    async with scene(tmp_path, start_golub, seed=seed) as town:
        loop = asyncio.get_running_loop()
        async with town.talking(100):
            for _ in range(at_scale(1, 10)):
                await asyncio.sleep(town.rng.uniform(0.5, 2))  # the moment is the story's die
                began = loop.time()
                assert await town.golub.stop() == 0
                assert loop.time() - began < 10
                await town.golub.restart()
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    assert verdict.acked > 30
    assert set(verdict.statuses) <= {200, None}  # None: the connection was refused or closed before the request
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


async def test_a_second_process_on_the_folder_ends_with_a_clear_message_and_the_first_goes_on(
    tmp_path: Path, start_golub: StartGolub
) -> None:
    async with scene(tmp_path, start_golub, seed=1) as town:
        second = processes.Golub(town.golub.folder, ("serve",), town.golub.environment | {"GOLUB_PORT": "0"})
        with pytest.raises(AssertionError, match="one folder, one process"):
            await second.start()
        assert await second.process.wait() == 1
        async with town.talking(50):
            await asyncio.sleep(0.5)  # buyers write meanwhile
        await town.golub.stop()
        verdict = await town.judge()
    assert verdict.acked == verdict.sent > 0
    assert verdict.acked_missing == 0
