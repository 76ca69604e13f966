"""The export: what people have in Golub, whole, in the documented shapes, and none of Golub's secrets."""

import gzip
import json
import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from golub import export as exporting
from golub.errors import Conflict, Unavailable
from golub.export import Kind, export, time
from golub.model import Action, AuditEntry, BuyerNote, Note, OutgoingMessage, Role
from tests.conftest import SteppedClock
from tests.village import Village, village

DOCUMENTED = Path(__file__).parents[1] / "docs/export.md"
TEXT = 'Здравствуйте! =1+1, "кавычки"\n<script>alert(1)</script> \u2028 😀'


class Disk(NamedTuple):
    total: int
    free: int


def silent(_kind: str, _share: float) -> None:
    pass


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village(database_url, tmp_path, clock) as made:
        await made.register()
        chats = [made.sim.add_chat(made.seller, f"Покупатель {number}") for number in range(2)]
        for number in range(5):
            made.sim.buyer_says(chats[number % 2], TEXT if number == 0 else f"Сообщение {number}")
        await made.arrived()
        await made.work()
        await made.parts.operators.create("anna", "korova-na-lugu-7", name="Анна", role=Role.MANAGER)
        yield made


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.promise("P8")
@pytest.mark.parametrize("name", ["export", "export.jsonl"])
async def test_the_last_tenth_of_a_disk_is_left_to_deliveries(
    name: str, shop: Village, tmp_path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be reached underway, and nothing stays of what was begun."""
    monkeypatch.setattr(exporting, "PAGE", 2)
    free = [*[10] * 4, 9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(total=100, free=free.pop(0)))
    place = tmp_path / "elsewhere"
    place.mkdir()
    with pytest.raises(Unavailable, match="nearly full"):
        await export(shop.parts.store, place / name, clock=clock, tell=silent)
    assert (names(place), free) == ([], [])


async def test_everything_is_in_the_folder(
    shop: Village, tmp_path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    async with shop.parts.store.write() as session:
        row = (await session.scalars(select(exporting.Message).limit(1))).one()
        where = {"account_id": row.account_id, "chat_id": row.chat_id, "client_key": "k"}
        session.add(OutgoingMessage(**where, text="Ответ", state="sent", created_at=clock()))
        noted = {"chat_id": row.chat_id, "client_key": "k", "version": 1}
        session.add(Note(**noted, text="Перезвонить", created_at=clock()))
        session.add(BuyerNote(buyer_id=777, text="Торгуется", changed_at=clock()))
    to = tmp_path / "export"
    exported = await export(shop.parts.store, to, deliveries=True, clock=clock, tell=silent)
    assert exported.counts == {
        "accounts": 1, "operators": 1, "chats": 2, "messages": 5, "outgoing": 1, "notes": 1, "buyer_notes": 1,
        "deliveries": 5,
    }  # fmt: skip
    assert [note["text"] for note in lines(to / "notes.jsonl")] == ["Перезвонить"]
    assert [note["buyer_avito_id"] for note in lines(to / "buyer_notes.jsonl")] == [777]
    about = json.loads((to / "about.json").read_text())
    assert (about["format"], about["counts"], about["exported_at"]) == (1, exported.counts, time(clock()))
    messages = lines(to / "messages.jsonl")
    assert sorted(message["text"] for message in messages) == sorted([TEXT, *(f"Сообщение {n}" for n in range(1, 5))])
    chats = {chat["id"]: chat for chat in lines(to / "chats.jsonl")}
    assert {chats[message["chat_id"]]["buyer"]["name"] for message in messages} == {"Покупатель 0", "Покупатель 1"}
    assert {json.loads(one["body"])["payload"]["value"]["id"] for one in lines(to / "deliveries.jsonl")} == {
        message["avito_id"] for message in messages
    }
    moments = [value for message in messages for name, value in message.items() if name.endswith("_at") and value]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment) for moment in moments)
    for kind in Kind:
        documented = DOCUMENTED.read_text().partition(f"## {kind}.jsonl")[2].partition("\n## ")[0]
        for line in lines(to / f"{kind}.jsonl"):
            assert [name for name in line if f"`{name}`" not in documented] == [], kind
    assert ".export.exporting" not in names(tmp_path)
    async with shop.parts.store.read() as session:
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == Action.EXPORTED)))
    assert [(entry.subject, entry.address) for entry in entries] == [(str(to), "console")]


@pytest.mark.row(50)
async def test_one_stream_says_what_each_line_is_and_holds_no_secret(
    shop: Village, tmp_path: Path, clock: SteppedClock
) -> None:
    parts = shop.parts
    operator = (await parts.operators.list_all())[0]
    cookie, _ = await parts.operators.open_session(operator, address="192.0.2.7")
    url = await shop.register()
    to = tmp_path / "all.jsonl.gz"
    await export(parts.store, to, deliveries=True, clock=clock, tell=silent)
    raw = gzip.decompress(to.read_bytes()).decode()
    kinds = [json.loads(line)["kind"] for line in raw.split("\n") if line]
    assert kinds == sorted(kinds, key=[*Kind, "about"].index)
    assert kinds[-1] == "about"
    planted = [shop.seller.client_secret, shop.seller.client_id, cookie, url.rpartition("/")[2], "$argon2", "/webhook/"]
    assert [secret for secret in planted if secret in raw] == []
    assert to.stat().st_mode & 0o777 == 0o600


async def test_what_is_there_already_stays(shop: Village, tmp_path: Path, clock: SteppedClock) -> None:
    to = tmp_path / "mine"
    to.mkdir()
    await export(shop.parts.store, to, clock=clock, tell=silent)
    assert not (to / "deliveries.jsonl").exists()
    with pytest.raises(Conflict, match="exists already"):
        await export(shop.parts.store, to, clock=clock, tell=silent)


async def test_the_folder_that_one_stands_in(
    shop: Village, tmp_path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    exported = await export(shop.parts.store, Path(), clock=clock, tell=silent)
    assert exported.path == tmp_path / "here"
    assert (tmp_path / "here" / "about.json").exists()


async def test_one_that_was_cut_off_leaves_nothing(shop: Village, tmp_path: Path, clock: SteppedClock) -> None:
    def cut_off(kind: Kind, _share: float) -> None:
        if kind is Kind.MESSAGES:
            raise KeyboardInterrupt

    for name in ("folder", "file.jsonl"):
        with pytest.raises(KeyboardInterrupt):
            await export(shop.parts.store, tmp_path / name, clock=clock, tell=cut_off)
    assert [name for name in names(tmp_path) if "folder" in name or "jsonl" in name] == []


def test_times() -> None:
    assert time(1_790_000_000_123) == "2026-09-21T14:13:20.123Z"
    assert (time(None), time(0)) == (None, None)
    assert time(1 << 62) == "9999-12-31T23:59:59.999Z"
