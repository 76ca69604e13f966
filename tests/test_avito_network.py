"""The client on real sockets: what never left may be sent again, what broke half-way may not."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from golub.errors import Ambiguous, Unavailable
from golub.settings import Settings
from golub.simulator import Simulator
from golub.store import Store
from tests import shop
from tests.conftest import SteppedClock
from tests.doctor.proxy import serving, sign

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

NAME = "localhost"
TOKEN = json.dumps({"access_token": "t", "expires_in": 86400}).encode()


@asynccontextmanager
async def listening(answer: Answer) -> AsyncGenerator[tuple[Settings, list[bytes]]]:
    """A server that hands out tokens, and treats everything else as `answer` does."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                if head.startswith(b"POST /token"):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(TOKEN), TOKEN))
                else:
                    asked.append(head)
                    await answer(writer)
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield Settings.model_validate({"avito_url": f"http://127.0.0.1:{port}"}), asked


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)  # a slow peer, on purpose


async def flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def elsewhere(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


@pytest.mark.row(56)
@pytest.mark.parametrize("answer", [reset, half, drip, flood, elsewhere])
@pytest.mark.promise("P16")
async def test_what_breaks_after_it_left_is_ambiguous_for_a_send_and_unavailable_for_a_read(
    store: Store, clock: SteppedClock, answer: Answer
) -> None:
    account_id = await shop.connect(store, Simulator().add_account(shop.USER_ID, "Кедр"), clock)
    async with (
        listening(answer) as (settings, asked),
        shop.avito(store, clock, None, settings=settings, call_seconds=1.0) as avito,
    ):
        with pytest.raises(Ambiguous):
            await avito.send_text(account_id, "u2i-a", "привет")
        assert len(asked) == 1
        with pytest.raises(Unavailable):
            await avito.chats(account_id)


async def test_a_port_that_refuses_means_that_nothing_left(store: Store, clock: SteppedClock) -> None:
    account_id = await shop.connect(store, Simulator().add_account(shop.USER_ID, "Кедр"), clock)
    async with listening(reset) as (settings, _):
        pass
    async with shop.avito(store, clock, None, settings=settings) as avito:
        with pytest.raises(Unavailable):
            await avito.send_text(account_id, "u2i-a", "привет")


@pytest.mark.promise("P16")
async def test_a_certificate_that_is_not_avito_s_gets_no_key_and_no_message(
    store: Store, clock: SteppedClock, tmp_path: Path
) -> None:
    """A self-made one, for the right name: somebody is in between, or Avito's own has run out."""
    told: list[bytes] = []

    async def eavesdrop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read(1))
        writer.close()

    account_id = await shop.connect(store, Simulator().add_account(shop.USER_ID, "Кедр"), clock)
    server = await asyncio.start_server(eavesdrop, "127.0.0.1", 0, ssl=serving(tmp_path, sign("x", None, host=NAME)))
    settings = Settings.model_validate({"avito_url": f"https://{NAME}:{server.sockets[0].getsockname()[1]}"})
    async with server, shop.avito(store, clock, None, settings=settings) as avito:
        with pytest.raises(Unavailable) as refused:
            await avito.chats(account_id)
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)
        with pytest.raises(Unavailable):  # and not Ambiguous: nothing left
            await avito.send_text(account_id, "u2i-a", "привет")
    assert told == []
