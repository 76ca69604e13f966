"""The page of an account's networks: its states in words, the list that a person makes, and who may not."""

import pytest
from sqlalchemy import select

from golub.allowlist import PROVED_BY, network_of
from golub.clock import DAY, MINUTE
from golub.model import AllowList, AuditEntry, Role, SeenNetwork
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import World
from tests.web.conftest import Browser, Visit

pytestmark = [pytest.mark.anyio, ONE_DATABASE]

JOB = "185.89.12.0/22"


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def came(world: World, *addresses: str, messages: int = PROVED_BY, **chosen: str) -> None:
    """As if that had been noted over a day and a half."""
    now, key = world.clock(), world.account_id
    async with world.store.write() as session:
        total = messages * len(addresses)
        await session.merge(AllowList(account_id=key, confirmed=total, last_at=now, counted_to=now, **chosen))
        for address in addresses:
            seen = {"network": network_of(address), "lowest": address, "highest": address, "confirmed": messages}
            await session.merge(SeenNetwork(account_id=key, first_at=now - DAY * 3 // 2, last_at=now, **seen))


def page(world: World) -> str:
    return f"/admin/webhooks/{world.account_id}/networks"


async def test_each_state_says_what_it_means(world: World, owner: Browser) -> None:
    assert "Nothing counted yet" in (await owner.get(page(world))).text
    await came(world, "185.89.12.7", messages=5)
    text = (await owner.get(page(world))).text
    assert "1 network seen" in text
    assert "185.89.12.0/24" in text
    await came(world, "185.89.12.7", mode="flag", networks=JOB)
    text = (await owner.get(page(world))).text
    assert "The list may be enforced" in text
    assert "Enforce the list…" in text
    await came(world, "8.8.8.8", mode="flag", networks=JOB)
    text = (await owner.get(page(world))).text
    assert "Marked only" in text
    assert "Enforce the list…" not in text
    await came(world, mode="enforce", networks=JOB)
    text = (await owner.get(page(world))).text
    assert "Avito now calls from other networks" in text
    assert "Stop enforcing it" in text


async def test_where_a_proxy_hides_who_calls_it_says_so_and_offers_nothing(world: World, owner: Browser) -> None:
    await came(world, "172.18.0.1", mode="flag", networks=JOB)
    text = (await owner.get(page(world))).text
    assert "A proxy hides who calls" in text
    assert "GOLUB_TRUSTED_PROXIES" in text
    assert "Enforce the list…" not in text
    assert (await owner.post(page(world) + "/enforce")).status_code == 409


async def test_a_person_makes_a_list_enforces_it_stops_and_switches_off(world: World, owner: Browser) -> None:
    await came(world, "185.89.12.7")
    refused = await owner.post(page(world) + "/enforce")
    assert refused.status_code == 409
    assert "has not proved itself yet" in refused.text
    for step, form, done in (
        ("list", {"networks": "185.89.12.7/22"}, "The list is kept"),
        ("enforce", {}, "From now on only these networks are let in"),
        ("mode", {"mode": "observe"}, "Networks are noted, and none is demanded"),
        ("mode", {"mode": "off"}, "Networks are no longer noted"),
        ("anew", {}, "The networks are counted anew from now on"),
    ):
        answer = await owner.post(f"{page(world)}/{step}", form)
        assert answer.status_code == 303
        assert done in (await owner.get(answer.headers["location"])).text
    async with world.store.read() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    assert [one.action for one in entries if one.action.startswith("allow_list")] == [
        *["allow_list_changed"] * 4,
        "allow_list_counted_anew",
    ]
    told = (await owner.get("/admin/audit")).text
    assert "takes deliveries from were changed" in told
    assert JOB in told


async def test_what_cannot_be_listed_comes_back_with_the_reason(world: World, owner: Browser) -> None:
    for text, why in (("0.0.0.0/0", "too wide"), ("10.0.0.0/24", "private network"), ("<b>", "is no network")):
        answer = await owner.post(page(world) + "/list", {"networks": text})
        assert answer.status_code == 400
        assert why in answer.text
        assert "<b>”" not in answer.text
    assert "185.79.237.224/28" in (await owner.get(page(world) + "?preset=job")).text
    assert "This is a guess" in (await owner.get(page(world) + "?preset=job")).text


async def test_each_change_asks_once_more_who_it_is(world: World, owner: Browser) -> None:
    await came(world, "185.89.12.7", mode="flag", networks=JOB)
    world.clock.step(6 * MINUTE)  # the sign-in counts for five
    for step in ("list", "enforce", "mode", "anew"):
        answer = await owner.post(f"{page(world)}/{step}", {"networks": "8.8.8.8", "mode": "off"})
        assert (answer.status_code, answer.headers["location"].startswith("/me/proof")) == (303, True)
    async with world.store.read() as session:
        assert [(row.mode, row.networks) for row in await session.scalars(select(AllowList))] == [("flag", JOB)]


async def test_only_a_super_admin_may(world: World, visit: Visit) -> None:
    await came(world, "185.89.12.7", mode="flag", networks=JOB)
    for role in (Role.ADMIN, Role.MANAGER):
        browser = await visit(role)
        assert (await browser.get(page(world))).status_code in (403, 404)
        for step in ("list", "enforce", "mode", "anew"):
            form = {"networks": "8.8.8.8", "mode": "off"}
            assert (await browser.post(f"{page(world)}/{step}", form)).status_code in (403, 404)
    async with world.store.read() as session:
        assert [(row.mode, row.networks) for row in await session.scalars(select(AllowList))] == [("flag", JOB)]


async def test_the_page_of_webhooks_tells_it_too(world: World, owner: Browser) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    await came(world, "185.89.12.7", mode="enforce", networks=JOB)
    text = (await owner.get("/admin/webhooks")).text
    assert page(world) in text
    assert "Enforced" in text
