"""Pages among ten thousand messages and among very many: the list, threads, views, search and the journal.

Each size is a town of its own (`benchmarks.town`), built once and kept; the journal's rows stand in a database beside
it. A round asks every page of every size of the real application, without a socket, by an operator who sees all.
`--full` builds ten million messages too, where search and the journal stay at a million. A figure is the median or the
99th percentile over all pages of its kind; growth is that of the median, from the smallest size to the largest.
"""

import asyncio
import gc
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from benchmarks import machine
from benchmarks.frame import Bench, Figure, Measures, Part
from benchmarks.inbox import Page, Visitor, build, pages_of
from benchmarks.town import NOW, Town
from golub.app import Golub
from golub.clock import DAY
from golub.model import Delivery, Mark
from golub.settings import Settings
from golub.store import Store

SIZES = {False: (10_000, 100_000, 1_000_000), True: (10_000, 100_000, 1_000_000, 10_000_000)}
MOST = 1_000_000  # messages of search and the journal
VISITS = {False: 15, True: 60}  # of each page in a round
WARM = 3
KINDS = {"list": 1.5, "thread": 1.5, "views": 1.5, "search": 3.0, "journal": None}  # with the most that p50 may grow
SMALL = 1_000  # messages beside the journal, for its accounts and operators
AT_ONCE = 50_000  # deliveries in a transaction
DEEP = 2 / 3  # of the journal is newer than its deep page

FIGURES = (
    *(
        Figure(f"{kind}_growth", f"{kind}: p50 among the most over p50 among the fewest", "×", at_most=most)
        for kind, most in KINDS.items()
    ),
    *(
        Figure(f"{kind}_{share}_{size}", f"{kind}: {share} among {size:_}".replace("_", " "), "ms")
        for kind in KINDS
        for size in SIZES[True]
        if size <= MOST or kind not in ("search", "journal")
        for share in ("p50", "p99")
    ),
)


def parts(bench: Bench) -> Sequence[Part]:
    def pages(size: int) -> Callable[[], Measures]:
        return lambda: asyncio.run(_town(bench, size))

    def journal(size: int) -> Callable[[], Measures]:
        return lambda: asyncio.run(_journal(bench, size))

    return [
        *(Part(str(size), pages(size)) for size in SIZES[bench.full]),
        *(Part(f"journal of {size}", journal(size)) for size in SIZES[bench.full] if size <= MOST),
    ]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for kind in KINDS:
        sizes = [size for size in SIZES[True] if f"{kind}_p50" in measured.get(_part(kind, size), {})]
        for size in sizes:
            part = measured[_part(kind, size)]
            found |= {f"{kind}_{share}_{size}": part[f"{kind}_{share}"] for share in ("p50", "p99")}
        if len(sizes) > 1:
            found[f"{kind}_growth"] = found[f"{kind}_p50_{sizes[-1]}"] / found[f"{kind}_p50_{sizes[0]}"]
    return found


def _part(kind: str, size: int) -> str:
    return f"journal of {size}" if kind == "journal" else str(size)


def kind_of(name: str) -> str | None:
    """Of a page of the inbox's benchmark; None: it is none of ours."""
    if name.startswith("search"):
        return "search"
    if name.startswith(("thread", "the inbox with a chat")):
        return "thread"
    if name.startswith(("list: all", "list: waiting", "the inbox", "rows")) and "label" not in name:
        return "list"
    return "views" if name.startswith("list") else None


async def _town(bench: Bench, size: int) -> Measures:
    machine.pin(bench.cores.server)
    town, settings = Town(size), _settings(bench.towns / str(size))
    await asyncio.to_thread(build, town, settings)
    golub = Golub(settings, clock=lambda: NOW)
    async with golub.opened() as parts:
        await golub.migrate()
        visitor = Visitor(parts, golub.asgi, await parts.operators.get(1))
        await visitor.sign_in()
        pages = await pages_of(visitor, town, parts)
        kinds = {page.name: kind for page in pages if (kind := kind_of(page.name))}
        wanted = [page for page in pages if page.name in kinds and (kinds[page.name] != "search" or size <= MOST)]
        return await _visit(bench, visitor, wanted, kinds)


