"""The first steps: each state is what is true at the moment, from no account to the first delivery."""

import httpx2
import pytest
from sqlalchemy import update

from golub.doctor import Doctor, Reach
from golub.model import Account, Role
from golub.onboarding import is_offered
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import FOREIGN, World
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read

PAGE = "/admin/start"
STEPS = ("address", "account", "history", "webhook", "delivery")


@pytest.fixture
def parts(world_parts: Parts, world: World) -> Parts:
    """With a doctor whom nobody answers: our address leads nowhere from here."""
    avito = httpx2.MockTransport(lambda _: httpx2.Response(404))

    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    parts = world_parts
    parts.doctor = Doctor(
        parts.settings, parts.store, parts.clock, parts.vault, reach=Reach(resolve=nowhere), avito=avito
    )
    return parts


async def offered(parts: Parts) -> bool:
    async with parts.store.read() as session:
        return await is_offered(session)


async def states(browser: Browser, path: str = PAGE) -> list[str]:
    page = await read(browser, path)
    found = {one["id"]: one["class"].split()[-1].removeprefix("is-") for one in page.all("li") if "class" in one}
    return [found[f"step-{step}"] for step in STEPS]


async def test_from_no_account_to_the_first_message(world: World, parts: Parts, owner: Browser, visit: Visit) -> None:
    await world.accounts.remove(world.account_id)
    assert await states(owner) == ["under_way", "yours", "after", "after", "after"]
    page = (await owner.get(PAGE)).text
    assert 'hx-post="/admin/start/look" hx-trigger="load"' in page
    assert await offered(parts)

    wrong = await owner.post(f"{PAGE}/account", {"client_id": "nobody", "client_secret": "canary-secret"})
    assert wrong.status_code == 400
    assert "Avito does not know these keys" in wrong.text
    assert 'value="nobody"' in wrong.text
    assert "canary-secret" not in wrong.text
    keys = {"client_id": world.shop.client_id, "client_secret": world.shop.client_secret}
    answer = await owner.post(f"{PAGE}/account", keys)
    assert (answer.status_code, answer.headers["location"], world.backfill.times) == (303, PAGE, 1)
    assert await states(owner) == ["under_way", "done", "under_way", "yours", "after"]
    async with parts.store.write() as session:
        await session.execute(update(Account).values(backfill_offset=None))
    (account,) = await world.accounts.list()

    register = f"{PAGE}/webhook/{account.id}"
    admin = await visit(Role.ADMIN)
    assert (await admin.post(register)).status_code == 403
    assert register not in (await admin.get(PAGE)).text
    assert (await owner.post(register)).status_code == 303
    assert (await owner.post(register)).status_code == 303  # twice is once
    assert await states(owner, f"{PAGE}/steps") == ["under_way", "done", "done", "done", "under_way"]
    assert len(await world.tokens()) == 1

    chat = world.avito.add_chat(world.shop, "Ирина")
    world.avito.buyer_says(chat, "Ещё продаёте?")
    async with world.applying() as applier:
        await world.avito.idle()
        assert applier.wait_applied(10)
    assert await states(owner) == ["done"] * 5
    done = (await owner.get(PAGE)).text
    assert "The first message is here" in done
    assert "hx-get" not in done.partition('id="first-steps"')[2].partition(">")[0]
    assert (await owner.get(f"{PAGE}/link")).status_code == 204
    assert not await offered(parts)


@ONE_DATABASE
async def test_what_fails_says_what_to_do(world: World, parts: Parts, owner: Browser, visit: Visit) -> None:
    await parts.doctor.examine()
    assert (await states(owner))[0] == "wrong"
    page = Read((await owner.get(PAGE)).text)
    assert "leads nowhere" in page.text
    assert "What to do" in page.text
    world.avito.steal_subscription(world.shop, FOREIGN)
    refused = await owner.post(f"{PAGE}/webhook/{world.account_id}")
    assert refused.status_code == 409
    assert "crm.example.com" in refused.text
    assert f"/admin/webhooks#account-{world.account_id}" in refused.text
    async with parts.store.write() as session:
        await session.execute(update(Account).values(state="wrong_keys", name="<b>Лавка</b>"))
    assert (await states(owner))[1:3] == ["wrong", "after"]
    assert "<b>Лавка" not in (await owner.get(PAGE)).text
    looking = await owner.post(f"{PAGE}/look", headers={"HX-Request": "true"})
    assert looking.status_code == 200
    assert (await owner.post(f"{PAGE}/look")).headers["location"] == PAGE
    await parts.doctor.close()
    assert (await owner.post(f"{PAGE}/webhook/4242")).status_code == 404


@ONE_DATABASE
async def test_put_aside_it_is_found_in_the_menu(world: World, parts: Parts, owner: Browser) -> None:
    assert 'href="/admin/start"' in (await owner.get(f"{PAGE}/link")).text
    assert await offered(parts)
    answer = await owner.post(f"{PAGE}/later")
    assert not await offered(parts)
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox")
    assert 'href="/admin/start"' in (await owner.get(f"{PAGE}/link")).text
