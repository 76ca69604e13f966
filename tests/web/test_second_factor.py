"""Two steps into the panel, and the way to them: setting up, recovery, whoever must have it."""

import html
import re

import httpx2
import pytest
from pyotp.totp import TOTP

from golub.clock import DAY, MINUTE, SECOND
from golub.model import Operator, Role
from golub.operators import HALF_LIFE, PROOF_LIFE
from golub.settings import Settings
from golub.throttle import FREE_BY_LOGIN
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.web.conftest import Browser, Visit

PASSWORD = "two words and more"
STEP = 30 * SECOND

pytestmark = pytest.mark.anyio


async def enters(browser: Browser, login: str = "anna", password: str = PASSWORD, **more: str) -> httpx2.Response:
    return await browser.post("/sign-in", {"login": login, "password": password, **more})


async def refresh(browser: Browser, page: str = "/me") -> None:
    """Takes the token of a page that a person would have before him."""
    browser.csrf = re.findall(r'name="csrf" value="([^"]+)"', (await browser.get(page)).text)[0]


@pytest.fixture
async def anna(parts: Parts) -> Operator:
    return await parts.operators.create("anna", PASSWORD, name="Анна", role=Role.ADMIN)


async def app_of(browser: Browser) -> TOTP:
    """Sets up by the secret that the page shows for typing, as far as the first code."""
    assert (await browser.post("/me/second-factor")).headers["location"] == "/me/second-factor"
    page = (await browser.get("/me/second-factor")).text
    shown = re.search(r'id="seed">([A-Z2-7 ]+)<', page)
    assert shown
    picture = re.search(r'class="qr" src="([^"]+)"', page)
    assert picture
    assert html.unescape(picture[1]).startswith("data:image/svg+xml")
    assert 'style="' not in page
    return TOTP(shown[1].replace(" ", ""))


