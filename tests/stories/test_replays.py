"""What was applied once changes nothing when it is applied again, however much of it there is, and folding the whole
journal anew ends in the very messages that are there."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from golub.clock import now
from golub.model import Chat, Message
from golub.rebuild import rebuild
from golub.store import Store
from tests.conftest import AtScale, StartGolub
from tests.guide.page import Page
from tests.processes import PATIENCE
from tests.stories.panel import operator, patiently
from tests.stories.scene import Scene, scene

pytestmark = pytest.mark.story

RATE = 200  # deliveries a second


async def test_what_misses_nothing_is_changed_by_nothing(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, database_url: str, seed: int
) -> None:
    number = at_scale(200, 10_000)
    async with scene(tmp_path, start_golub, seed=seed, database_url=database_url) as town, operator(town) as client:
        async with town.talking(RATE), asyncio.timeout(PATIENCE + number / RATE * 2):
            while len(town.simulator.acked) < number:
                await town.acked(100)
        await town.applied(PATIENCE)
        before = await all_rows(town)
        for kind, told in (("try", "Ничего бы не изменилось"), ("apply", "Ничего не изменилось")):
            page = await replayed(client, kind)
            assert told in page.within("progress"), page.within("progress")
            taken = re.search(r"\d[\d\s]*", page.within("progress"))
            assert taken
            assert int(re.sub(r"\s", "", taken[0])) >= number
            assert await all_rows(town) == before
        assert await town.golub.stop() == 0
        verdict = await town.judge()
        store = Store(town.settings.effective_database_url)
        try:
            report = await asyncio.to_thread(rebuild, store, now())
        finally:
            await store.close()
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert report.is_good, report
    assert report.compared >= number


async def replayed(client: httpx2.AsyncClient, kind: str) -> Page:
    """The whole journal, until it is done. A dry run that would change nothing is offered no sequel, so it is asked."""
    page = Page((await patiently(lambda: client.get("/admin/replays"))).text)
    form = page.form("/admin/replays").filled(kind=kind)
    began = await client.post("/admin/replays", data=dict(form))
    assert began.status_code == 303, Page(began.text).text
    async with asyncio.timeout(10 * PATIENCE):
        while True:
            page = Page((await patiently(lambda: client.get(began.headers["location"]))).text)
            if not page.all("progress"):
                return page
            await asyncio.sleep(1)  # as the page asks


async def all_rows(town: Scene) -> list[list[Any]]:
    """Every column of chats and messages, but not those by which Avito's API is asked: it is away, and due again."""
    store = Store(town.settings.effective_database_url)
    try:
        async with store.read() as session:
            columns = [
                [one for one in table.__table__.columns if not one.name.startswith("fetch")]
                for table in (Chat, Message)
            ]
            found = [await session.execute(select(*those).order_by(those[0])) for those in columns]
            return [[tuple(row) for row in rows] for rows in found]
    finally:
        await store.close()
