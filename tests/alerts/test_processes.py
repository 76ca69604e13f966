"""Alerts of several processes, and of one whose database is away."""

import asyncio
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from golub.alerts import AlertKind, Alerts
from golub.clock import MINUTE
from golub.guarded import Guarded
from golub.health import Disk, Health
from golub.nodes import Nodes
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from tests import door, shop
from tests.alerts.listener import ALERT_URL, TOKEN, Make, told
from tests.conftest import SteppedClock
from tests.door import Answers
from tests.postgres import OwnPostgres


async def test_a_database_that_is_away_is_told_without_it(make: Make, clock: SteppedClock, tmp_path: Path) -> None:
    world = await make(alert_url=ALERT_URL, telegram_token=TOKEN, telegram_chat="-100")
    away = Store(f"sqlite:///{tmp_path}/no such folder/golub.db")
    health = Health(world.settings, away, world.spool, clock)
    alerts = Alerts(away, world.settings, clock, world.spool, shop.VAULT, health, world.alerts.channels._guarded)
    alerts.channels._telegram = "https://192.168.0.1"  # a channel that cannot be used silences no other
    for _ in range(5):
        await alerts.run_once()
        clock.step(MINUTE)
    (message,) = told(world)
    assert message["kind"] == "database_away"
    (tmp_path / "no such folder").mkdir()  # it is back
    away.migrate()
    await alerts.run_once()
    await alerts.run_once()
    assert [("closed_at" in message) for message in told(world)] == [False, True]
    await away.close()


@pytest.mark.postgres
async def test_of_two_processes_each_answers_for_its_own_disk(
    postgres_url: str, clock: SteppedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = {"one"}
    monkeypatch.setattr("golub.health.disk_of", lambda folder: Disk(1 << (28 if folder.name in low else 40), 1 << 40))
    store, processes, spools = Store(postgres_url), [], []
    for name in ("one", "other"):
        settings = Settings.model_validate({"data_dir": tmp_path / name, "backup_every": 0})
        spools.append(spool := Spool(settings.data_dir, quota=8 << 20, clock=clock))
        await (nodes := Nodes(store, settings, clock)).beat()
        health = Health(settings, store, spool, clock)
        processes.append(Alerts(store, settings, clock, spool, shop.VAULT, health, nodes=nodes))
    one, other = processes
    for alerts in (one, other, one, other):
        await alerts.run_once()
    assert [alert.kind for alert in await one.list_open()] == [AlertKind.DISK_LOW]
    assert len(await one.list_closed()) == 0
    low.clear()
    await other.run_once()
    assert len(await one.list_open()) == 1
    await one.run_once()
    assert await one.list_open() == []
    for spool in spools:
        spool.close()
    await store.close()


async def test_of_several_processes_the_first_tells_that_the_database_is_away(
    own_postgres: OwnPostgres, clock: SteppedClock, tmp_path: Path
) -> None:
    """The others only where it stays away, for the first may be gone as well. A worker goes before."""
    store, processes = Store(own_postgres.create()), dict[str, tuple[Alerts, Answers]]()
    await asyncio.to_thread(store.migrate)
    with ExitStack() as opened:
        for name, role in (("a", "web"), ("b", "worker")):
            settings = Settings.model_validate(
                {"data_dir": tmp_path / name, "role": role, "database_url": store.url, "alert_url": ALERT_URL}
            )
            spool = opened.enter_context(closing(Spool(settings.data_dir, quota=8 << 20, clock=clock)))
            await (nodes := Nodes(store, settings, clock)).beat()
            health, answers = Health(settings, store, spool, clock), Answers(200)
            guarded = Guarded(transport=answers, resolve=door._public_address)
            alerts = Alerts(store, settings, clock, spool, shop.VAULT, health, guarded, nodes)
            processes[name] = alerts, answers

        async def turns(minutes: int) -> dict[str, int]:
            for alerts, _ in processes.values():
                await alerts.run_once()
            for _ in range(minutes):
                clock.step(MINUTE)
                for alerts, _ in processes.values():
                    await alerts.run_once()
            return {name: len(answers.requests) for name, (_, answers) in processes.items()}

        await turns(0)
        await asyncio.to_thread(own_postgres.stop)
        assert await turns(3) == {"a": 0, "b": 1}
        assert await turns(5) == {"a": 1, "b": 1}
    await store.close()
