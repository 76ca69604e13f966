"""Operators: passwords, sessions, links, roles, and the slowing of guesses. On both databases."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import select

from golub.audit import By
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.errors import Conflict, Forbidden, GolubError, Invalid, NotFound, Paced, Rejected
from golub.model import OneTimeLink, Operator, Role, Session
from golub.operators import ABSOLUTE_LIFE, IDLE_LIFE, Operators
from golub.passwords import AT_ONCE, WAITING, Passwords, check_strength
from golub.store import Store
from golub.throttle import FREE_BY_ADDRESS, FREE_BY_LOGIN, Throttle, network_of
from tests.conftest import ONE_DATABASE, SteppedClock

PASSWORD = "two words and more"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
async def operators(store: Store, clock: SteppedClock) -> AsyncGenerator[Operators]:
    made = Operators(store, clock)
    yield made
    made.close()


@pytest.fixture
async def boss(operators: Operators) -> Operator:
    return await operators.create("boss", PASSWORD, name="Boss", role=Role.SUPER_ADMIN)


async def invited(operators: Operators, boss: Operator, login: str, role: Role) -> Operator:
    return (await operators.invite(login, name=login, role=role, locale="ru", by=By(boss)))[0]


async def test_a_login_is_tidied_and_taken_once(operators: Operators) -> None:
    made = await operators.create("  Anna@Example.RU ", PASSWORD)
    assert (made.login, made.name, made.role) == ("anna@example.ru", "anna@example.ru", Role.MANAGER)
    assert made.password_hash.startswith("$argon2id$")
    with pytest.raises(Conflict, match=r"anna@example\.ru"):
        await operators.create("ANNA@example.ru", PASSWORD)


@ONE_DATABASE
@pytest.mark.parametrize("login", ["", "  ", "a b", "a" * 65, "a\x00b", "a\nb"])
async def test_a_login_that_is_none_is_refused(operators: Operators, login: str) -> None:
    with pytest.raises(Invalid) as refused:
        await operators.create(login, PASSWORD)
    assert refused.value.field == "login"


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("1234567", False),
        ("12345678", False),
        ("Qwerty123", False),
        ("йцукенгш", False),
        ("abababab", False),
        ("anna@shop.ru", False),
        ("д" * 513, False),
        ("д" * 511 + "аб", False),
        ("семь слов", True),
        ("a\x00b c d\N{GRINNING FACE}f", True),
        ("correct horse", True),
        ("xyz" + "д" * 510, True),
    ],
)
def test_passwords_are_judged_by_length_and_by_what_is_guessed_first(password: str, good: bool) -> None:
    if good:
        check_strength(password, login="anna@shop.ru")
        return
    with pytest.raises(Invalid) as refused:
        check_strength(password, login="anna@shop.ru")
    assert refused.value.field == "password"


async def test_every_byte_of_a_password_counts(operators: Operators) -> None:
    password = "x\x00y" + "long" * 100
    await operators.create("anna", password)
    await operators.authenticate("anna", password, HOME)
    for wrong in (password[:-1], password + " ", "x\x00z" + "long" * 100, "x"):
        with pytest.raises(Rejected):
            await operators.authenticate("anna", wrong, HOME)


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


def test_a_password_costs_whoever_guesses_three_passes_over_64_mib() -> None:
    """Asked of a process of its own: in this one a hash is cheap."""
    asks = "from golub.passwords import Passwords; print(Passwords()._hasher.hash('two words and more'))"
    hashed = subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True).stdout
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_an_unknown_login_costs_a_hash_as_well() -> None:
    passwords = Passwords()
    await passwords.warm()
    asked: list[str] = []
    verify = passwords._hasher.verify

    def counted(password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - the library's name
        asked.append(str(hash).split("$")[3])
        return verify(password, hash)

    passwords._hasher.verify = counted
    assert not await passwords.verify("nobody's", None)
    assert not await passwords.verify("something", await passwords.hash("something else"))
    passwords.close()
    assert len(asked) == 2
    assert asked[0] == asked[1], "the parameters of both hashes, and so their price, are the same"


async def test_hashing_has_a_queue_with_an_end() -> None:
    passwords = Passwords()
    answers = await asyncio.gather(
        *(passwords.hash(f"two words and {number}") for number in range(AT_ONCE + WAITING + 5)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Paced)]
    assert len(refused) == 5
    assert all(isinstance(answer, str) for answer in answers if answer not in refused)
    assert await passwords.hash("and afterwards it goes on")
    passwords.close()


async def fails(operators: Operators, login: str, address: str) -> type[GolubError]:
    with pytest.raises((Rejected, Paced)) as refused:
        await operators.authenticate(login, "x" * 2000, address)  # too long to be hashed: only the counting is tested
    return Paced if isinstance(refused.value, Paced) else Rejected


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


async def test_strangers_do_not_slow_an_operator_at_home(operators: Operators, boss: Operator) -> None:
    await operators.open_session(boss, address=HOME)
    for _ in range(FREE_BY_LOGIN):
        await fails(operators, "boss", ELSEWHERE)
    assert await fails(operators, "boss", ELSEWHERE) is Paced
    assert (await operators.authenticate("boss", PASSWORD, HOME)).id == boss.id
    assert await fails(operators, "boss", ELSEWHERE) is Paced


async def test_many_logins_from_one_address_slow_down(operators: Operators, clock: SteppedClock) -> None:
    for number in range(FREE_BY_ADDRESS):
        assert await fails(operators, f"login-{number}", f"2001:db8::{number + 1:x}") is Rejected
    assert await fails(operators, "another", "2001:db8::ffff") is Paced
    assert await fails(operators, "another", "2001:db8:0:1::1") is Rejected
    clock.step(HOUR + MINUTE)
    assert await fails(operators, "another", "2001:db8::ffff") is Rejected


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


@pytest.mark.parametrize("change", [{"active": False}, {"role": Role.ADMIN}])
async def test_losing_rights_ends_sessions(operators: Operators, boss: Operator, change: dict[str, Any]) -> None:
    anna = await invited(operators, boss, "anna", Role.MANAGER)
    ended: list[bytes] = []
    operators.on_closed.append(ended.extend)
    secret, opened = await operators.open_session(anna)
    await operators.change(anna.id, by=By(boss), **change)
    assert ended == [opened.hash]
    assert await operators.find_session(secret) is None


async def test_a_new_name_ends_nothing(operators: Operators, boss: Operator) -> None:
    secret, _ = await operators.open_session(boss)
    await operators.change(boss.id, by=By(boss), name=" Начальник ")
    found = await operators.find_session(secret)
    assert found is not None
    assert found[1].name == "Начальник"


async def test_roles_reach_no_higher_than_ones_own(operators: Operators, boss: Operator) -> None:
    admin = await invited(operators, boss, "admin", Role.ADMIN)
    manager = await invited(operators, boss, "manager", Role.MANAGER)
    for forbidden in (
        operators.invite("more", name="", role=Role.SUPER_ADMIN, locale="ru", by=By(admin)),
        operators.change(manager.id, by=By(admin), role=Role.SUPER_ADMIN),
        operators.change(admin.id, by=By(admin), role=Role.SUPER_ADMIN),
        operators.change(boss.id, by=By(admin), active=False),
        operators.reset(boss.id, by=By(admin)),
        operators.change(admin.id, by=By(manager), name="x"),
    ):
        with pytest.raises(Forbidden):
            await forbidden
    assert (await operators.change(manager.id, by=By(admin), role=Role.ADMIN)).role == Role.ADMIN
    with pytest.raises(NotFound):
        await operators.change(10**6, by=By(boss), name="x")


async def test_a_role_that_was_lost_meanwhile_gives_no_rights(operators: Operators, boss: Operator) -> None:
    """The browser's page, and the operator it was rendered for, may be older than the database."""
    deputy = await invited(operators, boss, "deputy", Role.SUPER_ADMIN)
    await operators.change(deputy.id, by=By(boss), role=Role.MANAGER)
    stale = Operator(id=deputy.id, role=Role.SUPER_ADMIN)
    for forbidden in (
        operators.change(boss.id, by=By(stale), active=False),
        operators.invite("more", name="", role=Role.ADMIN, locale="ru", by=By(stale)),
        operators.reset(boss.id, by=By(stale)),
    ):
        with pytest.raises(Forbidden):
            await forbidden


