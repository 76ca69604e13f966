"""Backups and upgrades while webhooks come: what was acked before is inside, and nobody waits longer for a 200."""

import asyncio
import sqlite3
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from golub import backup, migrations
from golub.app import Golub
from golub.settings import Settings
from golub.simulator import read
from golub.store import Store
from tests import postgres, processes
from tests.conftest import AtScale, StartGolub
from tests.promises import Figures
from tests.stories.scene import PATIENT, Scene, scene

pytestmark = pytest.mark.story

Acked = set[tuple[int, str, str]]


async def run(town: Scene, *arguments: str) -> str:
    """Another `golub` beside the server, as a person starts it. Returns what it says."""
    environment = processes.clean_environment() | town.golub.environment
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("golub"),
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


async def missing_in(town: Scene, archive: Path, place: Settings, acked: Acked) -> int:
    """How many of `acked` are not there once the archive is restored and its spool applied."""
    place.data_dir.mkdir()
    (place.data_dir / "secret.key").write_bytes((town.settings.data_dir / "secret.key").read_bytes())
    await backup.restore(archive, place, clock=lambda: int(time.time() * 1000), tell=lambda _step, _share: None)
    golub = Golub(place)
    async with golub.opened() as parts:
        await golub.migrate()
        parts.applier.start()
        assert await asyncio.to_thread(parts.applier.wait_applied, processes.PATIENCE)
    restored = replace(town, settings=place)
    return len(restored._missing(acked, await restored._stored()))


@pytest.mark.promise("P24")
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_each_backup_under_load_holds_what_was_acked_before(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, figures: Figures, seed: int, database: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    server: postgres.Postgres | None = request.getfixturevalue("postgres_server") if database == "postgres" else None
    taken: list[tuple[Path, Acked]] = []
    url = server.create() if server else ""
    rate = at_scale(60, 200)
    async with scene(tmp_path, start_golub, seed=seed, database_url=url) as town:
        async with town.talking(rate):
            for number in range(at_scale(1, 10)):
                await town.acked(at_scale(60, 60 * rate))
                to, acked = tmp_path / f"{number}.zip", read(town.log).acked
                await run(town, "backup", str(to))
                taken.append((to, acked))
        assert await town.golub.stop() == 0
        answers = sorted(r["ms"] for r in read(town.log).records if r["kind"] == "answer")
        lost: list[int] = []
        for number, (archive, acked) in enumerate(taken):
            again = server.create() if server else ""
            place = town.settings.model_copy(
                update={"data_dir": tmp_path / f"restored-{number}", "database_url": again}
            )
            lost.append(await missing_in(town, archive, place, acked))
            if server:
                server.drop(again)
        verdict = await town.judge()
    if server:
        server.drop(url)
    p99 = answers[len(answers) * 99 // 100]
    figures(**verdict.figures, backups=len(taken), missing_in_backups=sum(lost), p99_ms=round(p99))
    assert lost == [0] * len(taken)
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    if at_scale(0, 1):  # the suite shares its processors with whatever else there is
        assert p99 < 500


@pytest.mark.promise("P25")
async def test_an_upgrade_killed_at_random_points_ends_well(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, figures: Figures, seed: int
) -> None:
    """From the first schema, full of messages, while webhooks come: a 200 as soon as the socket is there."""
    messages = at_scale(3000, 100_000)
    async with scene(tmp_path, start_golub, seed=seed, retries=PATIENT) as town:
        assert await town.golub.stop() == 0
        make_old(town.settings, messages)
        async with town.talking(20):
            kills = at_scale(1, 20)
            for _ in range(kills):
                before = len(town.golub.lines)
                starting = asyncio.create_task(town.golub.restart())
                await asyncio.sleep(0)  # it has begun
                await town.golub.line("golub is receiving", since=before)
                await asyncio.sleep(town.rng.uniform(0, at_scale(1, 4)))  # the chance of the story
                await town.golub.kill()
                with suppress(AssertionError):
                    await starting
            await town.golub.restart()
            await town.acked(20)
        assert await town.golub.stop() == 0
        verdict = await town.judge()
        with closing(sqlite3.connect(town.settings.data_dir / "golub.db")) as database:
            (kept,) = database.execute("SELECT count(*) FROM messages WHERE avito_id LIKE 'old-%'").fetchone()
            sound = database.execute("PRAGMA integrity_check").fetchall()
        first = backup.list_all(town.settings.effective_backup_dir)[-1]
    figures(**verdict.figures, kills=kills, kept=kept)
    assert (verdict.acked_missing, verdict.applied_twice, verdict.sent_missing) == (0, 0, 0), verdict
    assert set(verdict.statuses) <= {200, None}, verdict
    assert (kept, sound) == (messages, [("ok",)])
    manifest = backup.read_manifest(first.path)
    assert (first.reason, manifest.schema) == (backup.Reason.BEFORE_UPGRADE, "0001")
    assert manifest.counts["messages"] >= messages


def make_old(settings: Settings, messages: int) -> None:
    """Takes the database back to the first schema, and fills it."""
    store = Store(settings.effective_database_url)
    with store.writing() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO chats (id, account_id, avito_id, version, facts_at, buyer_rank, item_rank, status_rank,"
                " chat_type, buyer_name, buyer_avatar_url, buyer_profile_url, item_title, item_price, item_url,"
                " item_image_url, status, created_at, updated_at, last_message_at, unread, fetch_quietly,"
                " fetch_attempts, fetched_at, verified_to, read_sent_at)"
                " SELECT 999, id, 'old', 0, 0, '', '', '', 'u2i', '', '', '', '', '', '', '', '', 0, 0, 0, 0, false,"
                " 0, 0, 0, 0 FROM accounts"
            )
        )
        connection.execute(
            text(
                "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :messages)"
                " INSERT INTO messages (account_id, chat_id, avito_id, observed_at, source, digest, direction, type,"
                " content, text, created_at, edited, read_by_peer, seen, quiet, unread, confirmed, first_source,"
                " received_at, version) SELECT accounts.id, 999, 'old-' || n, n, 0, x'00', 'in', 'text',"
                " '{\"text\": \"Да\"}', 'Да', n, false, false, true, true, false, true, 1, n, 0 FROM accounts, counted"
            ),
            {"messages": messages},
        )
    store._apply.dispose()
