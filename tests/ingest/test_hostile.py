"""The answer that each bad request gets. The numbers in the table are the rows of the threat model that it covers."""

import asyncio

import pytest

from golub import server as server_module
from golub.ingest import BODY_LIMIT
from golub.web import webhook as webhook_module
from tests.ingest.endpoint import BARE, HEAD, OK, PATH, Endpoint, answer

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


@pytest.mark.row(16, 21, 22, 24, 25, 27, 28, 29)
@pytest.mark.promise("P23")
@pytest.mark.parametrize(("request_", "status"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
async def test_hostile(lasting: Endpoint, request_: bytes, status: bytes) -> None:
    before = lasting.spool.pending
    got = await lasting.raw(request_)
    assert got.startswith(b"HTTP/1.1 " + status), got[:200]
    assert lasting.spool.pending - before == (status == b"200")
    if status != b"200":
        assert b"nosniff" in got
    assert answer(await lasting.post()) == OK


@pytest.mark.row(28)
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


@pytest.mark.row(30)
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
