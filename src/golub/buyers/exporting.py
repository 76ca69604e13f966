"""All that is kept of a buyer in one archive that he can be given: JSON Lines as in `docs/export.md`, the same words to
read in `messages.txt`, and the pictures and voices that are kept here.

Rows are read in small pages, so memory stays small. A finished archive has its name; one that was cut off has none.
"""

import asyncio
import json
import secrets
import shutil
import zipfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from golub import __version__, export
from golub.audit import Action, By
from golub.buyers import traces
from golub.buyers.finding import Buyer
from golub.buyers.traces import Traces
from golub.clock import Clock, Millis
from golub.errors import Conflict, Unavailable
from golub.export import SHAPES, Kind, encoded, time
from golub.fold.forgetting import FilesOf
from golub.model import BlockedBuyer, BuyerNote, Chat, Delivery, Direction, Draft, Message, Note, OutgoingMessage, Table
from golub.room import has_room
from golub.store import Store

PAGE = 200
PIECE = 256 << 10  # bytes of an archive that are sent at once
ABOUT = """Данные одного покупателя из Golub. messages.txt — переписка для чтения, media — фото и голосовые,
остальное — те же данные для программ: JSON Lines, по строке на запись, время в UTC.

One buyer's data out of Golub. messages.txt is to be read, media holds photos and voices, the rest is the same for
programs: JSON Lines, a line a record, times in UTC.
"""
_SIDES = {Direction.IN: "Покупатель", Direction.OUT: "Магазин", Direction.SYSTEM: "Авито"}

Tell = Callable[[str, float], None]

FOLDER = "exports"  # in the data folder: archives that a page has asked for, until they are sent


@dataclass(frozen=True, slots=True)
class Place:
    """Where the archive is written, and where kept pictures and voices are."""

    to: Path
    media: Path


def fresh_archive(data_dir: Path) -> Path:
    """A name of its own, in a folder that only we read."""
    folder = data_dir / FOLDER
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder / f"buyer-{secrets.token_hex(8)}.zip"


def clear_archives(data_dir: Path) -> None:
    """Removes what a process left that was killed while it wrote one. For a start, before anybody can ask for another:
    the folder is this process's alone."""
    shutil.rmtree(data_dir / FOLDER, ignore_errors=True)


def take_away(path: Path) -> Generator[bytes]:
    """The file piece by piece. Its name is gone before the first of them: however this process ends, nothing stays."""
    with path.open("rb") as file:
        path.unlink()
        while piece := file.read(PIECE):
            yield piece


