"""A session is found by its secret, and ends when it is idle, in any case, or at a word."""

import pytest

from golub.clock import DAY
from golub.model import Operator, Session
from golub.operators import ABSOLUTE_LIFE, IDLE_LIFE, Operators
from golub.store import Store
from tests.conftest import SteppedClock
from tests.operators.team import HOME


@pytest.mark.row(41)
async def test_a_session_is_found_by_its_secret_and_only_its_hash_is_kept(
    operators: Operators, boss: Operator, store: Store
) -> None:
    secret, opened = await operators.open_session(boss, address=HOME, user_agent="Firefox" * 100)
    assert len(secret) >= 43
    found = await operators.find_session(secret)
    assert found is not None
    assert (found[0].csrf, found[1].id) == (opened.csrf, boss.id)
    async with store.read() as session:
        row = await session.get_one(Session, opened.hash)
    assert secret.encode() not in row.hash
    assert len(row.user_agent) <= 300
    for wrong in ("", secret[:-1], secret + "a", "\udcff", "ы" * 43):
        assert await operators.find_session(wrong) is None


@pytest.mark.row(41)
async def test_a_session_ends_when_idle_and_in_any_case(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    used, _ = await operators.open_session(boss)
    idle, _ = await operators.open_session(boss)
    started = clock()
    clock.step(IDLE_LIFE - 1)
    assert await operators.find_session(used)
    clock.step(2)
    assert await operators.find_session(idle) is None
    while clock() < started + ABSOLUTE_LIFE - DAY:
        assert await operators.find_session(used)
        clock.step(DAY)
    clock.now = started + ABSOLUTE_LIFE
    assert await operators.find_session(used) is None
    assert await operators.remove_expired() == 2


async def test_a_stream_that_asks_does_not_keep_a_session_alive(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    _, opened = await operators.open_session(boss)
    clock.step(IDLE_LIFE - 1)
    assert await operators.is_open(opened.hash)
    clock.step(1)
    assert not await operators.is_open(opened.hash)


async def test_closing_tells_the_streams(operators: Operators, boss: Operator) -> None:
    ended: list[bytes] = []
    operators.on_closed.append(ended.extend)
    secret, opened = await operators.open_session(boss)
    await operators.close_session(opened.hash)
    assert ended == [opened.hash]
    assert await operators.find_session(secret) is None
