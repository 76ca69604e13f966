"""Several chats at once in a real Chromium, by keys and with the live list moving under them."""

import pytest
from playwright.async_api import expect
from sqlalchemy import func, select

from golub.model import Chat
from golub.simulator import world
from tests.browser.conftest import World
from tests.browser.test_inbox import look

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_chats_are_chosen_while_the_list_moves_closed_and_given_back(golub: World) -> None:
    chats = [golub.sim.add_chat(golub.shop, f"Покупатель {n}", world.Item(f"Стол {n}", 9_900)) for n in range(6)]
    for chat in chats:
        golub.sim.buyer_says(chat, "Ещё продаёте?")
    for chat in chats:
        await golub.chat_id(chat)
    page = await golub.page("/inbox")
    rows = page.locator(".chat-row")
    await expect(rows).to_have_count(6)
    await expect(page.locator(".chat-item")).to_have_count(6)  # all fetched: rows have grown as far as they will
    bar, count = page.locator("#bulk"), page.locator("[data-bulk-count]")
    await expect(bar).to_be_hidden()

    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(count).to_have_text("1")
    await page.keyboard.press("Shift+ArrowDown")
    await expect(count).to_have_text("2")
    chosen = [await rows.nth(place).get_attribute("data-chat") for place in (0, 1)]
    by_name = {str(await golub.chat_id(chat)): chat for chat in chats}
    golub.sim.buyer_says(by_name[chosen[1] or ""], "И доставка есть?")  # its row is drawn anew, and comes first
    await expect(rows.first).to_contain_text("И доставка есть?")
    await expect(page.locator(".chat-row.is-chosen")).to_have_count(2)
    await rows.nth(3).locator("[data-choose]").click(modifiers=["Shift"])  # on from the one that has moved
    await expect(count).to_have_text("4")
    await look(page, "bulk-chosen")

    await page.locator(".chat-link").first.focus()
    await page.keyboard.press("e")
    toast = page.locator("[data-toast]")
    await expect(toast).to_contain_text("4 чата закрыты.")
    await expect(rows).to_have_count(2)
    await expect(bar).to_be_hidden()
    assert await closed(golub) == 4
    await look(page, "bulk-closed")
    await page.keyboard.press("z")
    await expect(rows).to_have_count(6)
    await expect(page.locator("[data-toast]").last).to_contain_text("4 чата")
    assert await closed(golub) == 0

    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(bar).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(bar).to_be_hidden()


async def closed(golub: World) -> int:
    async with golub.parts.store.read() as session:
        return await session.scalar(select(func.count()).where(Chat.closed_at.is_not(None))) or 0
