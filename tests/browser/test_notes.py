"""A note for the team in a real Chromium: written beside the reply, and never said to the buyer."""

import pytest
from playwright.async_api import expect

from golub.simulator import world
from tests.browser.conftest import World
from tests.browser.test_inbox import look

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_note_stands_among_the_messages_and_nothing_leaves(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Скинете тысячу?")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await page.locator("#reply-text").fill("Ещё думаю")
    await page.get_by_text("Заметка", exact=True).click()
    box = page.locator("#note-text")
    await expect(box).to_be_focused()
    await expect(page.locator("#reply-text")).to_be_hidden()
    await look(page, "note-form")
    await box.press_sequentially("Просит скидку")
    await box.press("Enter")
    note = page.locator("#messages .message.note")
    await expect(note).to_contain_text("Просит скидку")
    await expect(note).to_contain_text("Анна")
    await expect(box).to_have_value("")
    await expect(box).to_be_focused()
    own = await note.locator(".bubble").evaluate("(bubble) => getComputedStyle(bubble).backgroundColor")
    theirs = await page.locator(".theirs .bubble").evaluate("(bubble) => getComputedStyle(bubble).backgroundColor")
    assert own != theirs
    await look(page, "note")

    await note.hover()
    await note.get_by_text("Изменить").click()
    await note.locator("textarea").fill("Просит скидку: не больше 500")
    await note.get_by_role("button", name="Сохранить заметку").click()
    await expect(note).to_contain_text("не больше 500")
    await page.get_by_text("Ответ", exact=True).click()
    await expect(page.locator("#reply-text")).to_have_value("Ещё думаю")
    await page.locator("#reply-text").press("Enter")
    await expect(page.locator("#messages .message.own")).to_have_count(1)
    assert [message.text for message in chat.history if message.outgoing] == ["Ещё думаю"]
    await page.reload()
    await expect(note).to_contain_text("не больше 500")
    await expect(note).to_have_count(1)
