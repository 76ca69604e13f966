"""Fetches voices and photos as soon as their message is here: Avito's link to a voice lives an hour.

What it fetches goes where the pages look for it, under the same budget of disk. Messages of the last day are fetched,
history is not: an imported shop has more of it than anybody will open. Nothing relies on it but the hurried reader.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import func, select

from golub.avito.client import Avito
from golub.avito.pace import Lane
from golub.clock import DAY, MINUTE, SECOND, Clock, Millis
from golub.errors import GolubError, NotFound, Rejected, Unavailable
from golub.model import ForgottenFile, Mark, Message
from golub.runner import Loop
from golub.store import Store
from golub.store.lists import padded
from golub.web.content import picture_source, sources_of, voice_id
from golub.web.media import Media, Size, picture_names, voice_name

MARK = "media_kept_to"
AT_ONCE = 100
FORGOTTEN_AT_ONCE = 1000  # files
LOOKED_BACK = 200  # messages looked at again after a start: what failed before it, and is cheap where it is kept
SETTLED = 15 * SECOND  # several processes apply: a smaller number may be committed after a greater one
TRIES = 5
LOOKS_EVERY = 2.0  # seconds

log = structlog.get_logger(__name__)


class Keeping:
    """One in each process that shows pages, for its own disk."""

    def __init__(self, store: Store, avito: Avito, media: Media, clock: Clock) -> None:
        self._store = store
        self._avito = avito
        self._media = media
        self._clock = clock
        self._loop = Loop("keeping", clock, longest_wait=LOOKS_EVERY)
        self._kept_to: int | None = None
        self._seen: dict[int, Millis] = {}  # messages past that which were looked at, and when they came
        self._forgotten_to = 0
        self._again: dict[int, tuple[Millis, int]] = {}  # by message: when, and how often it has failed

    async def run(self) -> None:
        await self._loop.run(self.run_once)

    async def run_once(self) -> Millis | None:
        """Fetches what is new, and what failed and is due again; returns when to look again, None: as usual."""
        now = self._clock()
        await self._forget()
        if self._kept_to is None:
            self._kept_to = await self._begin()
        due = [message for message, (at, _) in self._again.items() if at <= now]
        async with self._store.read() as session:
            fresh = list(
                await session.scalars(
                    select(Message)
                    .where(Message.id > self._kept_to, Message.id.not_in(self._seen))
                    .order_by(Message.id)
                    .limit(AT_ONCE)
                )
            )
            late = list(await session.scalars(select(Message).where(Message.id.in_(padded(due))))) if due else []
        for message in [*late, *fresh]:
            await self._fetch(message, now)
        self._seen |= {message.id: message.received_at for message in fresh}
        settled = max((key for key, at in self._seen.items() if at <= now - SETTLED), default=0)
        if settled > self._kept_to:
            self._kept_to = settled
            self._seen = {key: at for key, at in self._seen.items() if key > settled}
            await self._remember(settled)
        return now if len(fresh) == AT_ONCE else None

    async def _forget(self) -> None:
        """What was erased goes from this disk, too: whoever erased it may have another."""
        async with self._store.read() as session:
            gone = await session.execute(
                select(ForgottenFile.id, ForgottenFile.name)
                .where(ForgottenFile.id > self._forgotten_to)
                .order_by(ForgottenFile.id)
                .limit(FORGOTTEN_AT_ONCE)
            )
            names: dict[int, str] = {row.id: row.name for row in gone}
        if names:
            await self._media.forget(list(names.values()))
            self._forgotten_to = max(names)

    async def _fetch(self, message: Message, now: Millis) -> None:
        _, tries = self._again.pop(message.id, (0, 0))
        if message.created_at < now - DAY or message.deleted_at is not None:
            return
        try:
            if voice := voice_id(message):
                await keep_voice(self._avito, self._media, message.account_id, voice, Lane.PROMPT)
            elif message.type == "image":
                source = picture_source(message, Size.MEDIUM)
                if self._media.allows(source):
                    await self._media.picture(source, Size.MEDIUM)
        except (Unavailable, NotFound) as error:
            if tries < TRIES:
                self._again[message.id] = (
                    now + max(2 * MINUTE, int(getattr(error, "retry_after", 0) * SECOND)),
                    tries + 1,
                )
        except Rejected as error:  # no picture, no voice, no access: asking again changes nothing
            log.info("a file of a message was not kept", message=message.id, error=error.code)
        except GolubError as error:
            log.warning("a file of a message was not kept", message=message.id, error=str(error))

    async def _begin(self) -> int:
        async with self._store.read() as session:
            mark = await session.get(Mark, MARK)
            if mark is None:
                return max(0, (await session.scalar(select(func.max(Message.id))) or 0) - LOOKED_BACK)
            return max(0, int(mark.value) - LOOKED_BACK)

    async def _remember(self, message_id: int) -> None:
        async with self._store.write() as session:
            await session.execute(
                self._store.insert(Mark)
                .values(name=MARK, value=str(message_id))
                .on_conflict_do_update(index_elements=["name"], set_={"value": str(message_id)})
            )


def files_of(row: Mapping[str, Any]) -> list[str]:
    """Names of all files that may be kept of the row of a message, or of a chat's buyer."""
    if "buyer_avatar_url" in row:
        return picture_names(row["buyer_avatar_url"])
    names = [name for source in sources_of(row) for name in picture_names(source)]
    voice = voice_id(Message(content=row["content"], deleted_at=None))
    return [*names, voice_name(f"{row['account_id']}/{voice}")] if voice else names


async def keep_voice(avito: Avito, media: Media, account_id: int, voice: str, lane: Lane) -> tuple[Path, str]:
    """The file of a voice and its media type, from disk, else from Avito."""

    async def find_url() -> str:
        urls = await avito.voice_files(account_id, [voice], lane=lane)
        if voice not in urls:
            raise NotFound("There is no such file.")
        return urls[voice]

    return await media.voice(f"{account_id}/{voice}", find_url)
