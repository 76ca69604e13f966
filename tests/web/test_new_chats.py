"""The page on which an account's new chats are given out in turn, or not; it says beforehand what would happen."""

import pytest

from golub.model import Role
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import World
from tests.web.conftest import Browser, Visit

pytestmark = [ONE_DATABASE]


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


@pytest.fixture
def url(world: World) -> str:
    return f"/admin/accounts/{world.account_id}/new-chats"


async def test_it_says_who_would_get_the_next_and_why_others_not(
    parts: Parts, url: str, admin: Browser, visit: Visit
) -> None:
    assert "No manager sees this account" in (await admin.get(url)).text
    anna, boris = await visit(Role.MANAGER), await visit(Role.MANAGER)
    assert anna.operator
    assert boris.operator
    page = (await admin.get(url)).text
    assert f"the next one would go to {anna.operator.name}" in page
    assert "Administrator" not in page.split("<table")[1].split("</table>")[0]
    for browser in (anna, boris):
        assert browser.operator
        form = {"days": "1234567"[0], "begins": "00:00", "ends": "00:01", "limit": "1"}
        await admin.post(f"/admin/operators/{browser.operator.id}/duty", form)
    page = (await admin.get(url)).text
    assert "Nobody is ready at this moment" in page
    assert page.count("Outside working hours") == 2
    assert "0 of 1" in page


async def test_the_choice_is_kept_and_switched_off_again(parts: Parts, world: World, url: str, admin: Browser) -> None:
    saved = await admin.post(url, {"in_turn": "true", "zone": "Asia/Yekaterinburg"})
    assert saved.headers["location"] == f"{url}?done=saved"
    account = await parts.accounts.get(world.account_id)
    assert (account.in_turn_since, account.zone) == (parts.clock(), "Asia/Yekaterinburg")
    world.clock.step(1000)
    await admin.post(url, {"in_turn": "true", "zone": "Europe/Samara"})  # chats that began to wait meanwhile count on
    account = await parts.accounts.get(world.account_id)
    assert (account.in_turn_since, account.zone) == (parts.clock() - 1000, "Europe/Samara")
    await admin.post(url, {"in_turn": "false", "zone": "Europe/Samara"})
    assert (await parts.accounts.get(world.account_id)).in_turn_since is None


async def test_a_zone_that_nobody_knows_is_refused(parts: Parts, world: World, url: str, admin: Browser) -> None:
    for zone in ("", "Moscow", "../../etc/passwd", "<script>"):
        refused = await admin.post(url, {"in_turn": "true", "zone": zone})
        assert (refused.status_code, "This time zone is not known" in refused.text) == (422, True)
        assert '<script>"' not in refused.text
    assert (await parts.accounts.get(world.account_id)).in_turn_since is None
    assert (await admin.get(url.replace(str(world.account_id), "999"))).status_code == 404
