"""One's own page: the browsers in which one is signed in, ended from here with their streams, and the password."""

import re

import pytest
from fastapi import FastAPI

from golub.clock import DAY
from golub.live import Live
from golub.model import Role
from golub.web import stream
from golub.web.devices import device_of
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.web.conftest import Browser, Visit
from tests.web.listening import listening

pytestmark = pytest.mark.anyio

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
YANDEX = CHROME.replace("Safari/", "YaBrowser/25.8 Safari/")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1"
ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"


@pytest.fixture
def parts(parts: Parts) -> Parts:
    parts.live = Live()
    return parts


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tick comes: a stream that ends has been told."""
    monkeypatch.setattr(stream, "TICK", 3600.0)


async def elsewhere(parts: Parts, visit: Visit, browser: Browser, user_agent: str = IPHONE) -> Browser:
    """The same operator in a second browser."""
    assert browser.operator
    secret, opened = await parts.operators.open_session(browser.operator, address="198.51.100.9", user_agent=user_agent)
    other = await visit(None)
    other.client.cookies.clear()
    other.client.cookies.set("session", secret, domain="localhost.local")
    return Browser(other.client, browser.operator, opened.csrf)


@pytest.mark.parametrize(
    ("user_agent", "name", "glyph"),
    [
        (CHROME, "Chrome, Windows", "monitor"),
        (YANDEX, "Yandex Browser, Windows", "monitor"),
        (IPHONE, "Safari, iPhone", "smartphone"),
        (ANDROID, "Chrome, Android", "smartphone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux", "monitor"),
        ("curl/8.5.0", "curl", "monitor"),
        ("", "", "monitor"),
        ("<script>", "", "monitor"),
    ],
)
def test_a_browser_is_told_in_plain_words(user_agent: str, name: str, glyph: str) -> None:
    assert (device_of(user_agent).name, device_of(user_agent).glyph) == (name, glyph)


async def test_sessions_are_listed_with_this_one_marked(parts: Parts, visit: Visit, clock: SteppedClock) -> None:
    anna, stranger = await visit(Role.MANAGER), await visit(Role.MANAGER)
    await elsewhere(parts, visit, anna)
    await elsewhere(parts, visit, anna, "<script>alert(1)</script>")
    await elsewhere(parts, visit, stranger, CHROME)
    page = (await anna.get("/me")).text
    assert page.count('class="session-line"') == 3
    assert "Safari, iPhone" in page
    assert "198.51.100.9" in page
    assert "Chrome, Windows" not in page
    assert "<script>alert" not in page
    first, second, third = page.split('class="session-line"')[1:]
    assert ["This one" in line for line in (first, second, third)] == [True, False, False]
    assert ["/end" in line.partition("</li>")[0] for line in (first, second, third)] == [False, True, True]
    clock.step(15 * DAY)
    assert (await anna.get("/me")).headers["location"].startswith("/sign-in")


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("way", ["one", "others", "password", "role"])
async def test_ending_a_session_ends_its_stream_at_once(site: FastAPI, parts: Parts, visit: Visit, way: str) -> None:
    anna, boss = await visit(Role.MANAGER), await visit(Role.SUPER_ADMIN)
    phone = await elsewhere(parts, visit, anna)
    async with listening(site, phone) as there, listening(site, anna) as here:
        await there.event("hello")
        await here.event("hello")
        if way == "one":
            (handle,) = re.findall(r'action="(/me/sessions/\w{16}/end)"', (await anna.get("/me")).text)
            ended = await anna.post(handle)
            assert (await anna.post(handle)).status_code == 404
        elif way == "others":
            ended = await anna.post("/me/sessions/end")
        elif way == "password":
            ended = await anna.post("/me/password", {"password": "quite another one", "again": "quite another one"})
        else:
            assert anna.operator
            ended = await boss.post(f"/admin/operators/{anna.operator.id}", {"role": "admin"})
            await here.event("bye")
        assert ended.status_code == 303
        await there.event("bye")
        assert here.ended.is_set() is (way == "role")
    assert (await phone.get("/me")).headers["location"].startswith("/sign-in")
    assert ((await anna.get("/me")).status_code == 200) is (way != "role")


async def test_nobody_ends_anothers_session(parts: Parts, visit: Visit) -> None:
    anna, eve = await visit(Role.MANAGER), await visit(Role.SUPER_ADMIN)
    phone = await elsewhere(parts, visit, anna)
    (handle,) = re.findall(r'action="(/me/sessions/\w{16}/end)"', (await anna.get("/me")).text)
    assert (await eve.post(handle)).status_code == 404
    await eve.post("/me/sessions/end")
    assert (await phone.get("/me")).status_code == 200


async def test_a_new_password_is_judged_like_any_other(parts: Parts, visit: Visit) -> None:
    anna = await visit(Role.MANAGER)
    for password, again in (("short", "short"), ("quite another one", "quite another two"), ("12345678", "12345678")):
        answer = await anna.post("/me/password", {"password": password, "again": again})
        assert (answer.status_code, f'value="{password}"' in answer.text) == (422, False)
    done = await anna.post("/me/password", {"password": "quite another one", "again": "quite another one"})
    assert done.headers["location"] == "/me?done=password"
    assert anna.operator
    found = await parts.operators.authenticate(anna.operator.login, "quite another one", "192.0.2.7")
    assert found.id == anna.operator.id
