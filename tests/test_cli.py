"""The commands where there is nothing to work on: what they say, how they end, and that they leave nothing behind."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from golub.cli import cli
from golub.cli.console import HAND_OVER, run_to_end
from tests.test_upgrade import REVISIONS, old_database


@pytest.mark.parametrize(
    "words",
    [["backup"], ["rebuild"], ["export", "out"], ["audit", "verify"], ["spool", "drain", "."]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_where_no_database_is_none_is_made(tmp_path: Path, words: list[str], there: bool) -> None:
    folder = tmp_path / "data"
    if there:
        folder.mkdir()
    ended = CliRunner().invoke(cli, [*words, "--data-dir", str(folder)], env={"GOLUB_DATABASE_URL": ""})
    assert ended.exit_code == 2
    assert [path.name for path in tmp_path.rglob("*")] == (["data"] if there else [])


@pytest.mark.parametrize("words", [["rebuild"], ["export", "out"], ["audit", "verify"], ["spool", "drain", "."]])
def test_on_an_older_schema_they_say_what_to_do(tmp_path: Path, words: list[str]) -> None:
    old_database(f"sqlite:///{tmp_path / 'golub.db'}", REVISIONS[0], messages=1)
    (tmp_path / "spool.db").touch()
    words = [str(tmp_path / word) if word in {"out", "."} else word for word in words]
    ended = CliRunner().invoke(cli, [*words, "--data-dir", str(tmp_path)], env={"GOLUB_DATABASE_URL": ""})
    assert "start Golub" in str(ended.exception)
    assert not (tmp_path / "out").exists()


def test_of_several_archives_none_is_passed_over_in_silence(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["backup", "--verify", str(tmp_path / "a.zip"), str(tmp_path / "b.zip")])
    assert ended.exit_code == 2
    assert "one archive at a time" in ended.stderr


@pytest.mark.parametrize("role", ["web", "worker"])
def test_a_role_apart_is_refused_on_sqlite_and_nothing_is_made(tmp_path: Path, role: str) -> None:
    folder = tmp_path / "data"
    words = ["serve", "--role", role, "--data-dir", str(folder)]
    ended = CliRunner().invoke(cli, words, env={"GOLUB_DATABASE_URL": ""})
    assert ended.exit_code == 2
    assert f"{role} needs PostgreSQL" in " ".join(ended.stderr.split())
    assert not folder.exists()


async def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Also in a folder that somebody else made, and left open."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    added = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("golub"), "operator", "add", "anna", "--data-dir", folder,
        env={"PATH": "", "GOLUB_OPERATOR_PASSWORD": "two words and more"},
    )  # fmt: skip
    assert await added.wait() == 0
    modes = {path.name: oct(path.stat().st_mode & 0o077) for path in folder.iterdir()}
    assert "golub.db" in modes
    assert set(modes.values()) == {"0o0"}


def test_the_console_frees_whoever_lost_the_phone(tmp_path: Path) -> None:
    env = {"GOLUB_DATABASE_URL": "", "GOLUB_OPERATOR_PASSWORD": "two words and more"}

    def golub(*words: str) -> Result:
        return CliRunner().invoke(cli, ["operator", *words, "--data-dir", str(tmp_path)], env=env)

    assert golub("add", "anna").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "golub.db", isolation_level=None)) as database:
        database.execute("UPDATE operators SET second_factor_at = 1")
        database.execute("INSERT INTO second_factors (operator_id, seed, step) SELECT id, x'00', 0 FROM operators")
        freed = golub("remove-second-factor", "Anna")
        assert (freed.exit_code, freed.output) == (0, "anna: signs in by the password alone\n")
        left = "SELECT second_factor_at, (SELECT count(*) FROM second_factors) FROM operators"
        assert database.execute(left).fetchall() == [(None, 0)]
        told = database.execute("SELECT action, subject, address FROM audit ORDER BY id DESC LIMIT 1").fetchall()
    assert told == [("second_factor_off", "anna", "console")]
    assert "There is no such operator" in str(golub("remove-second-factor", "nobody").exception)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("smtp_url", "mail.example.ru"),
        ("smtp_url", "smtps://golub:word@mail.example.ru:99999"),
        ("GOLUB_PUBLIC_URL", "https://golub:word@golub.example.ru"),
        ("avito_url", "https://golub:word@api.example.ru"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_repeated(tmp_path: Path, name: str, url: str) -> None:
    env = {f"GOLUB_{name.upper().removeprefix('GOLUB_')}": url}
    ended = CliRunner().invoke(cli, ["operator", "list", "--data-dir", str(tmp_path)], env=env)
    assert ended.exit_code == 2
    assert f"{name}: " in ended.stderr
    assert "word" not in ended.stderr.replace("user:password@", "").replace("user and password", "")


def test_what_runs_lets_its_threads_take_turns_quickly() -> None:
    async def interval() -> float:
        return sys.getswitchinterval()

    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)  # as Python has it
    try:
        assert run_to_end(interval()) == pytest.approx(HAND_OVER)
    finally:
        sys.setswitchinterval(before)
