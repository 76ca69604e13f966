"""Rows that a whole Golub answers, and no single part of it: what strangers send, as pages and answers show it."""

import re

import httpx2
import pytest

from golub.model import Role
from golub.simulator import Account, Item
from golub.simulator import wire as avito
from golub.web.csv_file import csv_file
from golub.web.links import read_link, split_text
from tests import shapes
from tests.guide.page import Page
from tests.guide.town import PUBLIC, Browser, Town

EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><iMg src=//evil.example/x>',
    "{{7*7}} ${7*7} {% include '/etc/passwd' %} {name.__class__}",
    "</script><script>alert(1)</script><!--\u2028\u2029 -->",
    "<div hx-get=/admin hx-trigger=load></div>",
    "' onmouseover='alert(1)' data-x='",
)
TRACKER = "https://evil.example/pixel.gif"


def check(page: Page) -> None:
    for tag, attrs in page.elements:
        assert tag not in ("iframe", "object", "embed", "base")
        assert tag != "script" or attrs["src"].startswith("/static/")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert attrs.get("hx-get") != "/admin"
        for name in ("src", "srcset", "poster", "action", "hx-get", "hx-post"):
            assert "evil.example" not in attrs.get(name, "")
        href = attrs.get("href", "")
        assert href.startswith(("/", "#", "http://", "https://")) or not href, href
        if href.startswith("http") and tag == "a":
            assert {"noopener", "noreferrer"} <= set(attrs["rel"].split())


@pytest.mark.row(1, 2, 3, 6, 7, 8)
async def test_what_a_buyer_sends_is_text_in_every_page(town: Town, boss: Browser, shop: Account) -> None:
    """And neither a tracker nor a drawing of his is asked for: our pages name no picture that is not Avito's."""
    for evil in EVIL:
        chat = town.sim.add_chat(shop, evil, Item(evil, 100))
        town.sim.buyer_says(chat, evil)
        pictures = {"image": {"sizes": {"640x480": TRACKER, "1280x960": "http://192.168.1.1/x.svg"}}}
        town.sim.buyer_says(chat, content=pictures, type="image")
        town.sim.buyer_says(chat, content={"link": {"text": evil, "url": f"javascript:{evil}"}}, type="link")
    stranger = await town.client(**{"User-Agent": EVIL[3], "X-Odd": EVIL[0]})
    assert (await stranger.post("/webhook/avito", content=EVIL[0].encode())).status_code == 200
    await town.applied()
    rows = (await boss.open("/inbox")).ids("chat-")
    assert len(rows) == len(EVIL)
    urls = ["/inbox", "/inbox/search?q=alert", "/admin/deliveries", "/admin/deliveries/quarantined", "/reports"]
    urls += [f"/inbox/{row.removeprefix('chat-')}" for row in rows]
    seen = ""
    for url in urls:
        page = await boss.open(url)
        assert page.status == 200
        check(page)
        pictures = [attrs["src"] for attrs in page.all("img")]
        assert [url for url in pictures if not url.startswith(("/static/", "/media/"))] == []
        seen += page.text
    for evil in EVIL:
        written = " ".join(re.sub("[\u2028\u2029]", " ", evil).split())[:20]
        assert written in seen, evil
    assert "49" not in re.findall(r"\{\{(.*?)\}\}", seen)
    journal = await town.journal()
    bad = next(one for one in journal if one.body == EVIL[0].encode())
    page = await boss.open(f"/admin/deliveries/{bad.id.hex()}")
    check(page)
    assert EVIL[0] in page.text
    assert EVIL[3] in page.text
    forged = await boss.client.get(f"/media/{'0' * 32}/message/1/640", follow_redirects=False)
    assert forged.status_code == 404


RUNS = (
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", " javascript:x",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd", "intent://x#Intent;end",
    "//evil.ru", "https:\\\\evil.ru", "http:evil.ru", "tel:112", "ssh://a.ru",
)  # fmt: skip


@pytest.mark.row(4)
@pytest.mark.parametrize("written", RUNS)
def test_what_would_run_is_no_link(written: str) -> None:
    found = read_link(written)
    assert found is None or found.url.startswith(("http://", "https://"))
    assert not [piece for piece in split_text(f"см. {written}") if not isinstance(piece, str)]
    assumed = read_link(written, scheme="https")
    assert assumed is None or assumed.url.startswith("https://")


