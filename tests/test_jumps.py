"""A clock that is set back takes with it what is due; one that is set forward, or a little off, changes nothing."""

from typing import Any

import pytest
from sqlalchemy import select

from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.jumps import Jumps
from golub.model import Account, Mark, SignInFailure
from golub.store import Store
from tests.conftest import SteppedClock

pytestmark = pytest.mark.promise("P19")

FOLDER = "0" * 16


async def rows(store: Store) -> tuple[list[int], int, int]:
    """When the sweeps of all accounts are due, how long a guesser waits, and the noted time."""
    async with store.read() as session:
        due = list(await session.scalars(select(Account.sweep_due_at).order_by(Account.id)))
        blocked = (await session.get_one(SignInFailure, "a")).blocked_until
        return due, blocked, int((await session.get_one(Mark, f"latest_time {FOLDER}")).value)


@pytest.fixture
async def started(store: Store, clock: SteppedClock) -> Jumps:
    """One sweep is due in an hour, one was a minute ago."""
    async with store.write() as session:
        for number, due in enumerate((clock() + HOUR, clock() - MINUTE)):
            known: dict[str, Any] = {"client_id": f"{number}", "client_secret": b"", "created_at": 0}
            session.add(Account(user_id=number, sweep_due_at=due, **known))
        session.add(SignInFailure(key="a", count=9, blocked_until=clock() + MINUTE, last_at=clock()))
    jumps = Jumps(store, clock, FOLDER)
    await jumps.run_once()
    return jumps


@pytest.mark.parametrize("back", [2 * HOUR, 365 * DAY])
@pytest.mark.parametrize("restarted", [False, True])
async def test_what_is_due_moves_back_with_the_clock(
    back: int, restarted: bool, store: Store, clock: SteppedClock, started: Jumps
) -> None:
    clock.step(SECOND)
    await started.run_once()
    late = 0 if restarted else SECOND  # a new process knows no more than what is noted
    now = clock.step(-back)
    await (Jumps(store, clock, FOLDER) if restarted else started).run_once()
    due, blocked, noted = await rows(store)
    assert due == [now + HOUR - late, now]
    assert blocked == now + MINUTE - late
    assert noted == now
    await Jumps(store, clock, FOLDER).run_once()
    assert await rows(store) == (due, blocked, noted), "the next run sees that it was seen to"


@pytest.mark.parametrize("jump", [3 * DAY, 2 * HOUR, -MINUTE, 0])
async def test_a_clock_set_forward_or_a_little_off_moves_nothing(
    jump: int, store: Store, clock: SteppedClock, started: Jumps
) -> None:
    due, blocked, noted = await rows(store)
    clock.step(jump)
    await started.run_once()
    assert await rows(store) == (due, blocked, max(noted, clock() if jump else noted))


async def test_hosts_whose_clocks_differ_move_nothing_for_each_other(
    store: Store, clock: SteppedClock, started: Jumps
) -> None:
    """And one that is set back is found out all the same."""
    slow = SteppedClock(clock() - HOUR)
    other = Jumps(store, slow, "1" * 16)
    due, blocked, _ = await rows(store)
    for _ in range(3):
        for each, time in ((other, slow), (started, clock)):
            time.step(MINUTE)
            await each.run_once()
    assert (await rows(store))[:2] == (due, blocked)
    slow.step(-10 * MINUTE)
    await other.run_once()
    assert (await rows(store))[0][0] == due[0] - 10 * MINUTE
