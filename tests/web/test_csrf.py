"""No other site acts in a signed-in person's name: pages need our origin and the page's token, the API our origin."""

import pytest
from fastapi import FastAPI

from golub.model import Role
from golub.settings import Settings
from golub.web.access import ACCESS
from golub.web.parts import Parts
from tests.web.conftest import ORIGIN, Browser, Visit

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://localhost"},
    {"Origin": "http://sub.localhost"},
    {"Origin": "http://localhost:81"},
    {"Origin": "http://localhost@evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


async def sent(browser: Browser, headers: dict[str, str], token: str | None) -> int:
    browser.client.headers.pop("Origin", None)
    data = {"locale": "en"} if token is None else {"locale": "en", "csrf": token}
    return (await browser.client.post("/preferences", data=data, headers=headers)).status_code


@pytest.mark.row(42)
@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("role", [None, Role.SUPER_ADMIN])
async def test_another_site_is_refused_even_with_the_token(
    visit: Visit, headers: dict[str, str], role: Role | None
) -> None:
    browser = await visit(role)
    assert await sent(browser, headers, browser.csrf) == 403


@pytest.mark.row(42)
@pytest.mark.parametrize("role", [None, Role.MANAGER])
async def test_a_page_needs_its_token(visit: Visit, role: Role | None) -> None:
    browser, other = await visit(role), await visit(role)
    for token in (None, "", "x", other.csrf, browser.csrf + "a", browser.csrf[:-1], "ы"):
        assert await sent(browser, {"Origin": ORIGIN}, token) == 403
    assert await sent(browser, {"Origin": ORIGIN}, browser.csrf) == 303
    assert await sent(browser, {"Sec-Fetch-Site": "same-origin"}, browser.csrf) == 303
    assert await sent(browser, {}, browser.csrf) == 403, "a browser always says where a POST comes from"


async def test_behind_a_proxy_our_origin_is_the_public_one(parts: Parts, visit: Visit) -> None:
    parts.settings = Settings.model_validate({"public_url": "https://golub.example.ru"})
    browser = await visit(Role.MANAGER)
    named = {"Host": "golub.example.ru", "Cookie": f"session={browser.client.cookies['session']}"}
    for origin, status in (("https://golub.example.ru", 303), ("http://golub.example.ru", 403)):
        assert await sent(browser, {**named, "Origin": origin}, browser.csrf) == status
    assert await sent(browser, {**named, "Origin": "null", "Sec-Fetch-Site": "same-origin"}, browser.csrf) == 303


async def test_htmx_sends_the_token_as_a_header(visit: Visit) -> None:
    browser = await visit(Role.MANAGER)
    headers = {"X-CSRF-Token": browser.csrf}
    answer = await browser.client.post("/preferences", data={"locale": "en"}, headers=headers)
    assert answer.status_code == 303


async def test_a_token_from_before_sign_in_is_worth_nothing_afterwards(visit: Visit) -> None:
    browser, stranger = await visit(Role.MANAGER), await visit(None)
    browser.client.cookies.set("visitor", stranger.csrf, domain="localhost.local")
    assert await sent(browser, {"Origin": ORIGIN}, stranger.csrf) == 403


async def test_a_short_visitor_cookie_is_replaced(visit: Visit) -> None:
    browser = await visit(None)
    browser.client.cookies.clear()
    browser.client.cookies.set("visitor", "abc", domain="localhost.local")
    assert await sent(browser, {"Origin": ORIGIN}, "abc") == 403


@pytest.fixture
def api(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    async def act() -> dict[str, bool]:
        return {"done": True}

    site.add_api_route("/api/act", act, methods=["POST", "DELETE", "GET"])
    monkeypatch.setitem(ACCESS, "/api/act", Role.MANAGER)
    return site


@pytest.mark.row(42)
async def test_the_api_serves_programs_and_our_own_pages(api: FastAPI, visit: Visit) -> None:
    browser = await visit(Role.MANAGER)
    assert (await browser.client.post("/api/act", json={})).status_code == 200
    browser.client.headers.pop("Origin")
    assert (await browser.client.post("/api/act", json={})).status_code == 200
    assert (await browser.client.delete("/api/act")).status_code == 200
    for headers in FOREIGN:
        answer = await browser.client.post("/api/act", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), headers
        assert (await browser.client.get("/api/act", headers=headers)).status_code == 200


@pytest.mark.row(42)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_the_api_takes_json_only(api: FastAPI, visit: Visit, kind: str) -> None:
    browser = await visit(Role.MANAGER)
    browser.client.headers.pop("Origin")
    answer = await browser.client.post("/api/act", content=b'{"url": 1}', headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
    charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await browser.client.post("/api/act", content=b"{}", headers=charset)).status_code == 200
