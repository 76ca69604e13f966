"""Bodies that nobody planned: whatever arrives is applied, passed over, taken for a probe or kept in quarantine, whole
and with its cause; the good delivery behind it is applied at once; and a fix lets what was refused count once."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from golub.journal import Wanted
from golub.model import Cause, DeliveryState, ReplayKind
from golub.replays import Replays
from tests.apply.bench import Bench, accept_all, refuse_text
from tests.apply.desk import run
from tests.conftest import AtScale
from tests.hostile.bodies import HOSTILE
from tests.promises import Figures
from tests.shapes import SHAPES, message

ROUND = 50  # mutated ones before each good one
WITHIN = 1  # second, in `make chaos`; in the suite a machine that has other work is no fault …
PATIENCE = 30  # … and there it is only said how long it took

_ODD = [
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b'""',
    b"[]",
    b"{}",
    b'"\\ud800"',
    b"18446744073709551616",
    b'"\\u0000"',
]
_BYTES = [b"\x00", b"\xff", b"\xc3", b'"', b"\\", b"{", b"}", b",", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"9" * 400]


def flip(body: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(body))
    return body[:place] + bytes([body[place] ^ (1 << chance.randrange(8))]) + body[place + 1 :]


def insert(body: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + chance.choice(_BYTES) + body[place:]


def cut(body: bytes, chance: Random) -> bytes:
    first, last = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:first] + body[last:] if chance.random() < 0.5 else body[:first]


def repeat(body: bytes, chance: Random) -> bytes:
    first, last = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:last] + body[first:last] * chance.randrange(1, 4) + body[last:]


def swap_value(body: bytes, chance: Random) -> bytes:
    """Another value behind some key: still JSON, mostly, and of a kind that nobody expects."""
    marks = [place for place in range(len(body)) if body[place : place + 2] == b": "]
    if not marks:
        return body
    start = chance.choice(marks) + 2
    ends = [place for sign in b",}" if (place := body.find(bytes([sign]), start)) > 0]
    return body[:start] + chance.choice(_ODD) + body[min(ends, default=len(body)) :]


def nest(body: bytes, chance: Random) -> bytes:
    depth = chance.choice([5, 65, 3000])
    return body.replace(b'"content": ', b'"content": ' + b'{"a":' * depth + b"1" + b"}" * depth + b', "b": ', 1)


MUTATIONS: list[Callable[[bytes, Random], bytes]] = [flip, insert, cut, repeat, swap_value, swap_value, nest]
SEEDS = [json.dumps(shape).encode() for shape in SHAPES.values()] + [
    raw for raw, _ in HOSTILE.values() if len(raw) < 9999
]


def mutated(chance: Random) -> bytes:
    body = chance.choice(SEEDS)
    for _ in range(chance.choice([1, 1, 2, 3])):
        body = chance.choice(MUTATIONS)(body, chance) if body else body
    return body


@pytest.mark.promise("P20")
async def test_nothing_that_arrives_holds_up_the_next_one(
    bench: Bench, desk: Replays, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    refuse_text(bench.store, "poison")
    chance = Random(seed)
    bodies: dict[bytes, bytes] = {}
    good: list[bytes] = []
    poisoned: list[bytes] = []
    slowest = 0.0
    for turn in range((at_scale(1600, 16_000) if bench.store.is_sqlite else at_scale(400, 4_000)) // ROUND):
        sent = [mutated(chance) for _ in range(ROUND)]
        received = await asyncio.gather(*(bench.receive(body) for body in sent))
        bodies |= {one: body for (one,), body in zip(received, sent, strict=True)}
        if turn % 4 == 0:  # such a batch is applied row by row
            poisoned += await bench.receive(message(id=f"poison-{turn}", content={"text": "poison"}))
        began = time.monotonic()
        good += await bench.receive(message(id=f"good-{turn}", chat_id="u2i-good"))
        await bench.applied()
        slowest = max(slowest, time.monotonic() - began)
    kept = bench.journal()
    states = Counter(kept[key]["state"] for key in bodies)
    figures(bodies=len(bodies), good=len(good), slowest_ms=round(slowest * 1000), **states)
    assert None not in {failure.delivery_id for failure in bench.failures}, "for one delivery all of them were put off"
    for key, body in bodies.items():
        row = kept[key]
        assert bytes(row["body"]) == body
        if row["state"] == DeliveryState.QUARANTINED:
            assert Cause(row["cause"]) is not Cause.NONE
            assert row["detail"]
    assert states.keys() <= {"applied", "ignored", "probe", "quarantined"}
    assert min(states["applied"], states["quarantined"]) > len(bodies) // 50, "the mutations are of all kinds"
    assert {kept[key]["state"] for key in good} == {"applied"}
    assert {kept[key]["cause"] for key in poisoned} == {Cause.ROW_ERROR}
    assert slowest < at_scale(PATIENCE, WITHIN)
    accept_all(bench.store)
    mended = await run(bench, desk, ReplayKind.APPLY, Wanted(state=DeliveryState.QUARANTINED))
    assert mended.outcomes == {
        "quarantined applied": len(poisoned),
        "quarantined quarantined": states["quarantined"],
    }
    assert mended.messages == len(poisoned)
    assert (await run(bench, desk, ReplayKind.APPLY)).changing == 0, "once is enough"
