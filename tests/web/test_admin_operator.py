"""The page of one operator: the accounts that he sees, his days and hours; who may choose them, and what is noted."""

import json

import pytest
from sqlalchemy import select

from golub.audit import Action
from golub.duty import Duty
from golub.live import EVERYTHING, Live
from golub.model import AuditEntry, Operator, Role
from golub.sight import find_sight
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import World
from tests.web.conftest import Browser, Visit


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    world_parts.live = Live()
    return world_parts


@pytest.fixture
async def anna(visit: Visit) -> Browser:
    return await visit(Role.MANAGER)


def page_of(browser: Browser) -> str:
    assert browser.operator
    return f"/admin/operators/{browser.operator.id}"


async def sees(parts: Parts, browser: Browser) -> frozenset[int] | None:
    assert browser.operator
    async with parts.store.read() as session:
        return (await find_sight(session, await session.get_one(Operator, browser.operator.id))).accounts


async def noted(parts: Parts) -> list[tuple[object, object]]:
    """What the audit says of changed operators, before and after."""
    async with parts.store.read() as session:
        found = await session.scalars(
            select(AuditEntry).where(AuditEntry.action == Action.OPERATOR_CHANGED).order_by(AuditEntry.id)
        )
        return [(json.loads(one.before), json.loads(one.after)) for one in found]


async def test_an_admin_chooses_which_accounts_a_manager_sees(
    world: World, parts: Parts, admin: Browser, anna: Browser
) -> None:
    second = await world.add_shop(2002, "Сад")
    assert await sees(parts, anna) is None
    async with parts.live.subscribe() as rings:
        answer = await admin.post(f"{page_of(anna)}/accounts", {"every": "false", "accounts": str(second)})
        assert answer.headers["location"] == f"{page_of(anna)}?done=accounts"
        assert EVERYTHING in await anext(rings)  # open pages look again
    assert await sees(parts, anna) == {second}
    shown = (await admin.get(page_of(anna))).text
    assert f'name="accounts" value="{second}" checked' in shown
    assert f'name="accounts" value="{world.account_id}" checked' not in shown
    assert "1 account" in (await admin.get("/admin/operators")).text

    await admin.post(f"{page_of(anna)}/accounts", {"every": "false", "accounts": str(second)})  # nothing new
    await admin.post(f"{page_of(anna)}/accounts", {"every": "true"})
    assert await sees(parts, anna) is None
    assert await noted(parts) == [
        ({"accounts": "every"}, {"accounts": ["Сад"]}),
        ({"accounts": ["Сад"]}, {"accounts": "every"}),
    ]


@ONE_DATABASE
async def test_none_at_all_is_refused_and_an_account_that_is_gone_is_none(
    world: World, parts: Parts, admin: Browser, anna: Browser
) -> None:
    for accounts in ("", "999", "x", "9" * 30, "-1"):
        answer = await admin.post(f"{page_of(anna)}/accounts", {"every": "false", "accounts": accounts})
        assert (answer.status_code, "Choose at least one account" in answer.text) == (422, True)
    assert await sees(parts, anna) is None
    await admin.post(f"{page_of(anna)}/accounts", {"every": "false", "accounts": str(world.account_id)})
    await parts.accounts.remove(world.account_id)
    assert await sees(parts, anna) == frozenset()


@ONE_DATABASE
async def test_days_hours_and_a_limit_are_kept_and_shown_again(parts: Parts, admin: Browser, anna: Browser) -> None:
    form = {"days": "5", "begins": "22:00", "ends": "06:00", "limit": "12"}
    assert (await admin.post(f"{page_of(anna)}/duty", form)).status_code == 303
    assert anna.operator
    assert Duty.of(await parts.operators.get(anna.operator.id)) == Duty("5", 22 * 60, 6 * 60, 12)
    shown = (await admin.get(page_of(anna))).text
    assert all(
        text in shown for text in ('name="days" value="5" checked', 'value="22:00"', 'value="06:00"', 'value="12"')
    )
    assert 'name="days" value="4" checked' not in shown
    [(before, after)] = await noted(parts)
    assert before == {"days": "1234567", "hours": "00:00–24:00", "chat_limit": None}
    assert after == {"days": "5", "hours": "22:00–06:00", "chat_limit": 12}
    wrong = await admin.post(f"{page_of(anna)}/duty", {"days": "5", "begins": "23:30", "ends": "", "limit": "3"})
    assert wrong.status_code == 422
    assert 'value="23:30"' in wrong.text
    assert len(await noted(parts)) == 1


@ONE_DATABASE
async def test_only_managers_have_it_and_only_an_admin_gives_it(
    world: World, parts: Parts, visit: Visit, admin: Browser, anna: Browser
) -> None:
    owner = await visit(Role.SUPER_ADMIN)
    for boss in (admin, owner):
        assert "Administrators see every account" in (await owner.get(page_of(boss))).text
        for form in ("accounts", "duty"):
            answer = await owner.post(f"{page_of(boss)}/{form}", {"every": "true", "days": "1"})
            assert answer.status_code == 409
    assert (await anna.post(f"{page_of(anna)}/accounts", {"every": "true"})).status_code == 403
    assert (await admin.get("/admin/operators/999")).status_code == 404
    assert await noted(parts) == []
    assert world.account_id
