"""Who may sign in: logins, roles, and the super administrator who stays."""

import asyncio
from typing import Any

import pytest

from golub.audit import By
from golub.errors import Conflict, Forbidden, Invalid, NotFound
from golub.model import Operator, Role
from golub.operators import Operators
from tests.conftest import ONE_DATABASE
from tests.operators.team import PASSWORD, invited


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


@pytest.mark.row(40)
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


@pytest.mark.row(44)
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


@pytest.mark.row(44)
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


@pytest.mark.row(46)
@pytest.mark.parametrize("change", [{"active": False}, {"role": Role.ADMIN}])
async def test_the_last_super_admin_stays(operators: Operators, boss: Operator, change: dict[str, Any]) -> None:
    with pytest.raises(Conflict):
        await operators.change(boss.id, by=By(boss), **change)
    assert (await operators.get(boss.id)).active


@pytest.mark.row(46)
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
