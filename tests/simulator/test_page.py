"""The page where a person plays the buyer, in a real browser: what it shows, what it sends, what it must not do."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from golub.simulator import Simulator, seed_demo
from golub.simulator.page import FILES
from golub.simulator.serve import bind, serving
from tests.simulator.conftest import Receiver

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
async def world(receiver: Receiver) -> AsyncGenerator[Simulator]:
    bound, url = bind()
    sim = Simulator(base_url=url, deliver=httpx2.ASGITransport(app=receiver))
    seed_demo(sim)[0].subscription = "http://golub.test/hook"
    async with serving(sim, bound):
        yield sim


@pytest.fixture
async def page(world: Simulator, browser: Browser) -> AsyncGenerator[Page]:
    """The page at a phone's width; the test fails on any complaint of the browser."""
    complaints: list[str] = []
    opened = await browser.new_page(viewport={"width": 390, "height": 844})
    opened.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    opened.on("pageerror", lambda problem: complaints.append(str(problem)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    await opened.goto(world.base_url)
    yield opened
    await opened.close()
    assert complaints == []


async def test_its_files_let_nothing_else_in(anyone: httpx2.AsyncClient) -> None:
    for path in ("/", *(f"/_sim/page/{name}" for name in FILES)):
        answer = await anyone.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert "https://" not in answer.text
    assert (await anyone.get("/_sim/page/..%2Fpage.py")).status_code == 404


@pytest.mark.browser
async def test_a_person_plays_the_buyer(page: Page, world: Simulator, receiver: Receiver) -> None:
    await page.locator("#new").click()
    await page.locator("#name").fill("Проверяющий")
    await page.locator("#first").fill(HOSTILE)
    await page.locator("#open button[type=submit]").click()
    newest = page.locator("#messages li").last
    await expect(newest).to_contain_text(HOSTILE)
    await expect(newest.locator(".acked")).to_contain_text("200")
    await page.locator("#text").fill("А размеры какие?")
    await page.locator("#text").press("Enter")
    await expect(newest).to_contain_text("А размеры какие?")
    await page.locator("#kinds button").first.click()
    await expect(page.locator("#messages img")).to_have_count(1)
    await expect(newest.locator(".acked")).to_be_visible()
    await newest.get_by_role("button", name="удалить").click()
    await expect(newest).to_contain_text("Сообщение удалено")
    await world.idle()
    assert [value["type"] for value in receiver.values] == ["text", "text", "image", "text"]
    assert not await page.evaluate("() => document.documentElement.scrollWidth > innerWidth")


@pytest.mark.browser
async def test_a_reply_of_the_shop_appears(page: Page, world: Simulator) -> None:
    chat = next(iter(world.world.accounts.values())).newest_first()[0]
    await page.locator("#chats button").first.click()
    await world.shop_says(chat, "Да, в наличии!")
    await expect(page.locator("#messages li.shop").last).to_contain_text("Да, в наличии!")


@pytest.mark.browser
async def test_it_speaks_english_and_says_what_failed(page: Page, world: Simulator, receiver: Receiver) -> None:
    await page.locator("#language").click()
    await expect(page.locator("#new")).to_have_text("New chat")
    receiver.answers = [503]
    await page.locator("#chats button").first.click()
    await page.locator("#text").fill("hello")
    await page.locator("#text").press("Enter")
    await expect(page.locator("#messages .failed")).to_contain_text("not acked: 503")
    await page.locator("#back").click()
    await expect(page.locator("#chats button").first).to_contain_text("hello")


@pytest.mark.browser
async def test_a_scenario_is_played_and_ended(page: Page, world: Simulator) -> None:
    await page.locator("#scenario").select_option("unpaid")
    await page.locator("#play button[type=submit]").click()
    playing = page.locator("#playing button")
    await expect(playing).to_have_text("Мессенджер не оплачен ×")
    assert not any(shop.paid for shop in world.world.accounts.values())
    await page.locator("#language").click()
    await expect(playing).to_have_text("Messenger not paid for ×")
    await playing.click()
    await expect(playing).to_have_count(0)
    assert all(shop.paid for shop in world.world.accounts.values())
    assert not await page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
