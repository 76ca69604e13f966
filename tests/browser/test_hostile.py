"""What strangers write runs nowhere and breaks no page: every page, on the narrowest phone, full of it.

The `golub` fixture watches: a request to a foreign host, a dialog, an error of a script or a violation of the policy
fails the test, wherever it happens.
"""

import httpx2
import pytest
from playwright.async_api import expect

from golub.simulator import world
from golub.web.access import ACCESS
from tests.browser.conftest import World
from tests.browser.pages import PAGES, furnish, pages_of_routes
from tests.web.test_content import HOSTILE

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

NARROW = {"width": 360, "height": 740}
EVIL = '"><img src=https://evil.example/x onerror=alert(1)></textarea><script>alert(1)</script>'

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


def test_every_page_is_looked_at() -> None:
    assert pages_of_routes() - PAGES.keys() == set()
    assert PAGES.keys() - ACCESS.keys() == set()


@pytest.mark.row(1, 2, 3, 4, 5, 6)
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
    async with httpx2.AsyncClient(headers={"User-Agent": EVIL, "X-Odd": EVIL}) as stranger:
        for words in (EVIL, f'{{"payload": "{"<script>alert(1)</script>"}"}}'):
            answer = await stranger.post(f"{golub.url}/webhook/avito", content=words.encode())
            assert answer.status_code == 200
    ids = await furnish(golub, [chat_id, *chats[:2]], EVIL)

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
