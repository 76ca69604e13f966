"""Keys for programs: made on one's own page after a proof, shown once, and good for what they say and nothing else."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import select

from golub.audit import By
from golub.clock import DAY, MINUTE
from golub.model import Action, ApiKey, AuditEntry, Operator, Role, Scope
from golub.operators import PROOF_LIFE
from golub.throttle import FREE_BY_ADDRESS
from golub.web.access import ACCESS, ANY_KEY, SCOPES
from golub.web.api_keys import SCOPE_WORDS
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import World
from tests.web.conftest import Browser, Visit, add_operator
from tests.web.test_access import doors, hollow

__all__ = ["hollow"]

API = "/api/admin/webhooks"
SECRET = re.compile(r"golub_[0-9a-f]{64}")

Program = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


@pytest.fixture
async def program(site: FastAPI, parts: Parts) -> AsyncGenerator[Program]:
    """`await program(operator, Scope.CHATS_READ)`: an HTTP client with such a key, and nothing of a browser."""
    async with AsyncExitStack() as open_clients:

        async def program(operator: Operator | None, *scopes: Scope, secret: str = "") -> httpx2.AsyncClient:
            if operator:
                made = await parts.operators.make_key(operator, "CRM", scopes, days=None, by=By(operator))
                secret = made[1]
            transport = httpx2.ASGITransport(site, client=("203.0.113.5", 50_000), raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {secret}"}
            return await open_clients.enter_async_context(
                httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
            )

        yield program


def api_doors() -> list[tuple[str, str]]:
    return [(method, path) for method, path in doors() if path.startswith("/api/")]


@pytest.mark.row(44)
def test_every_address_of_the_api_says_which_scope_opens_it() -> None:
    """And so a planted one turns this red; until then no key opens it: the next test but one."""
    assert set(api_doors()) == set(SCOPES)
    for (_, path), scope in SCOPES.items():
        role = ACCESS[path]
        assert isinstance(role, Role)
        assert role.covers(Role.MANAGER if scope is ANY_KEY else scope.role), "the page offers it to who can use it"
        assert scope is ANY_KEY or scope.role.covers(role)
    assert set(SCOPE_WORDS) == set(Scope) == {scope for scope in SCOPES.values() if scope is not ANY_KEY}


@pytest.mark.row(44)
@ONE_DATABASE
async def test_each_role_and_scope_get_what_the_table_says(hollow: FastAPI, parts: Parts, program: Program) -> None:
    """Every address there is, by every scope, of every role: keys open the API alone, and of it what they say."""
    for role in Role:
        operator = await add_operator(parts, role)
        for scope in [scope for scope in Scope if role.covers(scope.role)]:
            client = await program(operator, scope)
            for method, path in doors():
                answer = await client.request(method, re.sub(r"\{[^}]*\}", "7", path))
                needed, least = SCOPES.get((method, path)), ACCESS[path]
                if needed is None:
                    assert (answer.status_code == 200) is (not isinstance(least, Role) and method == "GET"), path
                    continue
                assert isinstance(least, Role)
                good = role.covers(least) and needed in (scope, ANY_KEY)
                assert answer.status_code == (200 if good else 403), f"{method} {path} as {role} with {scope}"


@pytest.mark.row(44)
@ONE_DATABASE
async def test_an_address_that_the_scopes_forgot_opens_to_no_key(
    site: FastAPI, parts: Parts, program: Program, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = APIRouter()
    planted.add_api_route("/api/planted", lambda: "secret")
    site.include_router(planted)
    monkeypatch.setitem(ACCESS, "/api/planted", Role.MANAGER)
    assert set(doors([planted])) - set(SCOPES) == {("GET", "/api/planted")}
    boss = await visit(Role.SUPER_ADMIN)
    assert boss.operator
    answer = await (await program(boss.operator, *Scope)).get("/api/planted")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_keys")
    assert (await boss.get("/api/planted")).text == '"secret"'


@pytest.fixture
async def boss(visit: Visit) -> Browser:
    return await visit(Role.SUPER_ADMIN)


async def test_a_key_is_made_shown_once_used_and_revoked(
    world: World, boss: Browser, program: Program, clock: SteppedClock
) -> None:
    form = {"name": "CRM <b>", "scopes": "webhooks:read", "days": "90"}
    made = await boss.post("/me/api-keys", form)
    assert made.status_code == 200
    (secret,) = SECRET.findall(made.text)
    assert "no-store" in made.headers["cache-control"]
    listed = await boss.get("/me/api-keys")
    assert secret not in listed.text
    assert f"golub_…{secret[-4:]}" in listed.text
    assert ("CRM &lt;b&gt;" in listed.text, "not used yet" in listed.text) == (True, True)

    client = await program(None, secret=secret)
    assert (await client.get(API)).json() == {"webhook": None}
    refused = await client.post(API, json={"url": "https://golub.example.ru/webhook/avito"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope")
    assert "webhooks:write" in refused.json()["error"]
    assert "203.0.113.5" in (await boss.get("/me/api-keys")).text

    (key_id,) = re.findall(r"/me/api-keys/(\d+)/revoke", listed.text)
    done = await boss.post(f"/me/api-keys/{key_id}/revoke")
    assert done.headers["location"] == "/me/api-keys?done=revoked"
    assert (await client.get(API)).status_code == 401
    assert (await boss.post(f"/me/api-keys/{key_id}/revoke")).status_code == 404
    clock.step(PROOF_LIFE)
    led = await boss.post("/me/api-keys", form)
    assert led.headers["location"] == "/me/proof?next=/me/api-keys&undone=true"
    assert "Nobody has a key" in (await boss.get("/admin/api-keys")).text


@ONE_DATABASE
async def test_what_is_missing_is_asked_for_again(boss: Browser) -> None:
    for form, words in (
        ({"name": "", "scopes": "webhooks:read"}, "Give the key a name"),
        ({"name": "CRM"}, "Choose at least one thing"),
        ({"name": "CRM", "scopes": "webhooks:read", "days": "100000000000"}, "Choose how long"),
    ):
        answer = await boss.post("/me/api-keys", form)
        assert (answer.status_code, words in answer.text, SECRET.search(answer.text)) == (422, True, None)


@ONE_DATABASE
async def test_the_super_admin_sees_everybodys_and_ends_them(
    parts: Parts, boss: Browser, visit: Visit, program: Program
) -> None:
    anna, eve = await visit(Role.MANAGER), await visit(Role.ADMIN)
    made = await anna.post("/me/api-keys", {"name": "бот Анны", "scopes": "chats:read"})
    (secret,) = SECRET.findall(made.text)
    (key_id,) = re.findall(r"/me/api-keys/(\d+)/revoke", made.text)
    page = await boss.get("/admin/api-keys")
    assert ("бот Анны" in page.text, secret in page.text) == (True, False)
    assert anna.operator
    assert anna.operator.name in page.text
    for browser, url in ((eve, "/admin/api-keys"), (anna, "/admin/api-keys")):
        assert (await browser.get(url)).status_code == 403
        assert (await browser.post(f"{url}/{key_id}/revoke")).status_code == 403
    assert (await eve.post(f"/me/api-keys/{key_id}/revoke")).status_code == 404
    assert "бот Анны" not in (await eve.get("/me/api-keys")).text
    client = await program(None, secret=secret)
    assert (await client.get("/api/openapi.json")).status_code == 200
    assert (await boss.post(f"/admin/api-keys/{key_id}/revoke")).status_code == 303
    assert (await client.get("/api/openapi.json")).status_code == 401
    assert parts


async def test_wrong_keys_are_all_told_the_same_and_then_to_wait(
    parts: Parts, boss: Browser, program: Program, clock: SteppedClock
) -> None:
    assert boss.operator
    operator = boss.operator
    revoked = await parts.operators.make_key(operator, "CRM", list(Scope), days=None, by=By(operator))
    expired = await parts.operators.make_key(operator, "CRM", list(Scope), days=30, by=By(operator))
    await parts.operators.revoke_key(revoked[0].id, by=By(operator))
    clock.step(30 * DAY)
    told = set[tuple[int, bytes, str]]()
    for secret in (revoked[1], expired[1], "golub_" + "0" * 64, "golub_", "x", "x" * 5000):
        answer = await (await program(None, secret=secret)).get(API)
        told.add((answer.status_code, answer.content, answer.headers["www-authenticate"]))
    assert len(told) == 1
    ((status, body, way),) = told
    assert (status, b'"wrong_key"' in body, way) == (401, True, "Bearer")

    client = await program(None, secret="golub_" + "0" * 64)
    for _ in range(FREE_BY_ADDRESS - 6):
        assert (await client.get(API)).status_code == 401
    paced = await client.get(API)
    assert (paced.status_code, paced.json()["code"], int(paced.headers["retry-after"]) > 0) == (429, "paced", True)
    right = await program(operator, Scope.WEBHOOKS_READ)
    assert (await right.get(API)).status_code == 200
    clock.step(MINUTE)
    assert (await client.get(API)).status_code == 401


@ONE_DATABASE
async def test_a_key_and_a_session_together_are_refused(parts: Parts, boss: Browser, program: Program) -> None:
    assert boss.operator
    client = await program(boss.operator, Scope.WEBHOOKS_READ)
    cookie = {"Cookie": f"session={boss.client.cookies['session']}"}
    for headers in (
        {**dict(client.headers), **cookie},
        {**dict(client.headers), "Cookie": "session="},
        [("Authorization", client.headers["Authorization"])] * 2,
    ):
        client.headers.clear()
        answer = await client.get(API, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "two_credentials")
    # A proxy's own Basic is no credential of ours.
    basic = await boss.get(API, headers={"Authorization": "Basic eDp5"})
    assert basic.status_code == 200


@ONE_DATABASE
async def test_no_browser_is_behind_a_key_so_no_origin_is_asked_for(boss: Browser, program: Program) -> None:
    assert boss.operator
    client = await program(boss.operator, *Scope)
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    asked = await client.post(API, headers=elsewhere, json={})
    assert (asked.status_code, asked.json()["error"]) == (400, "No data provided")
    assert "access-control-allow-origin" not in asked.headers
    form = await client.post(API, data={"url": "https://golub.example.ru/webhook/avito"})
    assert (form.status_code, form.json()["code"]) == (400, "not_json")


@ONE_DATABASE
async def test_a_key_reads_no_secret_and_its_doings_are_told_as_its_own(
    world: World, parts: Parts, boss: Browser, program: Program
) -> None:
    assert boss.operator
    client = await program(boss.operator, Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE)
    url = parts.subscriptions.recommended_url()
    assert (await client.post(API, json={"url": url})).status_code == 201
    read = await client.get(API)
    assert (read.json()["webhook"]["masked"], url.rpartition("/")[2] in read.text) == (True, False)
    async with parts.store.read() as session:
        entries = {one.action: one for one in await session.scalars(select(AuditEntry))}
    registered = entries[Action.WEBHOOK_REGISTERED]
    assert (registered.who, registered.address) == (boss.operator.login, "203.0.113.5")
    assert '"api_key":"CRM"' in registered.after
    assert Action.SECRET_REVEALED not in entries


@ONE_DATABASE
async def test_it_never_does_more_than_its_operator_may_now(
    parts: Parts, boss: Browser, program: Program, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = await add_operator(parts, Role.SUPER_ADMIN)
    client = await program(eve, Scope.WEBHOOKS_READ, Scope.CHATS_READ)
    assert (await client.get(API)).status_code == 200
    monkeypatch.setattr(parts, "settings", parts.settings.model_copy(update={"second_factor_required": True}))
    assert (await client.get(API)).json()["code"] == "second_factor_needed"
    monkeypatch.undo()
    assert boss.operator
    await parts.operators.change(eve.id, role=Role.MANAGER, by=By(boss.operator))
    refused = await client.get(API)
    assert (refused.status_code, refused.json()["error"]) == (403, "Access denied")
    assert (await client.get("/api/chats")).status_code == 200
    await parts.operators.change(eve.id, active=False, by=By(boss.operator))
    assert (await client.get("/api/chats")).status_code == 401


@ONE_DATABASE
async def test_a_new_password_ends_keys_where_one_asks_for_it(parts: Parts, visit: Visit) -> None:
    anna = await visit(Role.MANAGER)
    await anna.post("/me/api-keys", {"name": "бот", "scopes": "chats:read"})
    assert "1 key" in (await anna.get("/me")).text
    form = {"password": "quite another one", "again": "quite another one"}
    await anna.post("/me/password", form)
    async with parts.store.read() as session:
        assert len(list(await session.scalars(select(ApiKey)))) == 1
    await anna.post("/me/password", form | {"keys_too": "true"})
    async with parts.store.read() as session:
        assert list(await session.scalars(select(ApiKey))) == []
