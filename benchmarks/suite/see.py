"""From a webhook's POST to its words in the page of a real browser, and what open inboxes cost the rest.

A Chromium has a chat open, into which a buyer writes; a message is seen when its words are in the document, and counts
from before its request is sent. Beside it so many a second are written into other chats, and other inboxes are open:
of these one is the browser, the others are clients that read the stream and fetch what rings as the page does. Server
on its processor; browser, buyers and the other inboxes share the load's, so with many of them it is their haste too
that is measured.

The steady rate is the highest at which answers come within 200 ms at p99 and no delivery waits longer than two seconds
for apply; it is looked for by halving, with no inbox and with fifty.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks import machine, served, shop
from benchmarks.frame import ROOT, Bench, Figure, Measures, Part, SkippedError
from benchmarks.load import SELLER, Letters, drive
from benchmarks.served import Served
from golub.app import Golub
from golub.model import Role
from golub.settings import Settings
from tests import chromium

RATES = (1, 100, 500)  # messages a second, all together
INBOXES = (1, 20, 100)
GOAL = (100, 20)
SECONDS = {False: 20, True: 60}
PROBES = 5  # a second at most, of the messages
PATIENCE = 10.0  # seconds for the last ones
CHAT = "u2i-the-open-chat"
COSTLY = 50  # inboxes
STEADY = {False: 8, True: 30}  # seconds at each rate
HALVINGS = 6
SLOWEST, FASTEST = 200.0, 8000.0
LONGEST_MS, OLDEST = 200.0, 2.0

# Notes when the words of each of our messages were first in the document.
_WATCH = """
window.firstSeen = {};
const look = (node) => {
  for (const [, number] of (node.textContent ?? "").matchAll(/проба-(\\d+)/g))
    window.firstSeen[number] ??= performance.timeOrigin + performance.now();
};
document.addEventListener("DOMContentLoaded", () => {
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) look(node);
      if (change.type === "characterData") look(change.target);
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
});
"""


def _name(rate: int, inboxes: int) -> str:
    return f"{rate}/s, {inboxes} open"


def _figures(rate: int, inboxes: int) -> Sequence[Figure]:
    bounds = (100.0, 300.0) if (rate, inboxes) == GOAL else (None, None)
    open_now = f"{rate}/s and {inboxes} open {'inbox' if inboxes == 1 else 'inboxes'}"
    return [
        Figure(f"p50_{rate}_{inboxes}", f"seen at {open_now}, p50", "ms", at_most=bounds[0]),
        Figure(f"p99_{rate}_{inboxes}", "… p99", "ms", at_most=bounds[1]),
    ]


FIGURES = (
    *(figure for rate in RATES for inboxes in INBOXES for figure in _figures(rate, inboxes)),
    Figure("steady", "steady rate without an open inbox", "/s"),
    Figure("cost", f"what {COSTLY} open inboxes take of the steady rate", "%", at_most=15),
)


def parts(bench: Bench) -> Sequence[Part]:
    def seen(rate: int, inboxes: int) -> Callable[[], Measures]:
        return lambda: asyncio.run(_see(bench, rate, inboxes))

    return [
        *(Part(_name(rate, inboxes), seen(rate, inboxes)) for rate in RATES for inboxes in INBOXES),
        Part("steady, none open", lambda: _steady(bench, 0)),
        Part(f"steady, {COSTLY} open", lambda: _steady(bench, COSTLY)),
    ]


def values(measured: Mapping[str, Measures]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for rate in RATES:
        for inboxes in INBOXES:
            if part := measured.get(_name(rate, inboxes)):
                found |= {f"{share}_{rate}_{inboxes}": part[share] for share in ("p50", "p99")}
    alone, many = measured.get("steady, none open"), measured.get(f"steady, {COSTLY} open")
    if alone and many and alone["rate"]:
        found |= {"steady": alone["rate"], "cost": 100 * (1 - many["rate"] / alone["rate"])}
    return found


async def _see(bench: Bench, rate: int, inboxes: int) -> Measures:
    if chromium.find() is None:
        raise SkippedError("no Chromium")
    machine.pin(bench.cores.load)
    folder = bench.empty_folder("see")
    secret = await _open_shop(bench, folder)
    probes = min(rate, PROBES)
    with served.golub(folder, on=bench.cores.server, environment=shop.QUIET) as server:
        line = _Line(server.port)
        await line.say(0)
        chat = await _row_of(folder)
        with _inboxes(server, secret, inboxes - 1):
            async with chromium.launched() as browser:
                context = await browser.new_context(viewport={"width": 1440, "height": 900}, service_workers="block")
                await context.add_cookies([{"name": "session", "value": secret, "url": server.url}])
                page = await context.new_page()
                await page.add_init_script(_WATCH)
                await page.goto(f"{server.url}/inbox/{chat}", wait_until="load")
                await page.get_by_text("проба-000000").first.wait_for()
                await line.say(1)  # proves that the page listens
                await page.wait_for_function("'000001' in window.firstSeen")
                with _buyers(server, rate - probes, SECONDS[bench.full]):
                    sent = await _say(line, probes, SECONDS[bench.full])
                until = time.monotonic() + PATIENCE
                shown: dict[str, float] = {}
                while sent.keys() - shown.keys() and time.monotonic() < until:
                    shown = await page.evaluate("window.firstSeen")
                    await asyncio.sleep(0.05)
    if missing := sent.keys() - shown.keys():
        raise SystemExit(f"{len(missing)} of {len(sent)} messages were not in the page after {PATIENCE:.0f} s")
    times = sorted(shown[number] - at for number, at in sent.items())
    return {"p50": _at(times, 0.5), "p99": _at(times, 0.99), "longest": times[-1], "number": len(times)}


class _Line:
    """One connection of Avito's, for the messages that are timed."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def say(self, number: int) -> float:
        """Returns when it was sent, in milliseconds since 1970; raises where it is not answered 200."""
        value = {
            "id": f"probe-{number}",
            "chat_id": CHAT,
            "user_id": SELLER,
            "author_id": 4_999_999,
            "created": int(time.time()),
            "type": "text",
            "chat_type": "u2i",
            "content": {"text": f"проба-{number:06}"},
            "item_id": 7_000_000,
        }
        told = {"id": f"probe-{number}", "version": "v3.0.0", "timestamp": int(time.time())}
        body = json.dumps(told | {"payload": {"type": "message", "value": value}}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"POST {shop.PATH} HTTP/1.1\r\nHost: golub\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        at = time.time() * 1000
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a message was answered {answer[:40].decode()}")
        return at


async def _say(line: _Line, probes: int, seconds: float) -> dict[str, float]:
    """So many a second, for so long: when each was sent, by its number."""
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), dict[str, float]()
    for place in range(int(probes * seconds)):
        await asyncio.sleep(max(began + place / probes - loop.time(), 0))
        sent[f"{place + 2:06}"] = await line.say(place + 2)
    return sent


