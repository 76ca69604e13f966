"""Being told of a message, and having Golub on a phone: notifications, sound, the icon's number, no connection."""

import json
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from golub.simulator import world
from tests.browser.conftest import WIDE, World
from tests.browser.test_inbox import look

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

# What the browser would show outside of the page, kept where a test can see it.
WATCH = """
  window.told = []; window.chimes = 0;
  ServiceWorkerRegistration.prototype.showNotification = async (title, options) => window.told.push([title, options]);
  navigator.setAppBadge = async (count) => (window.badge = count);
  navigator.clearAppBadge = async () => (window.badge = 0);
  document.addEventListener("golub:chimed", () => window.chimes++);
"""
TOLD = "() => window.told.length"


async def installed(golub: World) -> BrowserContext:
    """A browser that lets the worker stand between."""
    context = await golub.browser.new_context(viewport={"width": WIDE["width"], "height": WIDE["height"]})
    await context.add_cookies([{"name": "session", "value": golub.secret, "url": golub.url}])
    await context.grant_permissions(["notifications"], origin=golub.url)
    await context.add_init_script(WATCH)
    return context


async def ready(page: Page) -> None:
    await page.evaluate("navigator.serviceWorker.ready")


async def test_a_new_message_is_told_once_where_it_was_asked_for(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "<i>Ирина</i>", world.Item("Диван", 34_900))
    golub.sim.buyer_says(chat, "Здравствуйте!")
    chat_id = await golub.chat_id(chat)
    context = await installed(golub)
    page, other = await golub.page("/inbox", context=context), await golub.page("/admin/status", context=context)
    await ready(page)
    await expect(page.locator(".chat-row")).to_have_count(1)
    golub.sim.buyer_says(chat, "Ау")
    await expect(page.locator(".chat-words")).to_contain_text("Ау")
    await page.wait_for_function("() => window.badge === 1")  # it has been seen to, and nothing was asked for
    assert await page.evaluate(TOLD) + await other.evaluate(TOLD) == 0

    await page.locator(".me summary").click()
    await look(page, "tell")
    for what in ("notify", "sound"):
        button = page.locator(f"[data-tell={what}]")
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true")
    golub.sim.buyer_says(chat, "<b>Вы тут?</b>")
    await page.wait_for_function("() => window.told.length === 1")
    title, options = (await page.evaluate("window.told"))[0]
    assert title == "<i>Ирина</i>"
    assert options["body"] == "Диван\n<b>Вы тут?</b>"
    assert options["data"] == {"path": f"/inbox/{chat_id}"}
    await page.wait_for_function("() => window.chimes === 2")  # the first was to hear what it is like
    assert await other.evaluate(TOLD) == 0

    await page.keyboard.press("Escape")
    await page.locator(".chat-link").click()
    await page.wait_for_function("() => window.badge === 0")
    golub.sim.buyer_says(chat, "Открыто")
    await expect(page.locator("#messages")).to_contain_text("Открыто")
    unopened = golub.sim.add_chat(golub.shop, "Пётр")
    golub.sim.buyer_says(unopened, "А этот нет")
    await page.wait_for_function("() => window.told.length === 2")
    assert (await page.evaluate("window.told"))[1][0] == "Пётр"  # and of the open one nothing was told


async def test_a_tap_on_a_notification_opens_the_chat(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Почём?")
    chat_id = await golub.chat_id(chat)
    page = await golub.page("/inbox", context=await installed(golub))
    await ready(page)
    await page.evaluate(
        "path => navigator.serviceWorker.dispatchEvent(new MessageEvent('message', { data: { open: path } }))",
        f"/inbox/{chat_id}",
    )
    await expect(page.locator("#thread-head")).to_contain_text("Ирина")


async def test_without_a_connection_a_page_says_what_to_do_and_nothing_private_is_kept(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Секрет")
    chat_id = await golub.chat_id(chat)
    context = await installed(golub)
    page = await golub.page(f"/inbox/{chat_id}", context=context)
    await ready(page)
    await expect(page.locator("#messages")).to_contain_text("Секрет")
    await page.reload()  # by way of the worker
    await expect(page.locator("#messages")).to_contain_text("Секрет")
    kept: list[Any] = await page.evaluate(
        """async () => {
          const found = [];
          for (const name of await caches.keys())
            for (const request of await (await caches.open(name)).keys()) found.push(request.url);
          return found;
        }"""
    )
    assert {url.removeprefix(golub.url).split("?")[0].split("/")[1] for url in kept} == {"static", "offline"}
    await context.set_offline(True)
    await page.reload()
    await expect(page.get_by_role("heading", name="Нет связи с Golub")).to_be_visible()
    assert "Секрет" not in await page.content()
    await look(page, "offline")
    await context.set_offline(False)
    await expect(page.locator("#messages")).to_contain_text("Секрет")  # the same chat, by itself


async def test_it_can_be_installed(golub: World) -> None:
    page = await golub.page("/inbox", context=await installed(golub))
    session = await page.context.new_cdp_session(page)
    manifest = await session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    told = json.loads(manifest["data"])
    assert told["start_url"] == "/inbox"
    sizes = await page.evaluate(
        """async (icons) => {
          const sizes = [];
          for (const icon of icons) {
            const image = new Image();
            image.src = icon.src;
            await image.decode();
            sizes.push(`${image.naturalWidth}x${image.naturalHeight}`);
          }
          return sizes;
        }""",
        [icon for icon in told["icons"] if icon["type"] == "image/png"],
    )
    assert sizes == [icon["sizes"] for icon in told["icons"] if icon["type"] == "image/png"]
