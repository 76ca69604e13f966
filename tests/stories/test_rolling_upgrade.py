"""One process after another goes over to this release, under load, beside those of the release before (rule 9).

The release before is the repository's last commit with an older schema: its source, on the libraries that are here.
"""

import asyncio
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text

from golub import migrations
from golub.cli.people import create_operator
from golub.model import Role
from golub.settings import Settings
from golub.store import Store
from tests import machine, processes
from tests.conftest import AtScale, StartGolub
from tests.postgres import OwnPostgres
from tests.promises import Figures
from tests.stories.fleet import Fleet, Seller, fleet
from tests.stories.panel import LOGIN, PASSWORD, sign_in
from tests.stories.test_fleet import outgoing_states, write_replies

pytestmark = [pytest.mark.story, pytest.mark.anyio, pytest.mark.postgres]

ROOT = Path(__file__).parents[2]
VERSIONS = "src/golub/migrations/versions"
VENDOR = "src/golub/web/static/vendor"  # made when the package is built, and in no commit
RUN = "from golub.cli import main; main()"
SET_UP = """
import asyncio, sys
from golub.app import Golub
from golub.model import DEFAULT_EVENT_TYPES
from golub.settings import Settings

async def main():
    async with Golub(Settings()).working() as parts:
        account = (await parts.accounts.connect(*sys.argv[1:])).account
        url = parts.subscriptions.recommended_url()
        await parts.subscriptions.register(account.id, url, DEFAULT_EVENT_TYPES, skip_probe=True)

asyncio.run(main())
"""


async def test_old_and_new_side_by_side_lose_nothing(
    tmp_path: Path, start_golub: StartGolub, own_postgres: OwnPostgres, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    old = release_before(tmp_path / "old")
    pause = at_scale(2, 20)  # seconds that they live side by side after each change

    async def set_up(settings: Settings, shop: Seller) -> None:
        values = settings.model_dump(include={"data_dir", "database_url", "public_url", "avito_url"})
        given = {f"GOLUB_{name.upper()}": str(value) for name, value in values.items()}
        key = settings.secret_key.get_secret_value() if settings.secret_key else ""
        given |= {"GOLUB_SECRET_KEY": key, "GOLUB_ALLOW_LOOPBACK_WEBHOOK": "true", "PYTHONPATH": str(old)}
        program = (sys.executable, "-c", SET_UP, shop.client_id, shop.client_secret)
        run = await asyncio.create_subprocess_exec(*program, env=processes.clean_environment() | given)
        assert await run.wait() == 0

    url = own_postgres.create()
    program = (sys.executable, "-c", RUN)
    async with fleet(
        tmp_path, start_golub, url, seed=seed, set_up=set_up, program=program, PYTHONPATH=str(old)
    ) as town:
        before = await revision(town)
        assert before != migrations.head()
        assert migrations.knows(before)
        async with town.talking(60):
            await asyncio.sleep(pause)  # the time before the upgrade
            for number, one in enumerate(town.workers[::-1] + town.webs[::-1]):
                await one.stop()
                one.program = processes.PROGRAM
                del one.environment["PYTHONPATH"]
                await one.restart()
                assert await revision(town) == migrations.head()
                if number == 0:
                    await create_operator(town.settings, LOGIN, "Вера", Role.SUPER_ADMIN, PASSWORD)
                await write_replies(town, number)
                await pages_answer(town)
                await asyncio.sleep(pause)  # the time side by side
        await town.applied(60)
        await town.end()
        verdict = await town.judge()
        states = await outgoing_states(town)
    figures(**verdict.figures, replies=sum(states.values()), older=before, newer=migrations.head())
    assert verdict.acked > 100
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    # Both web processes that stop are of the release before, which cuts connections that were just opened to ask.
    assert set(verdict.statuses) <= {200, None}, verdict
    assert verdict.statuses[None] * 200 < verdict.sent, verdict


async def pages_answer(town: Fleet) -> None:
    """Of every web process, of either release: one signs in there, and sees the inbox."""
    for web in town.webs:
        url = web.url.rstrip("/")
        async with httpx2.AsyncClient(base_url=url, headers={"Origin": url}, trust_env=False, timeout=30) as client:
            assert (await sign_in(client)).status_code == 303
            assert (await client.get("/inbox")).status_code == 200


async def revision(town: Fleet) -> str:
    store = Store(town.settings.database_url)
    try:
        async with store.read() as session:
            return str(await session.scalar(text("SELECT version_num FROM alembic_version")))
    finally:
        await store.close()


def release_before(folder: Path) -> Path:
    """Its `src`, from this repository's history; skips where there is none."""
    if not (ROOT / ".git").exists():
        machine.skip(f"{machine.OUT_OF_REACH} a history, and with it the release before")
    newest = next(ROOT.glob(f"{VERSIONS}/{migrations.head()}.py"))
    added = git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(newest.relative_to(ROOT))).decode().strip()
    if not added:
        machine.skip(f"{machine.OUT_OF_REACH} a commit with the newest migration")
    with tarfile.open(fileobj=io.BytesIO(git("archive", f"{added}^", "src"))) as archive:
        archive.extractall(folder, filter="data")
    (folder / VENDOR).symlink_to(ROOT / VENDOR)
    return folder / "src"


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, cwd=ROOT, capture_output=True).stdout
