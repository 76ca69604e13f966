"""The inbox in a real Chromium, over a whole Golub and the simulated Avito: live, by hand, narrow and wide."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from sqlalchemy import func, select

from golub.app import Golub
from golub.model import DEFAULT_EVENT_TYPES, Chat, OutgoingMessage, OutgoingState, Role
from golub.server import Server
from golub.settings import Settings
from golub.simulator import Simulator, world
from golub.subscription.url import make_url
from golub.web.parts import Parts
from tests import chromium

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class World:
    """A running Golub with one shop, and what a browser must never do."""

    sim: Simulator
    shop: world.Account
    parts: Parts
    account_id: int
    url: str
    secret: str
    browser: Browser
    foreign: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])

    async def page(self, path: str, size: dict[str, int] = WIDE, context: BrowserContext | None = None) -> Page:
        if context is None:
            context = await self.browser.new_context(viewport={"width": size["width"], "height": size["height"]})
            await context.add_cookies([{"name": "session", "value": self.secret, "url": self.url}])
        page = await context.new_page()
        page.on("request", lambda request: self._look(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("console", lambda said: self.complaints.append(said.text) if "Content Security" in said.text else None)
        await page.goto(self.url + path)
        return page

    def _look(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.foreign.append(url)

    async def chat_id(self, chat: world.Chat) -> int:
        """Ours, once the webhook's message has been applied."""
        await self.sim.idle()
        async with self.parts.live.subscribe() as rings:
            while True:
                async with self.parts.store.read() as session:
                    found = await session.scalar(select(Chat.id).where(Chat.avito_id == chat.id))
                if found:
                    return found
                await anext(rings)


@pytest.fixture
async def golub(tmp_path: Path, chromium_path: Path) -> AsyncGenerator[World]:
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "avito_url": "http://avito.test", "allow_loopback_webhook": True, "sweep_period": 3600}
    )
    hooks: httpx2.AsyncHTTPTransport = httpx2.AsyncHTTPTransport()
    sim = Simulator(base_url="http://avito.test", deliver=hooks)
    shop = sim.add_account(94_235_311, "Мебель Дубрава")
    server_of = Golub(settings, transport=httpx2.ASGITransport(sim.app))
    async with sim, server_of.working() as parts, async_playwright() as playwright:
        server = Server(server_of.asgi, "127.0.0.1", 0)
        server.on_stop.append(parts.live.close)
        serving = asyncio.create_task(server.run())
        url = f"http://127.0.0.1:{server.port}"
        connected = await parts.accounts.connect(shop.client_id, shop.client_secret)
        await parts.subscriptions.register(connected.account.id, make_url(url), DEFAULT_EVENT_TYPES)
        operator = await parts.operators.create("anna", "correct horse battery", name="Анна", role=Role.SUPER_ADMIN)
        secret, _ = await parts.operators.open_session(operator)
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=list(chromium.FLAGS))
        there = World(sim, shop, parts, connected.account.id, url, secret, browser)
        try:
            yield there
            assert there.foreign == []
            assert there.complaints == []
        finally:
            await browser.close()
            server.stop()
            await serving


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
    chats = [golub.sim.add_chat(golub.shop, f"Покупатель {number}") for number in range(30)]
    for chat in chats:
        golub.sim.buyer_says(chat, "вопрос")
    ours = {f"chat-{await golub.chat_id(chat)}": chat for chat in chats}
    page = await golub.page("/inbox")
    rows = page.locator(".chat-row")
    await expect(rows).to_have_count(30)
    await expect(page.locator(".chat-item")).to_have_count(30)  # all fetched: rows have grown as far as they will
    await rows.nth(20).locator("a").click()
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
    await expect(page.locator(".message.theirs")).to_have_count(2, timeout=20_000)
    await expect(page.locator("#live")).to_be_hidden()


async def test_a_session_that_was_ended_elsewhere_leads_to_the_sign_in(golub: World) -> None:
    page = await golub.page("/inbox")
    await expect(page.locator("#chats-empty")).to_be_visible()
    async with golub.parts.store.read() as session:
        found = await golub.parts.operators.find_session(golub.secret)
        assert found
        assert session
    await golub.parts.operators.close_session(found[0].hash)
    await page.wait_for_url("**/sign-in**", timeout=12_000)


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
