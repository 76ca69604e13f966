"""What is put out of an operator's sight while he looks at it, in a real Chromium."""

import pytest
from playwright.async_api import expect

from golub.audit import By
from golub.live import EVERYTHING
from golub.model import Role
from tests.browser.conftest import World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_chat_leaves_the_page_that_shows_it(golub: World) -> None:
    chat = golub.sim.add_chat(golub.shop, "Ирина")
    golub.sim.buyer_says(chat, "Почём?")
    number = await golub.chat_id(chat)
    garden = golub.sim.add_account(94_235_312, "Сад")
    other = (await golub.parts.accounts.connect(garden.client_id, garden.client_secret)).account
    boris = await golub.parts.operators.create("boris", "correct horse battery", role=Role.MANAGER)
    golub.secret, _ = await golub.parts.operators.open_session(boris)
    page = await golub.page(f"/inbox/{number}")
    await expect(page.locator(".message.theirs")).to_contain_text("Почём?")

    boss = await golub.parts.operators.find("anna")
    await golub.parts.operators.choose_accounts(boris.id, {other.id}, by=By(boss))
    golub.parts.live.ring([EVERYTHING])
    await expect(page.locator("#thread")).to_have_count(0)
    await expect(page.locator(".chat-row")).to_have_count(0)
    await expect(page).to_have_url(f"{golub.url}/inbox")
    await expect(page.locator("body")).not_to_contain_text("Почём?")
