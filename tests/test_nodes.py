"""Roles of processes, and what they know of each other."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError
from sqlalchemy import update

from golub import runner
from golub.app import Golub
from golub.clock import Clock, now
from golub.model import Node
from golub.nodes import FORGOTTEN_AFTER, Load, Nodes
from golub.settings import ProcessRole, Settings
from golub.store import Store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("role", ["web", "worker"])
def test_on_sqlite_one_process_does_all(role: str, tmp_path: Path) -> None:
    for url in ("", f"sqlite:///{tmp_path / 'other.db'}"):
        with pytest.raises(ValidationError, match=f"GOLUB_ROLE={role} needs PostgreSQL"):
            Settings.model_validate({"role": role, "data_dir": tmp_path, "database_url": url})
    assert Settings.model_validate({"role": "all", "data_dir": tmp_path}).role is ProcessRole.ALL


@pytest.mark.postgres
async def test_a_worker_shows_its_health_and_takes_no_webhook(postgres_url: str, tmp_path: Path) -> None:
    answers: dict[str, dict[str, int]] = {}
    for role in ("web", "worker"):
        settings = Settings.model_validate({"role": role, "data_dir": tmp_path / role, "database_url": postgres_url})
        golub = Golub(settings)
        async with golub.opened(), httpx2.AsyncClient(
            transport=httpx2.ASGITransport(golub.asgi), base_url="http://127.0.0.1"
        ) as client:  # fmt: skip
            answers[role] = {path: (await client.get(path)).status_code for path in ("/healthz/live", "/sign-in")}
            answers[role]["webhook"] = (await client.post("/webhook/avito", content=b"{}")).status_code
    assert answers["web"] == {"/healthz/live": 200, "/sign-in": 200, "webhook": 200}
    assert answers["worker"] == {"/healthz/live": 200, "/sign-in": 404, "webhook": 404}


@pytest.mark.postgres
async def test_health_sees_the_turns_of_every_part_that_runs_by_itself(postgres_url: str, tmp_path: Path) -> None:
    golub = Golub(Settings.model_validate({"data_dir": tmp_path, "database_url": postgres_url}))
    expected = {
        "alerts", "automation", "backfill", "backups", "erasures", "housekeeping", "jumps", "keeping", "live", "meter",
        "networks", "nodes", "operators", "outbox", "pace", "presence", "relay", "replays", "rings", "rota", "search",
        "secrets", "signatures", "silence", "subscriptions", "waits", "waking",
    }  # fmt: skip
    async with golub.working(), asyncio.timeout(60):
        while expected - (names := {loop.name for loop in runner.running()}):  # noqa: ASYNC110 - they begin one by one
            await asyncio.sleep(0.01)  # until the last one runs
    assert names == expected
    assert runner.running() == []


def node(store: Store, folder: Path, clock: Clock = now, **more: Any) -> Nodes:
    folder.mkdir(exist_ok=True)
    settings = Settings.model_validate({"data_dir": folder, "database_url": store.url, "port": 8081})
    return Nodes(store, settings, clock, lambda: Load(3, 700, 1000), **more)


async def test_a_process_alone_tells_of_itself(store: Store, tmp_path: Path) -> None:
    (mine,) = await node(store, tmp_path / "one").list_all()
    assert (mine.role, mine.spool_waiting, mine.spool_bytes, mine.spool_oldest_at) == ("all", 3, 700, 1000)
    assert mine.name.endswith(":8081")


@pytest.mark.postgres
async def test_processes_see_each_other_and_one_that_ended(postgres_url: str, tmp_path: Path) -> None:
    store = Store(postgres_url)
    one, other = node(store, tmp_path / "one"), node(store, tmp_path / "other")
    await one.beat()
    running = asyncio.create_task(other.run())
    while not other.alive:  # noqa: ASYNC110 - its first beat
        await asyncio.sleep(0.01)  # until then
    assert [found.id for found in await one.list_all()] == [one.id, other.id]
    running.cancel()
    await asyncio.wait([running])
    _, seen = await one.list_all()
    assert seen.stopped_at is not None
    assert seen.spool_waiting == 3  # so it is remembered, until somebody takes its folder over
    await age(store, other.id)
    await one.beat()
    assert [found.id for found in await one.list_all()] == [one.id, other.id]
    again = node(store, tmp_path / "other")
    await again.beat()
    await one.beat()
    assert {found.id for found in await one.list_all()} == {one.id, again.id}
    await store.close()


@pytest.mark.postgres
async def test_who_was_silent_too_long_begins_again_as_another(postgres_url: str, tmp_path: Path) -> None:
    store = Store(postgres_url)
    names = set[str]()
    for lease in (60.0, 0.0):  # seconds that its word is good for
        nodes = node(store, tmp_path / "one", lease=lease)
        await nodes.beat()
        assert nodes.alive == bool(lease)
        first = nodes.id
        await nodes.beat()
        assert (nodes.id == first) == bool(lease)
        names |= {first, nodes.id}
    assert len(names) == 3
    await store.close()


async def age(store: Store, node_id: str) -> None:
    async with store.write() as session:
        past = Node.seen_at - FORGOTTEN_AFTER - 1
        await session.execute(update(Node).where(Node.id == node_id).values(seen_at=past, started_at=1))
