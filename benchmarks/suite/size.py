"""What Golub takes of memory and of the disk: idle, under load, and for each message that it keeps.

A message's disk is what the main database has grown by, its body (the text as it was sent, once) taken off, and the
journal with it: deliveries have a limit of their own. Pages of SQLite are counted, whether or not they are full.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks import machine, served, shop
from benchmarks.frame import Bench, Figure, Measures, Part
from benchmarks.load import Letters, drive

CONNECTIONS = 64
RATE = 1000  # a second
SECONDS = {False: 60, True: 600}
SETTLES = 10
EVERY = 5  # seconds between two looks at the memory
JOURNAL = ("deliveries",)

FIGURES = (
    Figure("idle", "memory (PSS) before the first webhook", "MB", at_most=110),
    Figure("loaded", f"… and what it grows by under {RATE} webhooks/s", "MB", at_most=60),
    Figure("growth", "… in the second half of that, which should be flat", "MB", at_most=5),
    Figure("disk", "disk a message, beyond its body and the journal", "B", at_most=1200),
    Figure("journal", "disk a delivery in the journal", "B"),
)


def parts(bench: Bench) -> Sequence[Part]:
    machine.pin(bench.cores.load)

    def size() -> Measures:
        folder = bench.empty_folder("golub")
        shop.make(folder, bench.folder / "pattern")
        path = folder / "node/golub.db"
        before = _used(path)
        with served.golub(folder, on=bench.cores.server, environment=shop.QUIET) as server:
            time.sleep(SETTLES)
            idle = server.memory()
            seen: list[tuple[float, float]] = []

            def look() -> None:
                if not seen or time.monotonic() - seen[-1][0] >= EVERY:
                    seen.append((time.monotonic(), server.memory()))

            drive(
                server.port,
                Letters(shop.PATH),
                connections=CONNECTIONS,
                seconds=SECONDS[bench.full],
                rate=RATE,
                each_second=look,
            )
            while shop.pending(folder)[0]:
                time.sleep(0.1)
        memory = [one for _, one in seen] or [idle]
        half = memory[len(memory) // 2 :]
        return {"idle": idle, "loaded": max(memory), "growth": half[-1] - half[0]} | _of_disk(path, before)

    return [Part("size", size)]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found = measured.get("size")
    if not found:
        return {}
    return {
        "idle": found["idle"],
        "loaded": found["loaded"] - found["idle"],
        "growth": found["growth"],
        "disk": found["main"] / found["messages"] - found["body"],
        "journal": found["journal"] / found["messages"],
    }


def _of_disk(path: Path, before: int) -> dict[str, float]:
    """Looked at in a copy, of which the journal is removed: its pages are then free."""
    copy = path.with_name("copy.db")
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        messages, body = connection.execute("SELECT count(*), avg(length(CAST(text AS BLOB))) FROM messages").fetchone()
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
    whole = _used(copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        for table in JOURNAL:
            connection.execute(f"DELETE FROM {table}")
    rest = _used(copy)
    copy.unlink()
    return {"messages": messages, "body": body, "main": rest - before, "journal": whole - rest}


def _used(path: Path) -> int:
    """Bytes in pages that hold something."""
    with closing(sqlite3.connect(path)) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size
