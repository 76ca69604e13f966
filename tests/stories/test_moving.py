"""From SQLite to PostgreSQL under load: the webhook answers throughout, and nothing is lost, or applied twice."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest
from sqlalchemy import func, select, update

from benchmarks.town import Town
from golub.migrations import LOCK
from golub.model import Account, Message
from golub.settings import Settings
from golub.store import Store
from tests import processes
from tests.conftest import AtScale, StartGolub
from tests.postgres import OwnPostgres
from tests.promises import Figures
from tests.stories.panel import operator, sign_in, signed_in
from tests.stories.scene import Scene, scene

pytestmark = [pytest.mark.story, pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def target(own_postgres: OwnPostgres) -> str:
    return own_postgres.create().replace("postgresql://", "postgresql+psycopg://")


async def test_moved_under_load_it_answers_throughout_and_loses_nothing(
    tmp_path: Path, start_golub: StartGolub, target: str, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    many = at_scale(1_000, 1_000_000)
    fill(tmp_path / "golub", many)
    async with scene(tmp_path, start_golub, seed=seed) as town:
        async with operator(town) as client, town.talking(at_scale(50, 100)):
            await town.acked(100)
            began = time.monotonic()
            async with held_up(target):
                moving = await migrate(town, target)
                await refused(town)
                assert (await client.get("/inbox")).status_code == 200
                await town.acked(100)
            said = await ended(moving)
            took = time.monotonic() - began
            assert moving.returncode == 0, said
            assert "Golub goes on with PostgreSQL" in said
            await town.acked(100)
            assert (await client.get("/inbox")).status_code == 200  # he is still signed in
            async with signed_in(town):
                pass
        await town.applied(60)
        assert await town.golub.stop() == 0
        verdict = await town.judge()
        messages = await count_messages(target)
    figures(**verdict.figures, messages=messages, seconds=round(took, 1))
    assert verdict.acked > 200
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert messages == many + len(town.simulator.acked)
    assert verdict.is_prompt(busy=True), verdict


async def test_killed_in_the_middle_either_of_them_may_begin_again(
    tmp_path: Path, start_golub: StartGolub, target: str, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    """`kill -9` of the command, then of the server, held up where nothing is decided yet, and at any moment."""
    fill(tmp_path / "golub", at_scale(1_000, 100_000))
    kills = at_scale(1, 10)
    async with scene(tmp_path, start_golub, seed=seed) as town:
        async with town.talking(50):
            await town.acked(50)
            async with held_up(target):
                moving = await migrate(town, target)
                await refused(town)
                moving.kill()
                await ended(moving)
            await town.applied(60)  # into SQLite, as if nothing had been
            assert town.settings.effective_database_url == town.settings.own_database_url
            for _ in range(kills):
                moving = await migrate(town, target)
                await asyncio.sleep(town.rng.uniform(0, at_scale(3, 15)))  # the moment is the story's die
                if moving.returncode is None:
                    moving.kill()
                await ended(moving)
            async with held_up(target):
                moving = await migrate(town, target)
                await asyncio.sleep(0.5)  # the moment is the story's die
                await town.golub.kill()
                back = asyncio.create_task(town.golub.restart())
                await town.acked(50)
            said = await ended(moving)
            assert moving.returncode == 0 or "moved already" in said or "another database" in said, said
            await back
            await town.acked(50)
        await town.applied(60)
        await town.golub.stop()
        verdict = await town.judge()
    figures(**verdict.figures, kills=kills + 2)
    assert town.settings.effective_database_url == target
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


def fill(folder: Path, messages: int) -> None:
    """A town that has been there for a year; its shops are paused, for the simulator does not know them."""
    folder.mkdir(parents=True)
    store = Store(Settings.model_validate({"data_dir": folder}).own_database_url)
    store.migrate()
    Town(messages).build(store, print)
    with store.writing() as connection:
        connection.execute(update(Account).values(paused_at=1))
    store._apply.dispose()


async def migrate(town: Scene, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *processes.PROGRAM,
        "migrate-to",
        url,
        env={**processes.clean_environment(), "GOLUB_DATA_DIR": str(town.settings.data_dir)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def ended(moving: asyncio.subprocess.Process) -> str:
    said, _ = await moving.communicate()
    return said.decode()


@asynccontextmanager
async def held_up(url: str) -> AsyncGenerator[None]:
    """A move into this database gets as far as its schema, and no further while the block runs."""
    plain = url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(plain) as line:
        await line.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        yield
        await line.rollback()


async def refused(town: Scene) -> None:
    """Until the server refuses what people do, and says why."""
    async with asyncio.timeout(processes.PATIENCE), browser(town) as stranger:
        while (answer := await sign_in(stranger)).status_code != 503 or "переезжает" not in answer.text:
            stranger.cookies.clear()
            await asyncio.sleep(0.1)  # before the next try


def browser(town: Scene) -> httpx2.AsyncClient:
    origin = {"Origin": town.golub.url, "Accept-Language": "ru"}
    return httpx2.AsyncClient(base_url=town.golub.url, headers=origin, trust_env=False, timeout=processes.PATIENCE)


async def count_messages(url: str) -> int:
    store = Store(url)
    async with store.read() as session:
        found = await session.scalar(select(func.count()).select_from(Message))
    await store.close()
    return found or 0
