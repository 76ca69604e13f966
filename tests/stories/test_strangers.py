"""What strangers do to the door costs those who are meant to come in nothing: floods, slow clients, monstrous requests.

What comes by the right token meanwhile is judged by the oracle, as everywhere.
"""

import asyncio
import gzip
import json
import re
import resource
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from golub.ingest import BARE_BURST, BARE_RATE, BODY_LIMIT
from golub.model import Delivery
from golub.simulator import read, wire
from golub.store import Store
from tests import machine
from tests.conftest import AtScale, StartGolub
from tests.promises import Figures
from tests.stories.scene import Scene, Verdict, scene
from tests.stories.strangers import BARE, post, say
from tests.stories.vitals import answered, vitals

pytestmark = pytest.mark.story

CLOSED_WITHIN = 15.0  # seconds
PATIENCE_WITH = 20  # of the deliveries that come first, while caches fill, no time is taken


def port_of(town: Scene) -> int:
    return int(town.golub.url.rstrip("/").rpartition(":")[2])


async def strangers(*words: object) -> dict[str, float]:
    """What they say that they got."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.stories.strangers", *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return json.loads(said)


async def unhurt(town: Scene, at_scale: AtScale) -> Verdict:
    """Nothing that was meant to come in was refused, late or lost."""
    assert await town.golub.stop() == 0
    verdict = await town.judge()
    assert verdict.is_prompt(busy=bool(at_scale(1, 0))), verdict
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    return verdict


MADE_UP = re.compile(r"/u2i-[0-9a-f]{22}$")  # the chats of `strangers.flood`; Avito's own are not of hex digits


@pytest.mark.promise("P21")
async def test_a_flood_of_forgeries(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    seconds = at_scale(4, 30)
    async with scene(tmp_path, start_golub, seed=seed) as town:
        town.simulator.faults.clear()
        chat = next(iter(town.simulator.world.chats.values()))
        like = wire.webhook_value(town.simulator.buyer_says(chat, "Образец"))
        forged = json.dumps({"id": "FORGED", "version": "v3.0.0", "timestamp": int(time.time()),
            "payload": {"type": "message", "value": like | {"id": "FORGED", "chat_id": "u2i-FORGED"}}})  # fmt: skip
        async with town.talking(20):
            await town.acked(2 * PATIENCE_WITH)
            before = await vitals(town.golub)
            asked, began = len(town.simulator.calls), time.monotonic()
            told = await strangers("flood", port_of(town), seconds, forged)
            after = await vitals(town.golub)
            calls, took = town.simulator.calls[asked:], time.monotonic() - began
        kept = await bare_deliveries(town)
        shown, _ = await town._stored()
        verdict = await unhurt(town, at_scale)
    assert shown.keys() <= {(chat, message) for _, chat, message in read(town.log).sent}  # nothing that was forged
    p99 = answered(town.log, 0.99, since=PATIENCE_WITH)
    looked_up = sum(call.operation == "getChatByIdV2" and bool(MADE_UP.search(call.path)) for call in calls)
    listed = sum(call.operation == "getChatsV2" for call in calls)
    figures(**verdict.figures, p99_ms=round(p99), memory_mb=round(after.memory - before.memory, 1), looked_up=looked_up,
            listed=listed, kept=kept, flood=json.dumps(told))  # fmt: skip
    assert told["bare_429"] > told["bare_200"] > 0
    assert told.get("token_404", 0) + told.get("token_503", 0) > 0
    assert {"bare_200", "bare_429", "token_404", "token_503", "per_second"} >= told.keys()  # each 429, 503 says when
    assert kept <= told["bare_200"] <= BARE_BURST + BARE_RATE * (seconds + 5)
    assert 0 < looked_up <= 5 + took + 1  # golub.backfill.hints: five at once, then one a second
    assert after.memory - before.memory < 50
    if at_scale(0, 1):
        assert p99 < 500


async def bare_deliveries(town: Scene) -> int:
    store = Store(town.settings.effective_database_url)
    try:
        async with store.read() as session:
            return await session.scalar(select(func.count()).where(Delivery.token_id.is_(None))) or 0
    finally:
        await store.close()


@pytest.mark.row(30)
@pytest.mark.promise("P22")
async def test_thousands_of_slow_clients(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    each = at_scale(100, 1000)
    allow_descriptors(4 * each + 500)
    async with scene(tmp_path, start_golub, seed=seed) as town:
        async with town.talking(20):
            await town.acked(2 * PATIENCE_WITH)
            before = await vitals(town.golub)
            closed = await strangers("dawdle", port_of(town), each)
            after = await vitals(town.golub)
        verdict = await unhurt(town, at_scale)
    p99 = answered(town.log, 0.99, since=PATIENCE_WITH)
    figures(**verdict.figures, p99_ms=round(p99), memory_mb=round(after.memory - before.memory, 1),
            **{f"{kind}_closed": round(after, 1) for kind, after in closed.items()})  # fmt: skip
    assert max(closed.values()) < CLOSED_WITHIN + at_scale(10, 0)  # a machine may have other things to do
    assert after.descriptors <= before.descriptors + 10
    assert not any("A request failed" in line for line in town.golub.lines)
    if at_scale(0, 1):
        assert p99 < 200


def allow_descriptors(wanted: int) -> None:
    """Of this process, which is all the clients at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    machine.must_have(machine.Need.OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


LARGE = 50 << 20


async def chunked(head: bytes) -> AsyncGenerator[bytes]:
    yield head + b"Transfer-Encoding: chunked\r\n\r\n"
    for _ in range(LARGE >> 16):
        yield b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    yield b"0\r\n\r\n"


async def announced(head: bytes) -> AsyncGenerator[bytes]:
    yield head + b"Content-Length: %d\r\n\r\n" % LARGE
    for _ in range(LARGE >> 16):
        yield b"x" * 0x10000


@pytest.mark.promise("P23")
async def test_monstrous_requests(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    bomb = gzip.compress(bytes(LARGE))
    assert len(bomb) < BODY_LIMIT
    form = "Content-Type: application/x-www-form-urlencoded"
    many = [f"x-{number}: y" for number in range(10_000)]
    async with scene(tmp_path, start_golub, seed=seed) as town:
        port = port_of(town)
        async with town.talking(20):
            await town.acked(2 * PATIENCE_WITH)
            await say(port, post("/sign-in", b"login=a", form))  # what the first page costs is no one's fault
            before = await vitals(town.golub)
            statuses: dict[str, set[int]] = {}
            for path in (BARE, "/sign-in"):
                head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{form}\r\n".encode()
                for _ in range(at_scale(1, 10)):
                    for kind, request in (
                        ("announced", announced(head)),
                        ("chunked", chunked(head)),
                        ("header", post(path, b"{}", "x: " + "x" * 200_000)),
                        ("headers", post(path, b"{}", *many)),
                        ("address", post(path + "/" + "x" * 1_000_000)),
                    ):
                        statuses.setdefault(kind, set()).add(await say(port, request))
            statuses["bomb"] = {await say(port, post(BARE, bomb, "Content-Encoding: gzip"))}
            after = await vitals(town.golub)
        verdict = await unhurt(town, at_scale)
    monsters = at_scale(1, 10) * 2 * len(statuses)
    figures(**verdict.figures, memory_mb=round(after.memory - before.memory, 1),
            cpu_ms_each=round((after.cpu - before.cpu) * 1000 / monsters),
            statuses=json.dumps({kind: sorted(found) for kind, found in statuses.items()}))  # fmt: skip
    assert statuses.pop("bomb") == {415}
    assert statuses["announced"] | statuses["chunked"] <= {413, 0}
    assert statuses["header"] | statuses["headers"] | statuses["address"] <= {431, 414, 0}
    assert after.memory - before.memory < 5 + at_scale(5, 0)
