"""What the pages that a team lives in take of the server, among few messages and among very many.

    python -m benchmarks.inbox --folder /var/tmp/towns             10 000 and 1 000 000 messages, on SQLite
    python -m benchmarks.inbox --folder … --many 200000 --rounds 10
    python -m benchmarks.inbox --folder … --databases postgresql://…/few postgresql://…/many       empty at first

Builds both towns (see `town`), or goes on with what is in the folder: a million messages take a few minutes.
Then each page is asked of the real application, in turn for either town, so that the machine, and whoever else is at
it, cancel out of the ratio. Server time is that from the request's first byte to the answer's last, without a socket;
beside it stands the processor's, of which a neighbour takes nothing. A page breaks its bound, and the run ends with 1,
where at p95 it takes more than 50 ms among the many, or more than 1.5 times what it takes among the few; less than 10
ms among the few count as 10. Reports have a bound of their own: half a second for a year, and no ratio, since a report
of more is more.
"""

import argparse
import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import func, select

from benchmarks.copies import OWN_ITEMS
from benchmarks.town import LONG, NOW, PHONE, Town, name_of
from golub.app import Golub
from golub.cli.console import run_to_end
from golub.clock import SECOND
from golub.inbox import Wanted
from golub.inbox.listing import View
from golub.model import Chat, Message, Operator, OperatorAccount
from golub.settings import Settings
from golub.store import Store
from golub.web.parts import Parts

LONGEST = 0.050  # seconds at p95
LONGEST_REPORT = 0.500
WORSE = 1.5  # times the few's
WARM = 4  # rounds that do not count
FLOOR = 0.010  # seconds of the few's that count at least
READERS = {"all": 1, "one": 2, "two": 3}  # of three accounts: the operators' rows

Path_ = Callable[[int], str]  # of a round


@dataclass(frozen=True)
class Page:
    name: str
    path: Path_
    longest: float = LONGEST
    ratio: bool = True  # whether it must hold one
    every: int = 1  # rounds


@dataclass
class Times:
    clock: list[float] = field(default_factory=list[float])
    processor: list[float] = field(default_factory=list[float])


class Visitor:
    """One signed-in operator of one town."""

    def __init__(self, parts: Parts, asgi: Any, operator: Operator) -> None:
        self._parts, self._asgi = parts, asgi
        self.operator = operator
        self.accounts: list[int] = []
        self._secret = ""
        self.times: dict[str, Times] = {}

    async def sign_in(self) -> None:
        self._secret, _ = await self._parts.operators.open_session(self.operator, address="192.0.2.7")
        async with self._parts.store.read() as session:
            listed = select(OperatorAccount.account_id).where(OperatorAccount.operator_id == self.operator.id)
            self.accounts = sorted(await session.scalars(listed)) or [1, 2, 3]

    async def visit(self, page: Page, number: int) -> None:
        path, _, query = page.path(number).partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"localhost"), (b"cookie", f"session={self._secret}".encode())],
            "client": ("192.0.2.7", 50_000), "server": ("localhost", 80),
        }  # fmt: skip
        told: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                told.append(message["status"])

        times = self.times.setdefault(page.name, Times())
        clock, processor = time.perf_counter(), time.process_time()
        await self._asgi(scope, receive, send)
        times.clock.append(time.perf_counter() - clock)
        times.processor.append(time.process_time() - processor)
        if told != [200]:
            raise SystemExit(f"{path}?{query} answered {told}")


@dataclass
class Measured:
    """Of one reader: his visits to the few and to the many, with the pages that he asked for there."""

    reader: str
    visits: list[tuple[Visitor, list[Page]]] = field(default_factory=list[tuple[Visitor, list[Page]]])


