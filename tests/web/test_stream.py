"""The event stream: what is rung is told, a lost session ends it, and nobody's slowness is anyone else's."""

import asyncio
import hashlib

import pytest
from fastapi import FastAPI

from golub.live import EVERYTHING, Live, Ring
from golub.model import Role
from golub.web import stream
from golub.web.parts import Parts
from tests.web.conftest import Visit
from tests.web.listening import listening

pytestmark = pytest.mark.anyio


@pytest.fixture
def parts(parts: Parts) -> Parts:
    parts.live = Live()
    return parts


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "TICK", 0.02)


async def test_a_ring_is_told_with_ids_and_versions_only(site: FastAPI, parts: Parts, visit: Visit) -> None:
    async with listening(site, await visit(Role.MANAGER)) as listener:
        assert await listener.event("hello") == stream.TICK
        assert listener.status == 200
        assert listener.headers[b"content-type"].startswith(b"text/event-stream")
        assert b"no-store" in listener.headers[b"cache-control"]
        parts.live.ring([Ring(1, 17, 42, True), Ring(1, 18, 3)])
        assert await listener.event("rings") == [[17, 42, 1], [18, 3]]


async def test_one_commit_is_one_write_and_one_chat_one_ring(site: FastAPI, parts: Parts, visit: Visit) -> None:
    async with listening(site, await visit(Role.MANAGER)) as listener:
        await listener.event("hello")
        for version in range(50):
            parts.live.ring([Ring(1, 17, version), Ring(1, 18, version)])
        assert await listener.event("rings") == [[17, 49], [18, 49]]
        assert listener.writes.empty()


@pytest.mark.promise("P26")
async def test_who_comes_back_with_his_last_id_hears_what_he_missed(site: FastAPI, parts: Parts, visit: Visit) -> None:
    manager = await visit(Role.MANAGER)
    async with listening(site, manager) as first:
        await first.event("hello")
        begun = first.last_id
        parts.live.ring([Ring(1, 17, 42)])
        assert await first.event("rings") == [[17, 42]]
    parts.live.ring([Ring(1, 18, 3)])
    for after, missed in ((first.last_id, [[18, 3]]), (begun, [[17, 42], [18, 3]]), ("of another process-1", [])):
        async with listening(site, manager, after=after) as again:
            assert await again.event("rings") == missed


async def test_who_fell_behind_is_told_to_fetch_everything(site: FastAPI, parts: Parts, visit: Visit) -> None:
    async with listening(site, await visit(Role.MANAGER)) as listener:
        await listener.event("hello")
        parts.live.ring([EVERYTHING])
        assert await listener.event("rings") == []


@pytest.mark.usefixtures("quick")
async def test_a_silent_stream_says_that_it_lives(site: FastAPI, visit: Visit) -> None:
    async with listening(site, await visit(Role.MANAGER)) as listener:
        await listener.event("tick")
        await listener.event("tick")


@pytest.mark.row(40)
@pytest.mark.usefixtures("quick")
async def test_a_session_that_ended_ends_its_stream_and_no_other(site: FastAPI, parts: Parts, visit: Visit) -> None:
    leaving, staying = await visit(Role.MANAGER), await visit(Role.MANAGER)
    async with listening(site, leaving) as one, listening(site, staying) as other:
        await one.event("hello")
        await other.event("hello")
        await parts.operators.close_session(hash_of(leaving.client.cookies["session"]))
        assert await one.event("bye") == "session"
        async with asyncio.timeout(60):
            await one.ended.wait()
        parts.live.ring([Ring(1, 17, 42)])
        assert await other.event("rings") == [[17, 42]]
        assert one.writes.empty()
    assert parts.live.listeners == 0


@pytest.mark.usefixtures("quick")
async def test_a_busy_stream_looks_at_its_session_all_the_same(site: FastAPI, parts: Parts, visit: Visit) -> None:
    browser = await visit(Role.MANAGER)
    async with listening(site, browser) as listener:
        await listener.event("hello")
        await parts.operators.close_session(hash_of(browser.client.cookies["session"]))
        version = 0
        async with asyncio.timeout(60):
            while not listener.ended.is_set():
                version += 1
                parts.live.ring([Ring(1, 17, version)])
                await asyncio.sleep(0)


async def test_a_stop_ends_the_stream(site: FastAPI, parts: Parts, visit: Visit) -> None:
    async with listening(site, await visit(Role.MANAGER)) as listener:
        await listener.event("hello")
        parts.live.close()
        async with asyncio.timeout(60):
            await listener.ended.wait()


@pytest.mark.row(30)
@pytest.mark.promise("P26")
async def test_a_reader_that_takes_nothing_is_cut(
    site: FastAPI, parts: Parts, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_LIMIT", 0.02)
    browser = await visit(Role.MANAGER)
    async with listening(site, browser, reads=False), listening(site, browser) as other:
        await other.event("hello")
        async with asyncio.timeout(60):
            while parts.live.listeners > 1:  # noqa: ASYNC110 - nobody tells that a listener went
                await asyncio.sleep(0)
        parts.live.ring([Ring(1, 17, 42)])
        assert await other.event("rings") == [[17, 42]]


async def test_a_browser_that_left_is_forgotten(site: FastAPI, parts: Parts, visit: Visit) -> None:
    async with listening(site, await visit(Role.MANAGER)) as listener:
        await listener.event("hello")
        assert parts.live.listeners == 1
    assert parts.live.listeners == 0


@pytest.mark.row(43)
async def test_a_stranger_hears_nothing(visit: Visit) -> None:
    stranger = await visit(None)
    answer = await stranger.get("/stream", headers={"Accept": "text/event-stream", "Sec-Fetch-Dest": "empty"})
    assert answer.status_code == 401


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@pytest.mark.row(43)
@pytest.mark.parametrize(
    "told",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://sub.localhost", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_another_site_does_not_listen(visit: Visit, told: dict[str, str]) -> None:
    manager = await visit(Role.MANAGER)
    del manager.client.headers["Origin"]
    answer = await manager.get("/stream", headers={"Accept": "text/event-stream", **told})
    assert answer.status_code == 403
    assert "event:" not in answer.text
