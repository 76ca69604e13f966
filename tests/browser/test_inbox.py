"""The inbox in a real Chromium, over a whole Golub and the simulated Avito: live, by hand, narrow and wide."""

import asyncio
import base64
import io
import os
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from PIL import Image
from playwright.async_api import Page, Response, Route, expect
from sqlalchemy import func, select

from golub.model import OutgoingMessage, OutgoingState
from golub.simulator import world
from tests.browser.conftest import PHONE, WIDE, World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_message_comes_without_reload_and_the_answer_reaches_the_buyer(golub: World) -> None:
    page = await golub.page("/inbox")
    await expect(page.get_by_text("Чатов пока нет")).to_be_visible()
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван «Берген»", 34_900))
    golub.sim.buyer_says(chat, "Здравствуйте! Ещё продаёте?")
    row = page.locator(".chat-row")
    await expect(row).to_contain_text("Ещё продаёте?")
    await expect(row).to_contain_text("Ирина")  # fetched from the API a moment later
    await expect(row).to_contain_text("Диван «Берген»")
    await expect(page).to_have_title("(1) Golub")

    told = asyncio.create_task(golub.sim.arrived("chatRead"))
    await asyncio.sleep(0)
    await row.locator("a").click()
    await expect(page.locator(".message.theirs")).to_contain_text("Ещё продаёте?")
    await expect(page).to_have_title("Golub")  # it has been seen
    await expect(row.locator(".count")).to_have_count(0)
    async with asyncio.timeout(10):
        await told  # and Avito was told so

    box = page.locator("#reply-text")
    await expect(box).to_be_focused()
    await box.fill("Да, в наличии")
    await box.press("Shift+Enter")
    await box.press_sequentially("Приезжайте")
    async with asyncio.timeout(10):
        sent = asyncio.create_task(golub.sim.arrived("postSendMessage"))
        await asyncio.sleep(0)
        await box.press("Enter")
        await expect(page.locator(".message.own")).to_contain_text("Да, в наличии\nПриезжайте")
        await sent
    await expect(box).to_have_value("")
    await expect(page.locator("#outgoing > li")).to_have_count(0)
    await expect(page.locator("#messages .message.own")).to_have_count(1)
    assert [message.text for message in chat.history] == ["Здравствуйте! Ещё продаёте?", "Да, в наличии\nПриезжайте"]

    golub.sim.buyer_says(chat, "Отлично, еду")
    await expect(page.locator("#messages .message.theirs")).to_have_count(2)
    await expect(page).to_have_title("Golub")


async def test_the_list_moves_and_neither_focus_nor_place_nor_draft_is_lost(golub: World) -> None:
    chats = [golub.sim.add_chat(golub.shop, f"Покупатель {number}") for number in range(24)]
    for chat in chats:
        golub.sim.buyer_says(chat, "вопрос")
    ours = {f"chat-{await golub.chat_id(chat)}": chat for chat in chats}
    page = await golub.page("/inbox")
    rows = page.locator(".chat-row")
    await expect(rows).to_have_count(24)
    await expect(page.locator(".chat-item")).to_have_count(24)  # all fetched: rows have grown as far as they will
    await rows.nth(16).locator("a").click()
    box = page.locator("#reply-text")
    await box.fill("черновик")
    place = "() => document.querySelector('.chat-link[aria-current]').getBoundingClientRect().top"
    before = await page.evaluate(place)
    golub.sim.buyer_says(ours[await rows.last.get_attribute("id") or ""], "самое новое")
    await expect(rows.first).to_contain_text("самое новое")
    assert abs(await page.evaluate(place) - before) < 2
    await expect(box).to_be_focused()
    await page.reload()
    await expect(page.locator("#reply-text")).to_have_value("черновик")