@pytest.mark.parametrize("change", [{"active": False}, {"role": Role.ADMIN}])
async def test_the_last_super_admin_stays(operators: Operators, boss: Operator, change: dict[str, Any]) -> None:
    with pytest.raises(Conflict):
        await operators.change(boss.id, by=By(boss), **change)
    assert (await operators.get(boss.id)).active


async def test_two_super_admins_who_demote_each_other(operators: Operators, boss: Operator) -> None:
    other = await invited(operators, boss, "other", Role.SUPER_ADMIN)
    for _ in range(5):
        answers = await asyncio.gather(
            operators.change(boss.id, by=By(other), role=Role.MANAGER),
            operators.change(other.id, by=By(boss), role=Role.MANAGER),
            return_exceptions=True,
        )
        left = [one for one in await operators.list_all() if one.role == Role.SUPER_ADMIN]
        assert len(left) == 1, answers
        assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [Forbidden]
        demoted = other if left[0].id == boss.id else boss
        await operators.change(demoted.id, by=By(left[0]), role=Role.SUPER_ADMIN)


async def test_set_up_happens_once(operators: Operators, clock: SteppedClock) -> None:
    assert await operators.needs_setup()
    old, link = await operators.make_link("setup"), await operators.make_link("setup")
    with pytest.raises(NotFound):
        await operators.find_link("setup", old)
    with pytest.raises(Invalid):
        await operators.set_up(link, login="anna", name="", password="short", locale="ru")
    made = await operators.set_up(link, login="anna", name="Анна", password=PASSWORD, locale="ru")
    assert (made.role, made.name) == (Role.SUPER_ADMIN, "Анна")
    assert not await operators.needs_setup()
    with pytest.raises(NotFound):
        await operators.set_up(link, login="eve", name="", password=PASSWORD, locale="ru")
    late = await operators.make_link("setup")
    with pytest.raises(Conflict):
        await operators.set_up(late, login="eve", name="", password=PASSWORD, locale="ru")
    clock.step(DAY)
    with pytest.raises(NotFound):
        await operators.find_link("setup", late)


