"""The guide, 5: no default password, the first run, signing in and out, three roles, and what guards them."""

import asyncio
import hashlib
import os
import re
import sys
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from golub.clock import MINUTE
from golub.model import Operator, Role, Session
from tests.conftest import StartGolub, SteppedClock
from tests.guide.page import Page
from tests.guide.town import PUBLIC, Browser, Town, opened

PASSWORD = "четыре случайных слова"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database: what is behind these pages is proved on both by its own tests."""
    return sqlite_url


async def test_the_first_run_prints_a_one_time_link_and_makes_no_password(start_golub: StartGolub) -> None:
    golub = await start_golub("serve")
    link = (await golub.line(r"(http://\S+/setup/\S+)"))[1]
    async with httpx2.AsyncClient(headers={"Origin": golub.url}, follow_redirects=True, timeout=30) as client:
        page = Page((await client.get(f"{golub.url}/sign-in")).text)
        for login, password in (("admin", "admin"), ("admin", "password"), ("admin", "")):
            fields = page.form("/sign-in").filled(login=login, password=password)
            assert (await client.post(f"{golub.url}/sign-in", data=dict(fields))).status_code == 400
        page = Page((await client.get(link)).text)
        wrong = page.form("").filled(name="Анна", login="anna", password="12345678", again="другой")
        assert (await client.post(link, data=dict(wrong))).status_code == 422
        right = page.form("").filled(name="Анна", login="anna", password=PASSWORD, again=PASSWORD)
        assert (await client.post(link, data=dict(right))).url == f"{golub.url}/admin/start"
        assert (await client.get(link)).status_code == 404

    add = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("golub"), "operator", "add", "boris", "--role", "manager",
        env={"PATH": os.environ["PATH"], "GOLUB_DATA_DIR": str(golub.folder), "GOLUB_OPERATOR_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(add.communicate(), 30)
    assert (add.returncode, out.decode().strip()) == (0, "boris: manager")
    async with httpx2.AsyncClient(headers={"Origin": golub.url}, follow_redirects=True, timeout=30) as client:
        page = Page((await client.get(f"{golub.url}/sign-in")).text)
        fields = page.form("/sign-in").filled(login="boris", password=PASSWORD)
        assert (await client.post(f"{golub.url}/sign-in", data=dict(fields))).url == f"{golub.url}/inbox"
    assert PASSWORD not in "\n".join(golub.lines)
    await golub.stop()
    await golub.restart()
    assert not [line for line in golub.lines[-3:] if "/setup/" in line]  # only while nobody can sign in


async def sessions(town: Town) -> list[Session]:
    async with town.parts.store.read() as session:
        return list(await session.scalars(select(Session)))


async def add_anna(town: Town) -> Operator:
    return await town.parts.operators.create("anna", PASSWORD, name="Анна", role=Role.MANAGER)


async def sign_in(browser: Browser, password: str = PASSWORD, login: str = "anna") -> Page:
    return await browser.send(await browser.open("/sign-in"), "/sign-in", login=login, password=password)


async def test_signing_in_makes_a_new_session_and_signing_out_ends_it(town: Town) -> None:
    anna = await add_anna(town)
    assert anna.password_hash.startswith("$argon2id$")
    browser = await town.stranger()
    browser.client.cookies.set("session", "planted-by-somebody-else", domain="golub.example.ru")
    page = await browser.open("/inbox")
    assert page.url == f"{PUBLIC}/sign-in?next=/inbox"
    page = await sign_in(browser)
    assert page.url == f"{PUBLIC}/inbox"
    kept = [cookie for cookie in browser.client.cookies.jar if cookie.name == "session"][-1]
    assert kept.value != "planted-by-somebody-else"
    assert kept.secure
    assert kept.has_nonstandard_attr("HttpOnly")
    (row,) = await sessions(town)
    assert row.hash == hashlib.sha256((kept.value or "").encode()).digest()  # the secret itself is kept nowhere

    browser.client.cookies.clear()
    browser.client.cookies.set("session", kept.value or "", domain="golub.example.ru")
    page = await browser.open("/inbox")
    assert page.url == f"{PUBLIC}/inbox"
    out = await browser.send(page, "/sign-out")
    assert out.url == f"{PUBLIC}/sign-in"
    assert await sessions(town) == []
    browser.client.cookies.set("session", kept.value or "", domain="golub.example.ru")
    assert (await browser.open("/inbox")).url.startswith(f"{PUBLIC}/sign-in")


async def test_a_session_is_revoked_at_once(town: Town, boss: Browser) -> None:
    await add_anna(town)
    anna = await town.stranger()
    await sign_in(anna)
    page = await boss.open("/admin/operators")
    (row,) = [form for form in page.forms if form.action.endswith("/link")]
    action = row.action.removesuffix("/link")
    answer = await boss.client.post(action, data={"csrf": row["csrf"], "active": "no"})
    assert answer.status_code == 200
    assert (await anna.open("/inbox")).url.startswith(f"{PUBLIC}/sign-in")
    assert (await sign_in(anna)).status == 400


async def test_guessing_is_slowed(tmp_path: Path, sqlite_url: str, clock: SteppedClock) -> None:
    async with opened(tmp_path / "data", sqlite_url, our_clock=clock) as town:
        await add_anna(town)
        browser = await town.stranger()
        answers = [(await sign_in(browser, f"неверный пароль {n}")).status for n in range(8)]
        assert answers[0] == 400
        assert answers[-1] == 429
        paced = await sign_in(browser)  # even the right one has to wait
        assert paced.status == 429
        assert re.search("[а-я]{3}", paced.text)
        clock.step(MINUTE)
        assert (await sign_in(browser)).url == f"{PUBLIC}/inbox"


async def test_three_roles_each_may_what_the_one_below_may_and_more(town: Town, boss: Browser) -> None:
    pages = {"/inbox": 3, "/guide": 3, "/admin/accounts": 2, "/admin/operators": 2, "/admin/webhooks": 1}
    browsers = [boss, await town.sign_in(Role.ADMIN), await town.sign_in(Role.MANAGER)]
    for url, count in pages.items():
        statuses = [(await browser.open(url)).status for browser in browsers]
        assert statuses == [200] * count + [403] * (3 - count), url
    admin = browsers[1]
    page = await admin.open("/admin/operators")
    csrf = page.form("/admin/operators")["csrf"]
    over = {"csrf": csrf, "login": "eva", "name": "Ева", "role": Role.SUPER_ADMIN}
    assert (await admin.client.post("/admin/operators", data=over)).status_code == 403
    assert "eva" not in (await boss.open("/admin/operators")).text


async def test_no_other_site_can_act_in_our_name(town: Town, boss: Browser) -> None:
    page = await boss.open("/admin/accounts")
    form = page.form("/admin/accounts")
    shop = town.sim.add_account(7_009)
    given = {"client_id": shop.client_id, "client_secret": shop.client_secret}
    for fields, headers in (
        ({**given}, {}),
        ({**given, "csrf": "made-up"}, {}),
        ({**given, "csrf": form["csrf"]}, {"Origin": "https://evil.example"}),
        ({**given, "csrf": form["csrf"]}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert (await boss.client.post("/admin/accounts", data=fields, headers=headers)).status_code == 403
    assert await town.parts.accounts.list() == []
    assert (await boss.client.post("/admin/accounts", data={**given, "csrf": form["csrf"]})).status_code == 200
    assert len(await town.parts.accounts.list()) == 1
