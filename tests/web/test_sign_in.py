"""The way in and out, in a browser's steps."""

import re

import pytest

from golub.clock import DAY, SECOND
from golub.model import Role
from golub.settings import Settings
from golub.throttle import FREE_BY_LOGIN
from golub.web.next_page import safe_next
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.web.conftest import Browser, Visit

PASSWORD = "two words and more"


async def signed_in(browser: Browser) -> bool:
    return (await browser.get("/admin/operators")).status_code in (200, 403)


@pytest.mark.row(59)
async def test_first_run_from_the_console_s_link_to_the_panel(visit: Visit, parts: Parts) -> None:
    browser = await visit(None)
    assert "golub operator add" in (await browser.get("/sign-in")).text, "a fresh install says where the link is"
    link = f"/setup/{await parts.operators.make_link('setup')}"
    assert (await browser.get("/setup/" + "x" * 43)).status_code == 404
    form = {"login": "Anna", "name": "Анна <b>", "password": "1234567", "again": "1234567"}
    short = await browser.post(link, form)
    assert (short.status_code, 'value="Анна &lt;b&gt;"' in short.text, "1234567" in short.text) == (422, True, False)
    differs = await browser.post(link, form | {"password": PASSWORD})
    assert (differs.status_code, 'id="f-again-note"' in differs.text) == (422, True)
    done = await browser.post(link, form | {"password": PASSWORD, "again": PASSWORD})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/start")
    page = await browser.get("/admin/operators")
    assert page.status_code == 200
    assert "Анна &lt;b&gt;" in page.text
    assert (await (await visit(None)).get(link)).status_code == 404
    assert "golub operator add" not in (await (await visit(None)).get("/sign-in")).text


