"""A day in the life: buyers write without a pause, and an operator works through chats by keyboard alone.

`make day` does thirty of them on a desktop and on a phone while twenty messages a second come in, and leaves pictures
for a person's eyes. Not part of the suite, for it takes minutes.
"""

import asyncio
import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.async_api import Page, expect
from sqlalchemy import select

from golub import inbox
from golub.audit import CONSOLE
from golub.composing import quick_replies
from golub.composing.prepared import NewPicture
from golub.composing.quick_replies import Wording
from golub.model import Chat, ChatLabel, Note, Operator, Role
from golub.sight import ALL_ACCOUNTS
from golub.simulator import Lively, world
from tests.browser.conftest import PHONE, World
from tests.conftest import AtScale
from tests.promises import Figures

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

GOODS = ("Диван «Берген»", "Шкаф-купе", "Стол раздвижной", "Кровать с ящиками", "Стеллаж")
PASSWORD = "correct horse battery"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
POCKET: dict[str, Any] = {"viewport": PHONE, "is_mobile": True, "has_touch": True}  # with a keyboard of its own


@dataclass
class Day:
    """An operator's browser. Nothing in it is clicked: all is `page.keyboard`'s."""

    golub: World
    page: Page
    name: str  # of the pictures
    sends: str  # the key
    answers: dict[int, list[str]] = field(default_factory=dict[int, list[str]])  # by chat: what the buyer must get

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.page.keyboard.press(key)

    async def look(self, what: str) -> None:
        """A picture, where `GOLUB_LOOK` names a folder for them."""
        if folder := os.environ.get("GOLUB_LOOK"):
            await self.page.screenshot(
                caret="initial", path=Path(folder) / f"day-{self.name}-{len(self.answers):02}-{what}.png"
            )

    async def sign_in(self) -> None:
        await expect(self.page.locator("[name=login]")).to_be_focused()
        await self.look("sign-in")
        await self.page.keyboard.type("olga")
        await self.press("Tab")
        await self.page.keyboard.type(PASSWORD)
        await self.press("Enter")
        await self.page.wait_for_url(lambda url: urlsplit(url).path == "/inbox")
        await self.press("g", "w")
        await self.page.wait_for_url("**/inbox?view=waiting")

    async def open(self) -> int:
        """The chat that has waited longest; `j` alone goes on from the one that was left."""
        async with self.page.expect_navigation():
            await self.press("g", "w")
        rows = self.page.locator(".chat-row")
        await expect(rows.first.locator(".chat-item")).to_be_visible()
        await self.look("list")
        await self.press("j")
        chat_id = int(await self.page.evaluate("document.activeElement.closest('.chat-row').dataset.chat"))
        assert chat_id not in self.answers
        await self.press("o")
        await expect(self.page.locator(f'#thread[data-chat="{chat_id}"]')).to_be_visible()
        await expect(self.page.locator("#reply-text")).to_be_focused()
        await self.press("Escape")
        self.answers[chat_id] = []
        return chat_id

    async def take(self) -> None:
        await self.press("t")
        await expect(self.page.locator("#thread-head .chat-owner")).to_be_visible()

    async def reply(self, chat_id: int, words: str) -> None:
        await self.press("r")
        await self.page.keyboard.type(words)
        await self.send(chat_id, words)

    async def reply_with_photo(self, chat_id: int) -> None:
        await self.press("r")
        await self.page.keyboard.type("/размеры")
        await expect(self.page.locator(".quick-choice:visible")).to_have_count(1)
        await self.look("quick-reply")
        await self.press("Enter")
        await expect(self.page.locator("#attached > .attached[data-picture]")).to_have_count(1)
        await self.send(chat_id, "Размеры на фото. Подойдёт?")

    async def send(self, chat_id: int, words: str) -> None:
        """And once more, where the buyer has just written: the operator is asked, and looks first."""
        box = self.page.locator("#reply-text")
        await expect(box).to_have_value(words)
        await expect(self.page.locator(".reply-send")).to_be_enabled()
        own = self.page.locator("#messages .message.own", has_text=words)
        while True:
            await self.press(self.sends)
            await self.page.wait_for_selector("#preview, #messages .message.own .words")
            if not await self.page.locator("#preview").count():
                break
            await self.look("asked")
            await self.press("Escape")
            await expect(box).to_be_focused()
        await expect(own).to_be_visible()
        await expect(self.page.locator("#outgoing > li")).to_have_count(0)
        self.answers[chat_id].append(words)
        await self.press("Escape")

    async def note(self, words: str) -> None:
        await self.press("n")
        await expect(self.page.locator("#note-text")).to_be_focused()
        await self.page.keyboard.type(words)
        await self.press(self.sends)
        await expect(self.page.locator("#messages .note")).to_contain_text(words)
        await self.look("note")
        await self.press("Escape", "r")
        await expect(self.page.locator("#reply-text")).to_be_focused()
        await self.press("Escape")

    async def label(self) -> None:
        await self.press("l")
        await expect(self.page.locator(".care-menu[open] button").first).to_be_focused()
        await self.press("ArrowDown", "ArrowUp")
        await self.look("label")
        await self.press("Enter")
        await expect(self.page.locator("#thread-head .label")).to_contain_text("Горячий")

    async def snooze(self) -> None:
        await self.until("snoozed", "snooze", "s", "Enter")

    async def close(self) -> None:
        await self.until("closed", "close", "e")

    async def until(self, state: str, verb: str, *keys: str) -> None:
        """Presses them until the chat is in that state: a buyer who has just written keeps it open."""
        answered = False
        while not answered:
            async with self.page.expect_response(lambda answer: answer.url.partition("?")[0].endswith(verb)) as told:
                await self.press(*keys)
            answered = (await told.value).ok
            await expect(self.page.locator(".care-menu[open]")).to_have_count(0)  # the page has taken it in
        await expect(self.page.locator("#thread-head")).to_have_attribute("data-state", state)
        await self.look(state)

    async def undo(self) -> None:
        await self.press("z")
        await expect(self.page.locator("#thread-head")).to_have_attribute("data-state", re.compile("open|waiting"))

    async def hand_over(self) -> None:
        await self.press("h")
        option = self.page.locator(".care-menu[open] button", has_text="Борис")
        await expect(option).to_be_visible()
        await self.look("hand-over")
        while not await option.evaluate("(option) => option === document.activeElement"):
            await self.press("ArrowDown")
        await self.press("Enter")
        await expect(self.page.locator("#thread-head .chat-owner")).to_contain_text("Борис")

    async def search(self, words: str) -> None:
        await self.press("Escape", "/")
        await expect(self.page.locator("#search-box")).to_be_focused()
        await self.page.keyboard.type(words)
        await self.press("Enter")
        await self.page.wait_for_url("**/inbox/search**")
        hits = self.page.locator("#search-results .search-hit")
        await expect(hits.first).to_be_visible()
        await self.look("search")
        await self.press("ArrowDown")
        await expect(hits.first).to_be_focused()
        await self.press("Enter")
        await self.page.wait_for_url(re.compile("/inbox/[0-9]+"))
        await expect(self.page.locator("#thread")).to_be_visible()
        await self.look("found")
        await self.press("Escape", "g", "w")
        await self.page.wait_for_url("**/inbox?view=waiting")

    async def back(self) -> None:
        """To the list, which a phone shows in the chat's place."""
        await self.press("Escape")
        await expect(self.page.locator("#chats")).to_be_visible()


