"""Search in a real Chromium, by keys alone: from the inbox to a message, and back."""

import re

import pytest
from playwright.async_api import expect

from golub.simulator import world
from tests.browser.conftest import World
from tests.browser.test_inbox import look
from tests.browser.test_keys import russian

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_message_is_found_by_keys_and_opens_in_its_chat(golub: World) -> None:
    for name, words in (("Ирина", "Доставка есть?"), ("Пётр", "Сколько стоит?"), ("Олег", "А доставку оформите?")):
        chat = golub.sim.add_chat(golub.shop, name, world.Item(f"Диван для {name}", 34_900))
        golub.sim.buyer_says(chat, words)
        for number in range(30 if name == "Ирина" else 0):
            golub.sim.buyer_says(chat, f"Вопрос {number}")
        await golub.chat_id(chat)
    page = await golub.page("/inbox")
    links = page.locator(".chat-link")
    await expect(links).to_have_count(3)
    for words in ("для Ирина", "для Пётр", "для Олег", "Вопрос 29"):  # fetched from the API a moment later
        await expect(page.locator("#chats")).to_contain_text(words)
    await page.keyboard.press("j")
    box = page.locator("#search-box")
    await russian(page, ".", "Slash")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("")
    await look(page, "search-box")
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette").get_by_role("combobox")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(box).to_be_focused()
    golub.sim.buyer_says(chat, "И ещё вопрос")  # the row that had the focus is drawn anew
    await expect(links.first).to_contain_text("И ещё вопрос")
    await page.keyboard.press("Escape")
    await expect(links.first).to_be_focused()

    await page.keyboard.press("/")
    await box.press_sequentially("петр")
    await box.press("Enter")
    await expect(page).to_have_url(re.compile("/inbox/search"))
    field = page.locator("#search-text")
    hits = page.locator(".search-hit")
    await expect(hits).to_have_count(1)
    await expect(hits.locator("mark").first).to_have_text("Пётр")
    await look(page, "search-chat")
    await page.keyboard.press("/")
    await field.press_sequentially("доставка")  # the words that stood there are replaced, results follow
    await expect(hits).to_have_count(2)
    await look(page, "search-messages")
    await page.keyboard.press("Control+k")
    await page.keyboard.press("Escape")
    await expect(field).to_be_focused()
    for key, at in (("ArrowDown", 0), ("ArrowDown", 1), ("ArrowDown", 1), ("ArrowUp", 0)):
        await page.keyboard.press(key)
        await expect(hits.nth(at)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(field).to_be_focused()
    await field.press("Enter")
    await page.keyboard.press("ArrowDown")
    await expect(hits.nth(1)).to_contain_text("Доставка есть?")
    await page.keyboard.press("Enter")
    found = page.locator(".message.is-found")
    await expect(found).to_contain_text("Доставка есть?")
    await expect(found).to_be_in_viewport()
    await look(page, "search-found")
    await page.go_back()
    await expect(hits).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(f"{golub.url}/inbox")
    await expect(page.locator(".chat-link")).to_have_count(3)


async def test_what_is_not_found_says_what_to_do(golub: World) -> None:
    page = await golub.page("/inbox/search")
    await expect(page.locator("#search-text")).to_be_focused()
    await look(page, "search-empty")
    await page.keyboard.type("нет такого")
    await expect(page.locator("#search-results")).to_contain_text("Ничего не найдено")
    await look(page, "search-nothing")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(f"{golub.url}/inbox")
