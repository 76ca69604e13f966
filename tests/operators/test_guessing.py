"""Guessing slows down, says nothing, and locks nobody out."""

import asyncio

import pytest

from golub.audit import By
from golub.clock import HOUR, MINUTE, SECOND
from golub.errors import GolubError, Paced, Rejected
from golub.model import Operator, Role
from golub.operators import Operators
from golub.store import Store
from golub.throttle import FREE_BY_ADDRESS, FREE_BY_LOGIN, Throttle, network_of
from tests.conftest import SteppedClock
from tests.operators.team import ELSEWHERE, HOME, PASSWORD


@pytest.mark.row(37)
async def test_signing_in_says_nothing_about_what_is_wrong(operators: Operators, boss: Operator) -> None:
    fired = await operators.create("fired", PASSWORD)
    await operators.change(fired.id, by=By(boss), active=False)
    await operators.invite("new", name="", role=Role.MANAGER, locale="ru", by=By(boss))
    told: set[tuple[str, str]] = set()
    for login, password in [("boss", "wrong one"), ("nobody", PASSWORD), ("fired", PASSWORD), ("new", "")]:
        with pytest.raises(Rejected) as refused:
            await operators.authenticate(login, password, HOME)
        told.add((refused.value.message, refused.value.code))
    assert told == {("Wrong login or password.", "wrong_password")}
    assert (await operators.authenticate(" Boss ", PASSWORD, HOME)).id == boss.id


async def fails(operators: Operators, login: str, address: str) -> type[GolubError]:
    with pytest.raises((Rejected, Paced)) as refused:
        await operators.authenticate(login, "x" * 2000, address)  # too long to be hashed: only the counting is tested
    return Paced if isinstance(refused.value, Paced) else Rejected


@pytest.mark.row(36)
async def test_guessing_at_a_login_slows_down_and_never_locks(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    """From any number of addresses: ten guesses in the first minute, then one a minute."""
    guesses: list[int] = []
    for second in (*range(60), *range(60, 600, 6)):
        if await fails(operators, "boss", f"203.0.113.{second % 250}") is Rejected:
            guesses.append(second)
        clock.step(SECOND if second < 60 else 6 * SECOND)
    assert 5 <= len([second for second in guesses if second < 60]) <= 10
    assert len(guesses) <= 20
    clock.step(MINUTE)
    assert (await operators.authenticate("boss", PASSWORD, "203.0.113.251")).id == boss.id


@pytest.mark.row(36)
async def test_strangers_do_not_slow_an_operator_at_home(operators: Operators, boss: Operator) -> None:
    await operators.open_session(boss, address=HOME)
    for _ in range(FREE_BY_LOGIN):
        await fails(operators, "boss", ELSEWHERE)
    assert await fails(operators, "boss", ELSEWHERE) is Paced
    assert (await operators.authenticate("boss", PASSWORD, HOME)).id == boss.id
    assert await fails(operators, "boss", ELSEWHERE) is Paced


@pytest.mark.row(36)
async def test_many_logins_from_one_address_slow_down(operators: Operators, clock: SteppedClock) -> None:
    for number in range(FREE_BY_ADDRESS):
        assert await fails(operators, f"login-{number}", f"2001:db8::{number + 1:x}") is Rejected
    assert await fails(operators, "another", "2001:db8::ffff") is Paced
    assert await fails(operators, "another", "2001:db8:0:1::1") is Rejected
    clock.step(HOUR + MINUTE)
    assert await fails(operators, "another", "2001:db8::ffff") is Rejected


@pytest.mark.row(36)
async def test_attempts_at_once_are_no_way_around(store: Store, clock: SteppedClock) -> None:
    throttle = Throttle(store, clock)
    answers = await asyncio.gather(
        *(throttle.admit("boss", f"192.0.2.{number}", None) for number in range(20)), return_exceptions=True
    )
    assert len([answer for answer in answers if not isinstance(answer, Exception)]) == FREE_BY_LOGIN
    assert {type(answer) for answer in answers if isinstance(answer, Exception)} == {Paced}


async def test_success_clears_the_login(operators: Operators, boss: Operator) -> None:
    for _ in range(FREE_BY_LOGIN - 1):
        await fails(operators, "boss", HOME)
    await operators.authenticate("boss", PASSWORD, HOME)
    for _ in range(FREE_BY_LOGIN):
        assert await fails(operators, "boss", HOME) is Rejected


def test_an_address_that_is_none_is_its_own_network() -> None:
    assert network_of("testclient") == "testclient"
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8::1") == "2001:db8::/64"