async def test_a_day_by_keys_alone(golub: World, at_scale: AtScale, figures: Figures) -> None:
    boris = await golub.parts.operators.create("boris", PASSWORD, name="Борис", role=Role.MANAGER)
    olga = await golub.parts.operators.create("olga", PASSWORD, name="Ольга", role=Role.MANAGER)
    await _ready(golub, olga)
    many = at_scale(2, 30)
    for number in range(2 * many):
        item = world.Item(GOODS[number % len(GOODS)], 9_900 + 500 * number)
        chat = golub.sim.add_chat(golub.shop, f"Покупатель {number}", item)
        golub.sim.buyer_says(chat, f"Здравствуйте! {item.title} ещё в продаже?")
    await golub.sim.idle()
    lively = asyncio.create_task(Lively(golub.sim, 1 / at_scale(2, 20)).run())
    try:
        for name, profile, sends in (("desktop", DESKTOP, "Enter"), ("phone", POCKET, "Control+Enter")):
            context = await golub.browser.new_context(**profile, locale="ru-RU", service_workers="block")
            page = await golub.page("/inbox", context=context)
            day = Day(golub, page, name, sends)
            await day.sign_in()
            for turn in range(many):
                await _one_chat(day, turn)
            await day.search("продаже")
            await _judge(golub, day, olga, boris)
            figures(**{f"{name}_chats": len(day.answers), f"{name}_sent": sum(map(len, day.answers.values()))})
            await context.close()
    finally:
        lively.cancel()
        await asyncio.wait([lively])
    figures(messages=len(golub.sim.world.messages))


