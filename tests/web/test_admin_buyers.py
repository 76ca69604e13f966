"""The page of one buyer's data: found, shown, given out, erased once it was confirmed; for super administrators."""

import io
import json
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from golub.app import Golub
from golub.buyers.exporting import fresh_archive
from golub.clock import DAY, MINUTE
from golub.model import Action, AuditEntry, Chat, ErasureState, Message, Role
from golub.settings import Settings
from golub.web.keeping import files_of
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.village import Village, village
from tests.web.conftest import ORIGIN, Browser, Visit

BUYER = 777_123_456
TEXT = '=cmd|"/c calc" звоните +7 903 111-22-33'


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village(database_url, tmp_path, clock, public_url="") as made:
        await made.parts.subscriptions.register(
            made.account_id, "https://golub.example.ru/webhook/avito", ["message"], skip_probe=True
        )
        chat = made.sim.add_chat(made.seller, "Ирина <b>Плюс</b>", buyer_id=BUYER)
        made.sim.buyer_says(chat, TEXT, quiet=True)
        made.sim.buyer_says(chat, "", "image", quiet=True)
        made.clock.step(DAY)
        await made.pass_time(600_000)
        yield made


@pytest.fixture
def parts(town: Village) -> Parts:
    return town.parts


async def chat_of(parts: Parts) -> Chat:
    async with parts.store.read() as session:
        return (await session.scalars(select(Chat))).one()


async def test_a_buyer_is_found(parts: Parts, owner: Browser) -> None:
    address = f"/inbox/{(await chat_of(parts)).id}"
    link = f'href="/admin/buyers/{address.rpartition("/")[2]}"'
    for asked in (str(BUYER), "ирина", "Плюс", address, f"https://golub.example.ru{address}?view=x"):
        page = await owner.get("/admin/buyers", params={"q": asked})
        assert (page.status_code, link in page.text, "<b>Плюс" in page.text) == (200, True, False), asked


async def test_nobody_is_found(owner: Browser) -> None:
    for asked, status in (("никто", 200), ("0", 200), ("1" * 30, 200), ("''", 400), ("x" * 500, 200)):
        page = await owner.get("/admin/buyers", params={"q": asked})
        assert (page.status_code, "/admin/buyers/1" in page.text) == (status, False), asked


async def test_he_is_given_out_in_one_archive(parts: Parts, town: Village, owner: Browser) -> None:
    row = await chat_of(parts)
    async with parts.store.read() as session:
        photo = (await session.scalars(select(Message).where(Message.type == "image"))).one()
    fields = {"type": photo.type, "content": photo.content, "account_id": photo.account_id}
    kept = parts.settings.data_dir / "media" / files_of(fields)[0][:2] / files_of(fields)[0]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b"RIFF")
    page = await owner.get(f"/admin/buyers/{row.id}")
    assert page.status_code == 200
    answer = await owner.post(f"/admin/buyers/{row.id}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))

    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in archive.read(name).splitlines()]

    assert [one["buyer"]["avito_id"] for one in lines("chats.jsonl")] == [BUYER]
    assert {one["text"] for one in lines("messages.jsonl")} >= {TEXT}
    assert TEXT in archive.read("messages.txt").decode()
    media = [name for name in archive.namelist() if name.startswith("media/")]
    assert [(name.endswith(".webp"), archive.read(name)) for name in media] == [(True, b"RIFF")]
    assert json.loads(archive.read("about.json"))["counts"]["messages"] == 2
    assert list(parts.settings.data_dir.rglob("*buyer*")) == []
    async with parts.store.read() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == Action.BUYER_EXPORTED))).one()
    assert (entry.subject, entry.after) == (f"chat {row.id}", "")


