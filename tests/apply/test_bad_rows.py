"""What cannot be applied is in quarantine with its cause, alone, and the next one is applied."""

import asyncio
import json
import signal
import subprocess
import sys

import pytest

from golub.apply import PART_ROWS
from golub.model import Cause, Chat, DeliveryState, Message
from tests.apply.bench import Bench, outcome, refuse_text
from tests.conftest import ONE_DATABASE
from tests.hostile.bodies import HOSTILE
from tests.shapes import CONTENTS, CREATED, envelope, message, value


@pytest.mark.row(21, 22, 23, 24)
async def test_hostile_bodies_are_quarantined_and_the_next_good_one_applied(bench: Bench) -> None:
    ids = await bench.receive(*(raw for raw, _ in HOSTILE.values()))
    plain = CONTENTS["text"]["text"]
    survivors = [
        (value(id="h-1", content={"text": "a\ud800\x00b"}), "a\ufffd\u2400b"),
        (value(id="h-2", created=CREATED * 1000), plain),
        (value(id="h-3", item_id=2**64), plain),
        (value(id="h-4", created=2**62), plain),
    ]
    survived = await bench.receive(*(json.dumps(envelope(odd)).encode() for odd, _ in survivors))
    (good,) = await bench.receive(message(id="good"))
    await bench.applied()
    journal = bench.journal()
    for name, one in zip(HOSTILE, ids, strict=True):
        raw, cause = HOSTILE[name]
        assert (name, *outcome(journal[one])) == (name, DeliveryState.QUARANTINED, cause)
        assert journal[one]["body"] == raw
        assert journal[one]["detail"]
    assert {outcome(journal[one]) for one in [*survived, good]} == {(DeliveryState.APPLIED, Cause.NONE)}
    assert journal[survived[0]]["detail"] == "characters_replaced"
    texts = {row["avito_id"]: row["text"] for row in bench.all(Message)}
    assert texts == {f"h-{n}": kept for n, (_, kept) in enumerate(survivors, 1)} | {"good": plain}
    (chat,) = bench.all(Chat)
    assert chat["last_message_at"] <= bench.clock()
    assert {failure.delivery_id for failure in bench.failures} == set(ids)


async def test_one_bad_row_in_a_batch_is_quarantined_alone(bench: Bench) -> None:
    refuse_text(bench.store, "poison")
    before, bad, after = await bench.receive(
        message(id="m-1"), message(id="m-2", content={"text": "poison"}), message(id="m-3")
    )
    await bench.applied()
    journal = bench.journal()
    assert outcome(journal[before]) == outcome(journal[after]) == (DeliveryState.APPLIED, Cause.NONE)
    assert outcome(journal[bad]) == (DeliveryState.QUARANTINED, Cause.ROW_ERROR)
    assert journal[bad]["body"] == message(id="m-2", content={"text": "poison"})
    assert journal[bad]["detail"]
    assert sorted(row["avito_id"] for row in bench.all(Message)) == ["m-1", "m-3"]
    assert [(failure.delivery_id, failure.cause) for failure in bench.failures] == [(bad, Cause.ROW_ERROR)]
    assert bench.all(Chat)[0]["unread"] == 2


@ONE_DATABASE
async def test_a_bad_row_in_a_long_batch_is_looked_for_in_small_parts(bench: Bench) -> None:
    """So that nobody waits for the lock as long as a batch takes row by row; and what follows goes at full speed."""
    refuse_text(bench.store, "poison")
    sizes: list[int] = []
    for number in range(90):
        words = {"content": {"text": "poison"}} if number in (20, 21, 39) else {}
        await bench.receive(message(id=f"m-{number}", created=CREATED + number, **words))
        if number == 39:
            sizes = [await asyncio.to_thread(bench.applier._apply_some) for _ in range(3)]
    sizes.append(await asyncio.to_thread(bench.applier._apply_some))
    assert sizes == [PART_ROWS, PART_ROWS, 40 - 2 * PART_ROWS, 50]
    ids = [row["avito_id"] for row in bench.all(Message)]
    assert ids == [f"m-{number}" for number in range(90) if number not in (20, 21, 39)]
    assert [failure.cause for failure in bench.failures] == [Cause.ROW_ERROR] * 3


APPLY_OR_DIE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from golub.apply import Applier
from golub.live import Live
from golub.spool import Spool
from golub.store import Store

folder, url, now = sys.argv[1:]

def die(connection, cursor, statement, parameters, context, executemany):
    if statement.startswith("INSERT INTO messages") and "deadly" in repr(parameters):
        os.kill(os.getpid(), signal.SIGKILL)

def drain():
    store = Store(url)
    event.listen(store._apply, "before_cursor_execute", die)
    spool = Spool(Path(folder), quota=1 << 24, clock=lambda: int(now))
    spool.start()
    Applier(spool, store, Live(), lambda: int(now)).drain()
    spool.close()

for _ in range(6):  # a process each, that need not read the code again
    if not (process := os.fork()):
        drain()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@ONE_DATABASE
async def test_a_delivery_that_kills_the_process_is_quarantined_at_last(bench: Bench) -> None:
    before = await bench.receive(*(message(id=f"m-{number}") for number in range(3)))
    (bad,) = await bench.receive(message(id="deadly"))
    after = await bench.receive(*(message(id=f"m-{number}") for number in range(3, 6)))
    bench.close()
    command = [sys.executable, "-c", APPLY_OR_DIE, str(bench.folder), bench.url, str(bench.clock())]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=60)
    bench.open()
    assert [int(end) for end in done.stdout.split()] == [-signal.SIGKILL] * 5 + [0]
    journal = bench.journal()
    assert outcome(journal[bad]) == (DeliveryState.QUARANTINED, Cause.CRASHED)
    assert journal[bad]["body"] == message(id="deadly")
    assert {outcome(journal[one]) for one in before + after} == {(DeliveryState.APPLIED, Cause.NONE)}
    assert sorted(row["avito_id"] for row in bench.all(Message)) == [f"m-{number}" for number in range(6)]
    assert bench.spool.pending == 0


@ONE_DATABASE
async def test_who_is_killed_again_and_again_while_it_starts_accuses_nobody(bench: Bench) -> None:
    """The first batch after a start is slow: it has no suspects, or the least suspected one; then they come in turn."""
    for number in range(5):
        await bench.receive(message(id=f"m-{number}", created=CREATED + number))
    rows = bench.spool.read(0)
    bench.spool._crashes |= {row.id: times for row, times in zip(rows, (4, 2, 3), strict=False)}

    def applied() -> list[str]:
        bench.applier._apply_some()
        return sorted(row["avito_id"] for row in bench.all(Message))

    assert await asyncio.to_thread(applied) == ["m-3", "m-4"]
    assert await asyncio.to_thread(applied) == ["m-0", "m-3", "m-4"]
    bench.applier._warm = False  # as if started again, with nothing but suspects
    bench.spool._crashes |= {rows[1].id: 3, rows[2].id: 2}
    assert await asyncio.to_thread(applied) == ["m-0", "m-2", "m-3", "m-4"]
