"""A whole working day by keys alone, on any keyboard."""

import re

import pytest
from playwright.async_api import Page, Route, expect

from golub.simulator import world
from tests.browser.conftest import World
from tests.browser.test_inbox import look

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

PRESS_RUSSIAN = """([key, code, shiftKey]) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key, code, shiftKey, bubbles: true, cancelable: true }))"""


async def russian(page: Page, key: str, code: str, *, shift: bool = False) -> None:
    await page.evaluate(PRESS_RUSSIAN, [key, code, shift])


async def test_chats_are_walked_opened_and_answered_by_keys(golub: World) -> None:
    for number, name in enumerate(("Ирина", "Пётр", "Олег")):
        chat = golub.sim.add_chat(golub.shop, name, world.Item(f"Диван {number}", 34_900))
        golub.sim.buyer_says(chat, "Ещё продаёте?")
        await golub.chat_id(chat)
    page = await golub.page("/inbox")
    links = page.locator(".chat-link")
    await expect(links).to_have_count(3)
    for name in ("Ирина", "Пётр", "Олег"):  # fetched from the API a moment later
        await expect(page.locator("#chats")).to_contain_text(name)
    await page.keyboard.press("j")
    await expect(links.nth(0)).to_be_focused()
    await russian(page, "о", "KeyJ")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("k")
    await expect(links.nth(1)).to_be_focused()
    name = await links.nth(1).locator(".chat-name").inner_text()
    await russian(page, "щ", "KeyO")
    box = page.locator("#reply-text")
    await expect(box).to_be_focused()
    await expect(page.locator("#thread-head")).to_contain_text(name)
    await box.press_sequentially("jk? gi r")
    await expect(box).to_have_value("jk? gi r")  # no key acts while somebody types
    await page.keyboard.press("Escape")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("r")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("jk? gi r")
    await page.keyboard.press("Escape")
    await russian(page, "е", "KeyT")
    await expect(page.locator("#thread-head [data-key=t]")).to_have_count(0)  # it is mine now
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("s")
    await expect(page.locator("#thread-head [name=until]").first).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("u")
    await expect(page).to_have_url(f"{golub.url}/inbox?view=unread")
    await russian(page, "п", "KeyG")
    await russian(page, "с", "KeyC")
    await expect(page).to_have_url(f"{golub.url}/admin/accounts")


async def test_the_keys_are_told_and_the_palette_finds_everything(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "<b>Алёна</b>", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Ещё продаёте?")
    await golub.chat_id(chat)
    page = await golub.page("/inbox")
    for words in ("<b>Алёна</b>", "Диван"):  # fetched from the API a moment later
        await expect(page.locator("#chats")).to_contain_text(words)
    await russian(page, ",", "Slash", shift=True)
    keys = page.locator("#keys")
    await expect(keys).to_be_visible()
    await expect(keys.get_by_role("button")).to_be_focused()
    await expect(keys).to_contain_text("Следующий чат, предыдущий чат")
    await expect(keys.locator("[data-keys-here] dd", has_text="Непрочитанные")).to_be_visible()
    await look(page, "keys")
    await page.keyboard.press("j")  # nothing acts behind it
    await page.keyboard.press("Escape")
    await expect(keys).to_be_hidden()
    await expect(page.locator(".chat-link")).not_to_be_focused()

    await page.keyboard.press("Control+k")
    palette = page.locator("#palette")
    field = palette.get_by_role("combobox")
    await expect(field).to_be_focused()
    await look(page, "palette")
    await field.fill("алена див")  # ё is е, and words in any order
    option = palette.get_by_role("option")
    await expect(option).to_have_count(1)
    await expect(option).to_contain_text("<b>Алёна</b>")
    await expect(option).to_have_attribute("aria-selected", "true")
    for _ in range(4):
        await page.keyboard.press("Tab")
        assert await page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('#palette') !== null"
        )
    await field.fill("нет такого")
    await expect(palette.locator("[data-none]")).to_be_visible()
    await field.fill("журнал")
    await field.press("Enter")
    await expect(page).to_have_url(f"{golub.url}/admin/deliveries")
    await page.wait_for_load_state()  # its scripts come after its address
    await page.keyboard.press("Control+k")  # on every page
    await expect(field).to_be_focused()
    await field.press("Control+k")
    await expect(palette).to_be_hidden()


async def test_a_refused_act_leaves_the_keys_where_they_were_and_is_told_once(golub: World) -> None:
    """Nothing had the focus, since the chat is not in the view: its keys must not be typed into the reply."""
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Ещё продаёте?")
    number = await golub.chat_id(chat)
    page = await golub.page(f"/inbox/{number}?view=closed")
    await expect(page.locator("#thread-head")).to_contain_text("Диван")
    await expect(page.locator(f"#chat-{number}")).to_have_count(0)
    await page.keyboard.press("r")
    await page.keyboard.type("Да, в продаже.")
    await page.keyboard.press("Enter")
    await expect(page.locator("#messages .message.own")).to_contain_text("Да, в продаже.")
    await expect(page.locator("#reply-text")).to_be_focused()
    await page.keyboard.press("Escape")

    await page.route("**/snooze*", refused)
    refusals = page.locator("#toasts .toast-bad")
    for _ in range(2):
        await page.keyboard.press("s")
        await expect(page.locator("#thread-head [name=until]").first).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(refusals).to_have_count(1)
        await expect(page.locator(".care-menu[open]")).to_have_count(0)
        await expect(page.locator("#thread-scroll")).to_be_focused()
    await expect(page.locator("#reply-text")).to_have_value("")
    await page.unroute("**/snooze*")
    await page.keyboard.press("s")
    await page.keyboard.press("Enter")
    await expect(page.locator("#thread-head")).to_have_attribute("data-state", "snoozed")
    name = await page.locator(".thread-titles h2").bounding_box()  # of all heads, this one has most buttons
    assert name
    assert name["width"] > 80

    for number in range(6):
        await page.evaluate(TELL, f"Беда {number}")
    await expect(refusals).to_have_count(3)  # beside them that the chat was snoozed, which can be undone
    await expect(page.locator("#toasts [data-undo]")).to_be_visible()
    await expect(refusals.last).to_have_text("Беда 5")


TELL = """(words) => {
    const told = document.getElementById("refusal").content.cloneNode(true);
    told.querySelector("p").textContent = words;
    document.getElementById("toasts").append(told);
}"""


async def refused(route: Route) -> None:
    """As the server refuses it to who has not seen what the buyer wrote meanwhile."""
    await route.continue_(post_data=re.sub("version=[0-9]+", "version=0", route.request.post_data or ""))
