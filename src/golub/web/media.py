"""Pictures and voices of Avito, fetched by us, so that no browser ever asks a foreign host.

Nothing is fetched from anywhere but Avito's own hosts (and the simulator, where one is configured), over addresses
that are public and pinned, without redirects, within limits of bytes and time. A picture is decoded and encoded
anew: what leaves here is WebP of our own making, whatever came. Kept on disk up to `CACHE_LIMIT`, oldest first out.
"""

import asyncio
import hashlib
import io
import os
import struct
import zlib
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path
from socket import SOCK_STREAM
from typing import cast

import httpx2
from anyio import CapacityLimiter, to_thread
from PIL import Image, ImageOps

from golub.clock import MINUTE, Clock
from golub.errors import GolubError, NotFound, Rejected, Unavailable
from golub.guarded import is_public
from golub.room import has_room
from golub.sample import PHOTOS
from golub.settings import AVITO_URL, Settings

Resolve = Callable[[str, int], Awaitable[list[str]]]

HOSTS = ("avito.ru", "avito.st")  # and whatever ends in them: img.k.avito.ru, 00.img.avito.st
PICTURE_LIMIT = 10 << 20  # bytes
PIXEL_LIMIT = 40_000_000
VOICE_LIMIT = 10 << 20  # bytes
FETCH_SECONDS = 10.0
CACHE_LIMIT = 512 << 20  # bytes
FETCHES_AT_ONCE = 8
REFUSED_FOR = MINUTE  # how long a picture that could not be had is not asked for again

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


class Size(IntEnum):
    """The longer side of a picture, in pixels."""

    SMALL = 128  # rows of the list, avatars
    MEDIUM = 640  # in the thread
    LARGE = 1280


