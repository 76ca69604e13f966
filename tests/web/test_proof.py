"""What a stolen cookie alone must not do: roles and secrets wait until the operator has shown once more who he is."""

import json

import pytest
from sqlalchemy import func, select

from golub.audit import Action
from golub.model import AuditEntry, Role
from golub.operators import PROOF_LIFE
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.door import World
from tests.web.conftest import Browser, Visit, add_operator

PASSWORD = "two words and more"

pytestmark = pytest.mark.anyio


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


@pytest.fixture
async def boss(visit: Visit, parts: Parts) -> Browser:
    """With a password, which he may be asked for."""
    browser = await visit(Role.SUPER_ADMIN)
    assert browser.operator
    async with parts.store.write() as session:
        operator = await session.get_one(type(browser.operator), browser.operator.id)
        operator.password_hash = await parts.operators.passwords.hash(PASSWORD)
    return browser


async def test_roles_and_ways_in_wait_for_it(parts: Parts, boss: Browser, clock: SteppedClock) -> None:
    anna = await add_operator(parts, Role.MANAGER)
    tries = [
        (f"/admin/operators/{anna.id}", {"role": "admin"}),
        (f"/admin/operators/{anna.id}", {"active": "no"}),
        (f"/admin/operators/{anna.id}/link", {}),
        (f"/admin/operators/{anna.id}/second-factor", {}),
        ("/admin/operators", {"login": "lena", "role": "super_admin"}),
    ]
    clock.step(PROOF_LIFE)
    for url, form in tries:
        led = await boss.post(url, form)
        assert (led.status_code, led.headers["location"]) == (303, "/me/proof?next=/admin/operators&undone=true"), url
    assert (
        (await boss.post("/me/password", {"password": "x" * 9, "again": "x" * 9}))
        .headers["location"]
        .startswith("/me/proof")
    )
    kept = await parts.operators.get(anna.id)
    assert (kept.role, kept.active, await parts.operators.find("lena")) == (Role.MANAGER, True, None)

    page = await boss.get("/me/proof?next=/admin/operators&undone=true")
    assert (page.status_code, 'name="code"' in page.text, "Nothing has been changed yet" in page.text) == (
        200,
        False,
        True,
    )
    wrong = await boss.post("/me/proof", {"password": "a guess", "next": "/admin/operators"})
    assert (wrong.status_code, 'value="/admin/operators"' in wrong.text) == (400, True)
    assert (await boss.post(*tries[0])).headers["location"].startswith("/me/proof")
    done = await boss.post("/me/proof", {"password": PASSWORD, "next": "//evil.example"})
    assert (done.status_code, done.headers["location"]) == (303, "/inbox")
    assert (await boss.post(*tries[0])).headers["location"] == "/admin/operators"
    assert (await parts.operators.get(anna.id)).role == Role.ADMIN
    clock.step(PROOF_LIFE)
    assert (await boss.post(*tries[1])).headers["location"].startswith("/me/proof")


async def test_a_webhooks_secret_waits_for_it(world: World, parts: Parts, boss: Browser, clock: SteppedClock) -> None:
    url = parts.subscriptions.recommended_url()
    await parts.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
    token = url.rpartition("/")[2]
    pages = (f"/admin/webhooks/{world.account_id}/url", f"/admin/webhooks?edit={world.account_id}")
    clock.step(PROOF_LIFE)
    for page in pages:
        led = await boss.get(page)
        assert led.headers["location"].startswith("/me/proof?next=/admin/webhooks"), page
        assert token not in led.text
    part = await boss.get(
        pages[0], headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/admin/webhooks?done=changed"}
    )
    assert part.headers["hx-redirect"] == "/me/proof?next=/admin/webhooks%3Fdone%3Dchanged&undone=true"
    foreign = await boss.get(pages[0], headers={"HX-Request": "true", "HX-Current-URL": "https://evil.example//x"})
    assert foreign.headers["hx-redirect"] == "/me/proof?next=/&undone=true"
    assert token not in (await boss.get("/admin/webhooks")).text

    masked = await boss.get("/api/admin/webhooks")
    assert (masked.status_code, token in masked.text, masked.json()["webhook"]["masked"]) == (200, False, True)
    put = await boss.client.put("/api/admin/webhooks", json={"types": ["message", "chat"]})
    assert (put.status_code, token in put.text) == (200, False)
    back = {"url": masked.json()["webhook"]["url"], "types": ["message"]}
    assert (await boss.client.put("/api/admin/webhooks", json=back)).status_code == 400, "what is masked is no address"
    async with parts.store.read() as session:
        revealed = select(func.count()).where(AuditEntry.action == Action.SECRET_REVEALED)
        assert await session.scalar(revealed) == 0

    await boss.post("/me/proof", {"password": PASSWORD})
    for page in pages:
        assert token in (await boss.get(page)).text
    whole = await boss.get("/api/admin/webhooks")
    assert (whole.json()["webhook"]["url"], "masked" in json.dumps(whole.json())) == (url, False)