async def pages_of(visitor: Visitor, town: Town, parts: Parts) -> list[Page]:
    """The same in either town, with the places and the ids that it has there."""
    words, operator = town.talk.words, visitor.operator.id
    account = visitor.accounts[0]
    async with parts.store.read() as session:
        mine = select(Chat.id).where(Chat.account_id.in_(visitor.accounts))
        any_chats = list(await session.scalars(mine.where(Chat.last_message_id.is_not(None)).limit(2000)))
        opened = list(
            await session.scalars(mine.where(Chat.closed_at.is_(None), Chat.snoozed_until.is_(None)).limit(2000))
        )
        (long,) = list(
            await session.scalars(mine.where(Chat.avito_id.in_([name_of(chat) for chat in range(LONG)])).limit(1))
        )
        of_long = select(func.count()).select_from(Message).where(Message.chat_id == long)
        middle = await session.execute(
            select(Message.created_at, Message.id)
            .where(Message.chat_id == long)
            .order_by(Message.created_at.desc(), Message.id.desc())
            .offset((await session.scalar(of_long) or 0) * 2 // 3)
            .limit(1)
        )
        phone = await session.scalar(select(Message.text).where(Message.text.like(f"%{PHONE[:7]}%")).limit(1)) or ""
        in_long = "{}.{}".format(*middle.one())
        deep = {}
        for view in View:
            key = Wanted(operator, view).key
            found = mine.with_only_columns(key, Chat.id).where(key.is_not(None), key > 0).order_by(key.desc(), Chat.id)
            number = await session.scalar(select(func.count()).select_from(found.subquery())) or 0
            deep[view] = "{}.{}".format(*(await session.execute(found.offset(number // 2).limit(1))).one())
    dice = random.Random(5)
    dice.shuffle(any_chats)
    dice.shuffle(opened)
    item = OWN_ITEMS * account
    today = datetime.fromtimestamp(NOW / SECOND, UTC).date()

    def fixed(path: str) -> Path_:
        return lambda _: path

    def searched(**fields: Any) -> Path_:
        return fixed(f"/inbox/search?{urlencode(fields)}")

    def refreshed(number: int) -> str:
        return "/inbox/rows?ids=" + ",".join(str(opened[(number * 20 + place) % len(opened)]) for place in range(20))

    found = [Page("the inbox, first page", fixed("/inbox"))]
    found += [Page(f"list: {view}", fixed(f"/inbox/list?view={view}")) for view in View]
    found += [
        Page(f"list: {view}, from its middle on", fixed(f"/inbox/list?view={view}&before={deep[view]}"))
        for view in (View.ALL, View.WAITING, View.UNREAD, View.CLOSED)
    ]
    found += [
        Page(f"list: all with the {name} label", fixed(f"/inbox/list?label={row}"))
        for row, name in enumerate(("frequent", "usual", "seldom"), 1)
    ]
    found += [
        Page("list: waiting with a label", fixed("/inbox/list?view=waiting&label=2")),
        Page("list: closed with a label", fixed("/inbox/list?view=closed&label=2")),
        Page("list: of an item", fixed(f"/inbox/list?item={item}")),
        Page("list: of an account", fixed(f"/inbox/list?account={account}")),
        Page("list: mine, of an account", fixed(f"/inbox/list?view=mine&account={account}")),
        Page("list: an account's with a label", fixed(f"/inbox/list?view=all&account={account}&label=1")),
        Page("rows: 20 and the counts", refreshed),
        Page("rows: one and the counts", lambda number: f"/inbox/rows?ids={opened[number % len(opened)]}"),
        Page("thread", lambda number: f"/inbox/{any_chats[number % len(any_chats)]}/thread"),
        Page("thread of a long chat", fixed(f"/inbox/{long}/thread")),
        Page("thread of a long chat, older", fixed(f"/inbox/{long}/messages?before={in_long}")),
        Page("the inbox with a chat", lambda number: f"/inbox/{any_chats[number % len(any_chats)]}"),
        Page("search: a frequent word", searched(q=f'"{words[0]}"')),
        Page("search: a frequent word, may go on", searched(q=words[0])),
        Page("search: a rare word", searched(q=town.rare())),
        Page("search: two frequent words", searched(q=f"{words[1]} {words[2]}")),
        Page("search: a phrase", searched(q=f'"{words[0]} {words[1]}"')),
        Page("search: a phone", searched(q=phone[-17:]), ratio=False),  # once among the few, once a copy among the many
        Page("search: the end of a phone", searched(q=phone[-5:])),
        Page("search: a word cut at 3, frequent", searched(q=words[0][:3])),
        Page("search: a word cut at 4", searched(q=words[40][:4])),
        Page("search: a rare word, cut", searched(q=town.rare()[:6])),
        Page("search: no such word", searched(q="ыыыыы")),
        Page("search: … in an account", searched(q=words[0], account=account)),
        Page("search: … by the buyer", searched(q=words[0], who="in")),
        Page(
            "search: … in a month", searched(q=words[0], **{"from": today - timedelta(90), "to": today - timedelta(60)})
        ),
        Page("search: … in a chat", searched(q=words[0], chat=long)),
        Page("search: … about an item", searched(q=words[0], item=item)),
        Page("search: photos", searched(photo=1)),
    ]
    reports = {
        "a week": "period=7",
        "90 days": "period=90",
        "a year": f"period=own&from={today - timedelta(364)}&to={today}",
    }
    found += [
        Page(f"report: {name}", fixed(f"/reports?{query}"), LONGEST_REPORT, ratio=False, every=4)
        for name, query in reports.items()
    ]
    return found


async def measure(towns: Sequence[tuple[Town, Settings]], rounds: int, only: str) -> list["Measured"]:
    async with AsyncExitStack() as open_towns:
        found = [Measured(name) for name in READERS]
        for town, settings in towns:
            golub = Golub(settings, clock=lambda: NOW)
            parts = await open_towns.enter_async_context(golub.opened())
            await golub.migrate()
            for one, row in zip(found, READERS.values(), strict=True):
                visitor = Visitor(parts, golub.asgi, await parts.operators.get(row))
                await visitor.sign_in()
                pages = [page for page in await pages_of(visitor, town, parts) if only in page.name]
                one.visits.append((visitor, pages))
        gc.collect()
        gc.freeze()
        for turn in range(-WARM, rounds):
            print(f"  round {turn + 1} of {rounds}" if turn >= 0 else "  warming up", file=sys.stderr)
            for one in found:
                (few, pages_of_few), (many, pages_of_many) = one.visits
                for page, same in zip(pages_of_few, pages_of_many, strict=True):
                    if turn % page.every == 0:
                        await few.visit(page, turn)
                        await many.visit(same, turn)
                if turn == -1:
                    few.times.clear()
                    many.times.clear()
    return found


def at(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def show(measured: Measured) -> list[str]:
    """Prints one reader's table. Returns what broke its bound."""
    (few, pages), (many, _) = measured.visits
    who = f"who sees {measured.reader} of the accounts"
    print(f"\n{who:40} few: p50   p95  many: p50   p95  ratio  processor p95: few  many")
    found: list[str] = []
    for page in pages:
        one, other = few.times[page.name], many.times[page.name]
        clocks = [1000 * at(times, share) for times in (one.clock, other.clock) for share in (0.5, 0.95)]
        processors = [1000 * at(times, 0.95) for times in (one.processor, other.processor)]
        ratio = clocks[3] / clocks[1]
        told = broken(page, one, other)
        print(
            f"{page.name:42} {clocks[0]:6.1f} {clocks[1]:5.1f} {clocks[2]:9.1f} {clocks[3]:6.1f} {ratio:6.2f}"
            f" {processors[0]:19.1f} {processors[1]:5.1f}  {told}"
        )
        if told:
            found.append(f"{measured.reader}: {page.name}: {told}")
    return found


def broken(page: Page, few: Times, many: Times) -> str:
    """Which bound, in words; nothing where none is."""
    took = at(many.clock, 0.95)
    if took > page.longest:
        return f"longer than {page.longest * 1000:.0f} ms"
    if page.ratio and took > WORSE * max(at(few.clock, 0.95), FLOOR):
        return f"more than {WORSE} times"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the towns are kept")
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default="", help="pages whose names hold this")
    parser.add_argument("--databases", nargs=2, default=["", ""], metavar="URL")
    asked = parser.parse_args()
    towns: list[tuple[Town, Settings]] = []
    for messages, url in zip((asked.few, asked.many), asked.databases, strict=True):
        town = Town(messages)
        settings = Settings.model_validate({"data_dir": asked.folder / str(messages), "database_url": url})
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        build(town, settings)
        towns.append((town, settings))
    measured = run_to_end(measure(towns, asked.rounds, asked.only))  # as `golub serve` runs
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    print(f"{asked.few} and {asked.many} messages, {asked.rounds} rounds, {load}")
    bad = [told for one in measured for told in show(one)]
    if bad:
        raise SystemExit("\n".join(("", "broken:", *bad)))


def build(town: Town, settings: Settings) -> None:
    store = Store(settings.effective_database_url)
    try:
        store.migrate()
        began = time.perf_counter()
        town.build(store, lambda how_far: print(f"  {how_far}, {time.perf_counter() - began:.0f} s", file=sys.stderr))
        town.check(store)
    finally:
        asyncio.run(store.close())


if __name__ == "__main__":
    main()