class Media:
    """`transport` is the network, or a simulator's; tests give `resolve` in the place of DNS."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None = None,
        resolve: Resolve | None = None,
        *,
        cache_limit: int = CACHE_LIMIT,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._simulator = _origin(httpx2.URL(settings.avito_url)) if settings.avito_url != AVITO_URL else None
        self._transport = transport or httpx2.AsyncHTTPTransport(
            trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)  # a connection serves one checked name
        )  # fmt: skip
        self._resolve = resolve or _resolve
        self._clock = clock
        self._folder = settings.data_dir / "media"
        self._cache_limit = cache_limit
        self._fetch_seconds = fetch_seconds
        self._kept: int | None = None  # bytes in the folder, once counted
        self._getting: dict[str, asyncio.Task[bytes]] = {}
        self._refused: dict[str, int] = {}
        self._turns = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._decoding = CapacityLimiter(1)  # 40 megapixels are 160 MB: one at a time
        self._disk = CapacityLimiter(4)

    async def close(self) -> None:
        for task in list(self._getting.values()):
            task.cancel()
        await asyncio.gather(*self._getting.values(), return_exceptions=True)
        await self._transport.aclose()

    def allows(self, url: str) -> bool:
        """Whether a picture may be asked for at all; no connection is made."""
        return url in PHOTOS or self._target(url) is not None

    async def picture(self, url: str, size: Size) -> bytes:
        """WebP, no longer than `size` on any side. Raises `Rejected` for what is no picture, `Unavailable`."""

        if url in PHOTOS:  # the sample shop's, which need no place in the cache
            drawn = await to_thread.run_sync(PHOTOS[url].read_bytes, limiter=self._disk)
            return await to_thread.run_sync(recode, drawn, size, limiter=self._decoding)

        async def make() -> bytes:
            raw = await self._fetch(url, PICTURE_LIMIT)
            return await to_thread.run_sync(recode, raw, size, limiter=self._decoding)

        return await self._once(_picture_name(url, size), make)

    async def voice(self, name: str, find_url: Callable[[], Awaitable[str]]) -> tuple[Path, str]:
        """A file with its media type. `name` is the voice's own; `find_url` asks for a link, which lives an hour."""

        async def make() -> bytes:
            raw = await self._fetch(await find_url(), VOICE_LIMIT)
            voice_type(raw)
            return raw

        key = voice_name(name)
        raw = await self._once(key, make)
        path = self._path(key)
        if not await to_thread.run_sync(path.exists, limiter=self._disk):
            raise Unavailable("There is no room left for voice messages. Listen to it on Avito.")
        return path, voice_type(raw)

    async def forget(self, names: Sequence[str]) -> None:
        """Removes kept files, those that there are."""
        paths = [self._path(name) for name in names]
        await to_thread.run_sync(_remove, paths, limiter=self._disk)

    async def _once(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """From the cache, else made; by one of all who ask at the same time, who also looks for it in the cache.

        Looking first and joining then would leave a gap: who has found nothing could join after all was done.
        """
        task = self._getting.get(key)
        if task is None:
            task = self._getting[key] = asyncio.create_task(self._get(key, make))
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)

    async def _get(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        if (kept := await to_thread.run_sync(_read, self._path(key), limiter=self._disk)) is not None:
            return kept
        if self._refused.get(key, 0) > self._clock():
            raise NotFound("This file cannot be had at present.")
        async with self._turns:
            made = await make()
        await to_thread.run_sync(self._keep, key, made, limiter=self._disk)
        return made

    def _done(self, key: str, task: asyncio.Task[bytes]) -> None:
        del self._getting[key]
        if not task.cancelled() and task.exception() is not None:
            now = self._clock()
            self._refused = {old: until for old, until in self._refused.items() if until > now}
            self._refused.setdefault(key, now + REFUSED_FOR)  # asking again does not make it longer

    async def _fetch(self, url: str, limit: int) -> bytes:
        target = self._target(url)
        if target is None:
            raise Rejected("This file is not on Avito's servers.", code="foreign_host")
        try:
            async with asyncio.timeout(self._fetch_seconds):
                return await self._download(target, limit)
        except (TimeoutError, httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise Unavailable("Avito does not give this file out.") from error

    async def _download(self, target: httpx2.URL, limit: int) -> bytes:
        host = target.raw_host.decode("ascii")
        pinned = target
        if _origin(target) != self._simulator:
            addresses = [ip_address(found) for found in await self._resolve(host, 443)]
            if not addresses or not all(is_public(address) for address in addresses):
                raise Rejected("This file is not on Avito's servers.", code="closed_network")
            pinned = target.copy_with(host=str(addresses[0]))
        request = httpx2.Request(
            "GET",
            pinned,
            headers={
                "host": target.netloc.decode("ascii"),
                "user-agent": "Golub",
                "accept": "*/*",
                "accept-encoding": "identity",
            },
            extensions={"sni_hostname": host, "timeout": httpx2.Timeout(self._fetch_seconds).as_dict()},
        )
        response = await self._transport.handle_async_request(request)
        try:
            if response.status_code != 200:  # a redirect leads where nobody has checked
                raise Unavailable("Avito does not give this file out.")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Rejected("This file is packed, and may be anything.", code="encoded")
            raw = bytearray()
            async for chunk in cast(httpx2.AsyncByteStream, response.stream):
                raw += chunk
                if len(raw) > limit:
                    raise Rejected("This file is too large.", code="too_large")
        finally:
            await response.aclose()
        return bytes(raw)

    def _target(self, url: str) -> httpx2.URL | None:
        """The URL in the form that is asked for, https on the usual port; None for any other host."""
        if not url or "\\" in url or any(ord(char) <= 32 or 127 <= ord(char) < 160 for char in url):
            return None
        if url.startswith("//"):
            url = f"https:{url}"
        try:
            parsed = httpx2.URL(url)
            host = parsed.raw_host.decode("ascii").lower()
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            return None
        if parsed.userinfo or parsed.scheme not in ("http", "https"):
            return None
        if _origin(parsed) == self._simulator:
            return parsed
        if parsed.port not in (None, 80, 443) or not any(host == one or host.endswith(f".{one}") for one in HOSTS):
            return None
        return parsed.copy_with(scheme="https", port=None, fragment=None)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _keep(self, key: str, made: bytes) -> None:
        """Writes the file, unless the disk is nearly full."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not has_room(self._folder):
            return
        draft = path.with_suffix(f".{os.getpid()}.new")
        draft.write_bytes(made)
        draft.replace(path)
        if self._kept is None:
            self._kept = sum(file.stat().st_size for file in self._folder.glob("*/*"))
        else:
            self._kept += len(made)
        if self._kept > self._cache_limit:
            self._kept = _make_room(self._folder, self._cache_limit * 3 // 4)


def picture_names(url: str) -> list[str]:
    """The files in which a picture may be kept."""
    return [_picture_name(url, size) for size in Size] if url else []


def voice_name(name: str) -> str:
    """The file in which a voice is kept."""
    return f"{_name(name)}.voice"


def recode(raw: bytes, size: int) -> bytes:
    """A new WebP of the picture's first frame, upright, without its metadata. Raises `Rejected`."""
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
            if image.width * image.height > PIXEL_LIMIT:
                raise Rejected("This picture is too large.", code="too_large")
            image.draft("RGB", (size, size))
            turned = ImageOps.exif_transpose(image)
            drawn = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
            drawn.thumbnail((size, size))
            out = io.BytesIO()
            drawn.save(out, "WEBP", quality=82, method=3)
    except _BROKEN as error:
        raise Rejected("This is no picture.", code="no_picture") from error
    return out.getvalue()


def voice_type(raw: bytes) -> str:
    """The media type by what the file is, not by what anybody calls it."""
    if raw[4:8] == b"ftyp":
        return "audio/mp4"
    if raw[:4] == b"RIFF" and raw[8:12] == b"WAVE":
        return "audio/wav"
    if raw[:4] == b"OggS":
        return "audio/ogg"
    raise Rejected("This is no voice message.", code="no_voice")


def is_refusal(error: GolubError) -> bool:
    """Whether the file will never be shown, as against not now."""
    return isinstance(error, Rejected) and not isinstance(error, NotFound)


def _make_room(folder: Path, limit: int) -> int:
    """Deletes the oldest files until the rest fits; returns the bytes that stay."""
    files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry) for entry in folder.glob("*/*"))
    kept = sum(size for _, size, _ in files)
    for _, size, path in files:
        if kept <= limit:
            break
        path.unlink(missing_ok=True)
        kept -= size
    return kept


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _picture_name(url: str, size: int) -> str:
    return f"{_name(url)}-{size:d}.webp"


def _name(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _origin(url: httpx2.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host.lower(), url.port or (443 if url.scheme == "https" else 80)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
