"""Attached pictures, from the moment of attaching until they are sent or given up.

One process keeps them on disk, in `outgoing/` of its folder. Where several work on one PostgreSQL, whoever sends is not
whoever took the picture, and they may stand on different machines: there the database keeps them (`SharedPictures`),
for the minute or so that it takes, because it is the one place that all of them reach, and it is backed up.

A picture's name is random and says all that is known about it. The outbox reads them, the composer shows them.
"""

import asyncio
import os
import re
import secrets
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.orm import InstrumentedAttribute

from golub.clock import DAY, Clock
from golub.errors import NotFound, Unavailable
from golub.model import AttachedPicture
from golub.redraw import redraw
from golub.room import has_room
from golub.store import Store

QUOTA = 512 << 20  # bytes: some 500 photos that wait
KEPT_FOR = 2 * DAY  # an attached picture that nobody sent
AT_ONCE = 2

_NAME = re.compile(r"[0-9a-f]{32}\.(?:jpg|png)")


class Pictures:
    """`folder` is made when the first picture comes."""

    def __init__(self, folder: Path, clock: Clock, *, quota: int = QUOTA) -> None:
        self._folder = folder
        self._clock = clock
        self._quota = quota
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def add(self, raw: bytes) -> str:
        """Draws it anew and keeps it; returns its name. Raises `Invalid`, and `Unavailable` where the disk is full."""
        await self._check_room()
        async with self._turns:
            drawn = await redraw(raw)
        return await self._kept(drawn.extension, drawn.picture, drawn.small)

    async def take(self, extension: str, picture: bytes, small: bytes) -> str:
        """Keeps one that was drawn before; returns its name. Raises `Unavailable` where there is no room."""
        await self._check_room()
        return await self._kept(extension, picture, small)

    async def read(self, name: str) -> bytes:
        """The picture as it goes to Avito. Raises `NotFound`."""
        return await asyncio.to_thread(_read, self._path(name))

    async def small(self, name: str) -> bytes:
        """A WebP for the page. Raises `NotFound`."""
        return await asyncio.to_thread(_read, self._path(name).with_suffix(".webp"))

    def has(self, name: str) -> bool:
        """Whether there is something to show, as far as that can be said at once."""
        return _NAME.fullmatch(name) is not None and self._path(name).exists()

    async def exists(self, name: str) -> bool:
        return await asyncio.to_thread(self.has, name)

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self._drop, self._path(name))

    async def tidy(self, wanted: Collection[str]) -> None:
        """Deletes what was attached long ago and is not among the `wanted`."""
        await asyncio.to_thread(self._tidy, set(wanted))

    async def _kept(self, extension: str, picture: bytes, small: bytes) -> str:
        name = f"{secrets.token_hex(16)}.{extension}"
        await self._keep(name, picture, small)
        return name

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise NotFound("There is no such file.")
        return self._folder / name

    async def _check_room(self) -> None:
        await asyncio.to_thread(self._check_disk)

    async def _keep(self, name: str, picture: bytes, small: bytes) -> None:
        await asyncio.to_thread(self._write, name, picture, small)

    def _check_disk(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = sum(entry.stat().st_size for entry in self._folder.iterdir())
        if kept > self._quota or not has_room(self._folder):
            raise Unavailable("There is no room left for photos on the server's disk.")

    def _write(self, name: str, picture: bytes, small: bytes) -> None:
        path = self._path(name)
        for target, content in ((path.with_suffix(".webp"), small), (path, picture)):
            draft = target.with_suffix(f"{target.suffix}.new")
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)

    def _drop(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.with_suffix(".webp").unlink(missing_ok=True)

    def _tidy(self, wanted: set[str]) -> None:
        if not self._folder.exists():
            return
        stems = {name.partition(".")[0] for name in wanted}
        oldest = (self._clock() - KEPT_FOR) / 1000
        for path in self._folder.iterdir():
            if path.name.partition(".")[0] not in stems and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


class SharedPictures(Pictures):
    """The same in the database."""

    def __init__(self, store: Store, folder: Path, clock: Clock, *, quota: int = QUOTA) -> None:
        super().__init__(folder, clock, quota=quota)
        self._store = store

    async def read(self, name: str) -> bytes:
        return await self._find(AttachedPicture.picture, name)

    async def small(self, name: str) -> bytes:
        return await self._find(AttachedPicture.small, name)

    def has(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    async def exists(self, name: str) -> bool:
        async with self._store.read() as session:
            found = await session.scalar(select(AttachedPicture.name).where(AttachedPicture.name == name))
        return found is not None

    async def drop(self, name: str) -> None:
        async with self._store.write() as session:
            await session.execute(delete(AttachedPicture).where(AttachedPicture.name == name))

    async def tidy(self, wanted: Collection[str]) -> None:
        old = AttachedPicture.created_at < self._clock() - KEPT_FOR
        async with self._store.write() as session:
            await session.execute(delete(AttachedPicture).where(old, AttachedPicture.name.not_in(wanted)))

    async def _check_room(self) -> None:
        size = func.coalesce(func.sum(func.length(AttachedPicture.picture)), 0)
        async with self._store.read() as session:
            if (await session.scalar(select(size)) or 0) > self._quota:
                raise Unavailable("There is no room left for photos on the server's disk.")

    async def _keep(self, name: str, picture: bytes, small: bytes) -> None:
        row = AttachedPicture(name=name, picture=picture, small=small, created_at=self._clock())
        async with self._store.write() as session:
            session.add(row)

    async def _find(self, column: InstrumentedAttribute[bytes], name: str) -> bytes:
        async with self._store.read() as session:
            found = await session.scalar(select(column).where(AttachedPicture.name == name))
        if found is None:
            raise _gone()
        return found


def open_pictures(store: Store, folder: Path, clock: Clock) -> Pictures:
    return Pictures(folder, clock) if store.is_sqlite else SharedPictures(store, folder, clock)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _gone() from None


def _gone() -> NotFound:
    return NotFound("The photo is not on this server any more. Attach it again.")
