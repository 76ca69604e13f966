"""The suite keeps its own promises: nothing is skipped quietly, and each test has a database to itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from golub.store import Store
from tests.machine import Need, lack
from tests.postgres import OwnPostgres

ROOT = Path(__file__).parents[1]

SKIPS = """
import pytest
from tests.machine import Need, must_have

def test_needs_what_is_out_of_reach():
    must_have(Need.STRACE)

def test_needs_what_ci_installs():
    must_have(Need.CHROMIUM)

def test_skips():
    pytest.skip("for a reason of its own")

@pytest.mark.xfail(reason="known")
def test_is_known_to_fail():
    assert False
"""


@pytest.mark.parametrize(("ci", "ended"), [("true", "2 failed, 1 skipped, 1 xfailed"), ("", "3 skipped, 1 xfailed")])
def test_a_skip_fails_in_ci_but_for_what_is_out_of_reach(ci: str, ended: str, tmp_path: Path) -> None:
    """On a machine without a single program."""
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "bare").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", tmp_path, "-p", "tests.conftest", "-ra", tmp_path],
        check=False,
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PATH": str(tmp_path / "bare"), "GOLUB_TEST_CHROMIUM": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == bool(ci), run.stdout
    assert f" {ended} in" in run.stdout
    assert re.search("not on this machine:.* Chromium.* a disk in a file.* strace", run.stdout)
    assert "not on this machine: no strace" in run.stdout
    assert "no Chromium: install one" in run.stdout
    assert "for a reason of its own" in run.stdout
    assert ("CI is set, and there a skip is a failure" in run.stdout) == bool(ci)


def test_every_skip_goes_through_the_one_look_at_the_machine() -> None:
    skips = re.compile(r"pytest\.(skip|importorskip|mark\.skip)|\bskipif\(|SkipTest|skipTest")
    files = sorted((ROOT / "tests").rglob("*.py"))
    skipping = {str(path.relative_to(ROOT)) for path in files if skips.search(path.read_text())}
    assert skipping == {"tests/machine.py", "tests/test_suite.py"}, "machine.must_have knows what a machine may lack"


@pytest.mark.parametrize(
    ("need", "setting"),
    [
        (Need.CHROMIUM, "GOLUB_TEST_CHROMIUM"),
        (Need.AVITO_FILES, "GOLUB_AVITO_OPENAPI"),
        (Need.POSTGRES, "TEST_DATABASE_URL"),
    ],
)
def test_what_somebody_named_must_be_there(need: Need, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is asked for by the tests themselves, which fail where it is not."""
    monkeypatch.setenv(setting, "/nowhere")
    lack.cache_clear()
    try:
        assert lack(need) is None
    finally:
        lack.cache_clear()


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
