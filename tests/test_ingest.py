"""The webhook endpoint, through real sockets: who is let in, what is kept, and the answer that each bad input gets.

The numbers in the table are the rows of the threat model that it covers.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.types import Scope

from golub import ingest as ingest_module
from golub import metrics
from golub import server as server_module
from golub.ingest import BARE_RATE, BODY_LIMIT, Budget, Ingest, kept_headers
from golub.model import Account, PathToken
from golub.server import Server
from golub.settings import Settings
from golub.spool import Received, Spool, TokenEntry
from golub.store import Store
from golub.web import webhook as webhook_module
from golub.web.address import client_address
from golub.web.webhook import Webhook
from tests.conftest import SteppedClock

TOKEN = "kN3vJ0" + "a" * 37
STRANGER = "z" * 43
BARE = "/webhook/avito"
PATH = f"{BARE}/{TOKEN}"
OK = (200, {"status": "ok"})


@dataclass
class Endpoint:
    server: Server
    spool: Spool
    store: Store
    ingest: Ingest
    client: httpx2.AsyncClient

    @property
    def stored(self) -> list[Received]:
        return self.spool.read(0, 100_000, 1 << 30)

    async def post(self, path: str = PATH, body: bytes = b"{}", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=body, headers=named)

    async def raw(self, request: bytes, *, hang_up: bool = False) -> bytes:
        """Everything that comes back until the server closes, or until the first answer is complete."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(request)
            if hang_up:
                writer.write_eof()
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as end:
                return end.partial
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
            return head + await reader.read(int(length.partition(b":")[2]))
        finally:
            writer.close()


Open = Callable[..., "asyncio.Future[Endpoint]"]


@asynccontextmanager
async def opened(
    folder: Path, clock: SteppedClock, url: str = "", *, quota: int = 256 << 20, **chosen: object
) -> AsyncGenerator[Endpoint]:
    settings = Settings(data_dir=folder, port=0, **chosen)  # type: ignore[arg-type]
    spool = Spool(folder, quota=quota, clock=clock)
    spool.start()
    store = Store(url or f"sqlite:///{folder / 'absent' / 'golub.db'}")
    ingest = Ingest(spool, store, settings, clock)
    server = Server(Webhook(ingest, Starlette()), settings.host, settings.port)
    serving = asyncio.create_task(server.run())
    base = f"http://127.0.0.1:{server.port}"
    async with httpx2.AsyncClient(base_url=base, timeout=20, trust_env=False) as client:
        yield Endpoint(server, spool, store, ingest, client)
    server.stop()
    await serving
    await store.close()
    await asyncio.to_thread(spool.close)


@pytest.fixture
async def endpoint(tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Endpoint]:
    """An endpoint that knows TOKEN, of account 3, and whose main database is absent."""
    async with opened(tmp_path, clock) as endpoint:
        endpoint.spool.put_token(TokenEntry(sha256(TOKEN.encode()).digest(), 7, 3))
        yield endpoint


def answer(response: httpx2.Response) -> tuple[int, object]:
    return response.status_code, response.json()


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


@pytest.mark.parametrize("path", [BARE, BARE + "/"])
async def test_the_bare_path_takes_hints(endpoint: Endpoint, path: str) -> None:
    assert answer(await endpoint.post(path, b'{"a":1}')) == OK
    (one,) = endpoint.stored
    assert (one.account_id, one.token_id, one.body) == (None, None, b'{"a":1}')


@pytest.mark.parametrize("path", [BARE, PATH])
@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_the_probe_that_avito_recommends_is_answered(endpoint: Endpoint, path: str, body: bytes) -> None:
    response = await endpoint.post(path, body, content_type="application/x-www-form-urlencoded")
    assert answer(response) == OK
    assert [one.body for one in endpoint.stored] == [body]


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


