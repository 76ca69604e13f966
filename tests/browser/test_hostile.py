"""What strangers write runs nowhere and breaks no page: every page, on the narrowest phone, full of it.

The `golub` fixture watches: a request to a foreign host, a dialog, an error of a script or a violation of the policy
fails the test, wherever it happens.
"""

import re

import httpx2
import pytest
from playwright.async_api import expect
from sqlalchemy import select

from golub import inbox
from golub.audit import CONSOLE
from golub.composing import quick_replies
from golub.composing.quick_replies import Wording
from golub.model import Chat, Delivery, Role
from golub.sight import ALL_ACCOUNTS
from golub.simulator import world
from golub.web.access import ACCESS
from golub.web.routes import ROUTERS
from tests.browser.conftest import World
from tests.web.test_content import HOSTILE

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

NARROW = {"width": 360, "height": 740}

# As the routes write them. The others are parts of a page, files, or nobody's to open by an address alone.
PAGES = {
    "/guide": "/guide",
    "/inbox": "/inbox",
    "/inbox/search": "/inbox/search?q=alert",
    "/inbox/{chat_id}": "/inbox/{chat}",
    "/inbox/{chat_id}/quick-replies": "/inbox/{chat}/quick-replies",
    "/quick-replies": "/quick-replies",
    "/quick-replies/new": "/quick-replies/new?chat={chat}",
    "/quick-replies/{quick_id}": "/quick-replies/{quick}",
    "/reports": "/reports",
    "/reports/chats": "/reports/chats",
    "/reports/waiting": "/reports/waiting",
    "/admin/operators": "/admin/operators",
    "/admin/operators/{operator_id}": "/admin/operators/{operator}",
    "/admin/audit": "/admin/audit",
    "/admin/labels": "/admin/labels",
    "/admin/accounts": "/admin/accounts",
    "/admin/accounts/{account_id}": "/admin/accounts/{account}",
    "/admin/accounts/{account_id}/remove": "/admin/accounts/{account}/remove",
    "/admin/deliveries": "/admin/deliveries",
    "/admin/deliveries/{delivery_id}": "/admin/deliveries/{delivery}",
    "/admin/webhooks": "/admin/webhooks",
    "/admin/doctor": "/admin/doctor",
    "/admin/status": "/admin/status",
    "/admin/alerts": "/admin/alerts",
    "/admin/backups": "/admin/backups",
    "/admin/automation": "/admin/automation",
    "/admin/automation/new": "/admin/automation/new",
    "/admin/automation/log": "/admin/automation/log",
    "/admin/start": "/admin/start",
    "/sign-in": "/sign-in",
}
NO_PAGES = re.compile(
    r"/$|/healthz|/metrics|/manifest|/worker|/offline|/setup|/enter|/password|/stream|/media|/api|.*/csv/|.*/pictures/"
    r"|/inbox/(list|rows)|.*/(thread|messages|quarantined|newer|findings|bundle|now|badge|progress)$"
    r"|/admin/(replays|relays)|/admin/accounts/.*/(history|new-chats)|/admin/webhooks/.*/(first|listed|url)$"
    r"|/admin/automation/(dry-run|\{rule_id\})$|/admin/start/(link|steps)$"
)
# Whatever stands out of the page to the side, with nothing that scrolls around it; and what leads to a script.
WRONG = """() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (one) => ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(one).overflowX);
  const held = (one) => one && (scrolls(one) || held(one.parentElement));
  const shown = (one) => one.outerHTML.slice(0, 120);
  const sideways = document.documentElement.scrollWidth > wide ? ["the page scrolls to the side"] : [];
  const leads = [...document.links].filter((one) => !["http:", "https:"].includes(one.protocol)).map(shown);
  const out = [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > wide + 1)
    .filter((one) => !held(one.parentElement))
    .map(shown);
  return [...sideways, ...leads, ...out];
}"""


def pages_of_routes() -> set[str]:
    """What somebody can open."""
    found = {route.path for router in ROUTERS for route in router.routes if "GET" in route.methods}  # type: ignore[attr-defined]
    return {path for path in found if path in ACCESS and not NO_PAGES.match(path)}


