"""The pace of one account's requests: Avito's limit, operators first, and mercy on an Avito that fails."""

import asyncio
import random
from itertools import pairwise

import pytest

from golub.avito.errors import Down
from golub.avito.pace import AT_ONCE, Lane, Pace
from golub.errors import Ambiguous, NoAccess, Paced

WINDOW = 30.0  # seconds: what takes less has not waited for the next one, however busy the machine is


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_no_minute_of_avito_ever_sees_more_than_the_limit() -> None:
    window, limit = 0.3, 20
    pace = Pace(limit, window=window)
    dice = random.Random(5)
    arrived: list[float] = []

    async def request() -> None:
        async with pace.turn(1, dice.choice([Lane.OPERATOR, Lane.BULK])):
            await asyncio.sleep(dice.random() * 0.02)  # the way there
            arrived.append(now())
            await asyncio.sleep(dice.random() * 0.02)  # the way back

    await asyncio.gather(*(request() for _ in range(100)))
    assert len(arrived) == 100
    assert max(sum(1 for at in arrived if start <= at < start + window) for start in arrived) <= limit
    assert max(arrived) - min(arrived) < 100 / limit * window + 5 * window


async def test_background_leaves_a_fifth_to_operators() -> None:
    pace = Pace(20, window=WINDOW)
    for _ in range(16):
        async with pace.turn(1, Lane.BULK):
            pass
    waiting = asyncio.create_task(_take(pace, Lane.PROMPT))
    for _ in range(4):
        await asyncio.wait_for(_take(pace, Lane.OPERATOR), WINDOW / 2)
    with pytest.raises(Paced):  # the minute is used up, and thirty seconds are too long for a person
        await _take(pace, Lane.OPERATOR)
    assert not waiting.done() or isinstance(waiting.exception(), Paced)
    waiting.cancel()


async def test_an_operator_overtakes_everybody_who_waits() -> None:
    pace = Pace(500)
    order: list[str] = []
    gate = asyncio.Event()

    async def hold() -> None:
        async with pace.turn(1, Lane.BULK):
            await gate.wait()

    async def pass_as(name: str, lane: Lane) -> None:
        async with pace.turn(1, lane):
            order.append(name)

    holding = [asyncio.create_task(hold()) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    bulk = asyncio.create_task(pass_as("bulk", Lane.BULK))
    prompt = asyncio.create_task(pass_as("prompt", Lane.PROMPT))
    await asyncio.sleep(0)
    await asyncio.wait_for(pass_as("operator", Lane.OPERATOR), WINDOW / 2)
    gate.set()
    await asyncio.gather(*holding, bulk, prompt)
    assert order == ["operator", "prompt", "bulk"]


async def test_an_accounts_failures_slow_nobody_else() -> None:
    pace = Pace(500, failure_gap=WINDOW)
    with pytest.raises(Down):
        await _fail(pace, Down("x"))
    with pytest.raises(Paced):  # background would wait thirty seconds
        await _take(pace, Lane.BULK)
    await asyncio.wait_for(_take(pace, Lane.BULK, account=2), WINDOW / 2)


@pytest.mark.promise("P16")
async def test_failures_space_requests_out_more_and_more() -> None:
    pace = Pace(500, failure_gap=0.02)
    times: list[float] = []
    for _ in range(5):
        with pytest.raises(Down):
            await _fail(pace, Down("x"), times)
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= 0.019 for gap in gaps)
    assert gaps[3] > 2 * gaps[0]
    assert pace.failures(1) == 5
    await _take(pace, Lane.BULK)
    assert pace.failures(1) == 0


async def test_an_operator_waits_one_gap_and_not_the_backoff() -> None:
    pace = Pace(500, failure_gap=0.05)
    for _ in range(7):
        with pytest.raises(Ambiguous):
            await _fail(pace, Ambiguous("x"), lane=Lane.OPERATOR)
    began = now()
    await _take(pace, Lane.OPERATOR)
    assert now() - began < 0.5  # the backoff is 3 s by now


async def test_requests_that_fail_together_are_one_failure() -> None:
    pace = Pace(500, failure_gap=0.02)
    gate = asyncio.Event()

    async def fail() -> None:
        async with pace.turn(1, Lane.BULK):
            await gate.wait()
            raise Down("x")

    failing = [asyncio.create_task(fail()) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*failing, return_exceptions=True)
    assert pace.failures(1) == 1


async def test_a_refusal_is_an_answer() -> None:
    pace = Pace(500, failure_gap=0.02)
    with pytest.raises(Down):
        await _fail(pace, Down("x"))
    with pytest.raises(NoAccess):
        await _fail(pace, NoAccess("x"))
    assert pace.failures(1) == 0


async def test_after_a_429_nobody_goes_before_its_time() -> None:
    pace = Pace(500)
    with pytest.raises(Paced):
        await _fail(pace, Paced("x", retry_after=0.3))
    began = now()
    await asyncio.gather(_take(pace, Lane.OPERATOR), _take(pace, Lane.BULK))
    assert now() - began >= 0.29
    with pytest.raises(Paced):
        await _fail(pace, Paced("x", retry_after=300))
    for lane in Lane:
        with pytest.raises(Paced) as paced:
            await _take(pace, lane)
        assert 290 < paced.value.retry_after <= 300


@pytest.mark.parametrize("limit", ["0", "-1", "1e9", "", None, "٦٠", "x", "3", "9" * 30])
@pytest.mark.promise("P16")
async def test_nonsense_in_the_headers_changes_nothing(limit: str | None) -> None:
    pace = Pace(100, window=WINDOW, failure_gap=0.01)
    pace.told(1, limit, limit if limit != "0" else "x")
    for _ in range(80):
        await asyncio.wait_for(_take(pace, Lane.BULK), WINDOW / 2)


async def test_a_lower_limit_in_the_headers_counts() -> None:
    pace = Pace(500, window=WINDOW)
    pace.told(1, "100", "50")
    for _ in range(80):
        await asyncio.wait_for(_take(pace, Lane.BULK), WINDOW / 2)
    with pytest.raises(Paced):
        await _take(pace, Lane.BULK)


async def _take(pace: Pace, lane: Lane, account: int = 1) -> None:
    async with pace.turn(account, lane):
        pass


async def _fail(pace: Pace, error: Exception, times: list[float] | None = None, lane: Lane = Lane.BULK) -> None:
    async with pace.turn(1, lane):
        if times is not None:
            times.append(now())
        raise error
