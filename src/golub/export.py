"""Everything for those who leave: JSON Lines, a line a thing, in the shapes of `docs/export.md`.

Secrets, password hashes and what only Golub's own work needs stay out. Rows are read in small pages by their key, each
in a session of its own, so memory stays small, the server goes on beside it, and what came in while it ran may be
inside or not. A finished export has its name; one that was cut off has none.
"""

import gzip
import json
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, cast

from sqlalchemy import func, select

from golub import __version__, audit
from golub.clock import Clock, Millis
from golub.errors import Conflict, Unavailable
from golub.model import (
    Account,
    Action,
    BuyerNote,
    Chat,
    Delivery,
    Message,
    Note,
    Operator,
    OutgoingMessage,
    Table,
)
from golub.room import has_room
from golub.store import Store

FORMAT = 1
PAGE = 200  # rows: of deliveries up to 256 KiB each
ABOUT = "about.json"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What is exported: the name of its file, and `kind` in its lines."""

    ACCOUNTS = "accounts"
    OPERATORS = "operators"
    CHATS = "chats"
    MESSAGES = "messages"
    OUTGOING = "outgoing"
    NOTES = "notes"
    BUYER_NOTES = "buyer_notes"
    DELIVERIES = "deliveries"  # only when asked for: every webhook as it came


Tell = Callable[[Kind, float], None]  # the share of the kind that is done, 0 to 1
Shape = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    counts: dict[Kind, int]


async def export(store: Store, to: Path, *, deliveries: bool = False, clock: Clock, tell: Tell) -> Exported:
    """Into a folder, a file a kind; or into one file, where `to` ends in .jsonl or .jsonl.gz, with `kind` in each line.

    Raises `Conflict` where something is there already, `Unavailable` where the disk is nearly full.
    """
    to = _free(to)
    kinds = [kind for kind in Kind if deliveries or kind is not Kind.DELIVERIES]
    async with store.write() as session:
        what = {"kinds": ", ".join(kinds)}
        await audit.CONSOLE.did(session, Action.EXPORTED, str(to), after=what, now=clock())
    one_file = to.suffixes[-1:] == [".jsonl"] or to.suffixes[-2:] == [".jsonl", ".gz"]
    draft = to.with_name(f".{to.name}.exporting")
    _remove(draft)
    try:
        with ExitStack() as held:
            out = _OneFile(draft, held, packed=to.suffix == ".gz") if one_file else _Folder(draft)
            counts = {kind: await _export(store, kind, out, tell) for kind in kinds}
            out.close({"format": FORMAT, "golub": __version__, "exported_at": time(clock()), "counts": counts})
        _name(draft, to)
    except OSError as error:
        raise Unavailable("The export could not be written: {reason}", reason=str(error)) from error
    finally:
        _remove(draft)
    return Exported(to, counts)


def time(at: Millis | None) -> str | None:
    """`2026-11-22T11:30:00.123Z`. Zero is never; a time that no calendar has is its nearest one."""
    if not at:
        return None
    moment = _EPOCH + timedelta(milliseconds=min(max(at, 0), 253_402_300_799_999))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


class _Folder:
    """`chats.jsonl` and so on, and `about.json`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, mode=0o700)

    @asynccontextmanager
    async def writing(self, kind: Kind) -> AsyncGenerator[Callable[[dict[str, Any]], object]]:
        with _opened(self.path / f"{kind}.jsonl") as file:
            yield lambda line: file.write(encoded(line))
            _sync(file)

    def close(self, about: dict[str, Any]) -> None:
        with _opened(self.path / ABOUT) as file:
            file.write(json.dumps(about, ensure_ascii=False, indent=1).encode() + b"\n")
            _sync(file)


