"""What Golub says of its own health is true, within ten seconds: a part that died, a full disk, a revoked token.

`live` stays 200 all the while: a proxy that looks at it goes on passing webhooks, which are kept.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from golub.model import Role
from tests.conftest import StartGolub
from tests.guide.town import opened
from tests.promises import Figures
from tests.stories.fleet import KEY
from tests.stories.test_disks import MEGABYTE, fill_up, memory_disk

pytestmark = [pytest.mark.story, pytest.mark.promise("P28")]

SOON = 10.0  # seconds


async def becomes(ask: Callable[[], Awaitable[httpx2.Response]], status: int, code: str = "") -> float:
    """Seconds until `/healthz/ready` says so, with that reason; fails when it takes longer than promised."""
    began = time.monotonic()
    while True:
        answer = await ask()
        codes = [reason["code"] for reason in answer.json()["reasons"]]
        assert all(reason["text"] for reason in answer.json()["reasons"])
        if answer.status_code == status and (code in codes if code else not codes):
            return time.monotonic() - began
        assert time.monotonic() - began < SOON, f"{answer.status_code} {answer.text}"
        await asyncio.sleep(0.1)  # between two looks, as a supervisor pauses


def asker(client: httpx2.AsyncClient) -> Callable[[], Awaitable[httpx2.Response]]:
    async def ask() -> httpx2.Response:
        assert (await client.get("/healthz/live")).status_code == 200
        return await client.get("/healthz/ready")

    return ask


async def test_a_worker_is_killed(postgres_url: str, start_golub: StartGolub, figures: Figures) -> None:
    """A process of its own: the pages and webhooks live on, so it is a reason and no 503."""
    given = {"GOLUB_DATABASE_URL": postgres_url, "GOLUB_SECRET_KEY": KEY}
    web, worker = await asyncio.gather(
        start_golub("serve", GOLUB_ROLE="web", **given), start_golub("serve", GOLUB_ROLE="worker", **given)
    )
    async with httpx2.AsyncClient(base_url=web.url) as client:
        ask = asker(client)
        await becomes(ask, 200)
        await worker.kill()
        told = await becomes(ask, 200, "worker_away")
        await worker.start()
        over = await becomes(ask, 200)
    figures(worker_told=round(told, 1), worker_over=round(over, 1))


async def test_a_part_of_the_process_dies(tmp_path: Path, sqlite_url: str, figures: Figures) -> None:
    async with opened(tmp_path / "golub", sqlite_url) as town:
        ask = asker(await town.client())
        await becomes(ask, 200)
        await asyncio.to_thread(town.parts.applier.stop)  # its thread has ended, as by a fault of ours
        told = await becomes(ask, 503, "apply_stopped")
    figures(apply_told=round(told, 1))


async def test_the_disk_is_filled(tmp_path: Path, start_golub: StartGolub, figures: Figures) -> None:
    with memory_disk(tmp_path / "disk", 400 * MEGABYTE) as disk:
        golub = await start_golub("serve", GOLUB_DATA_DIR=str(disk / "golub"))
        async with httpx2.AsyncClient(base_url=golub.url) as client:
            ask = asker(client)
            await becomes(ask, 200)
            fill_up(disk / "filler")
            told = await becomes(ask, 503, "disk_full")
            (disk / "filler").unlink()
            over = await becomes(ask, 200)
        assert await golub.stop() == 0
    figures(disk_told=round(told, 1), disk_over=round(over, 1))


async def test_the_token_is_revoked(tmp_path: Path, sqlite_url: str, figures: Figures) -> None:
    """That stops the replies of one account: a reason, and no 503, which would cost all of them their webhooks."""
    settings: dict[str, Any] = {"sweep_period": 5}
    async with opened(tmp_path / "golub", sqlite_url, **settings) as town:
        boss = await town.sign_in(Role.SUPER_ADMIN)
        shop = town.sim.add_account(7_001, "Велосипеды")
        await town.connect(boss, shop)
        await town.register(boss, shop)
        ask = asker(await town.client())
        await becomes(ask, 200)
        shop.revoked = True
        town.sim.expire_tokens(shop)
        told = await becomes(ask, 200, "accounts_refused")
        page = await boss.open("/admin/status")
        assert "Авито не принимает ключи" in page.text
    figures(token_told=round(told, 1))
