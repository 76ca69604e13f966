"""The guide, 7: the inbox: its list, the thread, replies and their fates, live updates, and all of it on a phone."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from golub.simulator import Account, Chat, Item, Simulator
from golub.simulator.serve import bind, serving
from tests.conftest import ONE_DATABASE, StartGolub
from tests.guide.page import Page
from tests.guide.town import Browser, Town, eventually

WORDS = "четыре случайных слова"
TOKEN = "Ab3_-xYz09Qw" * 3 + "1234567"


@pytest.fixture
async def chat(town: Town, shop: Account) -> Chat:
    return town.sim.add_chat(shop, "Ирина", Item("Самокат", 4_500))


async def test_the_list_shows_buyer_item_words_unread_and_time(
    town: Town, boss: Browser, shop: Account, chat: Chat
) -> None:
    town.sim.buyer_says(chat, "Здравствуйте!")
    town.sim.buyer_says(chat, "Можно сегодня забрать?")
    await town.applied()
    page = await eventually(lambda: boss.open("/inbox"), lambda page: "Самокат" in page.text)
    (row,) = page.ids("chat-")
    told = page.within(row).replace("\xa0", " ")
    for words in ("Ирина", "Самокат", "4 500 ₽", "Можно сегодня забрать?"):
        assert words in told
    (drawn,) = page.all("li", id=row)
    assert drawn["data-unread"] == "2"
    assert page.title == "(1) Golub"
    assert [one["datetime"] for one in page.all("time")]
    (photo,) = [one["src"] for one in page.all("img", **{"class": "photo"})]
    assert (await boss.client.get(photo)).headers["content-type"].startswith("image/")

    page = await town.chat_page(boss, "Ирина")
    newest = page.ids("message-")[-1].removeprefix("message-")
    csrf = page.form(f"{page.url.removeprefix('https://golub.example.ru')}/reply")["csrf"]
    answer = await boss.client.post(f"{page.url}/read", data={"up_to": newest, "csrf": csrf})
    assert answer.status_code == 204
    page = await boss.open("/inbox")
    assert page.all("li", id=row)[0]["data-unread"] == "0"
    assert page.title == "Golub"
    assert (await boss.open("/inbox?view=unread")).ids("chat-") == []


async def test_who_waits_for_us_is_shown_oldest_first(town: Town, boss: Browser, shop: Account) -> None:
    now = town.sim.now()
    chats = [town.sim.add_chat(shop, name) for name in ("Первый", "Второй", "Третий")]
    for age, chat in zip((300, 200, 100), chats, strict=True):
        town.sim.buyer_says(chat, "Жду ответа", at=now - age)
    await town.applied()
    town.sim.buyer_says(chats[0], "Всё ещё жду")  # waits on, however often he writes
    await town.sim.shop_says(chats[1], "Отвечаем")
    await town.applied()
    page = await eventually(
        lambda: boss.open("/inbox?view=waiting"), lambda page: all(name in page.text for name in ("Первый", "Третий"))
    )
    waiting = [page.within(row) for row in page.ids("chat-")]
    assert ["Первый" in waiting[0], "Третий" in waiting[1], len(waiting)] == [True, True, 2]


@ONE_DATABASE
async def test_an_unknown_chat_shows_its_message_at_once_and_its_facts_when_fetched(
    town: Town, boss: Browser, chat: Chat
) -> None:
    town.sim.fault("*", hang=True, times=None)
    town.sim.buyer_says(chat, "Я тут впервые")
    await town.applied()
    page = await town.chat_page(boss, "Я тут впервые")
    assert "Я тут впервые" in page.within("messages")
    assert "Ирина" not in page.text
    town.sim.faults.clear()
    town.sim.release()
    page = await eventually(lambda: boss.open(page.url), lambda page: "Ирина" in page.within("thread-head"))
    assert "Самокат" in page.within("thread-head")
    assert len(page.ids("message-")) == 1


async def test_history_is_there_and_wakes_nobody(town: Town, boss: Browser) -> None:
    shop = town.sim.add_account(7_005, "Мебель")
    chat = town.sim.add_chat(shop, "Олег", Item("Шкаф", 10_000))
    at = town.sim.now() - 90_000
    for number in range(40):
        town.sim.buyer_says(chat, f"Старое {number:02}", quiet=True, at=at + number)
    town.sim.shop_said(chat, "Ответили тогда же", at=at + 100)
    await town.connect(boss, shop)
    page = await eventually(lambda: town.chat_page(boss, "Олег"), lambda page: "Старое 39" in page.text)
    assert "Ответили тогда же" in page.within("messages")
    (older,) = [one["hx-get"] for one in page.all("li", id="older")]
    assert "Старое 00" in (await boss.open(older)).text
    assert (await boss.open("/inbox")).title == "Golub"
    assert (await boss.open("/inbox?view=unread")).ids("chat-") == []


async def reply(boss: Browser, page: Page, text: str) -> Page:
    (form,) = [form.action for form in page.forms if form.action.endswith("/reply")]
    return await boss.send(page, form, text=text)


@ONE_DATABASE
async def test_a_reply_goes_to_avito_once_and_shows_pending_then_sent(town: Town, boss: Browser, chat: Chat) -> None:
    town.sim.buyer_says(chat, "Ещё продаёте?")
    await town.applied()
    page = await town.chat_page(boss, "Ещё продаёте?")
    town.sim.fault("postSendMessage", delay=60)
    sending = asyncio.create_task(town.sim.arrived("postSendMessage"))
    page = await reply(boss, page, "Да, продаём")
    async with asyncio.timeout(10):
        await sending
    page = await boss.open(page.url)
    assert "Да, продаём" in page.within("outgoing")
    assert "отправляется" in page.within("outgoing")
    town.sim.release()
    page = await eventually(lambda: boss.open(page.url), lambda page: "Да, продаём" in page.within("messages"))
    await town.applied()
    page = await boss.open(page.url)
    assert page.within("outgoing") == ""
    assert page.within("messages").count("Да, продаём") == 1  # with its echo, and the answer to the send
    assert [message.text for message in chat.history] == ["Ещё продаёте?", "Да, продаём"]
    (own,) = [one for one in page.ids("message-") if "Да, продаём" in page.within(one)]
    assert re.search("Отправлено|Прочитано покупателем", page.within(own))  # who has read it was sent it
    assert "Мария" in page.within(own)
    assert (await boss.open("/inbox?view=waiting")).ids("chat-") == []


@ONE_DATABASE
async def test_a_lost_answer_is_unconfirmed_and_never_resent_by_itself(town: Town, boss: Browser, chat: Chat) -> None:
    town.sim.buyer_says(chat, "Торг?")
    await town.applied()
    page = await town.chat_page(boss, "Торг?")
    town.sim.fault("postSendMessage", status=502, body="<html>bad gateway</html>")  # and nothing was sent
    page = await reply(boss, page, "Немного уступим")
    page = await eventually(lambda: boss.open(page.url), lambda page: "не подтверждено" in page.within("outgoing"))
    assert len(chat.history) == 1
    (again,) = [form.action for form in page.forms if form.action.endswith("/retry")]
    page = await boss.send(page, again)
    page = await eventually(lambda: boss.open(page.url), lambda page: "Немного уступим" in page.within("messages"))
    assert [message.text for message in chat.history] == ["Торг?", "Немного уступим"]


@ONE_DATABASE
async def test_a_lost_answer_to_a_reply_that_arrived_is_found_and_shown_once(
    town: Town, boss: Browser, chat: Chat
) -> None:
    town.sim.policy.echo = False  # or the echo would tell us
    town.sim.buyer_says(chat, "Торг?")
    await town.applied()
    page = await town.chat_page(boss, "Торг?")
    town.sim.fault("postSendMessage", status=502, after=True)
    page = await reply(boss, page, "Без торга")
    page = await eventually(lambda: boss.open(page.url), lambda page: page.within("outgoing") == "")
    assert "Без торга" in page.within("messages")
    assert [message.text for message in chat.history] == ["Торг?", "Без торга"]


@ONE_DATABASE
async def test_a_rejected_reply_says_why(town: Town, boss: Browser, chat: Chat) -> None:
    town.sim.buyer_says(chat, "Здравствуйте")
    await town.applied()
    page = await town.chat_page(boss, "Здравствуйте")
    town.sim.fault("postSendMessage", status=400, body={"error": {"code": 400, "message": "chat is blocked by user"}})
    page = await reply(boss, page, "Добрый день")
    page = await eventually(lambda: boss.open(page.url), lambda page: "не отправлено" in page.within("outgoing"))
    assert "chat is blocked by user" in page.within("outgoing")
    (away,) = [form.action for form in page.forms if form.action.endswith("/discard")]
    page = await boss.send(page, away)
    assert page.within("outgoing") == ""
    assert len(chat.history) == 1


@dataclass
class House:
    """A real `golub serve` before a simulator on a socket, set up by its link and with its webhook registered."""

    url: str
    sim: Simulator
    shop: Account
    client: httpx2.AsyncClient


@pytest.fixture
async def house(start_golub: StartGolub, tmp_path: Path) -> AsyncGenerator[House]:
    bound, avito_url = bind()
    sim = Simulator(tmp_path / "simulator.jsonl", base_url=avito_url)
    shop = sim.add_account(7_001, "Велосипеды")
    async with serving(sim, bound):
        golub = await start_golub("serve", GOLUB_AVITO_URL=avito_url, GOLUB_ALLOW_LOOPBACK_WEBHOOK="true")
        link = (await golub.line(r"(http://\S+/setup/\S+)"))[1]
        async with httpx2.AsyncClient(base_url=golub.url, headers={"Origin": golub.url}, timeout=30) as client:
            client.follow_redirects = True
            person = Browser(client)
            first = await eventually(lambda: person.open(link), lambda page: "" in [one.action for one in page.forms])
            page = await person.send(first, name="Анна", login="anna", password=WORDS, again=WORDS)
            page = await person.send(
                page, "/admin/start/account", client_id=shop.client_id, client_secret=shop.client_secret
            )
            page = await person.open("/admin/webhooks")
            page = await person.send(page, "/admin/webhooks/1", url=f"{golub.url}/webhook/avito/{TOKEN}")
            assert "done=registered" in page.url, page.text
            yield House(golub.url, sim, shop, client)


async def test_one_stream_rings_for_each_change(house: House) -> None:
    async with house.client.stream("GET", "/stream") as stream, asyncio.timeout(30):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        while await anext(lines) != "event: hello":
            pass
        house.sim.buyer_says(house.sim.add_chat(house.shop, "Ольга"), "Как скоро ответите?")
        while await anext(lines) != "event: rings":
            pass
        ((chat, *_), *_) = json.loads((await anext(lines)).removeprefix("data: "))
        rows = Page((await house.client.get(f"/inbox/rows?ids={chat}")).text)
        assert "Как скоро ответите?" in rows.text
        assert json.loads(rows.all("ol")[0]["data-counts"])["unread"] == "1"


@pytest.mark.browser
async def test_a_message_appears_without_reload_and_the_reply_reaches_the_buyer(
    house: House, browser: Chromium
) -> None:
    chat = house.sim.add_chat(house.shop, "Ольга", Item("Велосипед", 9_900))
    phone = await browser.new_context(viewport={"width": 390, "height": 844}, locale="ru-RU", has_touch=True)
    await phone.add_cookies([{"name": "session", "value": house.client.cookies["session"], "url": house.url}])
    page = await phone.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    await page.goto(f"{house.url}/inbox")
    await page.evaluate("() => { window.sameDocument = true }")
    house.sim.buyer_says(chat, "Здравствуйте! Велосипед на месте?")
    row = page.locator(".chat-row")
    await expect(row).to_contain_text("Велосипед на месте?")
    await expect(row).to_contain_text("Ольга")
    await expect(page).to_have_title("(1) Golub")
    await row.tap()
    await expect(page.locator("#messages .message")).to_contain_text("Велосипед на месте?")
    house.sim.buyer_says(chat, "Жду ответа")
    asked = page.locator("#messages .message").last
    await expect(asked).to_contain_text("Жду ответа")
    seen = await asked.get_attribute("data-message")  # a reply at once would be asked about
    await expect(page.locator("#thread")).to_have_attribute("data-seen", str(seen))
    replied = asyncio.Event()
    house.sim.on_reply.append(lambda _: replied.set())
    await page.locator("#reply-text").fill("Да, приезжайте")
    await page.locator(".reply-send").tap()
    async with asyncio.timeout(20):
        await replied.wait()
    assert chat.history[-1].text == "Да, приезжайте"
    await expect(page.locator("#messages .message.own")).to_contain_text("Да, приезжайте")
    await expect(page.locator("#outgoing .message")).to_have_count(0)
    assert await page.evaluate("() => window.sameDocument")
    assert not await page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    assert failures == []
    await phone.close()