async def set_up(browser: Browser, clock: SteppedClock) -> tuple[TOTP, list[str]]:
    app = await app_of(browser)
    done = await browser.post("/me/second-factor/confirm", {"code": app.at(clock() // SECOND)})
    assert done.status_code == 200
    clock.step(STEP)
    return app, re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", done.text)


@pytest.fixture
async def phone(visit: Visit, anna: Operator, clock: SteppedClock) -> tuple[TOTP, list[str]]:
    """Anna's app and recovery codes; she is signed out."""
    browser = await visit(None)
    await enters(browser)
    await refresh(browser)
    made = await set_up(browser, clock)
    await browser.post("/sign-out")
    return made


async def test_setting_up_counts_after_a_right_code_and_shows_the_recovery_codes_once(
    visit: Visit, parts: Parts, anna: Operator, clock: SteppedClock
) -> None:
    browser = await visit(None)
    await enters(browser)
    await refresh(browser)
    assert 'href="/me/second-factor"' in (await browser.get("/me")).text
    app = await app_of(browser)
    wrong = await browser.post("/me/second-factor/confirm", {"code": "000000"})
    assert (wrong.status_code, 'class="qr"' in wrong.text, "неверный" in wrong.text) == (400, True, True)
    assert (await enters(await visit(None))).headers["location"] == "/inbox", "it does not count yet"
    done = await browser.post("/me/second-factor/confirm", {"code": app.at(clock() // SECOND)})
    codes = re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", done.text)
    assert len(set(codes)) == 10
    page = (await browser.get("/me")).text
    assert "10 резервных кодов" in page
    assert not [code for code in codes if code in page]
    assert (await browser.get("/me/second-factor")).headers["location"] == "/me"
    again = await browser.post("/me/second-factor/codes")
    new = re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", again.text)
    assert len(set(new) - set(codes)) == 10


async def test_signing_in_takes_two_steps(
    visit: Visit, anna: Operator, phone: tuple[TOTP, list[str]], clock: SteppedClock
) -> None:
    app, _ = phone
    browser = await visit(None)
    first = await enters(browser, next="/admin/operators?a=1")
    assert first.headers["location"] == "/sign-in/code?next=/admin/operators%3Fa%3D1"
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("half_sign_in=")
    for part in ("HttpOnly", "SameSite=lax", "Path=/sign-in/code", f"Max-Age={HALF_LIFE // 1000}"):
        assert part in cookie
    assert "session" not in browser.client.cookies
    assert (await browser.get("/admin/operators")).headers["location"].startswith("/sign-in"), "it is no session"
    half = browser.client.cookies["half_sign_in"]
    thief = await visit(None)
    thief.client.cookies.set("session", half, domain="localhost.local")
    assert (await thief.get("/admin/operators")).headers["location"].startswith("/sign-in")
    page = await browser.get("/sign-in/code?next=/admin/operators%3Fa%3D1")
    assert (page.status_code, 'autocomplete="one-time-code"' in page.text) == (200, True)
    wrong = await browser.post("/sign-in/code", {"code": "000000", "next": "/admin/operators?a=1"})
    assert (wrong.status_code, 'value="/admin/operators?a=1"' in wrong.text) == (400, True)
    code = app.at(clock() // SECOND)
    done = await browser.post("/sign-in/code", {"code": code, "next": "/admin/operators?a=1"})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/operators?a=1")
    assert (await browser.get("/admin/operators")).status_code == 200
    second = await visit(None)
    await enters(second)
    assert (await second.post("/sign-in/code", {"code": code})).status_code == 400, "a code works once"


async def test_the_second_step_is_this_browsers_and_short(
    visit: Visit, phone: tuple[TOTP, list[str]], clock: SteppedClock
) -> None:
    app, codes = phone
    stranger = await visit(None)
    assert (await stranger.get("/sign-in/code")).headers["location"] == "/sign-in"
    refused = await stranger.post("/sign-in/code", {"code": app.at(clock() // SECOND)})
    assert (refused.status_code, 'name="password"' in refused.text) == (404, True)
    browser = await visit(None)
    await enters(browser)
    clock.step(HALF_LIFE)
    late = await browser.post("/sign-in/code", {"code": codes[0]})
    assert (late.status_code, "слишком много времени" in late.text) == (404, True)
    assert "session" not in browser.client.cookies
    await enters(browser)
    by_recovery = await browser.post("/sign-in/code", {"code": codes[0], "recovery": "true", "next": "//evil.example"})
    assert by_recovery.headers["location"] in {"/", "/inbox"}
    other = await visit(None)
    await enters(other)
    assert (await other.post("/sign-in/code", {"code": codes[0], "recovery": "true"})).status_code == 400


async def test_a_wrong_password_says_nothing_of_a_second_factor(
    visit: Visit, parts: Parts, phone: tuple[TOTP, list[str]]
) -> None:
    await parts.operators.create("boris", PASSWORD)
    told: set[tuple[int, str, bool]] = set()
    for login in ("anna", "boris", "nobody"):
        browser = await visit(None)
        answer = await enters(browser, login, "a guess of mine")
        told.add((answer.status_code, re.sub(f'"{login}"|{browser.csrf}', "", answer.text), bool(answer.cookies)))
    assert len(told) == 1


async def test_codes_are_paced(visit: Visit, phone: tuple[TOTP, list[str]]) -> None:
    browser = await visit(None)
    statuses: list[int] = []
    for _ in range(FREE_BY_LOGIN + 1):
        assert (await enters(browser)).status_code == 303
        statuses.append((await browser.post("/sign-in/code", {"code": "000000"})).status_code)
    assert statuses == [400] * FREE_BY_LOGIN + [429]
    waits = await browser.post("/sign-in/code", {"code": "000000"})
    assert int(waits.headers["retry-after"]) >= 1


async def test_a_link_is_no_way_around_it(visit: Visit, parts: Parts, phone: tuple[TOTP, list[str]]) -> None:
    anna = await parts.operators.find("anna")
    assert anna is not None
    for purpose, path, form in (
        ("password", "password", {"password": PASSWORD, "again": PASSWORD}),
        ("sign_in", "enter", {}),
    ):
        browser = await visit(None)
        answer = await browser.post(f"/{path}/{await parts.operators.make_link(purpose, anna.id)}", form)
        assert answer.headers["location"].startswith("/sign-in/code")
        assert "session" not in browser.client.cookies


async def test_turning_it_off_takes_a_proof(
    visit: Visit, parts: Parts, phone: tuple[TOTP, list[str]], clock: SteppedClock
) -> None:
    app, _ = phone
    browser = await visit(None)
    await enters(browser)
    await browser.post("/sign-in/code", {"code": app.at(clock() // SECOND)})
    await refresh(browser)
    clock.step(PROOF_LIFE)
    for door in ("off", "codes"):
        led = await browser.post(f"/me/second-factor/{door}")
        assert led.headers["location"] == "/me/proof?next=/me&undone=true"
    assert 'name="code"' in (await browser.get("/me/proof")).text
    proof = {"password": PASSWORD, "next": "/me"}
    assert (await browser.post("/me/proof", proof | {"code": "000000"})).status_code == 400
    assert (await browser.post("/me/proof", proof | {"code": app.at(clock() // SECOND)})).headers["location"] == "/me"
    assert (await browser.post("/me/second-factor/off")).headers["location"] == "/me?done=second-factor-off"
    assert (await enters(await visit(None))).headers["location"] == "/inbox"


async def test_an_admin_takes_it_off_a_manager_who_lost_the_phone(
    visit: Visit, parts: Parts, clock: SteppedClock
) -> None:
    admin, manager, boss = [await visit(role) for role in (Role.ADMIN, Role.MANAGER, Role.SUPER_ADMIN)]
    peer = await visit(Role.ADMIN)
    for browser in (manager, boss, peer, admin):
        await set_up(browser, clock)
    assert manager.operator
    assert boss.operator
    assert peer.operator
    assert admin.operator

    def door(browser: Browser) -> str:
        assert browser.operator
        return f"/admin/operators/{browser.operator.id}/second-factor"

    shown = (await admin.get("/admin/operators")).text
    assert [f'action="{door(one)}"' in shown for one in (manager, peer, boss, admin)] == [True, False, False, False]
    assert [(await admin.post(door(one))).status_code for one in (manager, peer, boss)] == [303, 403, 403]
    assert (await admin.post(door(admin))).status_code == 409
    assert (await boss.post(door(peer))).status_code == 303
    on = [await parts.operators.get(one.operator.id) for one in (manager, peer, boss, admin) if one.operator]
    assert [one.second_factor_at is not None for one in on] == [False, False, True, True]


async def test_whoever_must_have_it_reaches_nothing_else(visit: Visit, parts: Parts, clock: SteppedClock) -> None:
    boss, admin = await visit(Role.SUPER_ADMIN), await visit(Role.ADMIN)
    parts.settings = Settings.model_validate({"data_dir": parts.settings.data_dir, "second_factor_required": True})
    assert (await admin.get("/admin/operators")).status_code == 200
    for url in ("/admin/operators", "/guide", "/me", "/admin/audit", "/inbox"):
        assert (await boss.get(url)).headers["location"] == "/me/second-factor", url
    assert (await boss.get("/admin/operators", headers={"HX-Request": "true"})).headers["hx-redirect"]
    assert (await boss.post("/admin/operators", {"login": "lena"})).headers["location"] == "/me/second-factor"
    assert (await boss.get("/stream", headers={"Accept": "text/event-stream"})).status_code == 403
    api = await boss.get("/api/admin/webhooks")
    assert (api.status_code, api.json()["code"]) == (403, "second_factor_needed")
    page = (await boss.get("/me/second-factor")).text
    assert 'action="/sign-out"' in page
    await set_up(boss, clock)
    assert (await boss.get("/admin/operators")).status_code == 200
    assert (await boss.post("/me/second-factor/off")).status_code == 409
    assert 'action="/me/second-factor/off"' not in (await boss.get("/me")).text


async def test_an_old_session_has_to_prove_itself_before_it_may_set_up(
    visit: Visit, anna: Operator, clock: SteppedClock
) -> None:
    browser = await visit(None)
    await enters(browser)
    await refresh(browser)
    await app_of(browser)
    clock.step(DAY)
    shown = await browser.get("/me/second-factor")
    assert shown.headers["location"] == "/me/proof?next=/me/second-factor", "nor see the secret that waits"
    for door in ("", "/confirm"):
        led = await browser.post(f"/me/second-factor{door}", {"code": "1"})
        assert led.headers["location"].startswith("/me/proof?")
    clock.step(MINUTE)
