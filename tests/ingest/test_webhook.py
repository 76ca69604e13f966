"""The webhook's address: what it takes and keeps, and what it answers to whoever looks at it."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import SteppedClock
from tests.ingest.endpoint import BARE, OK, PATH, STRANGER, Endpoint, answer, opened


async def test_a_delivery_is_stored_whole_before_it_is_acked(endpoint: Endpoint, clock: SteppedClock) -> None:
    body = '{"текст": "\\u0000"}'.encode()
    response = await endpoint.post(PATH, body, content_type="application/json", x_avito_messenger_signature="f" * 64)
    assert answer(response) == OK
    (one,) = endpoint.stored
    assert (one.account_id, one.token_id, one.address) == (3, 7, "127.0.0.1")
    assert (one.body, one.received_at, len(one.id)) == (body, clock(), 16)
    assert ["x-avito-messenger-signature", "f" * 64] in json.loads(one.headers)
    with closing(sqlite3.connect(endpoint.spool.path)) as outsider:
        assert outsider.execute("SELECT body FROM received").fetchall() == [(body,)]


@pytest.mark.row(14)
@pytest.mark.parametrize("path", [BARE, BARE + "/"])
async def test_the_bare_path_takes_hints(endpoint: Endpoint, path: str) -> None:
    assert answer(await endpoint.post(path, b'{"a":1}')) == OK
    (one,) = endpoint.stored
    assert (one.account_id, one.token_id, one.body) == (None, None, b'{"a":1}')


@pytest.mark.row(21)
@pytest.mark.parametrize("path", [BARE, PATH])
@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_the_probe_that_avito_recommends_is_answered(endpoint: Endpoint, path: str, body: bytes) -> None:
    response = await endpoint.post(path, body, content_type="application/x-www-form-urlencoded")
    assert answer(response) == OK
    assert [one.body for one in endpoint.stored] == [body]


@pytest.mark.row(20)
@pytest.mark.parametrize(("path", "shown"), [(BARE, BARE), (BARE + "/", BARE), (PATH, BARE + "/***")])
async def test_get_and_head_say_that_it_is_there(
    endpoint: Endpoint, clock: SteppedClock, path: str, shown: str
) -> None:
    response = await endpoint.client.get(path)
    assert answer(response) == (
        200,
        {
            "status": "ok",
            "message": "Webhook endpoint is accessible",
            "url": f"http://127.0.0.1:{endpoint.server.port}{shown}",
            "timestamp": "2026-09-21T14:13:20.000+00:00",
        },
    )
    head = await endpoint.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(response.headers)
    assert endpoint.stored == []


async def test_the_url_shown_is_the_public_one(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock, public_url="https://golub.example.ru/webhook/avito") as endpoint:
        response = await endpoint.client.get(BARE, headers={"Host": "evil.example"})
        assert response.json()["url"] == "https://golub.example.ru/webhook/avito"
        assert response.headers["strict-transport-security"]


@pytest.mark.row(54)
async def test_every_answer_carries_the_security_headers(endpoint: Endpoint) -> None:
    for method, path in [("GET", BARE), ("POST", PATH), ("POST", f"{BARE}/nobody"), ("PUT", BARE)]:
        headers = (await endpoint.client.request(method, path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert "date" not in headers


@pytest.mark.row(20)
@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", [BARE, PATH, f"{BARE}/nobody"])
async def test_other_methods_are_not_allowed(lasting: Endpoint, method: str, path: str) -> None:
    # Written by hand: a method that the parser does not know must not get further than it.
    got = await lasting.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    if method == "BREW":
        assert got.startswith(b"HTTP/1.1 400 ")
    else:
        assert got.startswith(b"HTTP/1.1 405 ")
        assert b"allow: GET, HEAD, POST\r\n" in got


@pytest.mark.row(14)
async def test_a_switched_off_bare_path_is_not_there(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock, bare_path=False) as endpoint:
        for method in ("GET", "HEAD", "POST"):
            assert (await endpoint.client.request(method, BARE)).status_code == 404
        assert endpoint.stored == []


async def test_stopping_answers_what_is_under_way_and_ends(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock) as endpoint:
        ended: list[str] = []
        endpoint.server.on_stop.append(lambda: ended.append("streams"))
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.port)
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", endpoint.server.port)
        writer.write(f"POST {BARE} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"  # so it is under way
        endpoint.server.stop()
        assert ended == ["streams"]
        assert await idle.read() == b""
        writer.write(b"{}")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", endpoint.server.port)
        writer.close()
        idle_writer.close()


async def test_another_path_goes_on_to_the_pages(endpoint: Endpoint) -> None:
    for path in ("/", "/webhook", "/webhook/avitox", "/Webhook/avito", "/webhook//avito"):
        response = await endpoint.client.post(path)
        assert (response.status_code, response.text) == (404, "Not Found")
    assert endpoint.stored == []


async def test_it_writes_no_log_line(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="golub")
    caplog.set_level("DEBUG", logger="uvicorn")
    await endpoint.post()
    await endpoint.post(f"{BARE}/{STRANGER}")
    await endpoint.raw(b"nonsense\r\n\r\n")
    assert [record for record in caplog.records if record.name.startswith(("golub", "uvicorn"))] == []
