"""On a narrow phone the menus of a chat stay on the screen, and its head still says whose chat it is."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from golub import inbox
from golub.audit import CONSOLE
from golub.model import Role
from golub.simulator import world
from tests.browser.conftest import World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

NARROW: Any = {"width": 360, "height": 740}
# Of the open menu: what sticks out of the screen or of its panel, and fields too short for what is written in them.
MISFITS = """() => {
  const panel = document.querySelector(".care-menu[open] .menu-panel").getBoundingClientRect();
  const out = (box, of) => box.left < of.left - 1 || box.right > of.right + 1;
  const screen = { left: 0, right: innerWidth };
  const parts = [...document.querySelectorAll(".care-menu[open] :is(button, a, input:not([type=hidden]))")];
  const wrong = parts.filter((one) => {
    const box = one.getBoundingClientRect();
    return one.checkVisibility() && (out(box, screen) || out(box, panel) || box.height < 24
      || box.width < (one.matches("input[type=datetime-local]") ? 160 : 24) || one.scrollWidth > one.clientWidth + 1);
  });
  return [...(out(panel, screen) ? ["the panel"] : []), ...wrong.map((one) => one.outerHTML.slice(0, 120))];
}"""

SIX_TOASTS = """() => {
  for (const words of "абвгде") {
    const one = Object.assign(document.createElement("div"), { textContent: words });
    one.dataset.toast = "";
    document.getElementById("toasts").append(one);
  }
}"""


async def test_menus_and_heads_fit_a_narrow_phone(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Константин", world.Item("Диван угловой раскладной с ящиком", 34_900))
    golub.sim.buyer_says(chat, "Здравствуйте")
    ours = await golub.chat_id(chat)
    name = "Екатерина Константинопольская"
    await golub.parts.operators.create("boris", "correct horse battery", name=name, role=Role.MANAGER)
    async with golub.parts.store.write() as session:
        await inbox.add_label(
            session, "Очень горячий покупатель", inbox.COLOURS[0], by=CONSOLE, now=golub.parts.clock()
        )
    page = await golub.page(f"/inbox/{ours}", NARROW)
    await _is_named(page)
    await page.keyboard.press("t")
    await expect(page.locator("#thread-head .chat-owner")).to_be_visible()
    await _is_named(page)
    for key in "hsl":
        await page.keyboard.press(key)
        await expect(page.locator(".care-menu[open]")).to_have_count(1)
        assert await page.evaluate(MISFITS) == [], key
        await page.keyboard.press("Escape")
    await page.keyboard.press("s")
    await page.keyboard.press("Enter")
    await expect(page.locator("#thread-head")).to_have_attribute("data-state", "snoozed")
    await _is_named(page)
    await page.keyboard.press("u")
    await expect(page.locator("#thread-head")).to_have_attribute("data-state", "waiting")
    await _is_named(page)
    await page.keyboard.press("e")
    await expect(page.locator("#thread-head")).to_have_attribute("data-state", "closed")
    await _is_named(page)
    await expect(page.locator("#toasts [data-undo]")).to_be_visible()
    await page.evaluate(SIX_TOASTS)
    await expect(page.locator("#toasts > *")).to_have_count(4)
    await expect(page.locator("#toasts [data-undo]")).to_be_visible()  # that one can still be taken back


async def test_on_a_narrow_phone_a_long_title_and_several_accounts_leave_room(golub: World) -> None:
    other = golub.sim.add_account(94_235_312, "Мебель на заказ")
    await golub.parts.accounts.connect(other.client_id, other.client_secret)
    title = "iPhone 13 mini, 256 ГБ, синий, аккумулятор 91 %, полный комплект с коробкой"
    chat = golub.sim.add_chat(golub.shop, "Константин", world.Item(title, 34_900, 5))
    golub.sim.buyer_says(chat, "Здравствуйте")
    await golub.chat_id(chat)
    page = await golub.page("/inbox", NARROW)
    await expect(page.locator(".chat-row")).to_contain_text("iPhone")
    choice, menu = [await page.locator(f".{name} > summary").bounding_box() for name in ("account-choice", "list-menu")]
    assert choice
    assert menu
    assert choice["x"] + choice["width"] <= menu["x"]
    await page.goto(f"{golub.url}/inbox/search?q=вода&item=5")
    await expect(page.locator(".search-only")).to_contain_text("iPhone 13")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await page.locator(".search-only .badge").evaluate("one => one.getBoundingClientRect().right <= innerWidth")


async def _is_named(page: Page) -> None:
    """The buyer's name has room for more than a letter, and nothing makes the page scroll sideways."""
    # In one breath: news may put in a new head between two.
    assert await page.evaluate("document.querySelector('#thread-head h2').getBoundingClientRect().width") > 70
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
