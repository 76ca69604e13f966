"""Alive, ready with the reasons where not, and numbers for whoever may have them."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from golub.model import Account, AccountState, Role
from golub.settings import Settings
from golub.spool import Received
from golub.web.parts import Parts
from golub.web.routes import build
from tests.conftest import SteppedClock
from tests.web.conftest import Visit


async def answer(parts: Parts) -> httpx2.Response:
    """What a supervisor sees; each time looked at anew."""
    parts.health._asked_at = -1.0
    transport = httpx2.ASGITransport(build(parts), client=("192.0.2.7", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/healthz/live")).json() == {"status": "ok"}
        return await client.get("/healthz/ready")


async def codes(parts: Parts) -> list[str]:
    return [reason["code"] for reason in (await answer(parts)).json()["reasons"]]


async def test_all_is_well(parts: Parts) -> None:
    ready = await answer(parts)
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "reasons": []})


async def test_the_database_is_away(parts: Parts) -> None:
    store = parts.health._store
    parts.health._store = type(store)("postgresql://nobody@127.0.0.1:1/nothing")
    away = await answer(parts)
    assert (away.status_code, away.json()["status"]) == (503, "not ready")
    assert away.json()["reasons"] == [
        {
            "code": "database_away",
            "text": "The database does not answer: webhooks are kept meanwhile.",
            "severe": True,
        }
    ]
    await parts.health._store.close()


async def test_a_delivery_that_waits_for_more_than_a_minute(parts: Parts, clock: SteppedClock) -> None:
    await parts.spool.put(Received(b"i" * 16, clock(), 1, None, "", b"[]", b"{}"))
    assert await codes(parts) == []
    clock.step(61_000)
    ready = await answer(parts)
    assert (ready.status_code, ready.json()["reasons"][0]["code"]) == (503, "apply_stuck")
    assert "61 s" in ready.json()["reasons"][0]["text"]


async def test_a_revoked_token_asks_for_a_person_and_not_for_a_restart(parts: Parts) -> None:
    async with parts.store.write() as session:
        session.add(
            Account(user_id=7, name="Лодки", client_id="c", client_secret=b"", created_at=0, state=AccountState.WORKING)
        )
    assert await codes(parts) == []
    async with parts.store.write() as session:
        await session.execute(update(Account).values(state=AccountState.WRONG_KEYS))
    ready = await answer(parts)
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert [reason["code"] for reason in ready.json()["reasons"]] == ["accounts_refused"]
    assert "Лодки" not in ready.text
    async with parts.store.write() as session:
        await session.execute(update(Account).values(paused_at=1))
    assert await codes(parts) == []


async def test_a_release_that_finds_a_newer_schema_says_so(parts: Parts) -> None:
    with parts.store.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_from_the_future'")
        connection.exec_driver_sql("UPDATE marks SET value = '99.0' WHERE name = 'oldest_binary'")
    assert await codes(parts) == ["schema_newer"]


async def test_an_answer_is_good_for_a_second_however_often_one_asks(parts: Parts) -> None:
    assert await parts.health.reasons() == []
    parts.health.halted = "Another key."
    assert await parts.health.reasons() == []


async def numbers(parts: Parts, client: tuple[str, int], host: str = "localhost", **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(build(parts), client=client)
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as browser:
        return await browser.get("/metrics")


async def test_numbers_are_for_this_machine(parts: Parts, visit: Visit) -> None:
    assert "golub_spool_pending" in (await numbers(parts, ("127.0.0.1", 4))).text
    assert (await numbers(parts, ("127.0.0.1", 4), host="golub.example.ru")).status_code == 404
    boss = await visit(Role.SUPER_ADMIN)
    assert (await boss.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 404


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}]
)
@pytest.mark.parametrize("token", ["", "s3cret"])
async def test_a_stranger_gets_no_numbers(parts: Parts, token: str, given: dict[str, str]) -> None:
    parts.settings = _with(parts, metrics_token=token or None)
    assert (await numbers(parts, ("192.0.2.7", 4), **given)).status_code == 404


async def test_whoever_has_the_token_gets_the_numbers(parts: Parts, tmp_path: Path) -> None:
    parts.settings = _with(parts, metrics_token="s3cret")
    assert (await numbers(parts, ("192.0.2.7", 4), Authorization="Bearer s3cret")).status_code == 200
    (tmp_path / "token").write_text("from-a-file\n")
    parts.settings = _with(parts, metrics_token_file=tmp_path / "token")
    assert (await numbers(parts, ("192.0.2.7", 4), Authorization="Bearer from-a-file")).status_code == 200


def test_a_token_s_file_that_is_not_there_is_found_out_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file"):
        Settings(metrics_token_file=tmp_path / "token")


def _with(parts: Parts, **chosen: Any) -> Settings:
    return Settings.model_validate({"data_dir": parts.settings.data_dir, **chosen})