@pytest.mark.row(40, 41)
async def test_signing_in_gives_a_new_session_and_signing_out_ends_it(visit: Visit, parts: Parts) -> None:
    await parts.operators.create("anna", PASSWORD, role=Role.ADMIN)
    browser = await visit(None)
    browser.client.cookies.set("session", "chosen-by-an-attacker", domain="localhost.local")
    wrong = await browser.post("/sign-in", {"login": "anna", "password": "wrong", "next": "/admin/operators"})
    assert (wrong.status_code, 'value="anna"' in wrong.text, "Неверный логин или пароль" in wrong.text) == (
        400,
        True,
        True,
    )
    browser.client.cookies.delete("session")
    answer = await browser.post("/sign-in", {"login": "ANNA", "password": PASSWORD, "next": "/admin/operators"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/operators")
    cookie = answer.headers["set-cookie"]
    secret = re.match(r"session=([\w-]{43});", cookie)
    assert secret
    for part in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie, "plain HTTP on loopback"
    assert "Domain" not in cookie
    page = await browser.get("/admin/operators")
    browser.csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
    again = await browser.post("/sign-in", {"login": "anna", "password": PASSWORD})
    assert f"session={secret[1]}" not in again.headers["set-cookie"]
    assert await parts.operators.find_session(secret[1]) is None, "the session that the browser had is over"
    browser.csrf = re.findall(r'name="csrf" value="([^"]+)"', (await browser.get("/admin/operators")).text)[0]
    kept = browser.client.cookies["session"]
    assert (await browser.post("/sign-out")).headers["location"] == "/sign-in"
    browser.client.cookies.set("session", kept, domain="localhost.local")
    assert not await signed_in(browser)


@pytest.mark.row(41)
async def test_the_cookie_is_secure_wherever_https_is(visit: Visit, parts: Parts) -> None:
    await parts.operators.create("anna", PASSWORD)
    for url, secure in (("https://golub.example.ru", True), ("", False)):
        parts.settings = Settings.model_validate({"public_url": url})
        answer = await (await visit(None)).post("/sign-in", {"login": "anna", "password": PASSWORD})
        assert ("Secure" in answer.headers["set-cookie"]) is secure


@pytest.mark.row(36)
async def test_guessing_is_answered_with_a_wait(visit: Visit, parts: Parts, clock: SteppedClock) -> None:
    browser = await visit(None)
    statuses = [
        (await browser.post("/sign-in", {"login": "anna", "password": "x" * 2000})).status_code
        for _ in range(FREE_BY_LOGIN + 1)
    ]
    assert statuses == [400] * FREE_BY_LOGIN + [429]
    answer = await browser.post("/sign-in", {"login": "anna", "password": "x" * 2000})
    assert int(answer.headers["retry-after"]) >= 1
    clock.step(2 * SECOND)
    assert (await browser.post("/sign-in", {"login": "anna", "password": "x" * 2000})).status_code == 400


async def test_a_demo_link_needs_a_press_and_works_once(visit: Visit, parts: Parts) -> None:
    anna = await parts.operators.create("anna", PASSWORD, role=Role.ADMIN)
    link = f"/enter/{await parts.operators.make_link('sign_in', anna.id)}"
    preview = await visit(None)
    assert (await preview.get(link)).status_code == 200
    assert not await signed_in(preview), "a messenger's preview of the link must not use it up"
    browser = await visit(None)
    assert (await browser.post(link)).headers["location"] == "/inbox"
    assert await signed_in(browser)
    assert (await preview.post(link)).status_code == 404


async def test_an_operator_is_added_chooses_a_password_and_is_kept_out(visit: Visit, parts: Parts) -> None:
    admin = await visit(Role.ADMIN)
    refused = await admin.post("/admin/operators", {"login": "lena", "name": "Лена", "role": "super_admin"})
    assert refused.status_code == 403
    bad = await admin.post("/admin/operators", {"login": "le na", "name": "Лена", "role": "manager"})
    assert (bad.status_code, "data-open-now" in bad.text, 'value="le na"' in bad.text) == (422, True, True)
    assert (await admin.post("/admin/operators", {"login": "lena", "role": "king"})).status_code == 400
    added = await admin.post("/admin/operators", {"login": "lena", "name": "Лена", "role": "manager"})
    link = re.findall(r'value="http://localhost(/password/[\w-]+)"', added.text)[0]
    lena = await visit(None)
    assert (await lena.get(link)).status_code == 200
    assert (await lena.post(link, {"password": PASSWORD, "again": PASSWORD + "x"})).status_code == 422
    assert (await lena.post(link, {"password": PASSWORD, "again": PASSWORD})).headers["location"] == "/inbox"
    assert await signed_in(lena)
    row = await parts.operators.find("lena")
    assert row is not None
    assert (await admin.post(f"/admin/operators/{row.id}", {"active": "no"})).status_code == 303
    assert not await signed_in(lena)
    assert admin.operator is not None
    assert (await admin.post(f"/admin/operators/{admin.operator.id}", {"role": "manager"})).status_code == 409
    boss = await visit(Role.SUPER_ADMIN)
    assert boss.operator is not None
    for door in (f"/admin/operators/{boss.operator.id}", f"/admin/operators/{boss.operator.id}/link"):
        assert (await admin.post(door, {"active": "no"})).status_code == 403


@pytest.mark.row(32)
async def test_links_carry_the_public_address_whatever_the_request_says(visit: Visit, parts: Parts) -> None:
    admin = await visit(Role.ADMIN)
    parts.settings = Settings.model_validate({"public_url": "https://golub.example.ru"})
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}
    page = await admin.post("/admin/operators", {"login": "lena", "role": "manager"}, headers=headers)
    assert 'value="https://golub.example.ru/password/' in page.text
    assert "evil.example" not in page.text


@pytest.mark.row(33)
@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil",
        "https://evil.example",
        "/%09//evil.example",
        "\\\\evil",
        "/a//b",
        "/a\r\nSet-Cookie: x=1",
        "/\tevil",
        "javascript:alert(1)",
        "evil",
        "",
        "/ы",
        "/a b",
        "/\x00",
    ],
)
async def test_after_sign_in_one_lands_here_and_nowhere_else(visit: Visit, wanted: str) -> None:
    browser = await visit(Role.MANAGER)
    answer = await browser.get("/sign-in", params={"next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox")
    assert safe_next(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/inbox?chat=17&unread=1", "/admin/webhooks", "/inbox/17"])
def test_a_page_of_ours_is_reached(wanted: str) -> None:
    assert safe_next(wanted) == wanted


async def test_a_page_asked_for_before_sign_in_is_remembered(visit: Visit) -> None:
    answer = await (await visit(None)).get("/admin/operators?a=1")
    assert answer.headers["location"] == "/sign-in?next=/admin/operators%3Fa%3D1"


async def test_the_language_follows_the_reader(visit: Visit, parts: Parts) -> None:
    stranger = await visit(None)
    assert '<html lang="ru"' in (await stranger.get("/sign-in")).text
    chosen = await stranger.post("/preferences", {"locale": "en", "next": "//evil.example"})
    assert chosen.headers["location"] == "/"
    assert '<html lang="en"' in (await stranger.get("/sign-in")).text
    admin = await visit(Role.ADMIN)
    await admin.post("/preferences", {"locale": "ru"})
    assert admin.operator is not None
    assert (await parts.operators.get(admin.operator.id)).locale == "ru"
    assert "Кто здесь отвечает покупателям" in (await admin.get("/admin/operators")).text
    await admin.post("/preferences", {"locale": "xx"})
    assert (await parts.operators.get(admin.operator.id)).locale == "ru"


async def test_an_idle_session_leads_to_sign_in(visit: Visit, clock: SteppedClock) -> None:
    admin = await visit(Role.ADMIN)
    clock.step(14 * DAY)
    assert not await signed_in(admin)
