"""`golub buyer show | export | erase`, as a person gives them beside a server that has the database open."""

import asyncio
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from golub import backup
from golub.audit import CONSOLE
from golub.backup import Order
from golub.cli import cli
from golub.doctor import note_where
from golub.errors import Conflict, Invalid, NotFound
from golub.model import AuditEntry, Chat, Erasure, Message
from golub.simulator import Chat as SimChat
from tests.conftest import SteppedClock
from tests.village import Village, village

IRINA, OTHER = 777_123_456, 777_123_457


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    """Two chats of Irina's and one of another Irina; the server's backups lie where it alone was told."""
    async with village(database_url, tmp_path, clock, backup_dir=tmp_path / "elsewhere") as made:
        await made.register()
        for number, chat in enumerate(
            (
                made.sim.add_chat(made.seller, "Ирина", buyer_id=IRINA),
                made.sim.add_chat(made.seller, "Ирина", buyer_id=IRINA),
                made.sim.add_chat(made.seller, "Ирина", buyer_id=OTHER),
            )
        ):
            made.sim.buyer_says(chat, f"вопрос {number}")
            clock.step(1000)
        await made.arrived()
        await made.work()
        await note_where(made.parts.store, made.parts.settings)
        yield made


async def golub(town: Village, *words: str, typed: str = "") -> Result:
    """What the command says. Raises the error of ours that it ended with."""
    settings = town.parts.settings
    given = ["--data-dir", str(settings.data_dir)]
    if settings.database_url:
        given += ["--database-url", settings.database_url]
    env = {"GOLUB_DATABASE_URL": "", "GOLUB_BACKUP_DIR": None}
    ended = await asyncio.to_thread(CliRunner().invoke, cli, ["buyer", *words, *given], input=typed, env=env)
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended


async def row_of(town: Village, chat: SimChat) -> Chat:
    async with town.parts.store.read() as session:
        return (await session.scalars(select(Chat).where(Chat.avito_id == chat.id))).one()


def chats(town: Village) -> list[SimChat]:
    return list(town.sim.world.chats.values())


async def test_show_finds_them_by_whatever_a_person_has(town: Village) -> None:
    parts = town.parts
    made = backup.make(parts.settings, parts.vault, Order(), clock=town.clock, tell=lambda _step, _share: None)
    first, _, other = chats(town)
    row = await row_of(town, first)
    for who in (str(IRINA), first.id, f"/inbox/{row.id}", f"https://golub.example.ru/inbox/{row.id}?tab=all"):
        said = (await golub(town, "show", who)).output.splitlines()
        assert said[0] == f"Ирина, number {IRINA}"
        assert said[1] == "2 chats, 2 messages, 0 replies sent from here"
        assert said[3] == "2 deliveries in the journal"
        assert f"in the backup {made.path.name}: gone by 20" in said[4]
    assert f"number {OTHER}" in (await golub(town, "show", other.id)).output

    with pytest.raises(Conflict) as several:
        await golub(town, "show", "Ирина")
    assert str(IRINA) in str(several.value)
    assert str(OTHER) in str(several.value)
    with pytest.raises(NotFound, match="Nobody is found"):
        await golub(town, "show", "Иннокентий")


async def test_whoever_has_no_number_is_told_apart_by_an_address_that_works(town: Village) -> None:
    async with town.parts.store.write() as session:
        await session.execute(update(Chat).values(buyer_id=None))
    with pytest.raises(Conflict) as several:
        await golub(town, "show", "Ирина")
    rows = [await row_of(town, chat) for chat in chats(town)]
    for row in rows:
        assert f"/inbox/{row.id}" in str(several.value)
        assert f"Ирина, number {row.id}" in (await golub(town, "show", f"/inbox/{row.id}")).output


async def test_export_writes_one_archive_and_never_over_another(town: Village, tmp_path: Path) -> None:
    to = tmp_path / "irina.zip"
    said = (await golub(town, "export", str(IRINA), str(to))).output
    assert "2 chats" in said
    assert "2 messages" in said
    assert "2 deliveries" in said
    assert to.stat().st_mode & 0o077 == 0
    whole = to.read_bytes()
    with zipfile.ZipFile(to) as archive:
        words = archive.read("messages.txt").decode()
        raw = "".join(archive.read(name).decode() for name in archive.namelist())
    assert "вопрос 0" in words
    assert "вопрос 1" in words
    assert "вопрос 2" not in raw
    with pytest.raises(Conflict, match="exists already"):
        await golub(town, "export", str(IRINA), str(to))
    assert to.read_bytes() == whole
    with pytest.raises(NotFound):
        await golub(town, "export", "Иннокентий", str(tmp_path / "nobody.zip"))
    assert not (tmp_path / "nobody.zip").exists()
    assert await told(town) == ["buyer_exported"]


async def test_erase_asks_for_the_number_and_leaves_the_other_irina(town: Village) -> None:
    first, _, other = chats(town)
    with pytest.raises(Invalid, match="Nothing was erased"):
        await golub(town, "erase", first.id, "--confirm", str(OTHER))
    with pytest.raises(Invalid, match="Nothing was erased"):
        await golub(town, "erase", first.id, typed="yes\n")
    assert (await golub(town, "erase", first.id, typed="")).exit_code == 1  # Ctrl+D
    async with town.parts.store.read() as session:
        assert len(list(await session.scalars(select(Message.id)))) == 3
        assert not list(await session.scalars(select(Erasure.id)))

    said = (await golub(town, "erase", first.id, typed=f"{IRINA}\n")).output
    assert f"To erase, type {IRINA}" in said
    assert "Erasure 1: 2 chats, 2 deliveries, 2 messages" in said
    async with town.parts.store.read() as session:
        left = (await session.scalars(select(Message))).all()
        assert [message.text for message in left] == ["вопрос 2"]
        assert (await session.get_one(Erasure, 1)).about == {}
    assert (await row_of(town, other)).buyer_id == OTHER
    with pytest.raises(NotFound):
        await golub(town, "show", str(IRINA))
    assert await told(town) == ["buyer_erased"]


async def told(town: Village) -> list[str]:
    """The buyer's entries in the audit; none of them says who it was."""
    async with town.parts.store.read() as session:
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("buyer_")))).all()
    assert {entry.address for entry in entries} == {CONSOLE.address}
    assert not any(secret in f"{one.subject}{one.after}" for one in entries for secret in ("Ирина", str(IRINA)))
    return [entry.action for entry in entries]
