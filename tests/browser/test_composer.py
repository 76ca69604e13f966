"""Writing in a real Chromium: what is asked before a reply leaves."""

import pytest
from playwright.async_api import expect

from golub.simulator import world
from tests.browser.conftest import World
from tests.browser.test_inbox import keeps, look

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_what_came_while_the_operator_looked_elsewhere_is_shown_before_his_reply_leaves(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    for number in range(8):
        golub.sim.buyer_says(chat, f"Вопрос {number}: сколько стоит доставка? " * 12)
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await expect(page.locator(".message.theirs")).to_have_count(8)
    await page.locator("#thread-scroll").evaluate("(scroll) => { scroll.scrollTop = -600; }")
    golub.sim.buyer_says(chat, "Уже не нужно")
    await expect(page.locator("#to-end")).to_be_visible()
    box = page.locator("#reply-text")
    await box.fill("Да, приезжайте")
    await box.press("Enter")
    asked = page.locator("#preview")
    await expect(asked).to_contain_text("В чате появилось новое")
    await expect(asked).to_contain_text("Уже не нужно")
    await expect(asked.get_by_role("button", name="Вернуться к тексту")).to_be_focused()
    await look(page, "unseen")
    await page.keyboard.press("Enter")  # whoever does not look up sends nothing
    await expect(asked).to_have_count(0)
    await expect(box).to_have_value("Да, приезжайте")
    await box.fill("Понял, хорошего дня")
    await box.press("Enter")
    await expect(page.locator("#messages .message.own")).to_contain_text("Понял, хорошего дня")
    assert [message.text for message in chat.history if message.outgoing] == ["Понял, хорошего дня"]


async def test_a_quick_reply_is_found_by_its_words_and_goes_into_the_box(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Сколько?")
    ours = await golub.chat_id(chat)
    page = await golub.page("/quick-replies")
    await look(page, "quick-empty")
    await page.get_by_role("link", name="Приветствие").click()
    await page.locator("#f-name").fill("привет")
    await look(page, "quick-form")
    await page.get_by_role("button", name="Сохранить").click()
    await expect(page.locator(".quick-card")).to_contain_text("привет")
    await page.get_by_role("link", name="Новый быстрый ответ").click()
    await page.locator("#f-name").fill("доставка")
    await page.locator("[name=text]").first.fill("Первое")
    await page.get_by_role("button", name="Ещё сообщение").click()
    await page.locator("[name=text]").last.fill("Второе: {buyer}")
    await page.get_by_role("button", name="Сохранить").click()
    await expect(page.locator(".quick-card")).to_have_count(2)
    await look(page, "quick-list")

    await page.goto(f"{golub.url}/inbox/{ours}")
    await expect(page.locator("#thread-head")).to_contain_text("Ирина")
    box = page.locator("#reply-text")
    await box.press_sequentially("/прив")
    await expect(page.locator(".quick-choice:visible")).to_have_count(1)
    await look(page, "quick-picker")
    greeting = "Здравствуйте, Ирина! Да, «Диван» ещё в продаже. Хотите приехать посмотреть?"
    async with page.expect_response(keeps(greeting)):
        await box.press("Enter")
        await expect(box).to_have_value(greeting)
    await page.evaluate("localStorage.clear()")
    await page.reload()
    await expect(box).to_have_value(greeting)

    await page.locator("#quick-open").click()
    await page.locator("#quick-search").fill("второе")
    await expect(page.locator(".quick-choice:visible")).to_have_count(1)
    await page.keyboard.press("Enter")
    shown = page.locator("#preview")
    await expect(shown.locator("textarea")).to_have_count(2)
    await look(page, "quick-several")
    await shown.get_by_role("button", name="Отправить").click()
    await expect(page.locator("#messages .message.own")).to_have_count(2)
    assert [message.text for message in chat.history if message.outgoing] == ["Первое", "Второе: Ирина"]
    await expect(box).to_have_value(greeting)
    await box.press("Enter")
    await expect(page.locator("#messages .message.own")).to_have_count(3)
    await expect(box).to_have_value("")
