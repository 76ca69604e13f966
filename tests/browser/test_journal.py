"""The journal in a real Chromium: what comes goes on top and never under a hand; strangers' bytes do nothing."""

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.conftest import World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

HOSTILE = b'{"x": "</pre><script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>\xe2\x80\xae"}'


async def test_it_runs_is_held_and_let_go(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "первое")
    await golub.chat_id(chat)
    page = await golub.page("/admin/deliveries?kind=message")
    rows, news = page.locator("#journal tbody tr"), page.locator("#journal-new")
    await expect(rows).to_have_count(1)
    golub.sim.buyer_says(chat, "второе")
    await expect(rows).to_have_count(2)

    await page.locator("#journal-pause").click()
    golub.sim.buyer_says(chat, "третье")
    await expect(news).to_contain_text("1")
    golub.sim.buyer_says(chat, "четвёртое")
    await expect(news).to_contain_text("2")
    await expect(rows).to_have_count(2)
    await news.click()
    await expect(rows).to_have_count(4)
    await expect(news).to_be_hidden()

    await page.locator("#journal-pause").click()
    await rows.first.hover()
    first = await rows.first.get_attribute("id")
    golub.sim.buyer_says(chat, "под рукой")
    await expect(news).to_contain_text("1")
    assert await rows.first.get_attribute("id") == first, "it must not slip away under the pointer"
    await page.mouse.move(2, 2)
    await expect(rows).to_have_count(5)


@pytest.mark.row(1, 2)
async def test_strangers_bytes_do_nothing(golub: World) -> None:
    headers = {"X-Odd": "<img src=x onerror=alert(3)>", "User-Agent": "<script>alert(4)</script>"}
    async with httpx2.AsyncClient(headers=headers) as stranger:
        for body in (HOSTILE, b"<script>alert(5)</script>"):
            assert (await stranger.post(f"{golub.url}/webhook/avito", content=body)).status_code == 200
    page = await golub.page("/admin/deliveries?state=quarantined&text=%3Cscript%3E")
    await expect(page.locator("#journal tbody tr")).to_have_count(2)
    for _ in range(2):
        await page.goto(f"{golub.url}/admin/deliveries?state=quarantined")
        await page.locator("#journal tbody tr a").first.click()
        await expect(page.locator("#body")).to_contain_text("<script>alert(")
        await expect(page.locator(".raw-headers")).to_contain_text("onerror=alert(3)")
        await page.get_by_text("Снять без применения…").click()
        await page.locator("[name=reason]").fill("<script>alert(6)</script>")
        await page.get_by_role("button", name="Снять", exact=True).click()
        await expect(page.locator("main")).to_contain_text("<script>alert(6)</script>")