async def test_a_page_drawn_before_the_draft_was_saved_shows_it(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Почём?")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    box = page.locator("#reply-text")
    await expect(box).to_be_editable()

    saved = asyncio.Event()
    page.on("requestfinished", lambda request: saved.set() if request.url.endswith("/draft") else None)

    async def overtaken(route: Route) -> None:
        drawn = await route.fetch()
        await saved.wait()
        await route.fulfill(response=drawn)

    await page.route(page.url, overtaken, times=1)
    await page.evaluate("""() => setTimeout(() => {
      const box = document.getElementById("reply-text");
      box.value = "черновик";
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }, 300)""")
    await page.reload()
    await expect(box).to_have_value("черновик")
    await box.press("End")
    async with page.expect_response(keeps("черновик!")):
        await box.press_sequentially("!")
    await page.reload()
    await expect(box).to_have_value("черновик!")
    await expect(page.locator("#draft")).to_be_empty()  # nothing says that another device wrote


async def test_a_refused_reply_says_why_and_keeps_its_words(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Почём?")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    golub.sim.fault("postSendMessage", status=400)
    await page.locator("#reply-text").fill("Недорого")
    await page.locator("#reply-text").press("Enter")
    verdict = page.locator(".verdict-bad")
    await expect(verdict).to_contain_text("Ответ не отправлен.")
    await expect(page.locator(".reply-rejected")).to_contain_text("Недорого")
    await verdict.get_by_role("button", name="Отправить снова").click()
    await expect(page.locator("#messages .message.own")).to_contain_text("Недорого")
    await expect(page.locator("#outgoing > li")).to_have_count(0)
    async with golub.parts.store.read() as session:
        sent = select(func.count()).where(OutgoingMessage.state == OutgoingState.SENT)
        assert await session.scalar(sent) == 1


async def test_a_phone_shows_one_of_the_two(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 100))
    golub.sim.buyer_says(chat, "<img src=x onerror=alert(1)> " + "очень" * 60)
    await golub.chat_id(chat)
    page = await golub.page("/inbox", PHONE)
    await page.locator(".chat-row a").click()
    await expect(page.locator("#chats")).to_be_hidden()
    await expect(page.locator(".message.theirs")).to_contain_text("<img src=x")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await page.get_by_label("К списку чатов").click()
    await expect(page.locator(".chat-row")).to_be_visible()
    await page.go_back()
    await expect(page.locator(".message.theirs")).to_be_visible()


async def test_a_row_that_changes_under_the_pointer_is_opened_all_the_same(golub: World) -> None:
    """Of what is replaced between press and release nobody learns that it was clicked."""
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "первое")
    await golub.chat_id(chat)
    page = await golub.page("/inbox")
    row = page.locator(".chat-row")
    await expect(row).to_contain_text("первое")
    await row.locator("a").hover()
    async with page.expect_response(lambda response: "/inbox/rows" in response.url) as told:
        await page.mouse.down()
        golub.sim.buyer_says(chat, "второе")
    await (await told.value).finished()
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(row).to_contain_text("первое")
    await page.mouse.up()
    await expect(page.locator(".message.theirs")).to_have_count(2)
    await expect(row).to_contain_text("второе")


async def test_two_tabs_share_one_stream(golub: World) -> None:
    context = await golub.browser.new_context(viewport={"width": 1440, "height": 900})
    await context.add_cookies([{"name": "session", "value": golub.secret, "url": golub.url}])
    first = await golub.page("/inbox", context=context)
    await expect(first.locator("#chats-empty")).to_be_visible()
    second = await golub.page("/inbox", context=context)
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "обеим")
    for page in (first, second):
        await expect(page.locator(".chat-row")).to_contain_text("обеим")
    assert golub.parts.live.listeners == 1
    await first.close()  # the one that held the stream
    golub.sim.buyer_says(chat, "оставшейся")
    await expect(second.locator(".chat-row")).to_contain_text("оставшейся")


async def test_what_was_missed_without_the_stream_is_there_when_it_is_back(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "первое")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await expect(page.locator(".message.theirs")).to_have_count(1)
    await page.context.set_offline(True)
    await expect(page.locator("#live")).to_be_visible(timeout=15_000)
    golub.sim.buyer_says(chat, "второе")
    await golub.sim.idle()
    await page.context.set_offline(False)
    await expect(page.locator(".message.theirs")).to_have_count(2)
    await expect(page.locator("#live")).to_be_hidden()


async def test_a_session_that_was_ended_elsewhere_leads_to_the_sign_in(golub: World) -> None:
    page = await golub.page("/inbox")
    await expect(page.locator("#chats-empty")).to_be_visible()
    async with golub.parts.store.read() as session:
        found = await golub.parts.operators.find_session(golub.secret)
        assert found
        assert session
    await golub.parts.operators.close_session(found[0].hash)
    await page.wait_for_url("**/sign-in**")


