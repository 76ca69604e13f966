"""Drafts follow the operator to every device, are gone once sent, and no device overwrites another in silence."""

import asyncio
import re

import pytest
from sqlalchemy import delete, func, select

from golub.clock import DAY
from golub.housekeeping import DRAFT_DAYS, Housekeeping
from golub.model import Chat, Draft, Operator, Role
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read, reply
from tests.web.inbox.test_photos import attach, photo

SCRIPT = {"HX-Request": "true"}


async def save(browser: Browser, chat: int, text: str, base: int = 0, pictures: str = "") -> dict[str, str]:
    """What the server says of it: `data-version`, `data-stored`; and `other`, the other device's words."""
    form = {"text": text, "base": str(base), "pictures": pictures}
    answer = await browser.post(f"/inbox/{chat}/draft", form, headers=SCRIPT)
    assert answer.status_code == 200, answer.text
    shown = Read(answer.text)
    return {**shown.all("div", id="draft")[0], "other": shown.words if shown.all("form") else ""}


async def begun(browser: Browser, chat: int) -> str:
    """What the box is filled with when the chat is opened."""
    page = (await browser.get(f"/inbox/{chat}/thread")).text
    box = page[page.index('id="reply-text"') :]
    return box[box.index(">") + 1 : box.index("</textarea>")].removeprefix("\n")


async def drafted(browser: Browser) -> set[int]:
    """The chats that have a pencil in the list; as told of single rows, too."""
    page = (await browser.get("/inbox")).text
    ids = re.findall(r'id="chat-(\d+)"', page)
    signs = [Read(one).all("span", **{"class": "chat-draft"})[0] for one in page.split('<li class="chat-row')[1:]]
    found = {int(id_) for id_, sign in zip(ids, signs, strict=True) if "hidden" not in sign}
    rows = Read((await browser.get(f"/inbox/rows?ids={','.join(ids)}")).text)
    assert len(found) == sum("hidden" not in sign for sign in rows.all("span", **{"class": "chat-draft"}))
    return found


async def test_a_draft_is_there_on_every_device_until_it_is_sent(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit
) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    assert (await save(manager, chat, "Добрый <b>день</b>"))["data-version"] == "1"
    assert (await save(manager, chat, "Добрый <b>день</b>, да", base=1))["data-version"] == "2"
    assert await begun(manager, chat) == "Добрый &lt;b&gt;день&lt;/b&gt;, да"
    colleague = await visit(Role.MANAGER)
    assert await begun(colleague, chat) == ""  # his own, and nobody else's
    await talk.says("other", "вопрос")
    assert await drafted(manager) == {chat}
    assert await drafted(colleague) == set()
    await reply(manager, chat, "Добрый день, да")
    assert await begun(manager, chat) == ""
    assert await drafted(manager) == set()
    late = await save(manager, chat, "Добрый день, д", base=2)  # was under way when it was sent
    assert late["data-stored"] == "no"
    assert await begun(manager, chat) == ""
    again = await save(manager, chat, "И ещё", base=int(late["data-version"]))
    assert again["data-stored"] == "yes"
    await reply(manager, chat, "Добрый день, да")  # the same click once more
    assert await begun(manager, chat) == "И ещё"


async def test_the_newer_text_wins_and_the_other_is_kept_beside_it(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await save(manager, chat, "С телефона")
    saved = await save(manager, chat, "С компьютера", base=0)
    assert "С телефона" in saved["other"]
    page = await read(manager, f"/inbox/{chat}")
    assert "С телефона" in page.words
    assert await begun(manager, chat) == "С компьютера"
    further = await save(manager, chat, "С компьютера, дальше", base=int(saved["data-version"]))
    assert "С телефона" in further["other"]  # until a person has said what to do
    swapped = await manager.post(f"/inbox/{chat}/draft/other", {"choice": "swap"}, headers=SCRIPT)
    assert Read(swapped.text).all("div", id="draft")[0]["data-text"] == "С телефона"
    assert await begun(manager, chat) == "С телефона"
    answer = await manager.post(f"/inbox/{chat}/draft/other", {"choice": "forget"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/{chat}")
    assert "С компьютера" not in (await read(manager, f"/inbox/{chat}")).words


async def test_of_two_devices_that_save_at_once_nothing_is_lost(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await asyncio.gather(*(save(manager, chat, text) for text in ("С телефона", "С компьютера")))
    async with parts.store.read() as session:
        (draft,) = await session.scalars(select(Draft))
    assert {draft.text, draft.other_text} == {"С телефона", "С компьютера"}


@ONE_DATABASE
async def test_attached_photos_come_back_as_far_as_they_exist(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "Есть фото?")
    chat = talk.chats["chat"]
    name = Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"]
    await save(manager, chat, "Вот", pictures=f"{name},{'0' * 32}.png,../golub.db")
    await save(manager, chat, "", pictures=name, base=1)
    assert await drafted(manager) == {chat}
    page = await read(manager, f"/inbox/{chat}")
    assert [one["data-picture"] for one in page.all("li") if "data-picture" in one] == [name]


@ONE_DATABASE
async def test_what_is_no_draft_is_refused_and_what_is_out_of_sight_is_not_there(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    for form in ({"text": "x" * 20_001}, {"text": "x", "base": "-1"}, {"text": "x", "base": str(2**31)}):
        assert (await manager.post(f"/inbox/{chat}/draft", form, headers=SCRIPT)).status_code in (400, 422)
    assert (await manager.post(f"/inbox/{chat}/draft/other", {"choice": "both"})).status_code == 422
    assert (await manager.post("/inbox/4242/draft", {"text": "x"})).status_code == 404
    await save(manager, chat, "a\0b")
    assert await begun(manager, chat) == "ab"


async def test_drafts_go_with_their_chat_their_operator_and_their_time(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit, clock: SteppedClock
) -> None:
    colleague = await visit(Role.MANAGER)
    for name in ("removed", "kept"):
        await talk.says(name, "вопрос")
        for browser in (manager, colleague):
            await save(browser, talk.chats[name], "черновик")

    async def left() -> int:
        async with parts.store.read() as session:
            return await session.scalar(select(func.count()).select_from(Draft)) or 0

    async with parts.store.write() as session:
        assert colleague.operator
        await session.execute(delete(Chat).where(Chat.id == talk.chats["removed"]))
        await session.execute(delete(Operator).where(Operator.id == colleague.operator.id))
    assert await left() == 1
    housekeeping = Housekeeping(parts.store, parts.settings, clock)
    for days, expected in ((DRAFT_DAYS - 1, 1), (2, 0)):
        clock.step(days * DAY)
        await housekeeping.remove_old()
        assert await left() == expected


@ONE_DATABASE
@pytest.mark.parametrize("path", ["draft", "draft/other"])
async def test_a_draft_needs_the_page_s_token(talk: Talk, manager: Browser, path: str) -> None:
    await talk.says("chat", "вопрос")
    answer = await manager.client.post(f"/inbox/{talk.chats['chat']}/{path}", data={"text": "x", "choice": "swap"})
    assert answer.status_code == 403