async def export_buyer(
    store: Store,
    buyer: Buyer,
    place: Place,
    by: By,
    *,
    deliveries: bool = False,
    files_of: FilesOf,
    clock: Clock,
    tell: Tell = lambda _step, _share: None,
) -> dict[str, int]:
    """Returns what is inside, by kind. `deliveries`: with every webhook as it came, for which the whole journal is
    looked through. Raises `Conflict` where something is there already, `Unavailable` where the disk is nearly full."""
    if place.to.exists():
        raise Conflict("{path} exists already.", path=place.to)
    async with store.write() as session:
        await by.did(session, Action.BUYER_EXPORTED, f"chat {buyer.chats[0].id}", now=clock())
    draft = place.to.with_name(f".{place.to.name}.exporting")
    draft.unlink(missing_ok=True)
    try:
        with zipfile.ZipFile(draft, "x", zipfile.ZIP_DEFLATED) as archive:
            counts = await _Writing(store, buyer, place, archive, files_of, tell).write(deliveries)
            about = {"format": export.FORMAT, "golub": __version__, "exported_at": time(clock()), "counts": counts}
            archive.writestr("about.json", json.dumps(about, indent=1))
            archive.writestr("README.txt", ABOUT)
        draft.chmod(0o600)
        draft.replace(place.to)
    except OSError as error:
        raise Unavailable("The export could not be written: {reason}", reason=str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    return counts


class _Writing:
    def __init__(
        self, store: Store, buyer: Buyer, place: Place, archive: zipfile.ZipFile, files_of: FilesOf, tell: Tell
    ) -> None:
        self._store = store
        self._buyer = buyer
        self._place = place
        self._archive = archive
        self._files_of = files_of
        self._tell = tell
        self._counts: Counter[str] = Counter()
        self._files: list[tuple[str, str]] = []  # the kept file's name, and what it is called in the archive

    async def write(self, deliveries: bool) -> dict[str, int]:
        chats = self._buyer.chat_ids
        person = [self._buyer.avito_id] if self._buyer.avito_id is not None else []
        await self._table(Kind.CHATS, Chat, Chat.id.in_(chats))
        await self._table(Kind.MESSAGES, Message, Message.chat_id.in_(chats))
        await self._table(Kind.OUTGOING, OutgoingMessage, OutgoingMessage.chat_id.in_(chats))
        await self._table(Kind.NOTES, Note, Note.chat_id.in_(chats))
        await self._table(Kind.BUYER_NOTES, BuyerNote, BuyerNote.buyer_id.in_(person))
        await self._table("drafts", Draft, Draft.chat_id.in_(chats), _draft)
        await self._table("blocks", BlockedBuyer, BlockedBuyer.buyer_id.in_(person), _block)
        await self._say()
        if deliveries:
            await self._deliveries()
        for name, called in self._files:
            path = self._place.media / name[:2] / name
            if await asyncio.to_thread(path.exists):
                await asyncio.to_thread(self._archive.write, path, f"media/{called}")
                self._counts["media"] += 1
        return dict(self._counts)

    async def _table(
        self, kind: str, table: type[Table], his: Any, shape: Callable[[Any], dict[str, Any]] | None = None
    ) -> None:
        written = shape or SHAPES[Kind(kind)][1]
        with self._archive.open(f"{kind}.jsonl", "w") as file:
            async for rows in self._pages(table, his):
                for row in rows:
                    file.write(encoded(written(row)))
                    self._remember_files(row)
                self._counts[kind] += len(rows)
        self._tell(kind, 1.0)

    async def _pages(self, table: type[Table], his: Any) -> AsyncGenerator[Sequence[Any]]:
        key: Any = table.__mapper__.primary_key[0]  # pyright: ignore[reportUnknownMemberType]
        last: Any = None
        while True:
            if not has_room(self._place.to.parent):
                raise Unavailable("The disk is nearly full: the export ended, so that messages keep their room.")
            page = select(table).where(his).order_by(key).limit(PAGE)
            async with self._store.read() as session:
                rows = list(await session.scalars(page if last is None else page.where(key > last)))
            yield rows
            if len(rows) < PAGE:
                return
            last = getattr(rows[-1], key.key)

    def _remember_files(self, row: Any) -> None:
        if isinstance(row, Message):
            when, what = _stamp(row.created_at), f"message {row.id}"
            fields = {"type": row.type, "content": row.content, "account_id": row.account_id}
        elif isinstance(row, Chat):
            when, what = "buyer", f"chat {row.id}"
            fields = {"buyer_avatar_url": row.buyer_avatar_url}
        else:
            return
        self._files += [(name, f"{when} {what} {_kind(name)}") for name in self._files_of(fields)]

    async def _say(self) -> None:
        """Chat by chat, as it was said."""
        with self._archive.open("messages.txt", "w") as file:
            for chat in self._buyer.chats:
                file.write(f"{chat.buyer_name or '—'} · {chat.item_title or '—'} · {chat.avito_id}\n".encode())
                at = (-1, 0)
                while True:
                    page = (
                        select(Message)
                        .where(Message.chat_id == chat.id)
                        .where((Message.created_at > at[0]) | ((Message.created_at == at[0]) & (Message.id > at[1])))
                        .order_by(Message.created_at, Message.id)
                        .limit(PAGE)
                    )
                    async with self._store.read() as session:
                        rows = list(await session.scalars(page))
                    for row in rows:
                        side = _SIDES[Direction(row.direction)]
                        file.write(f"{time(row.created_at)} {side}: {_words(row)}\n".encode())
                    if len(rows) < PAGE:
                        break
                    at = rows[-1].created_at, rows[-1].id
                file.write(b"\n")

    async def _deliveries(self) -> None:
        latest: Millis = 1 << 62
        chats = {(chat.account_id, chat.avito_id): latest for chat in self._buyer.chats}
        wanted = Traces(chats, self._buyer.avito_id)
        async with self._store.read() as session:
            total = await traces.count(session)
        place, looked_at = "", 0
        with self._archive.open("deliveries.jsonl", "w") as file:
            while True:
                async with self._store.read() as session:
                    ids, number, place = await traces.look_back(session, wanted, place)
                    rows = await session.scalars(select(Delivery).where(Delivery.id.in_(ids)))
                    for row in rows:
                        file.write(encoded(SHAPES[Kind.DELIVERIES][1](row)))
                looked_at += number
                self._counts["deliveries"] += len(ids)
                self._tell(Kind.DELIVERIES, min(1.0, looked_at / max(1, total)))
                if not place:
                    return


def _draft(row: Draft) -> dict[str, Any]:
    texts = {"text": row.text, "other_text": row.other_text}
    return {"chat_id": row.chat_id, "operator_id": row.operator_id, **texts, "saved_at": time(row.saved_at)}


def _block(row: BlockedBuyer) -> dict[str, Any]:
    return {"account_id": row.account_id, "reason": row.reason, "blocked_at": time(row.blocked_at)}


def _words(row: Message) -> str:
    if row.deleted_at is not None:
        return "(удалено)"
    return " ".join(row.text.split()) or f"({row.type})"


def _stamp(at: Millis) -> str:
    """2026-09-21 14.13.20: a name of a file on any system."""
    return (time(at) or "").partition(".")[0].replace("T", " ").replace(":", ".")


def _kind(name: str) -> str:
    return "voice.bin" if name.endswith(".voice") else f"photo {name.rpartition('-')[2]}"