async def test_two_who_set_up_at_once(operators: Operators) -> None:
    link = await operators.make_link("setup")
    answers = await asyncio.gather(
        *(operators.set_up(link, login=login, name="", password=PASSWORD, locale="ru") for login in ("anna", "eve")),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["NotFound", "Operator"]


async def test_a_link_works_once_for_its_purpose_and_only_its_hash_is_kept(
    operators: Operators, boss: Operator, store: Store
) -> None:
    secret = await operators.make_link("sign_in", boss.id)
    for purpose in ("setup", "password"):
        with pytest.raises(NotFound):
            await operators.use_link(purpose, secret)
    answers = await asyncio.gather(*(operators.use_link("sign_in", secret) for _ in range(5)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == [*["NotFound"] * 4, "OneTimeLink"]
    async with store.read() as session:
        links = list(await session.scalars(select(OneTimeLink.hash)))
    assert all(secret.encode() not in hashed for hashed in links)


async def test_a_password_link_sets_the_password_and_ends_sessions(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    anna, first = await operators.invite("anna", name="Анна", role=Role.MANAGER, locale="ru", by=By(boss))
    with pytest.raises(Invalid):
        await operators.set_password(first, "1234")
    await operators.set_password(first, PASSWORD)
    session_secret, _ = await operators.open_session(anna)
    second = await operators.reset(anna.id, by=By(boss))
    assert await operators.find_session(session_secret), "an asked-for link changes nothing yet"
    await operators.set_password(second, "another one of hers")
    assert await operators.find_session(session_secret) is None
    with pytest.raises(NotFound):
        await operators.set_password(second, "and a third one")
    with pytest.raises(Rejected):
        await operators.authenticate("anna", PASSWORD, HOME)
    assert (await operators.authenticate("anna", "another one of hers", HOME)).id == anna.id
    late = await operators.reset(anna.id, by=By(boss))
    clock.step(HOUR)
    with pytest.raises(NotFound):
        await operators.set_password(late, "too late for this one")


async def test_a_new_password_makes_older_links_useless(operators: Operators, boss: Operator) -> None:
    anna, first = await operators.invite("anna", name="Анна", role=Role.MANAGER, locale="ru", by=By(boss))
    second = await operators.reset(anna.id, by=By(boss))
    await operators.set_password(second, PASSWORD)
    with pytest.raises(NotFound):
        await operators.set_password(first, "whoever found the first")