def test_every_page_is_looked_at() -> None:
    assert pages_of_routes() - PAGES.keys() == set()
    assert PAGES.keys() - ACCESS.keys() == set()


async def test_what_strangers_write_runs_nowhere_and_breaks_no_page(golub: World) -> None:
    chats: list[int] = []
    for evil in HOSTILE:
        chat = golub.sim.add_chat(golub.shop, evil, world.Item(evil, 34_900))
        golub.sim.buyer_says(chat, evil)
        chats.append(await golub.chat_id(chat))
    whole = golub.sim.add_chat(golub.shop, "Я" * 300, world.Item("Щ" * 300, 10**9))
    for evil in HOSTILE:
        golub.sim.buyer_says(whole, evil)
        golub.sim.buyer_says(whole, evil, "image")
        golub.sim.buyer_says(
            whole, content={"link": {"text": evil, "url": evil, "preview": {"title": evil}}}, type="link"
        )
        golub.sim.buyer_says(
            whole, content={"item": {"title": evil, "item_url": evil, "price_string": evil}}, type="item"
        )
        golub.sim.buyer_says(whole, content={evil: [evil], "text": evil}, type="завтрашний")
    golub.sim.buyer_says(whole, "W" * 3000)
    chat_id = await golub.chat_id(whole)
    ids = {"chat": chat_id, "account": golub.account_id} | await _furnish(golub, chats)

    page = await golub.page("/inbox", NARROW)
    await expect(page.locator(".chat-row")).not_to_have_count(0)
    found: dict[str, list[str]] = {}
    for address in PAGES.values():
        await page.goto(golub.url + address.format(**ids))
        await expect(page.locator("h1, h2").first).to_be_attached()
        if wrong := await page.evaluate(WRONG):
            found[address] = wrong
    assert found == {}
    await page.goto(f"{golub.url}/inbox/{chat_id}")
    await expect(page.locator("#messages .message").last).to_be_visible()
    await page.locator(".card-open").click()
    await expect(page.locator("#thread-card")).to_be_visible()
    await expect(page.locator("#thread-card h3")).to_contain_text("Щ" * 20)
    assert await page.evaluate(WRONG) == []
    for chat in chats[:4]:
        await page.goto(f"{golub.url}/inbox/{chat}")
        await expect(page.locator("#messages .message")).not_to_have_count(0)
        assert await page.evaluate(WRONG) == []


async def _furnish(golub: World, chats: list[int]) -> dict[str, object]:
    """The same words from the team's own hands, and from a stranger who knows the webhook's address."""
    evil = '"><img src=https://evil.example/x onerror=alert(1)>'
    async with httpx2.AsyncClient(headers={"User-Agent": evil, "X-Odd": evil}) as stranger:
        for words in (evil, f'{{"payload": "{"<script>alert(1)</script>"}"}}'):
            answer = await stranger.post(f"{golub.url}/webhook/avito", content=words.encode())
            assert answer.status_code == 200
    parts, now = golub.parts, golub.parts.clock()
    boss = await parts.operators.find("anna")
    assert boss
    other = await parts.operators.create("evil", "correct horse battery", name=evil, role=Role.MANAGER)
    async with parts.store.write() as session:
        label = await inbox.add_label(session, evil[:30], inbox.COLOURS[0], by=CONSOLE, now=now)
        wording = Wording(evil[:50], [evil, "</textarea><script>alert(1)</script>"], own=False)
        quick = await quick_replies.write(session, ALL_ACCOUNTS, boss, wording, quick_id=None, by=CONSOLE, now=now)
    care = inbox.Care(parts.store, parts.applier)
    async with parts.store.read() as session:
        delivery = await session.scalar(select(Delivery.id).limit(1))
        assert delivery
        rows = [await session.get_one(Chat, chat) for chat in chats[:3]]
    for chat in rows:
        await care.label(chat, label.id, True, boss, now=now)
        await care.hand_over(chat, boss, other.id, now=now)
    return {"quick": quick.id, "operator": other.id, "delivery": delivery.hex()}
