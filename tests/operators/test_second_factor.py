"""A second factor counts after its first code; a code works once; whoever lost the phone is helped by who may."""

import asyncio

import pytest
from pyotp.totp import TOTP
from sqlalchemy import select

from golub.audit import CONSOLE, Action, By
from golub.clock import HOUR, MINUTE, SECOND
from golub.errors import Conflict, Forbidden, NotFound, Paced, Rejected
from golub.model import AuditEntry, HalfSignIn, Operator, RecoveryCode, Role, SecondFactor
from golub.operators import HALF_LIFE, PROOF_LIFE, Operators, handle_of
from golub.operators.second_factor import RECOVERY_CODES
from golub.store import Store
from golub.throttle import FREE_BY_LOGIN
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.operators.team import ELSEWHERE, HOME, PASSWORD, invited

STEP = 30 * SECOND


class Phone:
    """An app that makes codes, with a clock of its own."""

    def __init__(self, seed: str, clock: SteppedClock) -> None:
        self._app = TOTP(seed)
        self._clock = clock

    def code(self, steps: int = 0) -> str:
        return self._app.at(self._clock() // SECOND, counter_offset=steps)


async def phone_of(operators: Operators, operator: Operator, clock: SteppedClock) -> Phone:
    await operators.begin_second_factor(operator.id)
    seed = await operators.find_new_seed(operator.id)
    assert seed is not None
    return Phone(seed, clock)


async def set_up(operators: Operators, operator: Operator, clock: SteppedClock) -> tuple[Phone, list[str]]:
    """With a phone whose first code is used up, and the clock a step further."""
    phone = await phone_of(operators, operator, clock)
    codes = await operators.confirm_second_factor(operator, phone.code(), by=By(operator, HOME))
    clock.step(STEP)
    return phone, codes


async def right(operators: Operators, operator: Operator, code: str, address: str = HOME) -> bool:
    try:
        await operators.check_code(operator, code, address)
    except Rejected:
        return False
    return True


async def told(store: Store) -> list[str]:
    async with store.read() as session:
        return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


async def test_it_counts_after_a_right_code_and_is_kept_sealed(
    operators: Operators, boss: Operator, store: Store, clock: SteppedClock
) -> None:
    phone = await phone_of(operators, boss, clock)
    assert (await operators.get(boss.id)).second_factor_at is None
    assert not await right(operators, boss, phone.code()), "what was only begun lets nobody in"
    for wrong in ("", "12345", "abcdef", phone.code(-9), "１２３４５６"):
        with pytest.raises(Rejected) as refused:
            await operators.confirm_second_factor(boss, wrong, by=By(boss, ELSEWHERE))
        assert refused.value.code == "wrong_code"
        clock.step(MINUTE)
    with pytest.raises(Conflict):
        await operators.make_recovery_codes(boss.id, by=By(boss))
    seed = await operators.find_new_seed(boss.id)
    made = await operators.confirm_second_factor(boss, phone.code(), by=By(boss, HOME))
    assert (await operators.get(boss.id)).second_factor_at == clock()
    assert await operators.find_new_seed(boss.id) is None, "nobody is shown it again"
    assert len(set(made)) == RECOVERY_CODES
    for again in (
        operators.begin_second_factor(boss.id),
        operators.confirm_second_factor(boss, phone.code(1), by=By(boss)),
    ):
        with pytest.raises(Conflict):
            await again
    async with store.read() as session:
        sealed = (await session.scalars(select(SecondFactor.seed))).one()
        hashes = list(await session.scalars(select(RecoveryCode.hash)))
    assert seed
    assert seed.encode() not in sealed
    assert not any(code.replace("-", "").encode() in kept for code in made for kept in hashes)
    assert (await told(store))[-1] == Action.SECOND_FACTOR_ON


async def test_a_code_works_once_and_a_step_to_either_side(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    phone, _ = await set_up(operators, boss, clock)
    assert not await right(operators, boss, phone.code(-1)), "it was used to set it up"
    answers = await asyncio.gather(*(right(operators, boss, phone.code()) for _ in range(3)))
    assert sorted(answers) == [False, False, True]
    assert await right(operators, boss, f" {phone.code(1)[:3]} {phone.code(1)[3:]} "), "a phone that is ahead"
    assert not await right(operators, boss, phone.code()), "and nothing before it any more"
    clock.step(3 * STEP)
    assert not await right(operators, boss, phone.code(-2))
    assert not await right(operators, boss, phone.code(2))
    assert await right(operators, boss, phone.code(-1)), "a phone that is behind"


async def test_whoever_gives_a_right_code_and_whoever_gives_a_used_one_never_wait_for_each_other(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    phone, _ = await set_up(operators, boss, clock)
    for _ in range(30):
        answers = await asyncio.gather(*(right(operators, boss, phone.code()) for _ in range(3)))
        assert sorted(answers) == [False, False, True]
        clock.step(2 * HOUR)  # the used ones are forgotten, or somebody would have to wait


async def test_each_recovery_code_works_once_until_there_are_new_ones(
    operators: Operators, boss: Operator, store: Store, clock: SteppedClock
) -> None:
    other = await invited(operators, boss, "other", Role.MANAGER)
    _, codes = await set_up(operators, boss, clock)
    _, others = await set_up(operators, other, clock)
    assert not await right(operators, boss, others[0])
    answers = await asyncio.gather(*(right(operators, boss, codes[0]) for _ in range(3)))
    assert sorted(answers) == [False, False, True]
    assert await right(operators, boss, codes[1].upper().replace("-", " "))
    assert await operators.count_recovery_codes(boss.id) == RECOVERY_CODES - 2
    new = await operators.make_recovery_codes(boss.id, by=By(boss))
    assert not await right(operators, boss, codes[2])
    assert await right(operators, boss, new[2])
    assert await operators.count_recovery_codes(other.id) == RECOVERY_CODES
    actions = await told(store)
    assert (actions.count(Action.RECOVERY_CODE_USED), actions.count(Action.RECOVERY_CODES_MADE)) == (3, 1)


async def test_guessing_slows_down_and_the_right_password_forgives_nothing(
    operators: Operators, boss: Operator, store: Store, clock: SteppedClock
) -> None:
    phone, _ = await set_up(operators, boss, clock)
    for number in range(FREE_BY_LOGIN):
        await operators.authenticate("boss", PASSWORD, f"203.0.113.{number}")
        assert not await right(operators, boss, phone.code(7), f"203.0.113.{number}")
    await operators.authenticate("boss", PASSWORD, ELSEWHERE)
    with pytest.raises(Paced):
        await operators.check_code(boss, phone.code(), ELSEWHERE)
    assert Action.SIGN_IN_FAILED in await told(store)
    clock.step(MINUTE)
    assert await right(operators, boss, phone.code())
    assert not await right(operators, boss, "000000"), "and a right code forgives the wrong ones"


async def test_who_may_help_whom(operators: Operators, boss: Operator, store: Store, clock: SteppedClock) -> None:
    admin, peer, manager = [
        await invited(operators, boss, login, role)
        for login, role in (("admin", Role.ADMIN), ("peer", Role.ADMIN), ("manager", Role.MANAGER))
    ]
    for operator in (boss, admin, peer, manager):
        await set_up(operators, operator, clock)
    for by, of in ((admin, boss), (admin, peer), (manager, admin), (manager, boss)):
        with pytest.raises(Forbidden):
            await operators.remove_second_factor(of.id, by=By(by))
        with pytest.raises(Forbidden):
            await operators.reset(of.id, by=By(by))
        assert (await operators.get(of.id)).second_factor_at is not None
    before = (await told(store)).count(Action.SECOND_FACTOR_OFF)
    for who, of in ((By(admin), manager), (By(boss), admin), (By(peer), peer), (CONSOLE, boss)):
        await operators.remove_second_factor(of.id, by=who)
        assert (await operators.get(of.id)).second_factor_at is None
        assert await operators.count_recovery_codes(of.id) == 0
    assert (await told(store)).count(Action.SECOND_FACTOR_OFF) == before + 4
    await operators.remove_second_factor(boss.id, by=CONSOLE)
    assert (await told(store)).count(Action.SECOND_FACTOR_OFF) == before + 4, "where there was none, nothing is noted"


async def test_half_a_sign_in_is_short_works_once_and_opens_nothing(
    operators: Operators, boss: Operator, store: Store, clock: SteppedClock
) -> None:
    phone, codes = await set_up(operators, boss, clock)
    half = await operators.open_half(boss)
    found = await operators.find_half(half)
    assert found is not None
    assert found.id == boss.id
    assert await operators.find_session(half) is None
    assert await operators.find_half(half + "x") is None
    with pytest.raises(Rejected):
        await operators.finish_half(half, phone.code(4), HOME)
    assert (await operators.finish_half(half, phone.code(), HOME)).id == boss.id
    with pytest.raises(NotFound):
        await operators.finish_half(half, codes[0], HOME)
    assert await operators.count_recovery_codes(boss.id) == RECOVERY_CODES, "too late is told before the code is used"
    late, ended = await operators.open_half(boss), await operators.open_half(boss)
    await operators.set_password(await operators.make_link("password", boss.id), PASSWORD + "!")
    assert await operators.find_half(ended) is None, "a new password ends them"
    late = await operators.open_half(boss)
    clock.step(HALF_LIFE)
    with pytest.raises(NotFound):
        await operators.finish_half(late, codes[0], HOME)
    await operators.remove_expired()
    async with store.read() as session:
        assert list(await session.scalars(select(HalfSignIn.hash))) == []


async def test_proof_takes_what_signing_in_takes_and_lasts_minutes(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    secret, opened = await operators.open_session(boss, address=HOME)
    assert operators.is_proved(opened)
    clock.step(PROOF_LIFE)
    assert not operators.is_proved(opened)

    async def proved() -> bool:
        found = await operators.find_session(secret)
        assert found is not None
        return operators.is_proved(found[0])

    with pytest.raises(Rejected):
        await operators.prove(opened, boss, "not the password", "", HOME)
    assert not await proved()
    await operators.prove(opened, boss, PASSWORD, "", HOME)
    assert await proved()
    phone, _ = await set_up(operators, boss, clock)
    clock.step(PROOF_LIFE)
    for password, code in ((PASSWORD, ""), (PASSWORD, phone.code(5)), ("not the password", phone.code())):
        with pytest.raises(Rejected):
            await operators.prove(opened, boss, password, code, HOME)
        assert not await proved()
    await operators.prove(opened, boss, PASSWORD, phone.code(), HOME)
    assert await proved()


async def test_a_new_password_of_ones_own_ends_every_other_session(
    operators: Operators, boss: Operator, clock: SteppedClock
) -> None:
    ended: list[bytes] = []
    operators.on_closed.append(ended.extend)
    (kept, here), (gone, there) = [await operators.open_session(boss) for _ in range(2)]
    link, half = await operators.make_link("password", boss.id), await operators.open_half(boss)
    with pytest.raises(Rejected):
        await operators.change_password(here, boss, "short", by=By(boss))
    assert ended == []
    await operators.change_password(here, boss, "quite another one", by=By(boss))
    assert ended == [there.hash]
    assert await operators.find_session(kept)
    assert await operators.find_session(gone) is None
    assert await operators.find_half(half) is None
    with pytest.raises(NotFound):
        await operators.find_link("password", link)
    assert (await operators.authenticate("boss", "quite another one", HOME)).id == boss.id


async def test_one_ends_ones_own_sessions_and_nobody_elses(
    operators: Operators, boss: Operator, store: Store, clock: SteppedClock
) -> None:
    other = await invited(operators, boss, "other", Role.MANAGER)
    foreign, foreign_row = await operators.open_session(other)
    mine = [await operators.open_session(boss) for _ in range(3)]
    listed = await operators.list_sessions(boss.id)
    assert {one.hash for one in listed} == {row.hash for _, row in mine}
    ended: list[bytes] = []
    operators.on_closed.append(ended.extend)
    for handle in (handle_of(foreign_row), "", "0" * 16):
        with pytest.raises(NotFound):
            await operators.end_session(boss, handle, by=By(boss))
    await operators.end_session(boss, handle_of(mine[1][1]), by=By(boss))
    assert ended == [mine[1][1].hash]
    await operators.end_other_sessions(boss, mine[0][1].hash, by=By(boss))
    assert ended == [mine[1][1].hash, mine[2][1].hash]
    assert await operators.find_session(foreign)
    assert await operators.find_session(mine[0][0])
    assert (await told(store)).count(Action.SESSIONS_ENDED) == 2
    await operators.end_other_sessions(boss, mine[0][1].hash, by=By(boss))
    assert (await told(store)).count(Action.SESSIONS_ENDED) == 2, "nothing was ended"
    assert not any(handle_of(row) in row.hash.hex() for _, row in mine)


@ONE_DATABASE
async def test_whoever_watches_a_session_hears_of_its_end_alone(operators: Operators, boss: Operator) -> None:
    (here, mine), (_, other) = [await operators.open_session(boss) for _ in range(2)]
    with operators.watched(here) as ended:
        await operators.close_session(other.hash)
        assert not ended.is_set()
        await operators.close_session(mine.hash)
        assert ended.is_set()
    assert operators.on_closed == []
