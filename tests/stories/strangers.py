"""Strangers of every kind, below HTTP: who floods, who is slow, who sends too much. Many of them are a process of their
own, so that whoever judges the answers to others has time to read them:

    python -m tests.stories.strangers flood PORT SECONDS BODY
    python -m tests.stories.strangers dawdle PORT NUMBER

BODY is a delivery in which FORGED stands for what is another each time. They print what they got, as JSON.
"""

import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import count

BARE = "/webhook/avito"
FLOODING = 32  # connections
PIPELINED = 8  # requests that wait for their answers on each


def post(path: str, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and head; 0 where the server hung up without one."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
        await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b""
    return int(head.split(b" ", 2)[1]), head


async def say(port: int, request: bytes | AsyncGenerator[bytes]) -> int:
    """Sends it all, or as much as is taken; the status that comes back, 0 for none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        with suppress(ConnectionError):
            async for part in _parts(request):
                writer.write(part)
                await writer.drain()

    sending = asyncio.create_task(send())
    try:
        status, _ = await answer(reader)
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        writer.close()
    return status


async def _parts(request: bytes | AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    if isinstance(request, bytes):
        yield request
    else:
        async for part in request:
            yield part


async def dawdle(port: int, opening: bytes, drip: bytes, pause: float = 1.0) -> float:
    """Sends `drip` again and again until the server has had enough. Returns after how many seconds."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(opening)
    ended = asyncio.create_task(_end(reader))
    while not ended.done():
        await asyncio.wait([ended], timeout=pause)
        with suppress(ConnectionError):
            writer.write(drip)
            await writer.drain()
    writer.close()
    return time.monotonic() - began


async def dawdlers(port: int, each: int) -> dict[str, float]:
    """Three times `each` at once, slow in every way there is. By kind: after how many seconds the last was cut."""
    head = f"POST {BARE} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    page = head.replace(BARE.encode(), b"/sign-in")
    kinds = {
        "idle": (b"", b"", each),
        "headers": (head, b"x", each),
        "body": (head + b"Content-Length: 1000\r\n\r\n", b"x", each // 2),
        "page_body": (page + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n",
                      b"x", each // 4),
        "chunks": (page + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", each // 4),
    }  # fmt: skip
    slow = {
        kind: asyncio.gather(*(dawdle(port, opening, drip) for _ in range(number)))
        for kind, (opening, drip, number) in kinds.items()
    }
    return {kind: max(await times) for kind, times in slow.items()}


async def _end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(4096):
            pass


async def flood(port: int, seconds: float, body: str) -> dict[str, float]:
    """Half on the bare path, half with tokens that nobody has."""
    until = time.monotonic() + seconds
    told: Counter[str] = Counter()
    number = count()

    async def rush() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            kinds = [next(number) % 2 for _ in range(PIPELINED)]
            for kind in kinds:
                path = f"{BARE}/{secrets.token_urlsafe(32)}" if kind else BARE
                writer.write(post(path, body.replace("FORGED", secrets.token_hex(11)).encode()))
            await writer.drain()
            for kind in kinds:
                status, head = await answer(reader)
                told[f"{'token' if kind else 'bare'}_{status}"] += 1
                if status in (429, 503) and b"\r\nretry-after: " not in head:
                    told["without_retry_after"] += 1
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(rush() for _ in range(FLOODING)))
    sent = sum(told.values()) - told["without_retry_after"]
    return {"per_second": round(sent / (time.monotonic() - began)), **told}


if __name__ == "__main__":
    what, port, number, *body = sys.argv[1:]
    doing = flood(int(port), float(number), *body) if what == "flood" else dawdlers(int(port), int(number))
    print(json.dumps(asyncio.run(doing)))
