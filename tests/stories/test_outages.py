"""Neither the main database nor Avito is needed to take a webhook: 200 within 2 s, and all is applied afterwards."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests import machine, postgres
from tests.conftest import AtScale, StartGolub
from tests.postgres import OwnPostgres
from tests.processes import PATIENCE
from tests.promises import Figures
from tests.stories.panel import operator, sign_in
from tests.stories.scene import Scene, Verdict, scene
from tests.stories.test_disks import answered

pytestmark = pytest.mark.story

RATE = 20
HEALED = 5.0  # seconds after an outage until everything is applied …
SLACK = 10.0  # … on a machine that is doing nothing else
PAGE_WITHIN = 1.5  # seconds until a page that cannot be had says so
PAGE_SLACK = 1.5


async def verdict_of(town: Scene, at_scale: AtScale) -> Verdict:
    assert await town.golub.stop() == 0
    verdict = await town.judge()
    assert verdict.is_prompt(busy=bool(at_scale(1, 0))), verdict
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    return verdict


@contextmanager
def locked(path: Path) -> Generator[None]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        yield
        outsider.execute("ROLLBACK")


async def refused(answer: Awaitable[httpx2.Response]) -> float:
    """How long it took to say, with a reason, that this cannot be had now."""
    began = time.monotonic()
    page = await answer
    assert page.status_code == 503, page.status_code
    assert "Попробуйте" in page.text or "Try again" in page.text, page.text
    return time.monotonic() - began


@pytest.mark.promise("P10")
async def test_the_main_database_is_locked_by_another_process(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=seed) as town, operator(town) as client:
        async with town.talking(RATE):
            with locked(town.golub.folder / "golub.db"):
                ends = time.monotonic() + at_scale(3, 10)  # the outage lasts
                slowest = 0.0
                async with httpx2.AsyncClient(base_url=town.golub.url, headers=client.headers) as other:
                    while time.monotonic() < ends:
                        slowest = max(slowest, await refused(sign_in(other)))
                        assert (await client.get("/inbox")).status_code == 200  # reading goes on
            began = time.monotonic()
        await town.applied(HEALED + SLACK)
        healed = time.monotonic() - began
        verdict = await verdict_of(town, at_scale)
    figures(page_refused_after=round(slowest, 2), applied_after=round(healed, 1), **verdict.figures)
    assert slowest < PAGE_WITHIN + PAGE_SLACK


@pytest.mark.promise("P10")
async def test_the_spool_is_locked_by_another_process(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=seed) as town:
        async with town.talking(RATE):
            await town.acked(5)
            with locked(town.golub.folder / "spool.db"):
                await answered(town, 503, 1)  # so whatever was stored before has had its answer
                acked = len(town.simulator.acked)
                await answered(town, 503, at_scale(1, 10) * RATE)  # so many seconds' worth
                assert len(town.simulator.acked) == acked
            await town.acked(5)
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    figures(refused_after_ms=round(verdict.slowest_refusal), **verdict.figures)
    assert verdict.statuses[503] > RATE
    assert set(verdict.statuses) - {None} == {200, 503}
    if at_scale(0, 1):  # a machine may be too busy to refuse in time, and then Avito waits no longer
        assert verdict.statuses[None] == 0
        assert verdict.slowest_refusal < 2000
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict


@pytest.mark.postgres
@pytest.mark.promise("P12")
async def test_postgresql_is_stopped_and_comes_back(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    machine.must_have(machine.Need.OWN_POSTGRES)
    with postgres.own() as server:
        async with (
            scene(tmp_path, start_golub, seed=seed, database_url=server.create()) as town,
            operator(town) as client,
        ):
            async with town.talking(RATE):
                await asyncio.to_thread(server.stop)
                ends = time.monotonic() + at_scale(3, 30)  # the outage lasts
                slowest = 0.0
                while time.monotonic() < ends:
                    slowest = max(slowest, await refused(client.get("/inbox")))
                await asyncio.to_thread(server.start)
                began = time.monotonic()
                async with asyncio.timeout(HEALED + SLACK):
                    while (await client.get("/inbox")).status_code != 200:  # noqa: ASYNC110 - nothing tells us
                        await asyncio.sleep(0.05)  # between two looks at a page
            await town.applied(HEALED + SLACK)
            healed = time.monotonic() - began
            verdict = await verdict_of(town, at_scale)
    figures(page_refused_after=round(slowest, 2), applied_after=round(healed, 1), **verdict.figures)
    assert slowest < PAGE_WITHIN + PAGE_SLACK


@pytest.mark.postgres
@pytest.mark.promise("P12")
async def test_postgresql_crashes_again_and_again(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    machine.must_have(machine.Need.OWN_POSTGRES)
    with postgres.own() as server:
        async with scene(tmp_path, start_golub, seed=seed, database_url=server.create()) as town:
            async with town.talking(100):
                for _ in range(crashes := at_scale(2, 20)):
                    await asyncio.sleep(town.rng.uniform(0.1, 2))  # the moment is the story's die
                    await asyncio.to_thread(server.stop)
                    await asyncio.to_thread(server.start)
            began = time.monotonic()
            await town.applied(HEALED + SLACK)
            healed = time.monotonic() - began
            verdict = await verdict_of(town, at_scale)
    figures(crashes=crashes, applied_after=round(healed, 1), **verdict.figures)


@pytest.mark.postgres
@pytest.mark.promise("P12")
async def test_a_postgresql_that_would_forget_is_refused(tmp_path: Path, start_golub: StartGolub) -> None:
    machine.must_have(machine.Need.OWN_POSTGRES)
    with postgres.own() as server:
        url = server.create()
        for setting in ("fsync", "full_page_writes"):
            configure(server, setting, "off")
            with pytest.raises(AssertionError, match=f"{setting} is off"):
                await start_golub("serve", GOLUB_DATABASE_URL=url)
            configure(server, setting, "on")
        configure(server, "synchronous_commit", "off")
        golub = await start_golub("serve", GOLUB_DATABASE_URL=url)  # that one is ours to say
        assert await golub.stop() == 0


def configure(server: OwnPostgres, setting: str, value: str) -> None:
    changed = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), sql.Literal(value))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(changed)
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.postgres
@pytest.mark.promise("P12")
async def test_postgresql_dies_and_its_synchronous_standby_takes_over(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    """The connection string names both, and asks for the one that can be written."""
    machine.must_have(machine.Need.OWN_POSTGRES)
    with postgres.own() as first, postgres.own(standby_of=first) as second:
        configure(first, "synchronous_standby_names", "*")
        both = {"host": f"{first.folder},{second.folder}", "target_session_attrs": "read-write"}
        url = make_url(first.create()).update_query_dict(both).render_as_string(hide_password=False)
        async with scene(tmp_path, start_golub, seed=seed, database_url=url) as town, operator(town) as client:
            async with town.talking(at_scale(RATE, 100)):
                await town.acked(at_scale(20, 1000))
                await asyncio.to_thread(first.stop)
                await town.acked(at_scale(20, 1000))  # the outage lasts
                slowest = await refused(client.get("/inbox"))
                await asyncio.to_thread(second.promote)
            began = time.monotonic()
            await town.applied(HEALED + SLACK)
            healed = time.monotonic() - began
            verdict = await verdict_of(town, at_scale)
    figures(page_refused_after=round(slowest, 2), applied_after=round(healed, 1), **verdict.figures)


@pytest.mark.promise("P16")
async def test_avito_s_api_hangs(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    async with scene(tmp_path, start_golub, seed=seed, GOLUB_SWEEP_PERIOD="5") as town:
        town.simulator.faults.clear()
        town.simulator.fault("*", hang=True, times=None)
        calls = len(town.simulator.calls)
        async with town.talking(RATE):
            async with asyncio.timeout(PATIENCE):
                while len(town.simulator.calls) == calls:  # noqa: ASYNC110 - of whatever kind
                    await asyncio.sleep(0.05)  # between two looks
            await town.acked(at_scale(2, 30) * RATE)  # so many seconds' worth
        await town.applied(HEALED + SLACK)
        verdict = await verdict_of(town, at_scale)
    figures(**verdict.figures)
