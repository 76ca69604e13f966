"""The open chat in a real Chromium: notes that no buyer gets, photos at large, where reading begins, the card."""

import os

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import select

from golub.model import Note, OutgoingMessage, Role
from golub.simulator import world
from tests.browser.conftest import PHONE, World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def look(page: Page, name: str) -> None:
    """`SCREENSHOTS_TO` names a folder that gets a picture, light and dark."""
    if folder := os.environ.get("SCREENSHOTS_TO"):
        width = page.viewport_size["width"] if page.viewport_size else 0
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png")


async def test_a_note_is_written_apart_seen_by_all_and_sent_to_nobody(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Отдадите за 20?")
    path = f"/inbox/{await golub.chat_id(chat)}"
    colleague = await golub.parts.operators.create("boris", "correct horse battery", name="Борис", role=Role.MANAGER)
    secret, _ = await golub.parts.operators.open_session(colleague)
    context = await golub.browser.new_context(viewport={"width": 1280, "height": 800})
    await context.add_cookies([{"name": "session", "value": secret, "url": golub.url}])
    other = await golub.page(path, context=context)
    page = await golub.page(path)

    await expect(page.locator("#note-form")).to_be_hidden()
    await page.get_by_text("Заметка", exact=True).click()
    await expect(page.locator("#reply")).to_be_hidden()
    box = page.locator("#note-text")
    await expect(box).to_be_focused()
    await box.press_sequentially("Не дешевле 30 тысяч")
    await look(page, "note-form")
    await box.press("Enter")
    for seen in (page, other):
        await expect(seen.locator("#messages .note")).to_contain_text("Не дешевле 30 тысяч")
        await expect(seen.locator("#messages .note")).to_contain_text("Анна")
    await expect(box).to_have_value("")
    await expect(other.locator(".note-acts")).to_have_count(0)

    await page.locator(".note").hover()
    await page.locator(".note-edit summary").click()
    editor = page.locator(".note-edit textarea")
    await expect(editor).to_be_focused()
    await editor.fill("Не дешевле 28 тысяч")
    await look(page, "note-edit")
    await editor.press("Control+Enter")
    await expect(other.locator("#messages .note")).to_contain_text("Не дешевле 28 тысяч")
    await expect(other.locator("#messages .note")).to_contain_text("изменено")
    await look(other, "note")
    await page.reload()
    await expect(page.locator("#write-reply")).to_be_checked()
    async with golub.parts.store.read() as session:
        assert [note.text for note in await session.scalars(select(Note))] == ["Не дешевле 28 тысяч"]
        assert list(await session.scalars(select(OutgoingMessage))) == []
    assert [message.text for message in chat.history] == ["Отдадите за 20?"]


async def test_photos_are_looked_at_one_after_the_other(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    for number in range(3):
        golub.sim.buyer_says(chat, f"Вид {number}", "image")
    golub.sim.buyer_says(chat, "", "voice")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await expect(page.locator("#messages a.shot img")).to_have_count(3)
    await page.locator("#messages a.shot").nth(1).click()
    viewer = page.locator("#viewer")
    await expect(viewer.locator(".viewer-place")).to_have_text("2 / 3")
    await expect(viewer.locator("img")).to_have_js_property("complete", True)
    await look(page, "viewer")
    address = await viewer.locator("img").get_attribute("src")
    await page.keyboard.press("ArrowRight")
    await expect(viewer.locator(".viewer-place")).to_have_text("3 / 3")
    assert await viewer.locator("img").get_attribute("src") != address
    await page.keyboard.press("ArrowRight")
    await expect(viewer.locator(".viewer-place")).to_have_text("1 / 3")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()

    speed = page.locator(".voice-speed")
    for chosen in (1.5, 2, 1, 1.5):
        await speed.click()
        await expect(page.locator(".voice audio")).to_have_js_property("playbackRate", chosen)
    await page.reload()
    await expect(page.locator("#inbox")).to_have_attribute("data-speed", "1.5")


async def test_a_chat_opens_where_unread_begins_and_is_read_at_its_end(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "первое непрочитанное")
    for number in range(30):
        golub.sim.buyer_says(chat, f"Сообщение {number}\n\nдлинное")
    other = golub.sim.add_chat(golub.shop, "Пётр")
    golub.sim.buyer_says(other, "ещё чат")
    number, beside = await golub.chat_id(chat), await golub.chat_id(other)
    page = await golub.page(f"/inbox/{beside}")
    await page.locator(f"#chat-{number} a").click()
    await expect(page.locator("#unread-line")).to_be_in_viewport()
    await expect(page.locator("#messages .message").last).not_to_be_in_viewport()
    await look(page, "unread")
    await expect(page.locator(f"#chat-{number} .count")).to_be_visible()
    await page.get_by_role("button", name="Новые сообщения").click()
    golub.sim.buyer_says(chat, "и ещё одно, пока мы туда идём")
    await expect(page.locator("#messages .message").last).to_contain_text("пока мы туда идём")
    await expect(page.locator(f"#chat-{number} .count")).to_have_count(0)
    await expect(page.locator("#to-end")).to_be_hidden()

    await page.route("**/read", lambda route: route.fulfill(status=503, body=""))
    async with page.expect_response("**/read"):
        golub.sim.buyer_says(chat, "и это прочитают")
    await expect(page.locator(f"#chat-{number} .count")).to_be_visible()
    await page.wait_for_timeout(1000)  # until whatever this message set off is over: nobody rings any more
    await page.unroute("**/read")
    await expect(page.locator(f"#chat-{number} .count")).to_have_count(0)


async def test_the_card_knows_the_buyer_and_a_phone_shows_it_over_the_chat(golub: World) -> None:
    sofa = world.Item("Диван", 34_900)
    chat = golub.sim.add_chat(golub.shop, "Ирина", sofa)
    same = golub.sim.add_chat(golub.shop, "Пётр", sofa)
    for one in (chat, same):
        golub.sim.buyer_says(one, "Ещё продаёте?")
    number, beside = await golub.chat_id(chat), await golub.chat_id(same)
    page = await golub.page(f"/inbox/{number}", PHONE)
    card = page.locator("#thread-card")
    await expect(card).to_be_hidden()
    await page.locator(".card-open").click()
    await expect(card).to_be_visible()
    await expect(card.locator(".beside-chat")).to_contain_text("Пётр")
    await card.get_by_text("Добавить заметку").click()
    await card.locator("#buyer-note-text").fill("Торгуется, но платит сразу")
    await look(page, "card-edit")
    golub.sim.buyer_says(chat, "Алло?")  # what comes meanwhile takes no words away
    await expect(page.locator("#messages .message.theirs")).to_have_count(2)
    await expect(card.locator("#buyer-note-text")).to_have_value("Торгуется, но платит сразу")
    await card.get_by_role("button", name="Сохранить заметку").click()
    await expect(card.locator(".buyer-note")).to_contain_text("Торгуется, но платит сразу")
    await expect(card).to_be_visible()
    await look(page, "card")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await card.locator(".beside-chat").click()
    await page.wait_for_url(f"**/inbox/{beside}")
    await expect(page.locator("#thread-head")).to_contain_text("Пётр")
    await expect(page.locator("#thread-card")).to_be_hidden()
