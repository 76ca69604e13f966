"""A reply whose writer has not seen the newest is refused and told of it: the buyer's words, a colleague's answer."""

import asyncio

import pytest
from sqlalchemy import select

from golub.model import OutgoingMessage, Role
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read


def screen_of(page: Read) -> dict[str, str]:
    """What a page's form says that its reader has seen."""
    return {name: page.all("input", name=name)[0]["value"] for name in ("seen_message", "seen_outgoing")}


async def look(browser: Browser, chat: int) -> dict[str, str]:
    return screen_of(await read(browser, f"/inbox/{chat}"))


async def answer(browser: Browser, chat: int, text: str, screen: dict[str, str], **more: str) -> Read:
    form = {"text": text, "client_key": f"key of {text}", **screen, **more}
    answer = await browser.post(f"/inbox/{chat}/reply", form, headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.text
    return Read(answer.text)


async def queued(parts: Parts) -> list[str]:
    async with parts.store.read() as session:
        return list(await session.scalars(select(OutgoingMessage.text).order_by(OutgoingMessage.id)))


async def test_what_the_buyer_wrote_meanwhile_is_shown_before_anything_is_sent(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("chat", "Ещё продаёте?")
    chat = talk.chats["chat"]
    seen = await look(manager, chat)
    await talk.says("chat", "Уже <b>не</b> нужно, спасибо")
    asked = await answer(manager, chat, "Да, приезжайте", seen)
    assert asked.all("dialog")
    assert "There is something new in this chat" in asked.text
    assert "Уже <b>не</b> нужно, спасибо" in asked.words
    assert "Ещё продаёте?" not in asked.words  # that he had seen
    assert "Да, приезжайте" in asked.words
    assert await queued(parts) == []

    await talk.says("chat", "Хотя подождите")  # while he reads the question
    again = await answer(manager, chat, "Да, приезжайте", screen_of(asked), sure="yes")
    assert "Хотя подождите" in again.words
    assert "не нужно" not in again.words
    assert await queued(parts) == []
    sent = await answer(manager, chat, "Да, приезжайте", screen_of(again), sure="yes")
    assert "in the queue" in sent.text
    assert await queued(parts) == ["Да, приезжайте"]
    await talk.says("chat", "Поздно")
    assert "in the queue" in (await answer(manager, chat, "Да, приезжайте", seen)).text  # the same click: no question
    assert await queued(parts) == ["Да, приезжайте"]


async def test_of_two_answers_at_once_one_is_sent_and_the_other_is_told_of_it(
    parts: Parts, talk: Talk, visit: Visit
) -> None:
    browsers = [await visit(Role.MANAGER), await visit(Role.ADMIN)]
    for number in range(6):
        await talk.says(f"chat-{number}", "Сколько стоит доставка?")
        chat = talk.chats[f"chat-{number}"]
        screens = [await look(browser, chat) for browser in browsers]
        answers = await asyncio.gather(
            *(
                answer(browser, chat, f"Ответ {which}", screen, client_key=f"{number}-{which}")
                for which, (browser, screen) in enumerate(zip(browsers, screens, strict=True))
            )
        )
        (told,) = (one for one in answers if one.all("dialog"))
        loser = answers.index(told)
        winner = browsers[1 - loser].operator
        assert winner
        assert "A colleague has already answered" in told.text
        assert winner.name in told.text
        assert f"Ответ {1 - loser}" in told.words
        assert len(await queued(parts)) == 2 * number + 1
        await answer(browsers[loser], chat, f"Ответ {loser}", screen_of(told), client_key=f"{number}-{loser}")
        assert len(await queued(parts)) == 2 * number + 2


async def test_what_is_no_news_asks_nothing(parts: Parts, talk: Talk, manager: Browser, visit: Visit) -> None:
    await talk.says("chat", "Где вы?")
    chat = talk.chats["chat"]
    seen = await look(manager, chat)
    assert "in the queue" in (await answer(manager, chat, "На Лесной", seen)).text
    assert "in the queue" in (await answer(manager, chat, "Дом 5", seen)).text  # his own words are none
    async with parts.store.write() as session:
        first, _ = await session.scalars(select(OutgoingMessage).order_by(OutgoingMessage.id))
        first.state, first.message_avito_id = "sent", "echo"
    await talk.says("chat", "На Лесной", name="echo", author=talk.account.user_id)  # nor what they have become
    assert "in the queue" in (await answer(manager, chat, "Подъезд 2", seen)).text
    colleague = await visit(Role.MANAGER)
    rejected = await answer(colleague, chat, "Не дошло", await look(colleague, chat))
    assert "in the queue" in rejected.text
    async with parts.store.write() as session:
        found = select(OutgoingMessage).where(OutgoingMessage.text == "Не дошло")
        (await session.scalars(found)).one().state = "rejected"
    assert "in the queue" in (await answer(manager, chat, "Этаж 3", seen)).text


@ONE_DATABASE
async def test_an_answer_given_at_avito_is_a_colleague_s_too(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "Где вы?")
    chat = talk.chats["chat"]
    seen = await look(manager, chat)
    await talk.answers("chat", "На Лесной, 5")
    assert "На Лесной, 5" in (await answer(manager, chat, "Лесная", seen)).words
    assert await queued(parts) == []


@ONE_DATABASE
async def test_without_script_the_question_is_a_page_on_which_the_reply_can_be_changed(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("chat", "Ещё продаёте?")
    chat = talk.chats["chat"]
    seen = await look(manager, chat)
    await talk.says("chat", "Торг есть?")
    page = await manager.post(f"/inbox/{chat}/reply", {"text": "Да", "client_key": "k", **seen})
    shown = Read(page.text)
    assert "Торг есть?" in shown.text
    assert "hidden" not in shown.all("textarea", name="text")[0]
    form = {"text": "Да, и торг", "client_key": "k", "sure": "yes", **screen_of(shown)}
    assert (await manager.post(f"/inbox/{chat}/reply", form)).status_code == 303
    assert await queued(parts) == ["Да, и торг"]


@ONE_DATABASE
@pytest.mark.parametrize("seen", ["-1", "x", str(2**63), "1e3", "\0"])
async def test_a_screen_of_no_rows_is_refused(parts: Parts, talk: Talk, manager: Browser, seen: str) -> None:
    await talk.says("chat", "вопрос")
    form = {"text": "Да", "client_key": "k", "seen_message": seen, "seen_outgoing": "0"}
    answer = await manager.post(f"/inbox/{talk.chats['chat']}/reply", form, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert await queued(parts) == []


@ONE_DATABASE
async def test_several_texts_go_out_one_after_another(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    form = {"csrf": manager.csrf, "client_key": "k", "text": ["Первое", " ", "Второе"]}
    answer = await manager.client.post(f"/inbox/{chat}/reply", data=form, headers={"HX-Request": "true"})
    assert "part 2 of 2" in Read(answer.text).text
    assert await queued(parts) == ["Первое", "Второе"]
    many = {**form, "client_key": "many", "text": ["раз"] * 11}
    refused = await manager.client.post(f"/inbox/{chat}/reply", data=many, headers={"HX-Request": "true"})
    assert refused.status_code == 400