async def _journal(bench: Bench, size: int) -> Measures:
    machine.pin(bench.cores.server)
    settings = _settings(bench.towns / f"journal-{size}")
    await asyncio.to_thread(build, Town(SMALL), settings)
    store = Store(settings.effective_database_url)
    try:
        await asyncio.to_thread(_fill, store, size)
        with store.writing() as connection:
            deep = select(Delivery.id, Delivery.received_at).order_by(Delivery.received_at, Delivery.id)
            one = connection.execute(deep.offset(int(size * (1 - DEEP))).limit(1)).one()
    finally:
        await store.close()
    golub = Golub(settings, clock=lambda: NOW)
    async with golub.opened() as parts:
        await golub.migrate()
        visitor = Visitor(parts, golub.asgi, await parts.operators.get(1))
        await visitor.sign_in()
        path = "/admin/deliveries"
        paths = {
            "newest": path,
            "deep": f"{path}?before={one.received_at}.{one.id.hex()}",
            "quarantined": f"{path}?state=quarantined",
            "of an account": f"{path}?account=2",
            "hints of an account": f"{path}?account=3&trust=bare",
            "one": f"{path}/{one.id.hex()}",
        }
        pages = [Page(name, lambda _, path=path: path) for name, path in paths.items()]
        return await _visit(bench, visitor, pages, dict.fromkeys(paths, "journal"))


async def _visit(bench: Bench, visitor: Visitor, pages: Sequence[Page], kinds: Mapping[str, str]) -> Measures:
    gc.collect()
    gc.freeze()
    for turn in range(-WARM, VISITS[bench.full]):
        for page in pages:
            await visitor.visit(page, max(turn, 0))
        if turn == -1:
            visitor.times.clear()
    found: dict[str, float] = {}
    for kind in set(kinds.values()):
        those = [visitor.times[page.name].clock for page in pages if kinds[page.name] == kind]
        ordered = sorted(1000 * one for times in those for one in times)
        if ordered:
            found[f"{kind}_p50"] = statistics.median(ordered)
            found[f"{kind}_p99"] = ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)]
            found[f"{kind}_slowest"] = max(1000 * statistics.median(times) for times in those)
    gc.unfreeze()
    return found


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    return Settings.model_validate({"data_dir": folder})


_MARK = "journal"  # how many deliveries there are, while more are put in
_BODY = json.dumps({"id": "", "version": "v3.0.0", "timestamp": 0, "payload": {"type": "message", "value": {}}})
_HEADERS = json.dumps([["content-type", "application/json"], ["user-agent", "Avito Messenger Webhooks"]])
# A year's, of three accounts; one in a thousand is quarantined, one in fifty a hint that came on the bare path.
_FILL = text("""
    INSERT INTO deliveries (id, account_id, token_id, received_at, applied_at, address, headers, body, state, cause,
                            detail, event_type, chat_avito_id, message_avito_id, signature, attempts)
    WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :end)
    SELECT randomblob(16), 1 + n % 3, CASE WHEN n % 50 = 7 THEN NULL ELSE 1 END, :began + n * :step,
           :began + n * :step + 40, '192.0.2.' || n % 250, :headers, CAST(:body || printf('%0400d', n) AS BLOB),
           CASE WHEN n % 1000 = 0 THEN 'quarantined' ELSE 'applied' END,
           CASE WHEN n % 1000 = 0 THEN 'not_json' ELSE '' END,
           '', 'message', 'u2i-' || n % 100000, 'm-' || n, 'absent', 0
    FROM numbers
""")


def _fill(store: Store, size: int) -> None:
    while (there := _step(store, size)) < size:
        pass
    with store.writing() as connection:
        if (number := connection.scalar(select(func.count()).select_from(Delivery))) != there:
            raise SystemExit(f"the journal has {number} deliveries and not {there}: remove its folder")


def _step(store: Store, size: int) -> int:
    """How many there are now."""
    with store.writing() as connection:
        there = _there(connection)
        end = min(there + AT_ONCE, size)
        if there < end:
            given = {"first": there, "end": end, "began": NOW - 365 * DAY, "step": 365 * DAY // size}
            connection.execute(_FILL, given | {"headers": _HEADERS, "body": _BODY})
            mark = store.insert(Mark).values(name=_MARK, value=str(end))
            connection.execute(mark.on_conflict_do_update(index_elements=["name"], set_={"value": str(end)}))
        return end


def _there(connection: Connection) -> int:
    return int(connection.scalar(select(Mark.value).where(Mark.name == _MARK)) or 0)
