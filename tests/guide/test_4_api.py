"""The guide, 4: `/api/admin/webhooks`, as programs that were written for the guide's system call it."""

import asyncio
import json
from datetime import datetime
from typing import Any

import httpx2
import pytest

from golub.model import Role
from golub.simulator import Account
from tests.conftest import StartGolub
from tests.guide.page import Page
from tests.guide.town import PUBLIC, Browser, Town

API = "/api/admin/webhooks"
URL = f"{PUBLIC}/webhook/avito/{'Ab3_-xYz09Qw' * 3}1234567"
FOREIGN = "https://crm.example.com/hooks/avito"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database: what is behind these pages is proved on both by its own tests."""
    return sqlite_url


@pytest.fixture
async def program(town: Town, boss: Browser) -> httpx2.AsyncClient:
    """Nothing of a browser but its cookie."""
    return await town.client(Cookie=f"session={boss.session}")


@pytest.fixture
async def keys(town: Town, boss: Browser) -> Account:
    keys = town.sim.add_account(7_002, "Диваны")
    await town.connect(boss, keys)
    return keys


def read(answer: httpx2.Response) -> tuple[int, Any]:
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


async def test_a_webhook_is_made_read_changed_and_deleted(
    town: Town, program: httpx2.AsyncClient, keys: Account
) -> None:
    assert read(await program.get(API)) == (200, {"webhook": None})

    status, made = read(await program.post(API, json={"url": URL, "types": ["message", "chat", "user"]}))
    assert (status, made["success"]) == (201, True)
    hook = made["webhook"]
    assert hook.keys() == {"id", "url", "types", "active", "created_at", "updated_at"}
    assert (hook["url"], hook["types"], hook["active"]) == (URL, ["message", "chat", "user"], True)
    assert datetime.fromisoformat(hook["created_at"]) <= datetime.fromisoformat(hook["updated_at"])
    assert keys.subscription == URL
    assert read(await program.get(API)) == (200, {"webhook": hook})

    status, changed = read(await program.put(API, json={"url": URL, "types": ["message"]}))
    assert (status, changed["success"], changed["webhook"]["types"]) == (200, True, ["message"])

    assert read(await program.delete(API)) == (200, {"success": True, "message": "Webhook deleted successfully"})
    assert keys.subscription is None
    assert read(await program.get(API)) == (200, {"webhook": None})
    status, _ = read(await program.delete(API))
    assert status == 404

    status, made = read(await program.post(API, json={"url": URL}))
    assert (status, made["webhook"]["types"]) == (201, ["message", "chat"])


async def test_without_an_account_it_says_so(program: httpx2.AsyncClient) -> None:
    assert read(await program.get(API)) == (404, {"webhook": None, "error": "No shops with API credentials found"})


async def test_every_refusal_is_json_and_never_a_redirect(
    town: Town, boss: Browser, program: httpx2.AsyncClient, keys: Account
) -> None:
    stranger = await town.client()
    manager = await town.client(Cookie=f"session={(await town.sign_in(Role.MANAGER)).session}")
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, refusal = read(await stranger.request(method, API))
        assert (status, refusal["error"]) == (401, "Not authenticated")
        assert refusal["message"]
        status, refusal = read(await manager.request(method, API))
        assert (status, refusal["error"]) == (403, "Access denied")
    cross_site = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    status, _ = read(await program.post(API, content=json.dumps({"url": URL}), headers=cross_site))
    assert status == 403
    assert keys.subscription is None


REFUSED: list[tuple[Any, str]] = [
    (None, "No data provided"),
    ({}, "No data provided"),
    ({"types": ["message"]}, "URL is required"),
    ({"url": ""}, "URL is required"),
    ({"url": "http://golub.example.ru/webhook/avito"}, "URL must start with https://"),
    ({"url": "golub.example.ru"}, "URL must start with https://"),
    ({"url": URL, "types": []}, "Types must be a non-empty list"),
    ({"url": URL, "types": "message"}, "Types must be a non-empty list"),
    ({"url": URL, "types": ["call"]}, "Invalid type: call. Valid types: ['message', 'chat', 'user']"),
]


async def test_what_is_wrong_is_told_in_the_words_of_the_guide(program: httpx2.AsyncClient, keys: Account) -> None:
    for asked, words in REFUSED:
        status, refusal = read(await program.post(API, json=asked) if asked is not None else await program.post(API))
        assert (status, refusal["error"]) == (400, words), asked
    for raw in (b"{", b"[" * 100_000, b"\xff"):
        answer = await program.post(API, content=raw, headers={"content-type": "application/json"})
        assert read(answer)[0] == 400, raw[:5]
    for url in ("https://localhost/webhook/avito", "https://10.0.0.1/webhook/avito", f"{PUBLIC}/elsewhere"):
        assert read(await program.post(API, json={"url": url}))[0] == 400
    assert keys.subscription is None


async def test_another_service_is_named_and_replaced_only_when_told_to(
    town: Town, program: httpx2.AsyncClient, keys: Account
) -> None:
    town.sim.steal_subscription(keys, FOREIGN)
    status, refusal = read(await program.post(API, json={"url": URL}))
    assert (status, refusal["foreign_host"]) == (409, "crm.example.com")
    assert keys.subscription == FOREIGN
    status, _ = read(await program.post(API, json={"url": URL, "replace": True}))
    assert status == 201
    town.sim.steal_subscription(keys, FOREIGN)
    status, answer = read(await program.delete(API))
    assert (status, answer["success"], answer["foreign_host"]) == (200, True, "crm.example.com")
    assert keys.subscription == FOREIGN


async def test_with_several_accounts_it_is_never_the_first_that_is_meant(
    program: httpx2.AsyncClient, shop: Account, keys: Account
) -> None:
    for call in (
        program.post(API, json={"url": URL}),
        program.put(API, json={"types": ["message"]}),
        program.delete(API),
    ):
        status, refusal = read(await call)
        assert status == 400
        assert "?account=" in refusal["error"]
        assert [(one["user_id"], one["name"]) for one in refusal["accounts"]] == [
            (shop.user_id, "Велосипеды"),
            (keys.user_id, "Диваны"),
        ]
    status, _ = read(await program.post(f"{API}?account={keys.user_id}", json={"url": URL}))
    assert status == 201
    assert keys.subscription == URL
    assert shop.subscription
    status, answer = read(await program.get(API))
    assert status == 200
    assert answer["webhook"]["url"] == shop.subscription
    assert [one["url"] for one in answer["webhooks"]] == [shop.subscription, URL]
    assert read(await program.get(f"{API}?account={keys.user_id}"))[1]["webhook"]["url"] == URL
    assert read(await program.delete(f"{API}?account={keys.user_id}"))[0] == 200
    assert keys.subscription is None
    assert shop.subscription
    assert read(await program.delete(f"{API}?account=99"))[0] == 404


async def test_curl_works_as_in_the_guide(start_golub: StartGolub) -> None:
    """A real process, a real curl, the cookie of a real sign-in."""
    golub = await start_golub("serve")
    link = (await golub.line(r"(http://\S+/setup/\S+)"))[1]
    async with httpx2.AsyncClient(headers={"Origin": golub.url}, follow_redirects=True) as client:
        page = Page((await client.get(link)).text)
        words = "четыре случайных слова"
        await client.post(link, data=dict(page.form("").filled(name="А", login="anna", password=words, again=words)))
        session = client.cookies["session"]
    curl = await asyncio.create_subprocess_exec(
        "curl", "-s", "-w", "%{http_code}", "-X", "GET", f"{golub.url}{API}", "-H", f"Cookie: session={session}",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(curl.communicate(), 20)
    assert out == b'{"webhook":null,"error":"No shops with API credentials found"}404'
