"""axe-core finds nothing serious on any page, by day and by night."""

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.async_api import Page, expect

from golub.simulator import world
from tests.browser.conftest import World
from tests.browser.pages import PAGES, furnish

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RUN = "rules => axe.run(document, { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) })"


async def serious(page: Page, *rules: str) -> list[str]:
    """What would keep somebody out: the rule, its impact, and where."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    found: dict[str, Any] = await page.evaluate(RUN, list(rules) or None)
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


async def by_day_and_night(page: Page) -> list[str]:
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    found = await serious(page)
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")  # only the colours differ
    await page.reload()  # what a switch leaves half done is nobody's page
    found += [f"by night: {one}" for one in await serious(page, "color-contrast")]
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")  # the next page is opened by day
    return found


async def test_every_page_can_be_used_by_everybody(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Здравствуйте! Диван ещё продаёте?")
    ours = await golub.chat_id(chat)
    page = await golub.page("/inbox")
    await expect(page.locator(".chat-row")).to_contain_text("Диван")
    found = {"/inbox": await by_day_and_night(page)}
    await page.goto(f"{golub.url}/inbox/{ours}")
    await page.locator("label[for=write-note]").click()
    await page.locator("#note-text").fill("Просит скидку")
    await page.locator("#note-form .note-save").click()
    await expect(page.locator("#messages")).to_contain_text("Просит скидку")
    await page.locator("label[for=write-reply]").click()
    await page.locator("#reply-text").fill("Да, продаём")
    await page.locator("#reply-text").press("Enter")
    await expect(page.locator("#messages .message.own")).to_have_count(1)
    found["a thread"] = await by_day_and_night(page)
    ids = await furnish(golub, [ours], "Слова команды")
    for path in PAGES.values():
        if path == "/sign-in":
            await page.context.clear_cookies()
        await page.goto(golub.url + path.format(**ids))
        found[path] = await by_day_and_night(page)
    assert [f"{where}: {what}" for where, all_of_it in found.items() for what in all_of_it] == []
