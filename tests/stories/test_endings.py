"""The process ends when it is asked to, in good order and in time; and no second one may take its folder."""

import asyncio
import signal
from pathlib import Path

import httpx2
import pytest

from tests import processes
from tests.conftest import AtScale, StartGolub
from tests.promises import Figures
from tests.stories.panel import listening, operator
from tests.stories.scene import Scene, scene

pytestmark = pytest.mark.story

WITHIN = 10.0  # seconds


@pytest.mark.promise("P15")
async def test_sigterm_under_load_answers_what_is_under_way_tells_the_streams_and_ends_well(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    loop = asyncio.get_running_loop()
    slowest = 0.0
    async with scene(tmp_path, start_golub, seed=seed) as town, operator(town) as client:
        async with town.talking(100):
            for _ in range(at_scale(1, 10)):
                async with listening(client, 5) as streams:
                    await asyncio.sleep(town.rng.uniform(0.5, 2))  # the moment is the story's die
                    began = loop.time()
                    assert await town.golub.stop() == 0
                    slowest = max(slowest, loop.time() - began)
                    assert set(await asyncio.gather(*streams)) <= {"hello", "rings", "tick"}  # each to its proper end
                with pytest.raises(httpx2.ConnectError):
                    await client.get("/healthz/live")
                await town.golub.restart()
            async with listening(client, 1):  # the same session goes on
                pass
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    figures(slowest_end=round(slowest, 2), **verdict.figures)
    assert slowest < WITHIN
    assert verdict.acked > 30
    assert set(verdict.statuses) <= {200, None}  # None: the connection was refused or closed before the request
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.promise("P15")
async def test_an_impatient_second_signal_ends_it_sooner_and_loses_nothing(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=seed) as town, operator(town) as client:
        async with town.talking(100):
            for _ in range(at_scale(1, 5)):
                for impatience in (signal.SIGTERM, signal.SIGKILL):
                    async with listening(client, 2), asyncio.timeout(WITHIN):
                        await asyncio.sleep(town.rng.uniform(0.2, 1))  # the moment is the story's die
                        town.golub.process.send_signal(signal.SIGTERM)
                        await asyncio.sleep(town.rng.uniform(0, 0.1))  # likewise
                        if town.golub.process.returncode is None:
                            town.golub.process.send_signal(impatience)
                        assert await town.golub.process.wait() in (0, -signal.SIGKILL)
                    await town.golub.restart()
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    figures(**verdict.figures)
    assert verdict.acked > 30
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.promise("P11")
async def test_a_second_process_on_the_folder_ends_with_a_clear_message_and_the_first_goes_on(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=1) as town:
        async with town.talking(50):
            second = await _second_on(town)
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    figures(seconds_to_end=round(second, 2), **verdict.figures)
    assert second < 2 + at_scale(20, 3)  # a busy machine starts it late
    assert verdict.is_prompt(busy=bool(at_scale(1, 0))), verdict
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


async def _second_on(town: Scene) -> float:
    """Starts another one on the same folder. Returns how long it took to end."""
    environment = town.golub.environment | {"GOLUB_PORT": "0"}
    second = processes.Golub(town.golub.folder, ("serve",), environment, warm=town.golub.warm)
    began = asyncio.get_running_loop().time()
    with pytest.raises(AssertionError, match="one folder, one process"):
        await second.start()
    assert await second.process.wait() == 1
    return asyncio.get_running_loop().time() - began