async def _one_chat(day: Day, turn: int) -> None:
    chat_id = await day.open()
    await day.look("open")
    await day.take()
    if turn % 3 == 0:
        await day.reply_with_photo(chat_id)
    else:
        await day.reply(chat_id, f"Да, в продаже, приезжайте. №{turn}")
    if turn % 3 == 1:
        await day.note(f"Обещал приехать, {turn}")
    if turn % 3 == 2:
        await day.label()
    await day.look("answered")
    if turn % 4 == 0:
        await day.close()
        await day.undo()
        await day.close()
    elif turn % 4 == 1:
        await day.snooze()
    elif turn % 4 == 2:
        await day.hand_over()
    else:
        await day.close()
    await day.back()


async def _ready(golub: World, olga: Operator) -> None:
    """A label, and a quick reply with a photo."""
    out = io.BytesIO()
    Image.effect_mandelbrot((640, 480), (-2, -1, 1, 1), 60).convert("RGB").save(out, "PNG")
    pictures = golub.parts.outbox.pictures
    name = await pictures.add(out.getvalue())
    photo = NewPicture(name.rpartition(".")[2], await pictures.read(name), await pictures.small(name))
    wording = Wording("размеры", ["Размеры на фото. Подойдёт?"], own=True, pictures=[photo])
    async with golub.parts.store.write() as session:
        await inbox.add_label(session, "Горячий", inbox.COLOURS[0], by=CONSOLE, now=golub.parts.clock())
        await quick_replies.write(
            session, ALL_ACCOUNTS, olga, wording, quick_id=None, by=CONSOLE, now=golub.parts.clock()
        )


async def _judge(golub: World, day: Day, olga: Operator, boris: Operator) -> None:
    """What the page said is what is kept, and what the buyers got."""
    async with golub.parts.store.read() as session:
        chats = {chat.id: chat for chat in await session.scalars(select(Chat).where(Chat.id.in_(day.answers)))}
        notes = list(await session.scalars(select(Note.chat_id).where(Note.chat_id.in_(day.answers))))
        labels = list(await session.scalars(select(ChatLabel.chat_id).where(ChatLabel.chat_id.in_(day.answers))))
    for turn, (chat_id, answers) in enumerate(day.answers.items()):
        chat = chats[chat_id]
        told = [message for message in golub.sim.world.chats[chat.avito_id].history if message.outgoing]
        assert [message.text for message in told if message.type == "text"] == answers
        assert [message.type for message in told].count("image") == (turn % 3 == 0)
        assert notes.count(chat_id) == (turn % 3 == 1)
        assert labels.count(chat_id) == (turn % 3 == 2)
        assert chat.owner_id == (boris.id if turn % 4 == 2 else olga.id)
