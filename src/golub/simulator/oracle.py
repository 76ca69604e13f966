"""The oracle: an append-only log of every event that was sent and every answer that came back.

It judges whoever receives: what is in `acked` got a 2xx, so it must be in the receiver's store. Therefore the log is
never more generous than the truth. "sent" is written before the request leaves; an answer counts as acked only after
its line was fsynced. Both survive `kill -9` of the simulator; a torn last line is skipped by `read`.

Lines are JSON objects with `kind` first:
    {"kind": "start", "at", "seed"}
    {"kind": "sent", "at", "envelope", "account", "chat", "message", "change", "attempt"}
    {"kind": "answer", … the same …, "status", "ms", "acked", "error"}
    {"kind": "dropped", "at", "account", "chat", "message", "change", "reason"}
`change` is new, echo, edit, delete or raw. A raw event (emitted bytes) may have no chat and message.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[int, str, str]  # (account user_id, chat_id, message_id)


@dataclass(slots=True)
class Oracle:
    """What one or several runs did. Sets hold a message's key, so an edit or a retry adds nothing.

    `dropped` are events that never left (a fault, no subscription): together with `sent` they are all that happened.
    """

    sent: set[Key] = field(default_factory=set[Key])
    acked: set[Key] = field(default_factory=set[Key])
    dropped: set[Key] = field(default_factory=set[Key])
    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    torn: int = 0  # lines that could not be read

    @property
    def happened(self) -> set[Key]:
        return self.sent | self.dropped

    def take(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        if not (key := key_of(record)):
            return
        if record["kind"] == "sent":
            self.sent.add(key)
        elif record["kind"] == "dropped":
            self.dropped.add(key)
        elif record["kind"] == "answer" and record.get("acked") is True:
            self.acked.add(key)


def read(path: Path) -> Oracle:
    """Reads a log, also one that is being written or was cut off."""
    oracle = Oracle()
    for record in _records(path, oracle):
        oracle.take(record)
    return oracle


def key_of(record: dict[str, Any]) -> Key | None:
    account, chat, message = record.get("account"), record.get("chat"), record.get("message")
    if isinstance(account, int) and isinstance(chat, str) and isinstance(message, str) and chat and message:
        return account, chat, message
    return None


def _records(path: Path, oracle: Oracle) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                oracle.torn += 1
                continue
            if isinstance(record, dict) and "kind" in record:
                yield record
            else:
                oracle.torn += 1


class OracleLog:
    """The writing side. `write` reaches the kernel at once; `synced` returns when everything written is on the disk.

    One fsync serves everybody who waited while the one before it ran, so the cost is per batch, not per event.
    Without a path it keeps nothing and waits for nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="oracle-fsync")
        self.position = 0  # bytes already there when it was opened
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            self.position = os.fstat(self._file).st_size
            if self.position and os.pread(self._file, 1, self.position - 1) != b"\n":
                os.write(self._file, b"\n")  # the run before was killed inside a line

    def write(self, record: dict[str, Any]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")

    async def synced(self) -> None:
        if self._file is None:
            return
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        mine = self._waiting
        if not self._running:
            self._running = True
            self._sync()
        await asyncio.shield(mine)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def _sync(self) -> None:
        batch, self._waiting = self._waiting, None
        if batch is None or self._file is None:
            self._running = False
            return

        def done(synced: asyncio.Future[None]) -> None:
            if not batch.done():
                if failed := synced.exception():
                    batch.set_exception(failed)
                else:
                    batch.set_result(None)
            self._sync()

        fsync = asyncio.get_running_loop().run_in_executor(self._thread, os.fsync, self._file)
        fsync.add_done_callback(done)
