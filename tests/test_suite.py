"""The suite keeps its own promises: nothing is skipped quietly, and each test has a database to itself."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from golub.store import Store
from tests.postgres import OwnPostgres

ROOT = Path(__file__).parents[1]

SKIPS = """
import pytest

def test_skips():
    pytest.skip("the machine lacks it")

@pytest.mark.xfail(reason="known")
def test_is_known_to_fail():
    assert False
"""


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_a_skip_fails_in_ci_and_only_there(ci: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(SKIPS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", tmp_path, "-p", "tests.conftest", "-ra", tmp_path],
        check=False,
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )
    assert run.returncode == status, run.stdout
    assert "the machine lacks it" in run.stdout
    assert ("CI is set, and there a skip is a failure" in run.stdout) == bool(ci)
    assert "1 xfailed" in run.stdout


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_has_an_empty_migrated_database_of_its_own(store: Store, turn: int) -> None:
    async with store.write() as session:
        await session.execute(text("CREATE TABLE seen (turn INTEGER)"))
        assert await session.scalar(text("SELECT count(*) FROM operators")) == 0


@pytest.mark.postgres
def test_a_postgres_can_be_stopped_and_keeps_what_it_committed(own_postgres: OwnPostgres) -> None:
    url = own_postgres.create()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (n INTEGER)")
    own_postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_postgres.start()
    with psycopg.connect(url) as connection:
        connection.execute("SELECT n FROM kept")
