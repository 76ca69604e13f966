"""Two operators in two browsers, and who of them is where."""

import pytest
from playwright.async_api import BrowserContext, expect

from golub.model import Role
from golub.simulator import world
from tests.browser.conftest import WIDE, World
from tests.browser.test_inbox import look

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def colleague(golub: World, name: str, size: dict[str, int] = WIDE) -> BrowserContext:
    """Another operator's browser."""
    operator = await golub.parts.operators.create("colleague", "correct horse battery", name=name, role=Role.MANAGER)
    secret, _ = await golub.parts.operators.open_session(operator)
    context = await golub.browser.new_context(
        viewport={"width": size["width"], "height": size["height"]}, service_workers="block"
    )
    await context.add_cookies([{"name": "session", "value": secret, "url": golub.url}])
    return context


async def test_who_looks_and_who_types_is_seen_by_a_colleague(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Здравствуйте! Ещё продаёте?")
    chat_id = await golub.chat_id(chat)
    hostile = "<img src=x onerror=alert(1)> Борис"
    theirs = await golub.page("/inbox", context=await colleague(golub, hostile))
    mine = await golub.page("/inbox")
    row = mine.locator(".chat-row [data-here]")
    await expect(row).to_be_hidden()
    await theirs.locator(".chat-link").click()
    await expect(row).to_be_visible()
    assert await row.get_attribute("title") == f"Тоже здесь: {hostile}"
    await mine.goto(f"{golub.url}/inbox/{chat_id}")  # a tab that comes later learns it too
    head = mine.locator("#thread-head [data-here]")
    await expect(head).to_be_visible()
    notice = mine.locator("#also-types")
    await expect(notice).to_be_hidden()
    await theirs.locator("#reply-text").press_sequentially("Да, прод")
    await expect(notice).to_have_text(f"{hostile} уже пишет ответ в этом чате.")
    await look(mine, "presence")
    golub.sim.buyer_says(chat, "Ау")  # what is put in anew is painted at once
    await expect(mine.locator("#messages .message")).to_have_count(2)
    await expect(head).to_be_visible()
    await theirs.locator("#reply-text").fill("")
    await expect(notice).to_be_hidden()
    await expect(head).to_be_visible()
    await theirs.close(run_before_unload=False)
    await expect(head).to_be_hidden()
    await expect(mine.locator("#thread-head")).to_contain_text("Ирина")


async def test_a_tab_that_opens_second_is_told_by_the_first(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Ещё продаёте?")
    chat_id = await golub.chat_id(chat)
    first = await golub.page("/inbox")
    theirs = await golub.page(f"/inbox/{chat_id}", context=await colleague(golub, "Борис"))
    await expect(first.locator(".chat-row [data-here]")).to_be_visible()
    second = await golub.page("/inbox", context=first.context)
    await expect(second.locator(".chat-row [data-here]")).to_be_visible()
    assert golub.parts.live.listeners == 2  # one stream a browser
    await theirs.close()
    await expect(second.locator(".chat-row [data-here]")).to_be_hidden()
