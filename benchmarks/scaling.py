"""What one node, one PostgreSQL and several carry: the tables of docs/scaling.md, made from what was measured.

    .venv/bin/python -m benchmarks.scaling            prints them
    .venv/bin/python -m benchmarks.scaling --measure  measures first what a delivery costs PostgreSQL itself
    .venv/bin/python -m benchmarks.scaling --write    puts them into docs/scaling.md

Costs come from `benchmarks/results` (`make bench`, and `--measure`, which writes `database.json` there); what is not
measured yet is said to be so, and nothing is put in its place. The load is simulated: accounts whose days differ as
shops' do, and all of them in the busiest second of the day.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import psycopg
from sqlalchemy import UniqueConstraint

from benchmarks.apply import applied, body
from golub.model import Table
from golub.settings import Settings
from tests import postgres

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs/scaling.md"
MARKS = "<!-- made by benchmarks/scaling.py -->", "<!-- end -->"

DELIVERIES, CHATS = 20_000, 2_000

# The load. Messages of an account a day are log-normal: most shops have a few dozen, few have thousands.
MEDIAN_A_DAY, SPREAD = 30, 1.5
BUSY_HOUR = 0.10  # of a day's messages in its busiest hour …
BURST = 3.0  # … whose busiest second has so many times its mean
EVENTS_A_MESSAGE = 2.0  # both sides' messages come as webhooks, and chats as well where they are subscribed
ACCOUNTS = (100, 1_000, 10_000, 100_000)
SHARDS = (2, 4, 8, 16)

FILLED = 0.5  # of what something carries: at more it is time for the next step
CORES = 8  # of a database's machine
KEPT_DAYS = 90  # of the journal, by default

HOT = (
    "chats", "messages", "deliveries", "waits", "outgoing_messages", "relayed_deliveries", "timeline", "acts", "notes",
    "chat_labels", "drafts", "automatic_acts",
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """Of so many accounts: messages a day, events in the busiest second, and the largest account's share of both."""

    accounts: int
    messages: float
    events: float
    largest: float
    uneven: dict[int, float]  # by the number of shards: the fullest one's load over the mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.measure:
        measured = measure()
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "database.json").write_text(json.dumps(measured, indent=1) + "\n")
    text = f"{costs()}\n\n{loads()}\n\n{steps()}\n\n{layout()}"
    if not asked.write:
        print(text)
        return
    page = PAGE.read_text()
    before, _, rest = page.partition(MARKS[0])
    PAGE.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


def measure() -> dict[str, Any]:
    """What a delivery costs PostgreSQL's own processes, in processor, write-ahead log and room."""
    rng = random.Random(1)
    bodies = [body(rng, number, CHATS) for number in range(2 * DELIVERIES)]
    with postgres.own() as server, tempfile.TemporaryDirectory(prefix="golub-scaling-") as folder:
        url = server.create()
        with psycopg.connect(url, autocommit=True) as line:
            before = _state(line, server)
            settings = {"data_dir": folder, "database_url": url}
            halves = asyncio.run(applied(Settings.model_validate(settings), bodies))
            after = _state(line, server)
    each = {name: (after[name] - before[name]) / len(bodies) for name in before}
    figures = {
        "processor": each["seconds"] * 1e6,
        "log": each["log"],
        "room": each["room"],
        "applying": sum(halves) / len(bodies) * 1e6,
    }
    says = "what a delivery costs PostgreSQL itself: µs of a processor, bytes of its log and of its disk"
    listed = [{"name": name, "value": value} for name, value in figures.items()]
    return {"says": says, "deliveries": len(bodies), "figures": listed}


def _state(line: psycopg.Connection[Any], server: postgres.OwnPostgres) -> dict[str, float]:
    row = line.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), pg_database_size(current_database())")
    log, room = cast(tuple[Any, Any], row.fetchone())
    return {"log": float(log), "room": float(room), "seconds": _processor_of(server)}