@pytest.mark.row(26)
async def test_no_absurd_time_keeps_a_chat_on_top(town: Town, boss: Browser, shop: Account) -> None:
    for number, created in enumerate((0, -(10**12), 10**18, 253_402_300_799, 2**62)):
        value = shapes.value(id=f"t{number}", chat_id=f"u2i-odd-{number}", created=created)
        town.sim.emit(shop, avito.encoded(shapes.envelope(value)))
    await town.applied()
    town.clock.behind = -2
    late = town.sim.add_chat(shop, "Самый последний")
    town.sim.buyer_says(late, "после всех")
    await town.applied()
    page = await boss.open("/inbox")
    assert len(page.ids("chat-")) == 6
    assert "после всех" in page.within(page.ids("chat-")[0])


SPLITS = (
    "x\r\nSet-Cookie: session=evil", "x\nX-Evil: 1", "%0d%0aX-Evil:%201", "x\x00y", "x\u010a\u010dX-Evil: 1", "\x85y",
)  # fmt: skip


@pytest.mark.row(34)
@pytest.mark.parametrize("evil", SPLITS)
async def test_no_header_is_written_by_a_stranger(town: Town, boss: Browser, evil: str) -> None:
    """Wherever words of a request come near a header: redirects, cookies, file names, the language."""
    client = boss.client
    client.follow_redirects = False
    csrf = re.findall(r'name="csrf" value="([^"]+)"', (await client.get("/inbox")).text)[0]
    stranger = await town.client()
    answers = [
        await stranger.get("/sign-in", params={"next": f"/{evil}"}),
        await stranger.get("/inbox", params={"view": evil}),
        await client.get("/sign-in", params={"next": f"/{evil}"}),
        await client.post("/preferences", data={"csrf": csrf, "locale": evil, "next": f"/{evil}"}),
        await client.post("/preferences", data={"csrf": csrf, "locale": "ru", "next": f"/{evil}"}),
        await client.get("/reports/csv/days", params={"account": evil, "from": evil}),
        await client.get("/inbox/search", params={"q": evil}),
        await client.get("/inbox", headers={"Last-Event-ID": "x", "Accept-Language": "ru, x"}),
        await client.get("/stream", headers={"Sec-Fetch-Site": "cross-site", "Last-Event-ID": "a"}),
    ]
    for answer in answers:
        assert answer.status_code < 500
        assert "x-evil" not in answer.headers
        assert not [value for value in answer.headers.get_list("set-cookie") if "evil" in value]
        for name, value in answer.headers.multi_items():
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value), name
        assert re.fullmatch(r"(/[^/\\].*|/)?", answer.headers.get("location", ""))


@pytest.mark.row(37, 39)
async def test_a_link_that_never_was_is_answered_like_a_used_one(town: Town) -> None:
    """So nobody learns by asking whose link there was; and it stands in no address that we hand on."""
    parts = town.parts
    operator = await parts.operators.create("anna", "two words and more", role=Role.MANAGER)
    used = await parts.operators.make_link("password", operator.id)
    await parts.operators.set_password(used, "three words and more")
    browser = await town.stranger()
    answers: list[tuple[int, str]] = []
    for path in (f"/password/{used}", f"/password/{'x' * 43}", "/password/x", f"/enter/{used}", f"/setup/{'x' * 43}"):
        page = await browser.open(path)
        answers.append((page.status, page.text))
    assert len(set(answers)) == 1
    assert answers[0][0] == 404
    fresh = await parts.operators.make_link("password", operator.id)
    answer = await browser.client.get(f"/password/{fresh}")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.row(40)
async def test_a_planted_session_is_never_the_one_that_one_gets(town: Town) -> None:
    await town.parts.operators.create("anna", "two words and more", role=Role.MANAGER)
    browser = await town.stranger()
    browser.client.cookies.set("session", "p" * 43, domain="golub.example.ru")
    page = await browser.open("/sign-in")
    csrf = page.form("/sign-in")["csrf"]
    browser.client.follow_redirects = False
    form = {"csrf": csrf, "login": "anna", "password": "two words and more"}
    answer = await browser.client.post("/sign-in", data=form)
    made = re.findall(r"session=([\w-]+);", answer.headers["set-cookie"])
    assert answer.status_code == 303
    assert len(made) == 1
    assert made[0] != "p" * 43
    assert await town.parts.operators.find_session("p" * 43) is None


