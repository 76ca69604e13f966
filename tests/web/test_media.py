"""Pictures and voices by way of us: what is fetched, what is refused before and after, and who gets it."""

import asyncio
import io
import shutil
import struct
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import update

from golub.clock import DAY
from golub.errors import GolubError, NotFound, Rejected, Unavailable
from golub.model import Chat, Message, Role
from golub.settings import Settings
from golub.simulator import Simulator
from golub.web.media import Media, Size, recode
from golub.web.parts import Parts
from golub.web.pictures import Addresses
from golub.web.routes import build
from tests.conftest import SteppedClock
from tests.talk import Talk, add_account, parts_for
from tests.web.conftest import Visit

pytestmark = pytest.mark.anyio

PHOTO = "https://img.k.avito.ru/chat/640x480/1.jpg"


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind)
    return out.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that would be gigabytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


class Network(httpx2.AsyncBaseTransport):
    """The world outside: gives `answer` and remembers what it was asked."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.answer = answer
        self.asked: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self.answer(request)


class Endless(httpx2.AsyncByteStream):
    def __init__(self, piece: bytes, pause: bool) -> None:
        self._piece = piece
        self._pause = pause

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield self._piece
            await (asyncio.Event().wait() if self._pause else asyncio.sleep(0))


class Disk(NamedTuple):
    total: int
    free: int


Opened = Callable[..., Media]


@pytest.fixture
async def opened(tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Opened]:
    made: list[Media] = []

    def make(
        network: httpx2.AsyncBaseTransport | bytes, *, addresses: tuple[str, ...] = ("93.158.134.3",), **more: object
    ) -> Media:
        if isinstance(network, bytes):
            raw = network
            network = Network(lambda _: httpx2.Response(200, content=raw))

        async def resolve(host: str, port: int) -> list[str]:
            return list(addresses)

        settings = Settings.model_validate({"data_dir": tmp_path, "avito_url": "http://sim.test:8090"})
        media = Media(settings, clock, network, resolve, **more)  # pyright: ignore[reportArgumentType]
        made.append(media)
        return media

    yield make
    for media in made:
        await media.close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_a_picture_is_drawn_anew(opened: Opened, kind: str) -> None:
    drawn = await opened(picture(kind, (2000, 1000))).picture(PHOTO, Size.MEDIUM)
    with Image.open(io.BytesIO(drawn)) as image:
        assert (image.format, image.size) == ("WEBP", (640, 320))


async def test_the_connection_goes_to_the_address_that_was_looked_at(opened: Opened) -> None:
    network = Network(lambda _: httpx2.Response(200, content=picture()))
    await opened(network).picture("http://IMG.avito.st:80/a.jpg?x=1#y", Size.SMALL)
    (asked,) = network.asked
    assert str(asked.url) == "https://93.158.134.3/a.jpg?x=1"
    assert asked.headers["host"] == "img.avito.st"
    assert asked.extensions["sni_hostname"] == "img.avito.st"


async def test_one_who_asks_twice_or_together_fetches_once(opened: Opened) -> None:
    network = Network(lambda _: httpx2.Response(200, content=picture()))
    media = opened(network)
    drawn = await asyncio.gather(*(media.picture(PHOTO, Size.SMALL) for _ in range(20)))
    assert len({*drawn, await media.picture(PHOTO, Size.SMALL)}) == 1
    assert len(network.asked) == 1


@pytest.mark.row(6, 7)
@pytest.mark.parametrize(
    "url",
    [
        "", "not an address", "https://evil.example/a.jpg", "https://avito.ru.evil.example/a.jpg",
        "https://evilavito.ru/a.jpg", "https://user@avito.ru/a.jpg", "https://avito.ru:8443/a.jpg", "ftp://avito.ru/a.jpg",
        "file:///etc/passwd", "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1\\@avito.ru/", "https://avito.ru\\.evil.example/", "https://avito.ru%2eevil.example/",
        "https://avito.ru /a", "https://avito.ru\n.evil.example/", "http://sim.test/a.jpg", "https://sim.test:8090/a.jpg",
        "http://sim.test:8091/a.jpg", "javascript:alert(1)", "data:image/png;base64,AAAA",
    ],
)  # fmt: skip
async def test_other_hosts_are_never_asked(opened: Opened, url: str) -> None:
    network = Network(lambda _: httpx2.Response(200, content=picture()))
    media = opened(network)
    assert not media.allows(url)
    with pytest.raises(Rejected):
        await media.picture(url, Size.SMALL)
    assert network.asked == []


@pytest.mark.row(7, 12)
@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",), ("10.0.0.1",), ("169.254.169.254",), ("100.64.0.1",), ("0.0.0.0",), ("224.0.0.1",), ("::1",),
        ("::ffff:169.254.169.254",), ("64:ff9b::a9fe:a9fe",), ("2002:7f00:1::",), ("fe80::1",),
        ("93.158.134.3", "127.0.0.1"), (),
    ],
)  # fmt: skip
async def test_a_name_that_leads_inside_is_not_followed(opened: Opened, addresses: tuple[str, ...]) -> None:
    network = Network(lambda _: httpx2.Response(200, content=picture()))
    with pytest.raises(GolubError):
        await opened(network, addresses=addresses).picture(PHOTO, Size.SMALL)
    assert network.asked == []


async def test_the_configured_simulator_is_asked_where_it_is(opened: Opened) -> None:
    network = Network(lambda _: httpx2.Response(200, content=picture()))
    await opened(network, addresses=("127.0.0.1",)).picture("http://sim.test:8090/img/a.jpg", Size.SMALL)
    assert str(network.asked[0].url) == "http://sim.test:8090/img/a.jpg"


@pytest.mark.row(8, 9)
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"<html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"%PDF-1.7", picture("BMP"), picture("TIFF"), picture()[:60], png_that_claims(30_000, 30_000),
        png_that_claims(1, 1_000_000_000), png_that_claims(100, 100), b"GIF89a" + b"\xff" * 100,
    ],
    ids=range(11),
)  # fmt: skip
async def test_what_is_no_picture_is_not_passed_on(opened: Opened, raw: bytes) -> None:
    with pytest.raises(Rejected):
        await opened(raw).picture(PHOTO, Size.SMALL)


@pytest.mark.row(8)
def test_a_picture_with_a_page_behind_it_loses_the_page() -> None:
    assert b"<script>" not in recode(picture() + b"<script>alert(1)</script>", Size.SMALL)


@pytest.mark.row(9)
async def test_an_endless_answer_ends_at_the_limit(opened: Opened) -> None:
    network = Network(lambda _: httpx2.Response(200, stream=Endless(b"x" * 100_000, pause=False)))
    with pytest.raises(Rejected):
        await opened(network).picture(PHOTO, Size.SMALL)


@pytest.mark.row(9)
async def test_a_dripping_answer_ends_in_time(opened: Opened) -> None:
    network = Network(lambda _: httpx2.Response(200, stream=Endless(b"x", pause=True)))
    with pytest.raises(Unavailable):
        await opened(network, fetch_seconds=0.05).picture(PHOTO, Size.SMALL)


@pytest.mark.row(12)
@pytest.mark.parametrize(
    ("status", "headers"),
    [(302, {"location": "http://127.0.0.1/"}), (404, {}), (500, {}), (200, {"content-encoding": "gzip"})],
)
async def test_redirects_errors_and_packed_answers_are_not_taken(
    opened: Opened, status: int, headers: dict[str, str]
) -> None:
    network = Network(lambda _: httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(picture())))
    media = opened(network)
    with pytest.raises(GolubError):
        await media.picture(PHOTO, Size.SMALL)
    with pytest.raises(NotFound):
        await media.picture(PHOTO, Size.SMALL)
    assert len(network.asked) == 1  # nor asked for again at once


async def test_the_oldest_make_room(opened: Opened, tmp_path: Path) -> None:
    media = opened(picture("PNG", (600, 600)), cache_limit=4000)
    for number in range(40):
        await media.picture(f"{PHOTO}?{number}", Size.LARGE)
    assert sum(file.stat().st_size for file in (tmp_path / "media").glob("*/*")) <= 4000


@pytest.mark.promise("P8")
async def test_on_a_disk_that_is_nearly_full_pictures_are_shown_and_not_kept(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = opened(picture())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(total=100, free=9))
    assert await media.picture(PHOTO, Size.SMALL)
    assert list((tmp_path / "media").glob("*/*")) == []
    monkeypatch.undo()
    await media.picture(f"{PHOTO}?2", Size.SMALL)
    assert len(list((tmp_path / "media").glob("*/*"))) == 1


# Over HTTP, with the simulator's photos and voices.


@pytest.fixture
async def sim(clock: SteppedClock) -> AsyncGenerator[Simulator]:
    async with Simulator(clock=lambda: clock() / 1000, base_url="http://avito.test") as sim:
        sim.add_account(94_235_311, client_id="client-94235311", client_secret="secret-94235311")
        yield sim


@pytest.fixture
async def parts(sqlite_url: str, tmp_path: Path, clock: SteppedClock, sim: Simulator) -> AsyncGenerator[Parts]:
    async with parts_for(sqlite_url, tmp_path, clock, sim) as parts:
        yield parts


@pytest.fixture
def site(parts: Parts) -> FastAPI:
    return build(parts)


@pytest.fixture
async def talk(parts: Parts) -> Talk:
    return await add_account(parts)


async def last_message(parts: Parts) -> Message:
    async with parts.store.read() as session:
        return await session.get_one(Message, 1)


@pytest.mark.row(8)
async def test_a_photo_reaches_the_browser_as_a_file_that_can_do_nothing(
    parts: Parts, talk: Talk, visit: Visit
) -> None:
    sizes = {"640x480": "http://avito.test/img/640x480/photo.1.jpg"}
    await talk.says("chat", kind="image", content={"image": {"sizes": sizes}})
    url = Addresses(parts).message(await last_message(parts))
    browser = await visit(Role.MANAGER)
    answer = await browser.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")
    assert (await (await visit(None)).get(url, headers={"Sec-Fetch-Dest": "image"})).status_code == 401


@pytest.mark.row(7)
async def test_a_url_serves_what_it_was_signed_for_and_nothing_else(parts: Parts, talk: Talk, visit: Visit) -> None:
    await talk.says("one", "x")
    await talk.says("two", "x")
    async with parts.store.write() as session:
        await session.execute(update(Chat).values(item_image_url="http://avito.test/img/140x105/box.jpg"))
    async with parts.store.read() as session:
        chat = await session.get_one(Chat, talk.chats["one"])
    url = Addresses(parts).item(chat)
    other = talk.chats["two"]
    browser = await visit(Role.MANAGER)
    today = parts.clock() // DAY
    assert (await browser.get(url)).status_code == 200
    for forged in (
        url.replace(f"/{chat.id}/", f"/{other}/"),
        url.replace("/item/", "/buyer/"),
        url.replace("/128", "/640"),
        url.replace("/128", "/129"),
        url.replace(f"/{today}-", f"/{today - 1}-"),
        url.replace(f"/{today}-", f"/{today + 1}-"),
        url.replace(f"/{today}-", "/"),
        url.replace(f"/{today}-", f"/0{today}-"),
        f"/media/{'0' * 32}/item/{chat.id}/128",
        f"/media/{today}-{'0' * 32}/item/{chat.id}/128",
        f"/media/%D1%8F/item/{chat.id}/128",
    ):
        assert (await browser.get(forged)).status_code == 404, forged
    async with parts.store.write() as session:
        await session.execute(update(Chat).values(item_image_url="http://avito.test/img/140x105/new.jpg"))
    assert (await browser.get(url)).status_code == 404


@pytest.mark.row(7)
async def test_a_url_holds_while_a_page_is_in_use_and_not_for_ever(
    parts: Parts, talk: Talk, visit: Visit, clock: SteppedClock
) -> None:
    await talk.says(
        "chat", kind="image", content={"image": {"sizes": {"640x480": "http://avito.test/img/640x480/photo.1.jpg"}}}
    )
    message = await last_message(parts)
    clock.step(DAY - clock() % DAY - 1)  # the last moment of a day: what is given out now lives shortest
    url = Addresses(parts).message(message)
    browser = await visit(Role.MANAGER)
    answer = await browser.get(url)
    assert answer.headers["cache-control"] == "private, max-age=172800, immutable"
    clock.step(2 * DAY)
    assert (await browser.get(url)).status_code == 200
    fresh = Addresses(parts).message(message)
    clock.step(1)
    assert (await browser.get(url)).status_code == 404
    assert (await browser.get(fresh)).status_code == 200, "the page, fetched anew, shows it"
    clock.step(DAY // 2)
    assert Addresses(parts).message(message) == Addresses(parts).message(message) != fresh
    ahead = Addresses(parts).message(message)
    clock.step(-DAY)
    assert (await browser.get(ahead)).status_code == 200, "another node's clock may be ahead"


@pytest.mark.row(6)
async def test_a_photo_elsewhere_is_not_even_offered(parts: Parts, talk: Talk) -> None:
    await talk.says("chat", kind="image", content={"image": {"sizes": {"640x480": "https://evil.example/track.gif"}}})
    assert Addresses(parts).message(await last_message(parts)) == ""


async def test_a_voice_is_played_from_here(parts: Parts, talk: Talk, visit: Visit, sim: Simulator) -> None:
    spoken = sim.buyer_says(sim.add_chat(sim.world.accounts[94_235_311]), type="voice")
    await talk.says("chat", kind="voice", content=spoken.content)
    url = Addresses(parts).voice(await last_message(parts))
    browser = await visit(Role.MANAGER)
    for _ in range(2):
        answer = await browser.get(url, headers={"Range": "bytes=0-99"})
        assert answer.status_code == 206
        assert answer.headers["content-type"] == "audio/wav"
        assert len(answer.content) == 100


async def test_a_voice_that_avito_does_not_have_is_not_there(parts: Parts, talk: Talk, visit: Visit) -> None:
    await talk.says("chat", kind="voice", content={"voice": {"voice_id": "nobody-s"}})
    url = Addresses(parts).voice(await last_message(parts))
    assert (await (await visit(Role.MANAGER)).get(url)).status_code == 404
