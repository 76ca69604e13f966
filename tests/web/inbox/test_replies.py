"""Replies: shown at once and queued once, refused in words, asked about before, and each state that one may be in."""

from typing import Any

import pytest
from sqlalchemy import select

from golub.clock import MINUTE
from golub.model import OutgoingMessage, OutgoingState
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk
from tests.web.conftest import Browser
from tests.web.inbox.reading import Read, read, reply


async def test_a_reply_is_shown_at_once_and_queued_once(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    for _ in range(2):
        answer = await reply(manager, chat, "Да, в наличии!\r\nПриезжайте", key="one-click")
        assert answer.status_code == 200
        shown = Read(answer.text)
        assert len(shown.all("li")) == 1
        assert "Да, в наличии!" in shown.words
        assert "in the queue" in shown.text
        assert manager.operator
        assert manager.operator.name in shown.text
    assert "Да, в наличии!" in (await read(manager, f"/inbox/{chat}")).words


@ONE_DATABASE
async def test_a_reply_without_script_leads_back_to_the_chat(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    answer = await manager.post(f"/inbox/{chat}/reply", {"text": "Да", "client_key": "k"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/{chat}")


@ONE_DATABASE
@pytest.mark.parametrize("text", ["", "  \n ", "ы" * 10_001, "a\0b"], ids=["none", "blank", "long", "null"])
async def test_what_avito_would_not_take_is_refused_before(
    parts: Parts, talk: Talk, manager: Browser, text: str
) -> None:
    await talk.says("chat", "вопрос")
    answer = await reply(manager, talk.chats["chat"], text)
    assert answer.status_code == 400
    assert answer.headers["hx-retarget"] == "#toasts"
    async with parts.store.read() as session:
        assert list(await session.scalars(select(OutgoingMessage))) == []


@ONE_DATABASE
async def test_a_thousand_characters_are_counted_as_people_count(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    answer = await reply(manager, talk.chats["chat"], "🛋" * 1000)
    assert answer.status_code == 200


@ONE_DATABASE
async def test_avito_s_own_chat_has_no_box_to_write_in(talk: Talk, manager: Browser) -> None:
    await talk.says("a2u-1", "[Системное сообщение]", kind="system", author=1)
    await talk.facts("a2u-1", name="Авито")
    page = await read(manager, f"/inbox/{talk.chats['a2u-1']}")
    assert page.all("form", id="reply") == []
    assert (await reply(manager, talk.chats["a2u-1"], "привет")).status_code == 400


async def queued(parts: Parts) -> list[str]:
    async with parts.store.read() as session:
        return list(await session.scalars(select(OutgoingMessage.text).order_by(OutgoingMessage.id)))


@ONE_DATABASE
async def test_a_long_reply_is_shown_in_its_parts_before_it_is_queued(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("chat", "Расскажите")
    chat = talk.chats["chat"]
    long = "Слово <b>за</b> словом. " * 90
    answer = await reply(manager, chat, long)
    shown = Read(answer.text)
    assert shown.all("dialog")
    assert len(shown.all("li")) == 3
    assert "We will send it in 3 messages" in shown.text
    assert "Слово <b>за</b> словом." in shown.text
    assert await queued(parts) == []
    page = await manager.post(f"/inbox/{chat}/reply", {"text": long, "client_key": "key"})
    assert Read(page.text).all("input", name="sure")  # without script it is a page
    sure = {"text": long, "client_key": "key", "sure": "yes"}
    for _ in range(2):
        answer = await manager.post(f"/inbox/{chat}/reply", sure, headers={"HX-Request": "true"})
        assert "part 2 of 3" in Read(answer.text).text
    assert len(await queued(parts)) == 3


async def test_the_same_words_again_are_a_question_to_a_person(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    await talk.says("chat", "Ещё есть?")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Да", key="one")
    assert not Read((await reply(manager, chat, "Да", key="one")).text).all("dialog")  # the same click: no question
    asked = Read((await reply(manager, chat, " Да\n", key="two")).text)
    assert "You have just sent the same message." in asked.text
    assert await queued(parts) == ["Да"]
    await manager.post(
        f"/inbox/{chat}/reply", {"text": "Да", "client_key": "two", "sure": "yes"}, headers={"HX-Request": "true"}
    )
    assert await queued(parts) == ["Да", "Да"]
    clock.step(11 * MINUTE)
    assert not Read((await reply(manager, chat, "Да", key="three")).text).all("dialog")


async def test_a_sent_reply_is_shown_once_with_its_writer(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Отправляем сегодня")
    await set_outgoing(parts, chat, OutgoingState.SENT, message_avito_id="echo")
    assert (await read(manager, f"/inbox/{chat}")).words.count("Отправляем сегодня") == 1
    await talk.says("chat", "Отправляем сегодня", name="echo", author=talk.account.user_id)
    page = await read(manager, f"/inbox/{chat}/thread")
    assert page.words.count("Отправляем сегодня") == 1
    assert manager.operator
    assert manager.operator.name in page.text


@ONE_DATABASE
@pytest.mark.parametrize(
    ("state", "words", "verbs"),
    [
        (OutgoingState.UNCONFIRMED, "It may have arrived.", {"discard", "retry"}),
        (OutgoingState.REJECTED, "message too long <b>", {"discard", "retry"}),
        (OutgoingState.SENDING, "being sent", set[str]()),
    ],
)
async def test_each_state_of_a_reply_says_what_is_and_what_can_be_done(
    parts: Parts, talk: Talk, manager: Browser, state: OutgoingState, words: str, verbs: set[str]
) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Да")
    number = await set_outgoing(parts, chat, state, error="message too long <b>", due_at=None)
    page = await read(manager, f"/inbox/{chat}")
    assert words in page.text
    actions = {form["action"] for form in page.all("form") if "/outgoing/" in form["action"]}
    assert actions == {f"/inbox/outgoing/{number}/{verb}" for verb in verbs}


async def test_a_rejected_reply_is_sent_again_or_removed(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Да")
    number = await set_outgoing(parts, chat, OutgoingState.REJECTED, due_at=None)
    answer = await manager.post(f"/inbox/outgoing/{number}/retry", headers={"HX-Request": "true"})
    assert "in the queue" in Read(answer.text).text
    await set_outgoing(parts, chat, OutgoingState.REJECTED, due_at=None)
    answer = await manager.post(f"/inbox/outgoing/{number}/discard", headers={"HX-Request": "true"})
    assert Read(answer.text).all("li") == []
    assert (await manager.post("/inbox/outgoing/4242/retry")).status_code == 404


@ONE_DATABASE
async def test_every_unsafe_request_needs_the_page_s_token(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    for url in (f"/inbox/{chat}/reply", f"/inbox/{chat}/read", "/inbox/outgoing/1/retry", "/inbox/outgoing/1/discard"):
        answer = await manager.client.post(url, data={"text": "x", "up_to": "1"})
        assert answer.status_code == 403


async def set_outgoing(parts: Parts, chat: int, state: OutgoingState, **values: Any) -> int:
    async with parts.store.write() as session:
        outgoing = (await session.scalars(select(OutgoingMessage).where(OutgoingMessage.chat_id == chat))).one()
        outgoing.state = state
        for name, value in values.items():
            setattr(outgoing, name, value)
    return outgoing.id
