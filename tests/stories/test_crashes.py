"""A 2xx means that the event is on stable storage, whatever becomes of the process that said so."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import AtScale, StartGolub
from tests.promises import Figures
from tests.stories.scene import PATIENT, Scene, scene

pytestmark = pytest.mark.story


async def killed(town: Scene, times: int) -> None:
    """`kill -9` at moments that the seed chooses, while buyers write."""
    async with town.talking(100):
        for _ in range(times):
            await asyncio.sleep(town.rng.uniform(0.1, 3))  # the moment is the story's die
            await town.golub.kill()
            await town.golub.restart()
    await town.golub.kill()


@pytest.mark.promise("P1")
async def test_kill_9_loses_nothing_that_was_acked_and_applies_nothing_twice(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, database_url: str, seed: int, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=seed, database_url=database_url) as town:
        await killed(town, kills := at_scale(3, 50))
        verdict = await town.judge()
    figures(kills=kills, **verdict.figures)
    assert verdict.acked > 100
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.promise("P1")
async def test_kill_9_loses_nothing_at_all_where_avito_repeats(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, sqlite_url: str, seed: int, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=seed, database_url=sqlite_url, retries=PATIENT) as town:
        await killed(town, kills := at_scale(2, 50))
        verdict = await town.judge()
    figures(kills=kills, sent_missing=verdict.sent_missing, **verdict.figures)
    assert verdict.acked > 100
    assert (verdict.sent_missing, verdict.acked_missing, verdict.applied_twice) == (0, 0, 0), verdict