async def test_a_server_killed_while_it_sends_the_archive_leaves_none(parts: Parts, owner: Browser, site: Any) -> None:
    """It has no name any more when its first byte goes out, so whatever comes then, nothing is left on the disk."""
    row = await chat_of(parts)
    there: list[list[Path]] = []

    async def looking(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.body":
                there.append(list(parts.settings.data_dir.rglob("*buyer*")))
            await send(message)

        await site(scope, receive, sent)

    cookies, headers = owner.client.cookies, {"Origin": ORIGIN}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(looking), base_url=ORIGIN, cookies=cookies, headers=headers
    ) as client:
        answer = await client.post(f"/admin/buyers/{row.id}/export", data={"csrf": owner.csrf})
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"])
    assert there
    assert there[0] == []


async def test_a_server_killed_while_it_writes_the_archive_removes_it_at_its_next_start(
    tmp_path: Path, clock: SteppedClock
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path / "another"})
    golub = Golub(settings, clock=clock)
    half = fresh_archive(settings.data_dir)
    half.with_name(f".{half.name}.exporting").write_bytes(b"PK")
    half.write_bytes(b"PK")
    assert half.parent.stat().st_mode & 0o077 == 0
    async with golub.opened():
        assert list(settings.data_dir.rglob("*buyer*")) == []


async def test_he_is_erased_after_his_number_was_typed(parts: Parts, town: Village, owner: Browser) -> None:
    row = await chat_of(parts)
    wrong = await owner.post(f"/admin/buyers/{row.id}/erase", {"confirm": "12"})
    assert (wrong.status_code, "Nothing was erased" in wrong.text) == (400, True)
    begun = await owner.post(f"/admin/buyers/{row.id}/erase", {"confirm": f" {BUYER} "})
    place = begun.headers["location"]
    assert (begun.status_code, place.startswith("/admin/buyers/erasures/")) == (303, True)
    assert "every 1s" in (await owner.get(place)).text
    assert (await owner.post(f"{place}/stop")).status_code == 303
    assert "Go on" in (await owner.get(place)).text
    assert (await owner.post(f"{place}/resume")).status_code == 303
    erasure_id = int(place.rpartition("/")[2])
    while (await parts.erasures.get(erasure_id)).state == ErasureState.RUNNING:
        await parts.erasures.run_once()
        town.clock.step(100)
    done = await owner.get(place, headers={"HX-Request": "true"})
    assert "Messages erased: 2" in done.text
    assert "every 1s" not in done.text
    assert (await owner.get(f"/admin/buyers/{row.id}")).status_code == 404
    assert (await owner.get("/admin/buyers")).status_code == 200
    async with parts.store.read() as session:
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == Action.BUYER_ERASED)))
    assert [one.subject for one in entries] == [f"erasure {erasure_id}"] * 3
    told = "".join(f"{one.subject}{one.before}{one.after}" for one in entries)
    assert str(BUYER) not in told
    assert "Ирина" not in told


async def test_the_chat_s_card_leads_there_for_a_super_administrator(parts: Parts, visit: Visit) -> None:
    row = await chat_of(parts)
    for role in Role:
        page = await (await visit(role)).get(f"/inbox/{row.id}")
        assert (f"/admin/buyers/{row.id}" in page.text) == (role is Role.SUPER_ADMIN)


async def test_a_chat_with_avito_has_no_buyer(parts: Parts, owner: Browser) -> None:
    row = await chat_of(parts)
    async with parts.store.write() as session:
        found = await session.get_one(Chat, row.id)
        found.chat_type = "a2u"
    assert (await owner.get(f"/admin/buyers/{row.id}")).status_code == 400


async def test_whoever_came_long_ago_proves_himself_first(parts: Parts, town: Village, owner: Browser) -> None:
    chat = (await chat_of(parts)).id
    town.clock.step(6 * MINUTE)
    for act in ("export", "erase"):
        led = await owner.post(f"/admin/buyers/{chat}/{act}", {"confirm": "7"})
        assert (led.status_code, led.headers["location"].partition("?")[0]) == (303, "/me/proof"), act
