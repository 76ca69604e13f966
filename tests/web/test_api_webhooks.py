"""`/api/admin/webhooks`, the guide's API: its statuses, keys and texts, always as JSON."""

from datetime import datetime
from typing import Any

import httpx2
import pytest

from golub.model import Role
from golub.subscription import token_of
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import FOREIGN, PUBLIC, Answers, World
from tests.web.conftest import Visit

PATH = "/api/admin/webhooks"
URL = f"{PUBLIC}/webhook/avito"


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


class Curl:
    """As the guide has it: a cookie, and nothing else that a browser would send."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        del client.headers["Origin"]

    async def __call__(self, method: str, query: str = "", **body: Any) -> httpx2.Response:
        answer = await self._client.request(method, PATH + query, **body)
        assert answer.headers["content-type"] == "application/json"
        return answer


@pytest.fixture
async def curl(visit: Visit) -> Curl:
    return Curl((await visit(Role.SUPER_ADMIN)).client)


@ONE_DATABASE
async def test_without_accounts_there_is_nothing_to_show(world: World, curl: Curl) -> None:
    await world.accounts.remove(world.account_id)
    for method, body in (("GET", None), ("POST", {"url": URL}), ("PUT", {"url": URL}), ("DELETE", None)):
        answer = await curl(method, json=body)
        assert answer.status_code == 404
        assert answer.json() == {"webhook": None, "error": "No shops with API credentials found"}


async def test_the_whole_life_of_a_webhook(world: World, curl: Curl) -> None:
    assert (await curl("GET")).json() == {"webhook": None}

    created = await curl("POST", json={"url": URL, "types": ["message", "chat", "user"]})
    assert created.status_code == 201
    webhook = created.json()["webhook"]
    assert created.json() == {"success": True, "webhook": webhook}
    assert list(webhook) == ["id", "url", "types", "active", "created_at", "updated_at"]
    assert (webhook["url"], webhook["types"], webhook["active"]) == (URL, ["message", "chat", "user"], True)
    assert datetime.fromisoformat(webhook["created_at"]).timestamp() * 1000 == world.clock()
    assert world.shop.subscription == URL
    assert (await curl("GET")).json() == {"webhook": webhook}

    world.clock.step(60_000)
    changed = await curl("PUT", json={"types": ["message"]})
    assert changed.status_code == 200
    assert changed.json()["success"] is True
    assert changed.json()["webhook"]["types"] == ["message"]
    assert changed.json()["webhook"]["updated_at"] != webhook["updated_at"]
    assert changed.json()["webhook"]["created_at"] == webhook["created_at"]

    secret = world.subscriptions.recommended_url()
    moved = await curl("PUT", json={"url": secret})
    assert (moved.status_code, moved.json()["webhook"]["url"]) == (200, secret)
    assert world.shop.subscription == secret
    assert await world.opens(secret)

    deleted = await curl("DELETE")
    assert (deleted.status_code, deleted.json()) == (
        200,
        {"success": True, "message": "Webhook deleted successfully"},
    )
    assert world.shop.subscription is None
    assert (await curl("GET")).json() == {"webhook": None}
    for again in (await curl("DELETE"), await curl("PUT", json={"types": ["chat"]})):
        assert again.status_code == 404
        assert again.json()["error"] == "Webhook not found"


@ONE_DATABASE
async def test_the_types_are_message_and_chat_when_not_chosen(curl: Curl) -> None:
    assert (await curl("POST", json={"url": URL})).json()["webhook"]["types"] == ["message", "chat"]


WRONG: tuple[tuple[bytes, str], ...] = (
    (b"", "No data provided"),
    (b"{}", "No data provided"),
    (b"null", "No data provided"),
    (b'{"url": ""}', "URL is required"),
    (b'{"url": "http://golub.example.ru/webhook/avito"}', "URL must start with https://"),
    (b'{"url": "golub.example.ru"}', "URL must start with https://"),
    (b'{"url": "https://golub.example.ru/webhook/avito", "types": []}', "Types must be a non-empty list"),
    (b'{"url": "https://golub.example.ru/webhook/avito", "types": "message"}', "Types must be a non-empty list"),
    (
        b'{"url": "https://golub.example.ru/webhook/avito", "types": ["message", "call"]}',
        "Invalid type: call. Valid types: ['message', 'chat', 'user']",
    ),
    (
        b'{"url": "https://golub.example.ru/webhook/avito", "types": [["message"]]}',
        "Invalid type: ['message']. Valid types: ['message', 'chat', 'user']",
    ),
)


@ONE_DATABASE
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_is_wrong_is_said_in_the_guides_words(world: World, curl: Curl, method: str) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    for body, error in WRONG:
        answer = await curl(method, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (400, error), body


@ONE_DATABASE
async def test_a_post_without_url(curl: Curl) -> None:
    answer = await curl("POST", json={"types": ["message"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "URL is required")


@ONE_DATABASE
async def test_hostile_bodies_get_json_and_reach_nobody(world: World, curl: Curl) -> None:
    for body, status in (
        (b"[1]", 422),
        (b'"url"', 422),
        (b'{"url": 5}', 422),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"url": "https://127.0.0.1/webhook/avito"}', 400),
        (b'{"url": "https://2130706433/webhook/avito"}', 400),
        (b'{"url": "https://golub.example.ru/elsewhere"}', 400),
    ):
        answer = await curl("POST", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == status, body[:60]
        assert answer.json()["error"]
        assert world.called("postWebhookV3") == 0


@ONE_DATABASE
async def test_strangers_and_lesser_roles(visit: Visit) -> None:
    for role, status, error in (
        (None, 401, "Not authenticated"),
        (Role.MANAGER, 403, "Access denied"),
        (Role.ADMIN, 403, "Access denied"),
    ):
        curl = Curl((await visit(role)).client)
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = await curl(method, json={"url": URL} if method in ("POST", "PUT") else None)
            assert (answer.status_code, answer.json()["error"]) == (status, error)
            assert answer.json()["message"]


@ONE_DATABASE
async def test_other_methods_and_media_are_refused_as_json(curl: Curl) -> None:
    assert (await curl("PATCH", json={})).status_code == 405
    form = await curl("POST", data={"url": URL})
    assert form.status_code in (400, 415)
    assert form.json()["error"]


@ONE_DATABASE
async def test_another_services_place_is_named_and_taken_only_on_request(world: World, curl: Curl) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    refused = await curl("POST", json={"url": URL})
    assert (refused.status_code, refused.json()["foreign_host"]) == (409, "crm.example.com")
    assert (await curl("POST", json={"url": URL, "replace": "yes"})).status_code == 409
    assert world.shop.subscription == FOREIGN
    assert (await curl("POST", json={"url": URL, "replace": True})).status_code == 201
    assert world.shop.subscription == URL

    world.avito.steal_subscription(world.shop, FOREIGN)
    deleted = await curl("DELETE")
    assert (deleted.status_code, deleted.json()["foreign_host"]) == (200, "crm.example.com")
    assert world.shop.subscription == FOREIGN


@ONE_DATABASE
async def test_a_url_that_does_not_answer_from_here_is_registered_with_a_warning(world: World, curl: Curl) -> None:
    world.way.ends.append(Answers(502))
    answer = await curl("POST", json={"url": URL})
    assert answer.status_code == 201
    assert "did not answer 200" in answer.json()["warning"]
    assert world.shop.subscription == URL


@ONE_DATABASE
async def test_what_avito_refuses_is_said_and_shaped(world: World, curl: Curl) -> None:
    world.avito.fault("postWebhookV3", status=503, times=None)
    answer = await curl("POST", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    world.shop.paid = False
    answer = await curl("POST", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_paid")


@ONE_DATABASE
async def test_several_accounts_are_named_and_never_guessed(world: World, curl: Curl) -> None:
    other = await world.add_shop(7, "Лодки")
    names = [
        {"id": world.account_id, "user_id": world.shop.user_id, "name": "Велосипеды"},
        {"id": other, "user_id": 7, "name": "Лодки"},
    ]
    for method, body in (("POST", {"url": URL}), ("PUT", {"types": ["chat"]}), ("DELETE", None)):
        answer = await curl(method, json=body)
        assert answer.status_code == 400
        assert answer.json()["accounts"] == names
    assert world.called("postWebhookV3") == 0

    mine, boats = world.subscriptions.recommended_url(), world.subscriptions.recommended_url()
    assert (await curl("POST", f"?account={world.account_id}", json={"url": mine})).status_code == 201
    assert (await curl("POST", "?account=7", json={"url": boats})).status_code == 201
    both = (await curl("GET")).json()
    assert both["webhook"]["url"] == mine
    assert [hook["url"] for hook in both["webhooks"]] == [mine, boats]
    assert [hook["account"] for hook in both["webhooks"]] == names
    assert (await curl("GET", "?account=7")).json()["webhook"]["url"] == boats
    assert (await curl("DELETE", "?account=7")).status_code == 200
    assert await world.opens(mine)
    assert world.shop.subscription == mine

    stolen = await curl("POST", "?account=7", json={"url": mine})
    assert stolen.status_code == 400  # the secret is another account's
    for unknown in ("?account=9", "?account=x", "?account=-1"):
        assert (await curl("GET", unknown)).status_code == 404


@ONE_DATABASE
async def test_a_secret_is_seen_by_super_administrators_alone(world: World, curl: Curl, visit: Visit) -> None:
    url = world.subscriptions.recommended_url()
    await curl("POST", json={"url": url})
    for role in (Role.MANAGER, Role.ADMIN):
        answer = await Curl((await visit(role)).client)("GET")
        assert (token_of(url) or "") not in answer.text


@ONE_DATABASE
async def test_another_site_cannot_use_the_cookie(world: World, visit: Visit) -> None:
    client = (await visit(Role.SUPER_ADMIN)).client
    answer = await client.post(PATH, json={"url": URL}, headers={"Origin": "https://evil.example.com"})
    assert answer.status_code == 403
    assert world.called("postWebhookV3") == 0
