"""The page of webhooks while an address is being replaced: what is still open, until when, and closing it."""

import pytest
from sqlalchemy import select

from golub.clock import MINUTE
from golub.model import Action, AuditEntry, Role
from golub.web.parts import Parts
from tests.door import World
from tests.web.conftest import Visit

PAGE = "/admin/webhooks"


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def test_an_old_address_is_shown_and_closed_with_a_word_of_what_it_costs(world: World, visit: Visit) -> None:
    owner = await visit(Role.SUPER_ADMIN)
    old, new = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    assert "close-old" not in (await owner.get(PAGE)).text
    world.clock.step(MINUTE)
    await world.subscriptions.update(world.account_id, new)
    page = (await owner.get(PAGE)).text
    assert "open until the new one brings its first delivery, or for three silent days" in page
    assert "nothing came there in three days" in page
    assert "such messages come in by the sweep, some minutes late" in page
    answer = await owner.client.post(f"{PAGE}/{world.account_id}/close-old", data={"csrf": owner.csrf})
    assert answer.status_code == 303
    page = (await owner.get(answer.headers["location"])).text
    assert "The old address of" in page
    assert "close-old" not in page
    assert not await world.opens(old)
    assert await world.opens(new)
    async with world.store.read() as session:
        assert Action.OLD_ADDRESS_CLOSED in list(await session.scalars(select(AuditEntry.action)))


async def test_only_a_super_administrator_closes_an_address(world: World, visit: Visit) -> None:
    old = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, old, ["message"])
    admin = await visit(Role.ADMIN)
    answer = await admin.client.post(f"{PAGE}/{world.account_id}/close-old", data={"csrf": admin.csrf})
    assert answer.status_code == 403
