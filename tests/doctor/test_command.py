"""`golub doctor`: beside a running server and without one, for people and for programs, with its exit code."""

import asyncio
import json
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from golub.cli import cli
from golub.doctor import Check, examine_beside, note_where
from golub.doctor.beside import SERVED_AT
from golub.doctor.telling import tell
from golub.model import Mark
from golub.settings import Settings
from golub.store import Store
from golub.web.language import words, words_of_console
from tests.conftest import StartGolub
from tests.doctor import house
from tests.doctor.plants_way import PLANTS

NOWHERE = {"GOLUB_AVITO_URL": "http://127.0.0.1:9", "GOLUB_PUBLIC_URL": "", "LANG": "ru_RU.UTF-8"}


def test_without_a_folder_it_could_not_look(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path / "none")], env=NOWHERE)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "none" in ended.stderr


def test_without_a_server_it_says_what_it_can_and_makes_nothing(tmp_path: Path) -> None:
    folder, archive = tmp_path / "data", tmp_path / "help.zip"
    folder.mkdir(mode=0o700)
    ended = CliRunner().invoke(cli, ["doctor", "--data-dir", str(folder), "--bundle", str(archive)], env=NOWHERE)
    assert ended.exit_code == 1
    assert "Сначала исправьте это" in ended.stdout
    assert f"✗ С папкой {folder} не работает ни один Golub." in ended.stdout
    assert list(folder.iterdir()) == []
    assert archive.stat().st_size > 1000


def test_programs_get_json(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path), "--json", "--lang", "en"], env=NOWHERE)
    found = {one["check"]: one for one in json.loads(ended.stdout)}
    assert found["server"]["fault"] == "not_running"
    assert (found["name"]["verdict"], found["name"]["fault"]) == ("unknown", None)
    assert found["public_url"]["lines"] == [{"where": "setting", "text": "GOLUB_PUBLIC_URL=https://golub.example.ru"}]
    assert found["disk"]["figures"].keys() == {"free_mb", "free_percent"}


@pytest.mark.story
async def test_beside_a_running_server_its_mark_arrives(start_golub: StartGolub) -> None:
    """By the address that the server was told, and the console was not."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    golub = await start_golub(
        "serve", GOLUB_AVITO_URL="http://127.0.0.1:9", GOLUB_ALLOW_LOOPBACK_WEBHOOK="1", GOLUB_PORT=str(port),
        GOLUB_PUBLIC_URL=f"http://127.0.0.1:{port}",
    )  # fmt: skip
    doctor = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("golub"), "doctor", "--json", "--data-dir", golub.folder,
        env={"PATH": "", "GOLUB_AVITO_URL": "http://127.0.0.1:9"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await doctor.communicate()
    found = {one["check"]: (one["verdict"], one["fault"]) for one in json.loads(out)}
    wrong = {check: told for check, told in found.items() if told[0] == "wrong"}
    assert (doctor.returncode, wrong) == (0, {})
    assert {found[check] for check in ("server", "database", "key", "spool", "apply", "arrival", "body")} == {
        ("ok", None)
    }
    assert await golub.stop() == 0


async def test_its_own_environment_goes_before_what_a_server_noted(tmp_path: Path, database_url: str) -> None:
    store = Store(database_url)
    for port in (1, 2):  # the server that started last counts
        noted = Settings.model_validate({"public_url": "https://golub.invalid", "port": port})
        await note_where(store, noted)
    await store.close()
    given = {"data_dir": tmp_path, "database_url": database_url, "avito_url": "http://127.0.0.1:9"}
    for public_url, host in ((None, "golub.invalid"), ("https://other.invalid", "other.invalid")):
        chosen = given if public_url is None else {**given, "public_url": public_url}
        found, _ = await examine_beside(Settings.model_validate(chosen), words("en"))
        told = {one.check: one.write(words("en")).what for one in found}
        assert told[Check.PUBLIC_URL] == f"https://{host}"
        assert told[Check.NAME] == f"The name {host} leads nowhere."
        assert told[Check.LISTENING] == "Golub listens on 127.0.0.1:2"


async def test_alerts_and_backups_are_judged_by_the_servers_environment(tmp_path: Path, database_url: str) -> None:
    store = Store(database_url)
    elsewhere = tmp_path / "another-disk"
    elsewhere.mkdir()
    made = time.strftime("golub-%Y%m%dT%H%M%SZ-planned.zip", time.gmtime(time.time() - 3600))
    (elsewhere / made).write_bytes(b"")
    told = {"smtp_url": "smtps://golub:hidden@mail.example.ru:465", "alert_email": "anna@example.ru"}
    await note_where(store, Settings.model_validate({"backup_dir": elsewhere, **told}))
    async with store.read() as session:
        assert "hidden" not in (await session.get_one(Mark, SERVED_AT)).value
    await store.close()
    own = Settings.model_validate(
        {"data_dir": tmp_path, "database_url": database_url, "avito_url": "http://127.0.0.1:9"}
    )
    found, _ = await examine_beside(own, words("en"))
    shown = {one.check: one.write(words("en")).what for one in found}
    assert shown[Check.ALERTS] == "By email"
    assert shown[Check.BACKUP] == "The newest one is 1 hours old."


async def test_people_read_what_to_do_first_and_the_lines_to_copy(tmp_path: Path, sqlite_url: str) -> None:
    async with house.opened(tmp_path, sqlite_url) as home:
        PLANTS["address_hidden"](home)
        found = await home.examine()
    text = tell(found, words("en"))
    head, _, rest = text.partition("\nGolub itself\n")
    assert head.startswith("Mend this first:\n\n✗ The proxy does not say who called")
    assert "nginx:\n      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" in head
    assert "  ✓ The server runs: Process" in rest
    assert text.endswith("Not looked at: 2.\n")


def test_the_language_is_chosen_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    assert words_of_console("") is words("en")
    assert words_of_console("ru") is words("ru")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert words_of_console("") is words("ru")
