"""The guide, 6: logs/app.log, one line for each webhook and for each failure, and a console that a person can read."""

import asyncio
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from golub import logs
from golub.simulator import Account
from golub.store import Store
from tests.conftest import ONE_DATABASE, StartGolub
from tests.guide.town import PATIENCE, Browser, Town, eventually, opened


def lines(town: Town) -> list[dict[str, Any]]:
    path = town.golub.settings.data_dir / "logs" / "app.log"
    return [json.loads(line) for line in path.read_text().splitlines()]


def receipts(town: Town) -> list[dict[str, Any]]:
    return [line for line in lines(town) if line["event"] == "webhook received"]


@ONE_DATABASE
async def test_one_line_for_each_received_webhook(town: Town, shop: Account) -> None:
    before = len(receipts(town))
    chat = town.sim.add_chat(shop)
    for number in range(3):
        town.sim.buyer_says(chat, f"Тайна переписки {number}, мой телефон +7 900 123-45-67")
    await town.applied()
    told = receipts(town)[before:]
    journal = (await town.journal())[-3:]
    assert {line["delivery"] for line in told} == {one.id.hex() for one in journal}
    for line in told:
        assert (line["level"], line["account"], line["path"]) == ("info", town.accounts[shop.user_id], "token")
        assert line["bytes"] > 100
        assert line["time"].endswith("Z")
    delays = [datetime.fromisoformat(line["time"]).timestamp() * 1000 - line["received_at"] for line in told]
    assert all(0 <= delay < PATIENCE * 1000 for delay in delays)
    written = (town.golub.settings.data_dir / "logs" / "app.log").read_text()
    assert shop.subscription
    for secret in ("Тайна", "123-45-67", shop.subscription.rpartition("/")[2], shop.client_secret):
        assert secret not in written


async def test_the_lines_come_also_while_the_main_database_is_away(
    town: Town, shop: Account, database_url: str
) -> None:
    before = len(receipts(town))
    outside = Store(database_url)
    try:
        async with outside.write() as session:
            if database_url.startswith("postgresql"):
                await session.execute(text("LOCK TABLE deliveries, chats, messages IN EXCLUSIVE MODE"))
            town.sim.buyer_says(town.sim.add_chat(shop), "Есть кто?")
            await town.sim.idle()

            async def told() -> list[dict[str, Any]]:
                return receipts(town)[before:]

            await eventually(told, lambda found: len(found) == 1)
            assert (await town.journal())[-1].id.hex() != receipts(town)[-1]["delivery"]  # told, and not yet applied
    finally:
        await outside.close()
    await town.applied()
    assert (await town.journal())[-1].id.hex() == receipts(town)[-1]["delivery"]
    assert len(receipts(town)) == before + 1


@ONE_DATABASE
async def test_each_failure_of_applying_has_its_line(town: Town, shop: Account, boss: Browser) -> None:
    town.sim.emit(shop, b"not json at all, \xd1\x81\xd0\xb5\xd0\xba\xd1\x80\xd0\xb5\xd1\x82")
    await town.applied()
    (failure,) = [line for line in lines(town) if line["event"] == "a delivery was quarantined"]
    assert (failure["level"], failure["cause"]) == ("warning", "not_json")
    assert failure["delivery"] == (await town.journal())[-1].id.hex()
    assert "секрет" not in (town.golub.settings.data_dir / "logs" / "app.log").read_text()


async def test_the_file_is_rotated_and_loses_no_line(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 4_000)
    monkeypatch.setattr(logs, "FILES_KEPT", 100)  # so small they are full of other lines soon, on a busy machine
    async with opened(tmp_path / "data", sqlite_url) as town:
        outside = await town.client()
        for _ in range(39):  # within the bare path's burst
            assert (await outside.post("/webhook/avito", content=b"{}")).status_code == 200
        await town.applied()
        folder = town.golub.settings.data_dir / "logs"
        came = {one.id.hex() for one in await town.journal()}

        async def told() -> set[str]:
            written = [json.loads(line) for one in sorted(folder.iterdir()) for line in one.read_text().splitlines()]
            return {line["delivery"] for line in written if line["event"] == "webhook received"}

        await eventually(told, lambda kept: kept == came)  # the line is written beside applying, not before it
        assert len(list(folder.iterdir())) > 1
        monkeypatch.undo()


async def test_tail_shows_them_as_in_the_guide_and_the_console_is_for_people(start_golub: StartGolub) -> None:
    golub = await start_golub("serve")
    tail = await asyncio.create_subprocess_exec(
        "tail", "-n", "+1", "-f", golub.folder / "logs/app.log", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert tail.stdout
        async with httpx2.AsyncClient(base_url=golub.url) as avito, asyncio.timeout(3 * PATIENCE):
            await avito.post("/webhook/avito", content=b"{}")
            while (line := json.loads(await tail.stdout.readline()))["event"] != "webhook received":
                assert line["level"]
        assert line["path"] == "bare"
    finally:
        tail.kill()
        await tail.wait()
    assert await golub.stop() == 0
    assert any("golub is receiving" in line for line in golub.lines)
    assert not [line for line in golub.lines if line.startswith("{")]
    assert not [line for line in golub.lines if "webhook received" in line]  # they would drown everything else
    assert not [line for line in golub.lines if re.search(r"Traceback|WARNING:", line)], "\n".join(golub.lines)[-3000:]
