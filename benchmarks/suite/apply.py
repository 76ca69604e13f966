"""Deliveries applied per second and process, everything included: decoded, folded, made searchable, journalled.

A process fills its spool with webhooks whose text has at least 50 000 distinct words, and drains it as a server does:
into a new database and into a copy of a town of a million messages, among whose chats they are; in batches of several
sizes; alone, and on PostgreSQL two at once. The database's own process has the load's processor. Rates are by the
clock and include the wait for the disk; beside them stands the process's own time.
"""

import asyncio
import json
import secrets
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, func, select

from benchmarks import machine
from benchmarks.applying import DISTINCT
from benchmarks.frame import ROOT, Bench, Figure, Measures, Part, SkippedError
from benchmarks.inbox import build
from benchmarks.town import Town
from golub.apply import BATCH_ROWS
from golub.model import Table
from golub.settings import Settings
from golub.store import Store
from tests import postgres

DELIVERIES = {False: 20_000, True: 60_000}
BATCHES = (16, 64, BATCH_ROWS, 1024)
FULL = 1_000_000  # messages of the town
GOAL, GOAL_FULL = 8000, 0.7
PAIRS = 3  # of an empty and a full database on PostgreSQL, whose town is built but once

FIGURES = (
    Figure("sqlite", "apply on SQLite", "/s", at_least=GOAL),
    Figure("sqlite_processor", "… its processor a delivery", "µs"),
    Figure("sqlite_full", f"… among {FULL:_} messages, over a new database".replace("_", " "), "×", at_least=GOAL_FULL),
    *(Figure(f"sqlite_{size}", f"… in batches of {size}", "/s") for size in BATCHES if size != BATCH_ROWS),
    Figure("postgresql", "apply on PostgreSQL", "/s", at_least=GOAL),
    Figure("postgresql_processor", "… its processor a delivery, the database's apart", "µs"),
    Figure(
        "postgresql_full", f"… among {FULL:_} messages, over a new database".replace("_", " "), "×", at_least=GOAL_FULL
    ),
    *(Figure(f"postgresql_{size}", f"… in batches of {size}", "/s") for size in BATCHES if size != BATCH_ROWS),
    Figure("postgresql_two", "two processes on PostgreSQL, together", "/s"),
    Figure("words", "distinct words in the corpus", "", at_least=DISTINCT),
)


def parts(bench: Bench) -> Sequence[Part]:
    def sqlite(size: int) -> Callable[[], Measures]:
        def run() -> Measures:
            folder = bench.empty_folder("sqlite")
            return _told(_together(bench, [[str(folder), f"--batch={size}"]]))

        return run

    def sqlite_full() -> Measures:
        town = bench.towns / str(FULL)
        _build(bench, town)
        folder = bench.empty_folder("sqlite-full")
        shutil.copy(town / "golub.db", folder / "golub.db")
        return _told(_together(bench, [[str(folder)]]))

    def postgresql(size: int) -> Callable[[], Measures]:
        def run() -> Measures:
            with _server(bench) as server:
                folder = bench.empty_folder("postgresql")
                return _told(_together(bench, [[str(folder), f"--database-url={server.create()}", f"--batch={size}"]]))

        return run

    def two() -> Measures:
        with _server(bench) as server:
            url = server.create()
            folders = [bench.empty_folder(f"process-{number}") for number in (0, 1)]
            key = secrets.token_hex(32)
            for folder in folders:  # they are nodes of one Golub
                (folder / "secret.key").write_text(key)
                (folder / "secret.key").chmod(0o600)
            both = [[str(folder), f"--database-url={url}", f"--process={n}"] for n, folder in enumerate(folders)]
            return _told(_together(bench, both))

    def postgresql_full() -> Measures:
        with _server(bench) as server:
            url = server.create()
            _build(bench, bench.empty_folder("town"), url)
            _count_on(url)
            rates: dict[str, list[float]] = {"new": [], "full": []}
            for number in range(PAIRS):
                for kind, where in (("new", server.create()), ("full", url)):
                    folder = bench.empty_folder("postgresql")
                    first = f"--first={number * DELIVERIES[bench.full]}"
                    found = _told(_together(bench, [[str(folder), f"--database-url={where}", first]]))
                    rates[kind].append(found["rate"])
            return {kind: statistics.median(found) for kind, found in rates.items()}

    return [
        *(Part(f"sqlite, {size}", sqlite(size)) for size in BATCHES),
        Part("sqlite, full", sqlite_full),
        *(Part(f"postgresql, {size}", postgresql(size)) for size in BATCHES),
        Part("postgresql, two", two),
        Part("postgresql, full", postgresql_full, once=True),
    ]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for database in ("sqlite", "postgresql"):
        for size in BATCHES:
            if part := measured.get(f"{database}, {size}"):
                found[database if size == BATCH_ROWS else f"{database}_{size}"] = part["rate"]
                if size == BATCH_ROWS:
                    found[f"{database}_processor"] = part["processor"]
                    found["words"] = part["words"]
    if (full := measured.get("sqlite, full")) and "sqlite" in found:
        found["sqlite_full"] = full["rate"] / found["sqlite"]
    if full := measured.get("postgresql, full"):
        found["postgresql_full"] = full["full"] / full["new"]
    if two := measured.get("postgresql, two"):
        found["postgresql_two"] = two["rate"]
    return found


def _together(bench: Bench, processes: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """What each of them told. They begin at once, when all are ready."""
    machine.pin(bench.cores.server)  # theirs by inheritance; a second one has the database's as well
    if len(processes) > 1:
        machine.pin(bench.cores.server | bench.cores.load)
    number = DELIVERIES[bench.full]
    command = [sys.executable, "-m", "benchmarks.applying", f"--deliveries={number}"]
    started: list[subprocess.Popen[str]] = []
    for one in processes:  # one after the other: the first brings the schema
        process = subprocess.Popen([*command, *one], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            process.wait()
            raise SystemExit(f"`{' '.join([*command, *one])}` ended with {process.returncode}")
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in started]


def _told(found: Sequence[dict[str, float]]) -> dict[str, float]:
    number = sum(one["deliveries"] for one in found)
    return {
        "rate": number / max(one["seconds"] for one in found),
        "processor": 1e6 * sum(one["processor"] for one in found) / number,
        "words": max(one["words"] for one in found),
    }


def _build(bench: Bench, folder: Path, url: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bench.say(f"building a town of {FULL} messages, or finding it built")
    build(Town(FULL), Settings.model_validate({"data_dir": folder, "database_url": url}))


def _count_on(url: str) -> None:
    """The town's copies brought their own numbers: the next rows get those behind them."""
    store = Store(url)
    with store.writing() as connection:
        for table in Table.metadata.sorted_tables:
            key = table.c.get("id")
            if key is not None and isinstance(key.type, BigInteger):
                sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, "id")))
                if sequence is not None:
                    connection.execute(select(func.setval(sequence, select(func.max(key) + 1).scalar_subquery())))
    asyncio.run(store.close())


@contextmanager
def _server(bench: Bench) -> Generator[Any]:
    if why := postgres.missing_own():
        raise SkippedError(why)
    machine.pin(bench.cores.load)
    with postgres.own() as server:  # where whoever runs it may go: as root that is nobody
        yield server
