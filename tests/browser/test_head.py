"""News and the head of the open chat: nothing that the operator did or opened is taken back by it."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

# Whether each head that is put in says whose chat it is.
HEADS = """() => {
  window.owned = [];
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const one of addedNodes) {
      if (one.id === "thread-head") window.owned.push(one.querySelector(".chat-owner") !== null);
    }
  }).observe(document.getElementById("thread"), { childList: true, subtree: true });
}"""


async def test_an_answer_that_was_on_its_way_does_not_take_back_what_was_done(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "первое")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await expect(page.locator("#chats .chat-row[data-unread='0']")).to_have_count(1)
    read, taken = asyncio.Event(), asyncio.Event()

    async def overtaken(route: Route) -> None:
        answer = await route.fetch()
        read.set()
        await taken.wait()
        await route.fulfill(response=answer)

    await page.route("**/messages?after=*", overtaken, times=1)
    golub.sim.buyer_says(chat, "второе")
    await read.wait()
    await page.evaluate(HEADS)
    await page.keyboard.press("t")
    await expect(page.locator("#thread-head .chat-owner")).to_be_visible()
    taken.set()
    await expect(page.locator(".message.theirs")).to_have_count(2)
    assert set(await page.evaluate("window.owned")) == {True}


async def test_a_menu_stays_open_through_news_wherever_the_focus_is(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "первое")
    page = await golub.page(f"/inbox/{await golub.chat_id(chat)}")
    await page.keyboard.press("s")
    await expect(page.locator(".care-menu[open]")).to_have_count(1)
    await page.evaluate("document.activeElement.blur()")
    golub.sim.buyer_says(chat, "второе")
    await expect(page.locator(".message.theirs")).to_have_count(2)
    await expect(page.locator(".care-menu[open]")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.locator(".care-menu[open]")).to_have_count(0)