def _processor_of(server: postgres.OwnPostgres) -> float:
    """Seconds of the postmaster, its children, and of children that have ended."""
    first = int((server.data / "postmaster.pid").read_text().split()[0])
    ticks = 0
    for one in (first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())):
        with suppress(FileNotFoundError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()
            ticks += sum(map(int, fields[11:15] if one == first else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def figure(benchmark: str, name: str) -> float | None:
    """The median that was measured; None: not yet."""
    path = RESULTS / f"{benchmark}.json"
    if not path.exists():
        return None
    found = {one["name"]: one["value"] for one in json.loads(path.read_text())["figures"]}
    return found.get(name)


def costs() -> str:
    rows = [
        ("webhooks acked by one process while apply keeps up", "ack", "steady", "/s", "make bench"),
        ("deliveries applied by one process, SQLite", "apply", "sqlite", "/s", "make bench"),
        ("deliveries applied by one process, PostgreSQL", "apply", "postgresql", "/s", "make bench"),
        ("… by two processes together", "apply", "postgresql_two", "/s", "make bench"),
        ("processor of Golub for a delivery, PostgreSQL", "database", "applying", "µs", "--measure"),
        ("processor of PostgreSQL itself for a delivery", "database", "processor", "µs", "--measure"),
        ("write-ahead log of PostgreSQL for a delivery", "database", "log", "B", "--measure"),
        ("room in PostgreSQL for a delivery, journal and search included", "database", "room", "B", "--measure"),
    ]
    told = [
        [says, shown(figure(benchmark, name), unit), f"`{benchmark}.json`: `{name}` ({command})"]
        for says, benchmark, name, unit, command in rows
    ]
    return table(["What it costs", "measured", "where it is written"], told)


def simulate(accounts: int) -> Load:
    dice = random.Random(accounts)
    days = [dice.lognormvariate(0, SPREAD) * MEDIAN_A_DAY for _ in range(accounts)]
    whole = sum(days)
    uneven: dict[int, float] = {}
    for shards in SHARDS:
        filled = [0.0] * shards
        for account, day in enumerate(days):
            filled[crc32(str(account).encode()) % shards] += day
        uneven[shards] = max(filled) * shards / whole
    return Load(accounts, whole, whole * EVENTS_A_MESSAGE * BUSY_HOUR / 3600 * BURST, max(days) / whole, uneven)


def loads() -> str:
    rows: list[list[str]] = []
    for load in map(simulate, ACCOUNTS):
        uneven = ", ".join(f"{number}: ×{more:.2f}" for number, more in load.uneven.items())
        rows.append(
            [shown(load.accounts), shown(load.messages), shown(load.events, "/s"), f"{load.largest:.1%}", uneven]
        )
    return table(
        ["Accounts", "messages a day", "busiest second", "largest account", "fullest of so many shards over the mean"],
        rows,
    )


def steps() -> str:
    """The events a second, and the accounts, at which something is half full."""
    rows = [
        ["one process on SQLite", *_due(_least(figure("ack", "steady"), figure("apply", "sqlite")))],
        ["one web process on PostgreSQL", *_due(_least(figure("ack", "steady"), figure("apply", "postgresql")))],
        [f"one PostgreSQL with {CORES} processors", *_due(_of_database(CORES))],
        *(
            [f"{shards} of them, by account", *_due(_of_shards(shards))]
            for shards in SHARDS
        ),
    ]  # fmt: skip
    return table(
        ["What", "carries", "next step due at", "that is so many accounts", "journal and search by then"], rows
    )


def _least(*found: float | None) -> float | None:
    return None if None in found else min(cast(Sequence[float], found))


def _of_database(cores: int) -> float | None:
    each = figure("database", "processor")
    return cores * 1e6 / each if each else None


def _of_shards(shards: int) -> float | None:
    one = _of_database(CORES)
    return one * shards / simulate(100_000).uneven[shards] if one else None


def _due(carries: float | None) -> list[str]:
    if carries is None:
        return ["not measured yet", "–", "–", "–"]
    due = carries * FILLED
    load = simulate(10_000)
    accounts = due / load.events * load.accounts
    room = figure("database", "room")
    kept = accounts * load.messages / load.accounts * EVENTS_A_MESSAGE * KEPT_DAYS * room / 1e12 if room else None
    return [shown(carries, "/s"), shown(due, "/s"), shown(accounts), shown(kept, "TB") if kept else "–"]


def layout() -> str:
    """Which columns stand first in each key and index of the hot tables, from the model itself."""
    rows: list[list[str]] = []
    for name in HOT:
        found = Table.metadata.tables[name]
        keys = list(_keys(found))
        led = [key for key in keys if key[1][0] == "account_id"]
        by_chat = [key for key in keys if key[1][0] == "chat_id"]
        rest = [f"`{key}`" for key, columns in keys if columns[0] not in ("account_id", "chat_id")]
        has = "yes" if "account_id" in found.c else "no"
        rows.append([f"`{name}`", has, str(len(led)), str(len(by_chat)), ", ".join(rest) or "–"])
    return table(["Table", "has `account_id`", "led by it", "led by `chat_id`", "led by something else"], rows)


def _keys(found: Any) -> Iterator[tuple[str, list[str]]]:
    yield "primary key", [column.name for column in found.primary_key.columns]
    for one in sorted(found.indexes, key=lambda index: str(index.name)):
        yield one.name.removeprefix(f"ix_{found.name}_"), [getattr(part, "name", str(part)) for part in one.expressions]
    for one in found.constraints:
        if isinstance(one, UniqueConstraint):
            yield "unique", [column.name for column in one.columns]


def shown(value: float | None, unit: str = "") -> str:
    if value is None:
        return "not measured yet"
    number = f"{value:,.0f}".replace(",", " ") if value >= 10 else f"{value:.2g}"
    return f"{number}{unit}" if unit == "/s" else f"{number} {unit}".strip()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line: Callable[[Sequence[str]], str] = lambda cells: f"| {' | '.join(cells)} |"  # noqa: E731
    return "\n".join((line(head), line(["---"] * len(head)), *map(line, rows)))


if __name__ == "__main__":
    main()
