"""Who is let in by a token: one that this node knows, or one that the main database does, if it can be asked."""

import asyncio
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import insert

from golub import ingest as ingest_module
from golub import metrics
from golub.ingest import Budget
from golub.model import Account, PathToken
from golub.spool import TokenEntry
from golub.store import Store
from tests.conftest import SteppedClock
from tests.ingest.endpoint import BARE, OK, PATH, STRANGER, TOKEN, Endpoint, answer, opened


@pytest.mark.row(15)
async def test_unknown_tokens_all_look_the_same(tmp_path: Path, clock: SteppedClock, sqlite_url: str) -> None:
    """Row 15."""
    async with opened(tmp_path, clock, sqlite_url) as endpoint:
        endpoint.spool.put_token(TokenEntry(sha256(TOKEN.encode()).digest(), 7, 3))
        endpoint.spool.put_token(TokenEntry(sha256(b"retired").digest(), 8, 3, retired_at=clock()))
        wrong = [STRANGER, "x", "x" * 5000, TOKEN[:-1], TOKEN + "a", TOKEN.upper(), TOKEN + "/", "/" + TOKEN, "%2e%2e"]
        wrong += ["%2F", "%00", "%D0%B9" * 43, "%ff%fe", f"{TOKEN}%20", "***", "retired", "a/../b"]
        for method in ("GET", "POST"):
            answers = set[object]()
            for token in wrong:
                target = f"{BARE}/{token}"
                got = await endpoint.raw(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
                answers.add(got)
            assert len(answers) == 1, answers
            assert answers.pop().startswith(b"HTTP/1.1 404 ")  # type: ignore[attr-defined]
        assert endpoint.stored == []
        percent = "".join(f"%{ord(letter):02x}" for letter in TOKEN)
        assert answer(await endpoint.post(f"{BARE}/{percent}")) == OK  # the same path, as URLs go


async def test_a_token_is_known_until_it_is_retired(endpoint: Endpoint, clock: SteppedClock) -> None:
    endpoint.spool.put_token(TokenEntry(sha256(b"old").digest(), 8, 3, retired_at=clock() + 10))
    assert (await endpoint.post(f"{BARE}/old")).status_code == 200
    clock.step(10)
    assert (await endpoint.post(f"{BARE}/old")).status_code == 404


async def register(store: Store, token: str, retired_at: int | None = None) -> None:
    async with store.write() as session:
        account = {"id": 3, "user_id": 30, "client_id": "c", "client_secret": b"s", "created_at": 1}
        await session.execute(insert(Account).values(account))
        values = {"id": 9, "account_id": 3, "hash": sha256(token.encode()).digest(), "token": b"", "created_at": 1}
        await session.execute(insert(PathToken).values(values | {"retired_at": retired_at}))


async def test_a_token_that_another_node_registered_is_found_once_and_kept(
    tmp_path: Path, clock: SteppedClock, database_url: str
) -> None:
    async with opened(tmp_path, clock, database_url) as endpoint:
        await register(endpoint.store, STRANGER)
        before = lookups("found")
        responses = await asyncio.gather(*(endpoint.post(f"{BARE}/{STRANGER}") for _ in range(20)))
        assert [r.status_code for r in responses] == [200] * 20
        assert lookups("found") - before == 1
        assert {(one.account_id, one.token_id) for one in endpoint.stored} == {(3, 9)}
        with closing(sqlite3.connect(endpoint.spool.path)) as outsider:
            assert outsider.execute("SELECT token_id FROM tokens").fetchall() == [(9,)]


async def test_a_retired_token_of_the_main_database_is_unknown(
    tmp_path: Path, clock: SteppedClock, database_url: str
) -> None:
    async with opened(tmp_path, clock, database_url) as endpoint:
        await register(endpoint.store, STRANGER, retired_at=clock())
        assert (await endpoint.post(f"{BARE}/{STRANGER}")).status_code == 404


def lookups(outcome: str) -> float:
    return metrics.REGISTRY.get_sample_value("golub_token_lookups_total", {"outcome": outcome}) or 0.0


@pytest.mark.parametrize("away", ["absent", "not migrated", "refuses", "silent", "not migrated postgres"])
async def test_when_the_main_database_cannot_be_asked_known_tokens_get_200_and_others_503(
    tmp_path: Path, clock: SteppedClock, away: str, request: pytest.FixtureRequest
) -> None:
    silenced: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silenced.append(writer)

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = {
        "absent": "",
        "not migrated": f"sqlite:///{tmp_path / 'empty.db'}",
        "refuses": "postgresql://nobody@127.0.0.1:1/none",
        "silent": f"postgresql://nobody@127.0.0.1:{silent.sockets[0].getsockname()[1]}/none",
    }.get(away)
    if url is None:
        server = request.getfixturevalue("postgres_server")
        url = server.create()
    assert ingest_module.LOOKUP_WAIT + ingest_module.LEAST_DEADLINE < 2  # seconds that Avito waits
    async with silent, opened(tmp_path, clock, url) as endpoint:
        endpoint.spool.put_token(TokenEntry(sha256(TOKEN.encode()).digest(), 7, 3))
        unknown, known = await asyncio.gather(endpoint.post(f"{BARE}/{STRANGER}"), endpoint.post(PATH))
        assert answer(known) == OK
        assert unknown.status_code == 503
        assert int(unknown.headers["retry-after"]) >= 1
        assert len(endpoint.stored) == 1
        for writer in silenced:
            writer.close()


async def test_the_main_database_locked_by_another_process_costs_no_delivery(
    tmp_path: Path, clock: SteppedClock, sqlite_url: str
) -> None:
    async with opened(tmp_path, clock, sqlite_url) as endpoint:
        await register(endpoint.store, STRANGER)
        with closing(sqlite3.connect(tmp_path / "golub.db", isolation_level=None)) as outsider:
            outsider.execute("BEGIN EXCLUSIVE")
            assert answer(await endpoint.post(BARE)) == OK
            assert answer(await endpoint.post(f"{BARE}/{STRANGER}")) == OK  # in WAL a writer stops no reader


@pytest.mark.promise("P21")
async def test_wrong_tokens_cannot_hammer_the_main_database_or_memory(
    tmp_path: Path, clock: SteppedClock, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "STRANGERS_KEPT", 5)
    async with opened(tmp_path, clock, sqlite_url) as endpoint:
        before = lookups("unknown")
        statuses = [(await endpoint.post(f"{BARE}/{STRANGER}")).status_code for _ in range(10)]
        assert statuses == [404] * 10
        assert lookups("unknown") - before == 1
        endpoint.ingest._lookup_budget = Budget(0, 10)  # without a refill, for a machine may be slow
        statuses = [(await endpoint.post(f"{BARE}/{number:043}")).status_code for number in range(15)]
        assert statuses == [404] * 10 + [503] * 5
        assert lookups("unknown") - before == 11
        assert len(endpoint.ingest._strangers) <= 5
        assert not endpoint.ingest._lookups
        endpoint.spool.put_token(TokenEntry(sha256(TOKEN.encode()).digest(), 7, 3))
        assert answer(await endpoint.post(PATH)) == OK
