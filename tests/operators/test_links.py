"""One-time links: setting up, and a new password."""

import asyncio

import pytest
from sqlalchemy import select

from golub.audit import By
from golub.clock import DAY, HOUR
from golub.errors import Conflict, Invalid, NotFound, Rejected
from golub.model import OneTimeLink, Operator, Role
from golub.operators import Operators
from golub.store import Store
from tests.conftest import SteppedClock
from tests.operators.team import HOME, PASSWORD


@pytest.mark.row(59)
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


@pytest.mark.row(39)
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


@pytest.mark.row(39, 40)
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


@pytest.mark.row(39)
async def test_a_new_password_makes_older_links_useless(operators: Operators, boss: Operator) -> None:
    anna, first = await operators.invite("anna", name="Анна", role=Role.MANAGER, locale="ru", by=By(boss))
    second = await operators.reset(anna.id, by=By(boss))
    await operators.set_password(second, PASSWORD)
    with pytest.raises(NotFound):
        await operators.set_password(first, "whoever found the first")