async def test_a_reply_without_a_connection_keeps_its_words_and_is_sent_once(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Почём?")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    box = page.locator("#reply-text")
    await box.fill("Недорого")
    await page.context.set_offline(True)
    await box.press("Enter")
    await expect(page.locator("#toasts .toast-bad")).to_contain_text("Нет связи")
    await expect(box).to_have_value("Недорого")
    await page.context.set_offline(False)
    await box.press("Enter")
    await expect(page.locator("#messages .message.own")).to_contain_text("Недорого")
    await expect(page.locator("#outgoing > li")).to_have_count(0)
    assert [message.text for message in chat.history] == ["Почём?", "Недорого"]


async def test_a_long_reply_is_shown_in_parts_and_goes_out_in_order(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Расскажите подробнее")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    box = page.locator("#reply-text")
    await box.fill("\n\n".join(f"Абзац {number}. " + "Подробность за подробностью. " * 22 for number in range(4)))
    await box.press("Enter")
    preview = page.locator("#preview")
    await expect(preview.locator("li")).to_have_count(4)
    await expect(preview.get_by_role("heading")).to_contain_text("Отправим 4 сообщениями")
    await look(page, "parts")
    await page.keyboard.press("Escape")
    await expect(box).to_be_focused()
    assert "Абзац 3" in await box.input_value()  # nothing was lost
    await box.press("Enter")
    await preview.get_by_role("button", name="Отправить").click()
    await expect(page.locator("#messages .message.own")).to_have_count(4)
    await expect(box).to_have_value("")
    assert [message.text[:7] for message in chat.history[1:]] == ["Абзац 0", "Абзац 1", "Абзац 2", "Абзац 3"]
    await box.fill("Да")
    await box.press("Enter")
    await expect(page.locator("#messages .message.own")).to_have_count(5)
    await box.fill("Да")
    await box.press("Enter")
    await expect(preview).to_contain_text("Такое же сообщение вы только что отправили")
    await look(page, "again")
    await preview.get_by_role("button", name="Вернуться к тексту").click()
    await expect(preview).to_have_count(0)
    assert len(chat.history) == 6


async def test_photos_are_attached_by_hand_by_paste_and_by_drop_and_arrive(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Есть фото?")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    ready = page.locator("#attached > .attached[data-picture]")
    out = io.BytesIO()
    Image.effect_mandelbrot((900, 600), (-2, -1, 1, 1), 60).convert("RGB").save(out, "PNG")
    file = {"name": "IMG_1.png", "mimeType": "image/png", "buffer": out.getvalue()}
    await page.locator("#reply-files").set_input_files([file])  # type: ignore[list-item]
    await look(page, "attaching")
    await expect(ready).to_have_count(1)
    given = """async ([kind, into, coded]) => {
        const bytes = Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "two.png", { type: "image/png" }));
        const event = kind === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
        document.querySelector(into).dispatchEvent(event);
    }"""
    coded = base64.b64encode(out.getvalue()).decode()
    await page.evaluate(given, ["paste", "#reply-text", coded])
    await page.evaluate(given, ["dragover", "#thread-scroll", coded])
    await look(page, "drop")
    await page.evaluate(given, ["drop", "#thread-scroll", coded])
    await expect(ready).to_have_count(3)
    svg = {"name": "x.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"}
    await page.locator("#reply-files").set_input_files([svg])  # type: ignore[list-item]
    await expect(page.locator(".attached.is-refused")).to_contain_text("Авито принимает фото в JPEG")
    await page.locator("#reply-text").fill("Вот, со всех сторон")
    await look(page, "attached")
    await page.locator(".is-refused [data-detach]").click()
    await ready.last.locator("[data-detach]").click()
    await page.locator("#reply-text").press("Enter")
    await expect(page.locator("#messages .message.own")).to_have_count(3)
    await expect(page.locator("#attached > li")).to_have_count(0)
    assert [message.type for message in chat.history[1:]] == ["image", "image", "text"]
    await expect(page.locator("#messages .own img")).to_have_count(2)
    await look(page, "sent")


async def test_a_message_is_taken_back_and_a_buyer_is_blocked(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "купите <b>биткоин</b>")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await page.locator("#reply-text").fill("ошибка")
    await page.locator("#reply-text").press("Enter")
    own = page.locator("#messages .message.own")
    await expect(own).to_have_count(1)
    await own.hover()
    await expect(own.locator(".take-back")).to_contain_text("мин")
    await look(page, "take-back")
    page.on("dialog", lambda dialog: dialog.accept())
    await own.get_by_role("button", name="Удалить").click()
    await expect(own).to_contain_text("Сообщение удалено")
    assert chat.history[1].deleted
    golub.complaints.clear()  # the question was asked, as it should be
    await page.get_by_label("Ещё об этом чате").click()
    await page.locator("[data-opens=block]").click()
    await page.get_by_label("Мошенничество").check()
    await look(page, "block")
    await page.locator("#block").get_by_role("button", name="Заблокировать").click()
    await expect(page.locator("#thread-head")).to_contain_text("Заблокирован: мошенничество")
    await expect(page.locator("#block")).to_be_hidden()
    assert golub.shop.blacklist
    await look(page, "blocked")


def keeps(text: str) -> Callable[[Response], bool]:
    """The answer to a draft of exactly these words; listened for before it can come."""

    def is_it(answer: Response) -> bool:
        return answer.url.endswith("/draft") and parse_qs(answer.request.post_data or "").get("text") == [text]

    return is_it


async def look(page: Page, name: str) -> None:
    """Pictures for a person's eyes, where a folder for them is named."""
    if folder := os.environ.get("GOLUB_LOOK"):
        for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light")):
            await page.set_viewport_size({"width": size["width"], "height": size["height"]})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.screenshot(path=f"{folder}/{name}-{size['width']}-{scheme}.png")
        await page.set_viewport_size({"width": WIDE["width"], "height": WIDE["height"]})
        await page.emulate_media(color_scheme="light")