@pytest.mark.row(41)
async def test_a_stolen_table_of_sessions_opens_nothing(town: Town, boss: Browser) -> None:
    found = await town.parts.operators.find_session(boss.session)
    assert found
    assert boss.session.encode() not in found[0].hash
    for guess in (found[0].hash.hex(), found[0].csrf, ""):
        thief = await town.client(Cookie=f"session={guess}")
        assert (await thief.get("/inbox")).status_code == 303


META = (
    "'", "';drop table chats--", "%", "_", '"*:^', "1 or 1=1", "\\", "-1", "0x10", "1e9", "9" * 20, "a.b.c", "\0",
)  # fmt: skip


@pytest.mark.row(47, 48)
async def test_no_filter_and_no_cursor_reaches_a_database_as_anything_else(
    town: Town, boss: Browser, shop: Account
) -> None:
    town.sim.buyer_says(town.sim.add_chat(shop, "Анна"), "здравствуйте")
    await town.applied()
    pages = {
        "/inbox": ("view", "account", "label", "item", "before", "from"),
        "/inbox/list": ("view", "account", "before", "order"),
        "/inbox/rows": ("ids", "view", "opened"),
        "/inbox/search": ("q", "account", "who", "from", "to", "chat", "item", "chats", "before"),
        "/reports": ("period", "from", "to", "account", "operator", "item"),
        "/reports/chats": ("only", "hour", "by", "before", "limit"),
        "/admin/deliveries": ("state", "account", "kind", "before", "q", "from", "to", "order", "limit"),
        "/admin/audit": ("q", "action", "who", "from", "to", "before", "limit"),
    }
    for url, names in pages.items():
        for number, meta in enumerate(META):
            alone = names[number % len(names)]
            for asked in ({alone: meta}, dict.fromkeys(names, meta)):
                answer = await boss.client.get(url, params=asked)
                assert answer.status_code < 500, f"{url}?{asked}"
    assert "здравствуйте" in (await boss.open("/inbox")).text


@pytest.mark.row(49)
@pytest.mark.parametrize("opening", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\0=", " =", "\u00a0=", "＝"])
def test_no_cell_is_a_formula(opening: str) -> None:
    evil = f'{opening}HYPERLINK("https://evil.example";"x")'
    table = bytes(csv_file("x", [["a", evil, "b\n=1", 5, None]]).body).decode("utf-8-sig")
    cells = re.findall(r'(?:^|;)("(?:[^"]|"")*"|[^;]*)', table.removesuffix("\r\n"))
    assert cells[1].startswith("\"'")
    assert cells[3:] == ["5", ""]


@pytest.mark.row(50)
async def test_no_answer_to_anybody_holds_a_secret(town: Town, boss: Browser, shop: Account) -> None:
    """Each page that one can open without naming a row, as every role, and the answers to mistakes; what a person may
    see at a click (a webhook's address) has a page of its own."""
    webhook = await town.parts.subscriptions.get(town.accounts[shop.user_id])
    secrets = {
        "client secret": shop.client_secret,
        "path token": (await town.parts.subscriptions.url_of(webhook)).rpartition("/")[2],
        "key": town.parts.vault.check,
        "session": boss.session,
        "setup link": await town.parts.operators.make_link("setup"),
    }
    urls = [
        "/inbox", "/reports", "/guide", "/stream-not", "/api/nothing", "/metrics", "/healthz/ready", "/openapi.json",
        "/admin/accounts", f"/admin/accounts/{webhook.account_id}", "/admin/webhooks", "/admin/deliveries",
        "/admin/audit", "/admin/alerts", "/admin/backups", "/admin/status", "/admin/doctor/findings",
        "/admin/operators", "/admin/labels", "/admin/automation", "/admin/start", "/inbox/0", "/inbox?before=x",
        "/reports/csv/days",
    ]  # fmt: skip
    boss.client.cookies.set("session", boss.session, domain="golub.example.ru")
    answers: dict[str, httpx2.Response] = {}
    for role, browser in ((Role.SUPER_ADMIN, boss), (Role.MANAGER, await town.sign_in(Role.MANAGER))):
        for url in urls:
            answers[f"{url} as {role}"] = await browser.client.get(url)
    home = await town.client()
    answers["metrics"] = await home.get("/metrics", headers={"Host": "localhost"})
    for name, secret in secrets.items():
        assert [url for url, answer in answers.items() if secret in answer.text] == [], name
    assert {one.status_code for one in answers.values()} <= {200, 400, 403, 404, 422}
    assert str(answers["/inbox as super_admin"].url).startswith(PUBLIC)