class _OneFile:
    """All in one stream; `about` is its last line, so whoever finds it has everything."""

    def __init__(self, path: Path, held: ExitStack, *, packed: bool) -> None:
        """`held` closes the file where an export ends early."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = held.enter_context(_opened(path))
        self._out = self._file
        if packed:
            self._out = cast("IO[bytes]", held.enter_context(gzip.GzipFile(fileobj=self._file, mode="wb")))

    @asynccontextmanager
    async def writing(self, kind: Kind) -> AsyncGenerator[Callable[[dict[str, Any]], object]]:
        yield lambda line: self._out.write(encoded({"kind": kind, **line}))

    def close(self, about: dict[str, Any]) -> None:
        self._out.write(encoded({"kind": "about", **about}))
        if self._out is not self._file:
            self._out.close()
        _sync(self._file)


async def _export(store: Store, kind: Kind, out: _Folder | _OneFile, tell: Tell) -> int:
    table, shape = SHAPES[kind]
    key = cast("Any", table).__mapper__.primary_key[0]
    async with store.read() as session:
        total = await session.scalar(select(func.count()).select_from(table)) or 0
    number, last = 0, None
    async with out.writing(kind) as write:
        while True:
            if not has_room(out.path):
                raise Unavailable("The disk is nearly full: the export ended, so that messages keep their room.")
            page = select(table).order_by(key).limit(PAGE)
            async with store.read() as session:
                rows = list(await session.scalars(page if last is None else page.where(key > last)))
            for row in rows:
                write(shape(row))
            number += len(rows)
            tell(kind, min(1.0, number / max(1, total)))
            if len(rows) < PAGE:
                return number
            last = getattr(rows[-1], key.key)


def _free(to: Path) -> Path:
    """With its full name, which “.” has none of. An empty folder is as good as none."""
    to = to.resolve()
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise Conflict("{path} exists already.", path=to)
    return to


def _name(draft: Path, to: Path) -> None:
    if to.is_dir():
        to.rmdir()
    draft.replace(to)


def _account(row: Account) -> dict[str, Any]:
    return {
        "id": row.id,
        "avito_user_id": row.user_id,
        "name": row.name,
        "profile_url": row.profile_url or None,
        "connected_at": time(row.created_at),
        "paused_at": time(row.paused_at),
    }


def _operator(row: Operator) -> dict[str, Any]:
    return {
        "id": row.id,
        "login": row.login,
        "name": row.name,
        "role": row.role,
        "active": row.active,
        "created_at": time(row.created_at),
    }


def _chat(row: Chat) -> dict[str, Any]:
    return {
        "id": row.id,
        "account_id": row.account_id,
        "avito_id": row.avito_id,
        "type": row.chat_type,
        "status": row.status or None,
        "buyer": {"avito_id": row.buyer_id, "name": row.buyer_name, "profile_url": row.buyer_profile_url or None},
        "item": {
            "avito_id": row.item_id,
            "title": row.item_title,
            "price": row.item_price or None,
            "url": row.item_url or None,
        }
        if row.item_id
        else None,
        "created_at": time(row.created_at),
        "last_message_at": time(row.last_message_at),
        "unread": row.unread,
    }


def _message(row: Message) -> dict[str, Any]:
    return {
        "id": row.id,
        "chat_id": row.chat_id,
        "account_id": row.account_id,
        "avito_id": row.avito_id if not row.avito_id.startswith("~") else None,
        "direction": row.direction,
        "author_avito_id": row.author_id,
        "type": row.type,
        "text": row.text,
        "content": row.content,
        "created_at": time(row.created_at),
        "received_at": time(row.received_at),
        "deleted_at": time(row.deleted_at),
        "edited": row.edited,
        "read_by_peer": row.read_by_peer,
        "seen": row.seen,
    }


def _outgoing(row: OutgoingMessage) -> dict[str, Any]:
    return {
        "id": row.id,
        "chat_id": row.chat_id,
        "account_id": row.account_id,
        "operator_id": row.operator_id,
        "kind_of_message": row.kind,
        "text": row.text,
        "state": row.state,
        "error": row.error or None,
        "message_avito_id": row.message_avito_id or None,
        "created_at": time(row.created_at),
        "finished_at": time(row.finished_at),
    }


def _note(row: Note) -> dict[str, Any]:
    return {
        "id": row.id,
        "chat_id": row.chat_id,
        "operator_id": row.operator_id,
        "text": row.text,
        "created_at": time(row.created_at),
        "edited_at": time(row.edited_at),
        "removed_at": time(row.removed_at),
    }


def _buyer_note(row: BuyerNote) -> dict[str, Any]:
    return {
        "buyer_avito_id": row.buyer_id,
        "operator_id": row.operator_id,
        "text": row.text,
        "changed_at": time(row.changed_at),
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    try:
        body, raw = row.body.decode(), None
    except UnicodeDecodeError:
        body, raw = None, row.body.hex()
    return {
        "id": row.id.hex(),
        "account_id": row.account_id,
        "with_secret": row.token_id is not None,
        "received_at": time(row.received_at),
        "applied_at": time(row.applied_at),
        "address": row.address,
        "state": row.state,
        "cause": row.cause or None,
        "body": body,
        "body_hex": raw,
    }


SHAPES: dict[Kind, tuple[type[Table], Shape]] = {
    Kind.ACCOUNTS: (Account, _account),
    Kind.OPERATORS: (Operator, _operator),
    Kind.CHATS: (Chat, _chat),
    Kind.MESSAGES: (Message, _message),
    Kind.OUTGOING: (OutgoingMessage, _outgoing),
    Kind.NOTES: (Note, _note),
    Kind.BUYER_NOTES: (BuyerNote, _buyer_note),
    Kind.DELIVERIES: (Delivery, _delivery),
}


def encoded(line: dict[str, Any]) -> bytes:
    """One line, whatever the text holds; a lone surrogate cannot be written and is not in our rows."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)
