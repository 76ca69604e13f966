"""Every state of an account, produced by the simulated Avito and read in a browser, in both languages.

`SCREENSHOTS_TO` names a folder that gets a picture of each, wide and narrow: words can be right on an ugly page.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from golub.app import Golub
from golub.model import DEFAULT_EVENT_TYPES, Role
from golub.server import Server
from golub.settings import Settings
from golub.simulator import Account, Simulator
from golub.subscription.url import make_url
from golub.web.parts import Parts

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

WIDTHS = (1280, 390)
LANGUAGES = ("ru", "en")

# By condition: the badge, and the first words of what it means.
WORDS = {
    "fresh": {
        "ru": ("Ждёт вебхука", "Вебхук ещё не зарегистрирован"),
        "en": ("Waits for its webhook", "The webhook is not registered yet"),
    },
    "importing": {
        "ru": ("Загружается история", "Загружается история чатов"),
        "en": ("History is coming in", "The history of its chats is coming in"),
    },
    "healthy": {"ru": ("Всё в порядке", "Сообщения приходят сразу"), "en": ("All is well", "Messages come at once")},
    "degraded": {
        "ru": ("Работает с задержкой", "Авито не присылает уведомления по этому аккаунту"),
        "en": ("Works with a delay", "Avito does not call Golub for this account"),
    },
    "stolen": {
        "ru": ("Подписку забрали", "Сейчас Авито присылает сообщения на"),
        "en": ("Subscription taken", "Avito now sends the messages to"),
    },
    "unpaid": {
        "ru": ("Не оплачен на Авито", "API мессенджера на Авито не оплачен"),
        "en": ("Not paid at Avito", "The messenger's API is not paid for at Avito"),
    },
    "wrong_keys": {
        "ru": ("Ключи не приняты", "Авито не принимает ключи"),
        "en": ("Keys are refused", "Avito does not accept the keys"),
    },
    "paused": {
        "ru": ("На паузе", "Аккаунт поставлен на паузу"),
        "en": ("Paused", "The account is paused since"),
    },
}


@dataclass
class Street:
    """A running Golub with a shop for each state."""

    sim: Simulator
    parts: Parts
    url: str
    browser: Browser
    accounts: dict[str, int] = field(default_factory=dict[str, int])

    async def connect(self, state: str, chats: int = 1) -> Account:
        shop = self.sim.add_account(1000 + len(self.accounts), f"Лавка {state}")
        for number in range(chats):
            self.sim.buyer_says(self.sim.add_chat(shop, f"Покупатель {number}"), "Здравствуйте", quiet=True)
        if state == "importing":
            self.sim.fault("getMessagesV3", hang=True, times=None, account=shop)
        connected = await self.parts.accounts.connect(shop.client_id, shop.client_secret)
        self.accounts[state] = connected.account.id
        return shop

    async def registered(self, state: str) -> Account:
        """Its webhook has brought a message."""
        shop = await self.connect(state)
        await self.parts.subscriptions.register(self.accounts[state], make_url(self.url), DEFAULT_EVENT_TYPES)
        await self.imported(state)
        self.sim.buyer_says(self.sim.add_chat(shop, "Ирина"), "Ещё продаёте?")
        await self.sim.idle()
        assert await asyncio.to_thread(self.parts.applier.wait_applied, 10)
        return shop

    async def imported(self, state: str) -> None:
        while True:
            account = await self.parts.accounts.get(self.accounts[state])
            if account.swept_at and not (await self.parts.accounts.holdings(account.id)).unread_history:
                return
            await asyncio.sleep(0.05)  # between two looks: an import has no signal for us

    async def noticed(self, state: str) -> None:
        """Golub has looked at the subscription, as it does every few minutes."""
        await self.parts.subscriptions.check(self.accounts[state])

    async def sign_in(self, language: str, width: int) -> Page:
        operator = await self.parts.operators.create(
            f"{language}{width}", "correct horse battery", name="Анна", role=Role.SUPER_ADMIN, locale=language
        )
        secret, _ = await self.parts.operators.open_session(operator)
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, locale=language, timezone_id="Europe/Moscow"
        )
        await context.add_cookies([{"name": "session", "value": secret, "url": self.url}])
        return await context.new_page()


@pytest.fixture
async def street(tmp_path: Path, browser: Browser) -> AsyncGenerator[Street]:
    chosen = {"data_dir": tmp_path, "avito_url": "http://avito.test", "allow_loopback_webhook": True}
    sim = Simulator(base_url="http://avito.test", deliver=httpx2.AsyncHTTPTransport())
    golub = Golub(Settings.model_validate(chosen), transport=httpx2.ASGITransport(sim.app))
    async with sim, golub.working() as parts:
        server = Server(golub.asgi, "127.0.0.1", 0)
        server.on_stop.append(parts.live.close)
        serving = asyncio.create_task(server.run())
        try:
            yield Street(sim, parts, f"http://127.0.0.1:{server.port}", browser)
        finally:
            for context in browser.contexts:
                await context.close()
            sim.release()
            server.stop()
            await serving


async def build(street: Street) -> None:
    sim, parts = street.sim, street.parts
    await street.connect("fresh")
    await street.imported("fresh")
    await street.connect("importing", chats=40)
    for state, scenario in (("healthy", ""), ("degraded", "unsubscribed"), ("stolen", "theft"), ("unpaid", "unpaid")):
        shop = await street.registered(state)
        if scenario:
            sim.play(scenario, shop)
            await street.noticed(state)
    shop = await street.registered("wrong_keys")
    shop.client_secret = "made-anew"
    sim.expire_tokens(shop)
    await street.noticed("wrong_keys")
    await street.registered("paused")
    await parts.accounts.pause(street.accounts["paused"])


async def test_each_state_says_what_it_is_and_what_to_do_in_both_languages(street: Street) -> None:
    await build(street)
    pictures = Path(os.environ["SCREENSHOTS_TO"]) if "SCREENSHOTS_TO" in os.environ else None
    for language in LANGUAGES:
        for width in WIDTHS if pictures or language == "ru" else WIDTHS[:1]:
            page = await street.sign_in(language, width)
            reading = {"ru": "прочитано чатов 0 из 40", "en": "0 of 40 chats are read"}[language]
            for state, words in WORDS.items():
                badge, meaning = words[language]
                await page.goto(f"{street.url}/admin/accounts/{street.accounts[state]}")
                await expect(page.locator("main")).to_contain_text(badge)
                await expect(page.locator(".notice").first).to_contain_text(meaning)
                if state == "importing":
                    await expect(page.locator("main")).to_contain_text(reading)
                room = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert room <= 0, f"{state} is {room} px too wide at {width}"
                if pictures:
                    await page.screenshot(path=pictures / f"{state}-{language}-{width}.png", full_page=True)
            await page.goto(f"{street.url}/admin/accounts")
            for words in WORDS.values():
                await expect(page.locator("main")).to_contain_text(words[language][0])
            if pictures:
                await page.screenshot(path=pictures / f"all-{language}-{width}.png", full_page=True)
            await page.context.close()