async def _open_shop(bench: Bench, folder: Path) -> str:
    """Returns the secret of an operator's session."""
    await asyncio.to_thread(shop.make, folder, bench.folder / "pattern")
    golub = Golub(Settings.model_validate({"data_dir": folder / "node"}))
    async with golub.opened() as parts:
        operator = await parts.operators.create("anna", "correct horse battery", name="Анна", role=Role.SUPER_ADMIN)
        secret, _ = await parts.operators.open_session(operator)
        return secret


async def _row_of(folder: Path) -> int:
    """The chat's number at ours, once it is there."""
    with closing(sqlite3.connect(f"file:{folder / 'node/golub.db'}?mode=ro", uri=True)) as connection:
        while True:
            if row := connection.execute("SELECT id FROM chats WHERE avito_id = ?", (CHAT,)).fetchone():
                return row[0]
            await asyncio.sleep(0.02)


@contextmanager
def _inboxes(server: Served, secret: str, number: int) -> Generator[None]:
    if number == 0:
        yield
        return
    with _neighbours("inboxes", server.url, secret, str(number)) as process:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the other inboxes could not be opened")
        yield
        if process.poll() is not None:
            raise SystemExit("the other inboxes ended early")


@contextmanager
def _buyers(server: Served, rate: float, seconds: float) -> Generator[None]:
    if rate <= 0:
        yield
        return
    with _neighbours("buyers", str(server.port), str(rate), str(seconds)) as process:
        yield
        told = json.loads(process.communicate()[0])
        if told["refused"]:
            raise SystemExit(f"{told['refused']:.0f} messages of the others were refused")


@contextmanager
def _neighbours(*words: str) -> Generator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.neighbours", *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def _steady(bench: Bench, inboxes: int) -> Measures:
    machine.pin(bench.cores.load)
    folder = bench.empty_folder("steady")
    secret = asyncio.run(_open_shop(bench, folder))
    letters = Letters(shop.PATH)
    lowest, highest, number = SLOWEST, FASTEST, 0
    best = 0.0
    with served.golub(folder, on=bench.cores.server, environment=shop.QUIET) as server, _inboxes(
        server, secret, inboxes
    ):  # fmt: skip
        for _ in range(HALVINGS):
            rate = (lowest * highest) ** 0.5
            number, held = _hold(bench, server, folder, letters, rate, number)
            if held:
                best = lowest = rate
            else:
                highest = rate
            shop.wait_until_drained(folder, bench.say)
    return {"rate": best}


def _hold(bench: Bench, server: Served, folder: Path, letters: Letters, rate: float, first: int) -> tuple[int, bool]:
    """The next message's number, and whether the rate was held."""
    oldest: list[float] = []
    loaded = drive(
        server.port,
        letters,
        connections=64,
        seconds=STEADY[bench.full],
        rate=rate,
        first=first,
        each_second=lambda: oldest.append(shop.pending(folder)[1]),
    )
    oldest.append(shop.pending(folder)[1])
    held = loaded.at(0.99) <= LONGEST_MS and max(oldest) <= OLDEST and not (loaded.refused or loaded.cut)
    bench.say(f"{rate:.0f}/s: p99 {loaded.at(0.99):.0f} ms, oldest {max(oldest):.1f} s")
    return first + loaded.sent, held and loaded.sent >= 0.98 * rate * STEADY[bench.full]


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
