"""Unique secrets go into a real process by its environment, its pages and its door; then all that others on the machine
may read of it is searched: the process list, what it prints, its logs, its metrics and its bundle."""

import asyncio
import io
import secrets
import sys
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from golub.subscription import token_of
from tests import processes
from tests.conftest import StartGolub
from tests.guide.page import Page
from tests.stories.panel import PASSWORD, operator
from tests.stories.scene import scene

pytestmark = pytest.mark.story

CALLED = (sys.executable, *processes.PROGRAM)  # called as by a person, and not forked: the process list shows it


def canary() -> str:
    return f"canary{secrets.token_hex(12)}"


def calls() -> set[str]:
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may have ended
            found.update((process / "cmdline").read_bytes().decode(errors="replace").split("\0"))
    return found


@asynccontextmanager
async def watched() -> AsyncGenerator[set[str]]:
    """All words with which any process was called meanwhile, as `ps` shows them to everybody."""
    seen: set[str] = set()

    async def look() -> None:
        while True:
            seen.update(calls())
            await asyncio.sleep(0.02)  # between two looks at the list

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_no_secret_is_to_be_seen_of_a_running_process(
    tmp_path: Path, start_golub: StartGolub, sqlite_url: str, seed: int
) -> None:
    told = {name: canary() for name in ("metrics token", "telegram token", "alert secret", "mail password", "typed")}
    given: dict[str, Any] = {
        "GOLUB_METRICS_TOKEN": told["metrics token"],
        "GOLUB_TELEGRAM_TOKEN": f"123456:{told['telegram token']}",
        "GOLUB_TELEGRAM_CHAT": "42",
        "GOLUB_ALERT_SECRET": told["alert secret"],
        "GOLUB_SMTP_URL": f"smtps://robot:{told['mail password']}@127.0.0.1:9/?from=robot@example.ru",
        "GOLUB_ALERT_EMAIL": "owner@example.ru",
        "GOLUB_LOG_LEVEL": "debug",
    }
    async with (
        watched() as called,
        scene(tmp_path, start_golub, seed=seed, database_url=sqlite_url, program=CALLED, **given) as town,
        operator(town) as client,
    ):
        told |= {"password": PASSWORD, "cookie": client.cookies["session"]}
        (shop,) = town.simulator.world.accounts.values()
        told |= {"client secret": shop.client_secret, "path token": token_of(shop.subscription or "") or ""}
        told["key of the folder"] = (town.settings.data_dir / "secret.key").read_text().strip()
        async with town.talking(50):
            await town.acked(100)
            await err(client, town.golub.url, told["typed"])
        metered = await client.get("/metrics", headers={"Authorization": f"Bearer {told['metrics token']}"})
        assert metered.status_code == 200
        bundle = tmp_path / "bundle.zip"
        environment = {**processes.clean_environment(), **town.golub.environment}
        doctor = await asyncio.create_subprocess_exec(
            *processes.PROGRAM, "doctor", "--bundle", str(bundle), env=environment, stdout=-1, stderr=-2
        )
        found, _ = await asyncio.wait_for(doctor.communicate(), processes.PATIENCE)
        await town.golub.stop()
    logs = "".join(path.read_text() for path in (town.settings.data_dir / "logs").iterdir())
    assert "webhook received" in logs
    archive = zipfile.ZipFile(io.BytesIO(bundle.read_bytes()))
    places = {
        "the process list": "\n".join(called),
        "its output": "\n".join(town.golub.lines),
        "its logs": logs,
        "the metrics": metered.text,
        "the bundle": "\n".join(archive.read(name).decode(errors="replace") for name in archive.namelist()),
        "what the doctor prints": found.decode(),
    }
    assert {word.rpartition("/")[2] for word in called} & {"serve", "doctor"} == {"serve", "doctor"}
    caught = [f"{name} in {where}" for where, text in places.items() for name, secret in told.items() if secret in text]
    assert not caught


async def err(client: httpx2.AsyncClient, origin: str, typed: str) -> None:
    """Every way in which a person or a program types a secret at the wrong place."""
    async with httpx2.AsyncClient(base_url=origin, headers={"Origin": origin}, trust_env=False) as stranger:
        form = Page((await stranger.get("/sign-in")).text).form("/sign-in")
        for fields in ({"login": "vera", "password": typed}, {"login": typed[:12], "password": typed}):
            assert (await stranger.post("/sign-in", data=dict(form.filled(**fields)))).status_code != 303
        told = [
            await stranger.get("/api/admin/webhooks", headers={"Authorization": f"Bearer golub_{typed}"}),
            await stranger.get("/metrics", headers={"Authorization": f"Bearer {typed}"}),
            await stranger.post(f"/webhook/avito/{typed}", content=b"{"),
            await stranger.get(f"/enter/{typed}"),
            await stranger.get(f"/password/{typed}"),
            await stranger.get("/inbox", params={"view": typed}, headers={"Cookie": f"session={typed}"}),
            await client.get(f"/admin/deliveries/{typed}"),
            await client.get("/inbox/search", params={"q": "слово", "before": typed}),
        ]
    assert [answer.status_code for answer in told[:1] + told[2:]] == [401, 404, 404, 404, 303, 404, 422]
