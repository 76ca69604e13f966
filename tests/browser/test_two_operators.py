"""Two operators, two browsers, one chat: one of them has it, one answer leaves, and a cut connection loses nothing.

`make day` runs it at full counts: many chats one after another, and a connection that is cut for a minute.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from playwright.async_api import Page, Response, Route, expect

from golub.simulator import world
from golub.web import stream
from tests.browser.conftest import World
from tests.browser.test_inbox import look
from tests.browser.test_presence import colleague
from tests.chromium import PATIENCE
from tests.conftest import AtScale
from tests.promises import Figures
from tests.stories.inboxes import Line

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

# `seen` becomes the time, in ms, at which what the selector names can be seen.
WATCH = """(selector) => {
  const isThere = () => document.querySelector(selector)?.checkVisibility();
  window.seen = new Promise((done) => {
    const watching = new MutationObserver(() => {
      if (!isThere()) return;
      watching.disconnect();
      done(Date.now());
    });
    watching.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
}"""


async def at_once(pages: Sequence[Page], address: str, act: Callable[[Page], Awaitable[None]]) -> list[Response]:
    """All of them do it, and no request leaves before all are there: who is first is the server's to say."""
    there = asyncio.Barrier(len(pages))

    async def hold(route: Route) -> None:
        await there.wait()
        await route.continue_()

    async def one(page: Page) -> Response:
        await page.route(address, hold)
        async with page.expect_response(address) as told:
            await act(page)
        answer = await told.value
        await page.unroute(address)
        return answer

    return await asyncio.gather(*(one(page) for page in pages))


LIST = """() => [...document.querySelectorAll(".chat-row")].map((row) => [row.id, Number(row.dataset.unread)])"""
WORDS = """() => [...document.querySelectorAll("#messages .message .words")].map((words) => words.textContent)"""


async def open_chat(page: Page, chat_id: int) -> None:
    await page.locator(f"#chat-{chat_id} .chat-link").click()
    await expect(page.locator(f'#thread[data-chat="{chat_id}"]')).to_be_visible()
    await expect(page.locator("#reply-text")).to_be_focused()


async def test_one_takes_one_answers_and_each_sees_the_other(golub: World, at_scale: AtScale, figures: Figures) -> None:
    anna = await golub.page("/inbox")
    boris = await golub.page("/inbox", context=await colleague(golub, "Борис"))
    names = {anna: "Анна", boris: "Борис"}
    both = (anna, boris)
    seen: list[int] = []
    typed: list[int] = []
    for turn in range(at_scale(1, 20)):
        chat = golub.sim.add_chat(golub.shop, f"Ирина {turn}", world.Item("Диван", 34_900))
        golub.sim.buyer_says(chat, "Здравствуйте! Ещё продаёте?")
        chat_id = await golub.chat_id(chat)
        for page in both:
            await expect(page.locator(f"#chat-{chat_id}")).to_contain_text("Ещё продаёте?")

        await boris.evaluate(WATCH, f"#chat-{chat_id} [data-here]")
        began = await anna.evaluate("Date.now()")
        await open_chat(anna, chat_id)
        seen.append(await boris.evaluate("window.seen") - began)
        await open_chat(boris, chat_id)
        await boris.evaluate(WATCH, "#also-types")
        began = await anna.evaluate("Date.now()")
        await anna.keyboard.insert_text("Д")
        typed.append(await boris.evaluate("window.seen") - began)
        await expect(boris.locator("#also-types")).to_have_text("Анна уже пишет ответ в этом чате.")
        await anna.keyboard.press("Backspace")

        # Both take it.
        for page in both:
            await page.keyboard.press("Escape")
        answers = await at_once(both, "**/take*", lambda page: page.keyboard.press("t"))
        assert sorted(answer.status for answer in answers) == [200, 409]
        winner, loser = both if answers[0].ok else both[::-1]
        refusal = loser.locator("#toasts .toast-bad")
        await expect(refusal).to_contain_text(f"Этот чат уже взял оператор {names[winner]}.")
        await expect(winner.locator("#thread-head .chat-owner")).to_contain_text("Ваш")
        await expect(loser.locator("#thread-head .chat-owner")).to_contain_text(names[winner])
        await expect(winner.locator("#toasts .toast-bad")).to_have_count(0)
        await look(loser, "taken")
        await loser.locator("#toasts [data-dismiss]").click()

        # Both answer it.
        for page in both:
            await page.locator("#reply-text").fill(f"Да, продаём. {names[page]}")
        answers = await at_once(both, "**/reply", lambda page: page.locator("#reply-text").press("Enter"))
        asked = ["<dialog" in await answer.text() for answer in answers]
        assert sorted(asked) == [False, True]
        winner, loser = both[::-1] if asked[0] else both
        await expect(loser.locator("#preview")).to_contain_text("Коллега уже ответил")
        await expect(loser.locator("#preview .preview-news")).to_contain_text(f"Да, продаём. {names[winner]}")
        await look(loser, "answered")
        await loser.keyboard.press("Escape")
        await expect(loser.locator("#reply-text")).to_have_value(f"Да, продаём. {names[loser]}")
        await loser.locator("#reply-text").fill("")
        for page in both:
            await expect(page.locator("#messages .message.own")).to_have_count(1)
            await expect(page.locator("#outgoing > li")).to_have_count(0)
        assert [message.text for message in chat.history if message.outgoing] == [f"Да, продаём. {names[winner]}"]
    figures(turns=len(seen), slowest_seen_ms=max(seen), slowest_typing_ms=max(typed))
    if bound := at_scale(0, 1000):  # ms: what the team is promised, on a machine that has nothing else to do
        assert max(*seen, *typed) <= bound


async def test_a_cut_connection_loses_nothing_and_doubles_nothing(
    golub: World, at_scale: AtScale, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = at_scale(0, 60)
    if not seconds:
        monkeypatch.setattr(stream, "TICK", 1.0)  # a page takes its line for dead after half as much again
    chats = [golub.sim.add_chat(golub.shop, name, world.Item("Диван", 34_900)) for name in ("Ирина", "Пётр")]
    before = [golub.sim.buyer_says(chat, "до обрыва") for chat in chats]
    first, second = [await golub.chat_id(chat) for chat in chats]
    port = int(golub.url.rpartition(":")[2])
    lines = Line(port), Line(port)
    async with lines[0].opened() as one, lines[1].opened() as other:
        anna = await golub.page("/inbox", url=one)
        boris = await golub.page("/inbox", context=await colleague(golub, "Борис"), url=other)
        both = (anna, boris)
        for page in both:
            await open_chat(page, first)
        await anna.locator("#reply-text").fill("Мой ответ")
        await expect(boris.locator("#also-types")).to_be_visible()

        for line in lines:
            line.cut()
        said = [golub.sim.buyer_says(chats[0], f"в темноте {number}") for number in range(3)]
        golub.sim.edit(before[0], "до обрыва, исправлено")
        golub.sim.delete(said[2])
        golub.sim.buyer_says(chats[1], "и здесь")
        new = golub.sim.add_chat(golub.shop, "Олег", world.Item("Стол", 9_900))
        golub.sim.buyer_says(new, "новый чат")
        third = await golub.chat_id(new)
        for page in both:
            await expect(page.locator("#live")).to_be_visible()  # it says that it has no connection
        await asyncio.sleep(seconds)  # of darkness: it is what is tried
        for line in lines:
            line.mend()
        began = asyncio.get_running_loop().time()

        for page in both:
            await expect(page.locator("#live")).to_be_hidden(timeout=3 * PATIENCE)
            await expect(page.locator("#messages .message.theirs")).to_have_count(4)
            await expect(page.locator("#messages")).to_contain_text("до обрыва, исправлено")
            await expect(page.locator("#messages")).to_contain_text("Сообщение удалено")
            assert sorted(await page.evaluate(WORDS)) == ["в темноте 0", "в темноте 1", "до обрыва, исправлено"]
            await expect(page.locator("#chats")).to_contain_text("Олег")
            await expect(page.locator(f"#chat-{first}")).to_have_attribute("data-unread", "0")  # somebody has it open
            assert await page.evaluate(LIST) == [[f"chat-{third}", 1], [f"chat-{second}", 2], [f"chat-{first}", 0]]
            await expect(page.locator('[data-count="all"]')).to_have_text("3")
            await expect(page.locator('[data-count="unread"]')).to_have_text("2")
            await expect(page).to_have_title("(2) Golub")
        figures(dark_s=seconds, whole_again_s=round(asyncio.get_running_loop().time() - began, 1))

        await expect(anna.locator("#reply-text")).to_have_value("Мой ответ")
        await anna.locator("#reply-text").press("Enter")
        await anna.wait_for_selector("#preview, #messages .message.own")
        if await anna.locator("#preview").count():  # what came in the dark may have been in sight too short
            await anna.keyboard.press("Escape")
            await anna.locator("#reply-text").press("Enter")
        for page in both:
            await expect(page.locator("#messages .message.own")).to_have_count(1)
        assert [message.text for message in chats[0].history if message.outgoing] == ["Мой ответ"]