async def test_every_answer_carries_the_security_headers(endpoint: Endpoint) -> None:
    for method, path in [("GET", BARE), ("POST", PATH), ("POST", f"{BARE}/nobody"), ("PUT", BARE)]:
        headers = (await endpoint.client.request(method, path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert "date" not in headers


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", [BARE, PATH, f"{BARE}/nobody"])
async def test_other_methods_are_not_allowed(endpoint: Endpoint, method: str, path: str) -> None:
    # Written by hand: a method that the parser does not know must not get further than it.
    got = await endpoint.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    if method == "BREW":
        assert got.startswith(b"HTTP/1.1 400 ")
    else:
        assert got.startswith(b"HTTP/1.1 405 ")
        assert b"allow: GET, HEAD, POST\r\n" in got


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


async def test_a_switched_off_bare_path_is_not_there(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock, bare_path=False) as endpoint:
        for method in ("GET", "HEAD", "POST"):
            assert (await endpoint.client.request(method, BARE)).status_code == 404
        assert endpoint.stored == []


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
    loop = asyncio.get_running_loop()
    async with silent, opened(tmp_path, clock, url) as endpoint:
        endpoint.spool.put_token(TokenEntry(sha256(TOKEN.encode()).digest(), 7, 3))
        began = loop.time()
        unknown, known = await asyncio.gather(endpoint.post(f"{BARE}/{STRANGER}"), endpoint.post(PATH))
        assert loop.time() - began < 1.8
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


@pytest.mark.promise("P21")
async def test_the_bare_path_has_a_budget_and_tokens_do_not_pay_for_it(endpoint: Endpoint) -> None:
    """Row 14, and P21."""
    assert endpoint.ingest._bare_budget._rate == BARE_RATE
    endpoint.ingest._bare_budget = Budget(0, 3)  # without a refill, for a machine may be slow
    responses = [await endpoint.post(BARE) for _ in range(5)]
    assert [r.status_code for r in responses] == [200, 200, 200, 429, 429]
    assert responses[3].headers["retry-after"] == "1"
    assert len(endpoint.stored) == 3
    assert answer(await endpoint.post(PATH)) == OK


@pytest.mark.promise("P21")
async def test_the_bare_path_stops_when_too_much_of_it_waits(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BARE_BYTES", 10_000)
    assert answer(await endpoint.post(BARE, b"x" * 10_000)) == OK
    assert (await endpoint.post(BARE)).status_code == 429
    assert answer(await endpoint.post(PATH)) == OK
    endpoint.spool.drained([one.id for one in endpoint.stored])
    assert answer(await endpoint.post(BARE)) == OK


def test_a_budget_refills() -> None:
    budget = Budget(1e9, 2)
    assert all(budget.take() for _ in range(1000))
    empty = Budget(0, 2)
    assert [empty.take() for _ in range(3)] == [True, True, False]


async def test_a_full_spool_says_503_and_stores_nothing(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock, quota=2000) as endpoint:
        assert answer(await endpoint.post(BARE, b"x" * 1000)) == OK
        response = await endpoint.post(BARE, b"x" * 1000)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert len(endpoint.stored) == 1
        endpoint.spool.drained([one.id for one in endpoint.stored])
        assert answer(await endpoint.post(BARE, b"x" * 1000)) == OK


async def test_a_spool_that_is_too_slow_says_503_within_two_seconds(endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    with closing(sqlite3.connect(endpoint.spool.path, isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        began = loop.time()
        response = await endpoint.post()
        assert loop.time() - began < 1.9
        outsider.execute("ROLLBACK")
    assert response.status_code == 503
    assert answer(await endpoint.post()) == OK


HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()
MANY = b"".join(b"x-%d: y\r\n" % number for number in range(10_000))

HOSTILE: list[tuple[str, bytes, bytes]] = [
    (
        "16 signature of 63",
        HEAD + b"x-avito-messenger-signature: " + b"f" * 63 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"200",
    ),
    ("16 not ascii", HEAD + b"x-avito-messenger-signature: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}", b"200"),
    ("16 sent twice", HEAD + b"x-signature: a\r\nx-signature: b\r\nContent-Length: 2\r\n\r\n{}", b"200"),
    ("16 64 kB of it", HEAD + b"x-signature: " + b"f" * 65_536 + b"\r\nContent-Length: 2\r\n\r\n{}", b"431"),
    ("21 no content type", HEAD + b"Content-Length: 2\r\n\r\n{}", b"200"),
    ("21 utf-16", HEAD + b"Content-Type: a/b; charset=utf-16\r\nContent-Length: 4\r\n\r\n{\0}\0", b"200"),
    ("22 deep", HEAD + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000, b"200"),
    ("24 no body", HEAD + b"Content-Length: 0\r\n\r\n", b"200"),
    ("24 no length", HEAD + b"\r\n", b"200"),
    ("25 any bytes", HEAD + b"Content-Length: 3\r\n\r\n\xed\xa0\x80", b"200"),
    ("27 gzip", HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", b"415"),
    ("27 br", HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", b"415"),
    ("27 identity", HEAD + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", b"200"),
    ("28 at the limit", HEAD + b"Content-Length: %d\r\n\r\n" % BODY_LIMIT + b"x" * BODY_LIMIT, b"200"),
    ("28 one more", HEAD + b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1) + b"x" * (BODY_LIMIT + 1), b"413"),
    ("28 300 kB", HEAD + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000, b"413"),
    (
        "28 chunked 300 kB",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n493e0\r\n" + b"x" * 300_000 + b"\r\n0\r\n\r\n",
        b"413",
    ),
    ("28 chunked", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"200"),
    ("28 50 MB announced", HEAD + b"Content-Length: 52428800\r\n\r\n", b"413"),
    ("28 expects", HEAD + b"Expect: 100-continue\r\nContent-Length: 300000\r\n\r\n", b"413"),
    ("28 2^70 announced", HEAD + b"Content-Length: 1180591620717411303424\r\n\r\n", b"4"),
    ("29 CL and TE", HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    ("29 two CL", HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
    ("29 negative CL", HEAD + b"Content-Length: -1\r\n\r\n{}", b"400"),
    ("29 NUL in a header", HEAD + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}", b"400"),
    ("29 no Host", f"POST {PATH} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode(), b"400"),
    ("29 two Hosts", HEAD + b"Host: y\r\nContent-Length: 2\r\n\r\n{}", b"400"),
    ("29 bare LF", HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}", b"400"),
    ("29 obsolete folding", HEAD + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", b"400"),
    ("P23 200 kB header", HEAD + b"X: " + b"x" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n{}", b"431"),
    ("P23 10k headers", HEAD + MANY + b"Content-Length: 2\r\n\r\n{}", b"431"),
    ("P23 1 MB of URL", f"POST {BARE}/{'x' * 1_000_000} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b"431"),
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
]


@pytest.mark.promise("P23")
@pytest.mark.parametrize(("request_", "status"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
async def test_hostile(endpoint: Endpoint, request_: bytes, status: bytes) -> None:
    got = await endpoint.raw(request_)
    assert got.startswith(b"HTTP/1.1 " + status), got[:200]
    assert len(endpoint.stored) == (status == b"200")
    if status != b"200":
        assert b"nosniff" in got
    assert answer(await endpoint.post()) == OK


@pytest.mark.promise("P22")
async def test_a_body_that_stops_coming_is_given_up(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 28: a lying Content-Length, and a chunked body without an end."""
    monkeypatch.setattr(webhook_module, "READ_DEADLINE", 0.05)
    for request in (HEAD + b"Content-Length: 9\r\n\r\n{}", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"):
        got = await endpoint.raw(request)
        assert got.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close\r\n" in got
    assert endpoint.stored == []


async def test_who_hangs_up_before_the_end_of_the_body_has_delivered_nothing(endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.port)
    writer.write(HEAD + b"Content-Length: 9\r\n\r\n{}")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert answer(await endpoint.post(body=b"next")) == OK
    assert [one.body for one in endpoint.stored] == [b"next"]


async def test_pipelined_requests_are_answered_in_order(endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.port)
    one = HEAD + b"Content-Length: 1\r\n\r\n"
    writer.write(one + b"1" + one + b"2" + f"GET {BARE}/no HTTP/1.1\r\nHost: x\r\n\r\n".encode() + one + b"3")
    seen = [(await reader.readuntil(b"}")).split(b"\r\n")[0] for _ in range(4)]
    assert [line.split()[1] for line in seen] == [b"200", b"200", b"404", b"200"]
    writer.close()
    assert sorted(r.body for r in endpoint.stored) == [b"1", b"2", b"3"]


@pytest.mark.promise("P22")
async def test_slow_headers_are_not_waited_for(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 30: idle, dripping, and dripping after a good request."""
    monkeypatch.setattr(server_module, "HEADERS_WITHIN", 0.05)
    for answered, opening in [(False, b""), (False, HEAD), (False, b"\r\n"), (True, HEAD), (True, b"\r\n")]:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.port)
        if answered:
            writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        writer.write(opening)
        async with asyncio.timeout(server_module.KEEP_ALIVE - 5):
            assert await reader.read() == b""
        writer.close()


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


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("192.0.2.9", ["1.2.3.4"], "192.0.2.9"),  # row 31: a stranger's word
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.2.3.4, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.2.3.4, 198.51.100.7, 127.0.0.2"], "198.51.100.7"),
        ("127.0.0.1", ["1.2.3.4", "198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["198.51.100.7, garbage"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7, "], "127.0.0.1"),
        ("127.0.0.1", ["fe80::1%eth0"], "fe80::1%eth0"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", [", ".join(["9.9.9.9"] * 50)], "9.9.9.9"),
        ("::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["127.0.0.3, 127.0.0.2"], "127.0.0.3"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_only_trusted_proxies_say_where_a_request_came_from(peer: str, forwarded: list[str], seen: str) -> None:
    scope: Scope = {
        "client": (peer, 1) if peer else None,
        "headers": [(b"x-real-ip", b"6.6.6.6"), *((b"x-forwarded-for", hop.encode()) for hop in forwarded)],
    }
    assert client_address(scope, (ip_network("127.0.0.0/8"),)) == seen


async def test_the_address_kept_is_the_one_that_the_proxy_saw(endpoint: Endpoint) -> None:
    await endpoint.post(x_forwarded_for="1.2.3.4, 198.51.100.7")
    assert [one.address for one in endpoint.stored] == ["198.51.100.7"]


async def test_neither_the_token_nor_credentials_are_kept_with_the_headers(endpoint: Endpoint) -> None:
    referer = f"https://golub.example.ru{PATH}"
    await endpoint.post(referer=referer, cookie="session=s3cret", authorization="Bearer s3cret")
    (one,) = endpoint.stored
    assert TOKEN.encode() not in one.headers
    assert b"s3cret" not in one.headers
    assert ["referer", f"https://golub.example.ru{BARE}/***"] in json.loads(one.headers)


def test_the_headers_kept_are_bounded() -> None:
    many = [(b"x-%d" % number, b"y" * 300) for number in range(10_000)]
    kept = json.loads(kept_headers(many, ""))
    assert 10 < len(kept) <= ingest_module.HEADERS_KEPT
    assert kept[0] == ["x-0", "y" * 300]
    long = json.loads(kept_headers([(b"x", b"\xff" * 100_000), (b"z", b"1")], ""))
    assert [len(value) for _, value in long] == [ingest_module.HEADER_VALUE, 1]
    assert long[0][1][0] == "ÿ"


async def test_it_writes_no_log_line(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="golub")
    caplog.set_level("DEBUG", logger="uvicorn")
    await endpoint.post()
    await endpoint.post(f"{BARE}/{STRANGER}")
    await endpoint.raw(b"nonsense\r\n\r\n")
    assert [record for record in caplog.records if record.name.startswith(("golub", "uvicorn"))] == []
