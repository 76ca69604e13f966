"""Replies are taken into the queue once a click, whole, and only where Avito would take them."""

import asyncio

import pytest
from sqlalchemy import select

from golub.errors import Conflict, Invalid
from golub.model import OutgoingMessage, OutgoingState
from golub.outbox import LONGEST, TEXT_LIMIT, split
from tests.outbox.desk import LONG, Desk


async def test_a_reply_is_sent_once_and_is_a_message_at_once(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    first = await desk.write(ours, "  Да, ещё продаётся\r\nприезжайте ", key="click")
    assert await desk.write(ours, "Да, ещё продаётся\nприезжайте", key="click") == first
    await desk.work()
    reply = await desk.reply(first)
    assert (reply.state, reply.due_at, reply.message_avito_id) == (OutgoingState.SENT, None, theirs.history[0].id)
    assert await desk.ours(ours) == ["Да, ещё продаётся\nприезжайте"]
    assert desk.sends() == {"Да, ещё продаётся\nприезжайте": 1}


async def test_two_clicks_at_once_queue_one(desk: Desk) -> None:
    _, ours = await desk.chat()
    ids = await asyncio.gather(*(desk.write(ours, "привет", key="click") for _ in range(5)))
    assert len(set(ids)) == 1


async def test_one_key_for_two_texts_is_a_conflict(desk: Desk) -> None:
    _, ours = await desk.chat()
    await desk.write(ours, "да", key="click")
    with pytest.raises(Conflict):
        await desk.write(ours, "нет", key="click")


async def test_what_avito_would_refuse_is_not_queued(desk: Desk) -> None:
    _, ours = await desk.chat()
    for text in ("", " \n ", "я" * (LONGEST + 1), "a\0b", "a\ud800"):
        with pytest.raises(Invalid):
            await desk.write(ours, text)


async def test_avitos_own_chat_takes_no_replies(desk: Desk) -> None:
    _, ours = await desk.chat("a2u")
    with pytest.raises(Invalid):
        await desk.write(ours, "привет")


async def test_a_thousand_emoji_are_a_thousand_characters(desk: Desk) -> None:
    _, ours = await desk.chat()
    outgoing_id = await desk.write(ours, "🕊" * TEXT_LIMIT)
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT


async def test_a_long_reply_goes_out_in_its_parts_in_order_and_once(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    first = await desk.write(ours, LONG, key="click")
    assert await desk.write(ours, LONG, key="click") == first
    with pytest.raises(Conflict):
        await desk.write(ours, LONG[:-40], key="click")
    await desk.work()
    assert [message.text for message in theirs.history] == split(LONG, TEXT_LIMIT)
    assert len(theirs.history) == 3
    async with desk.store.read() as session:
        rows = list(await session.scalars(select(OutgoingMessage).order_by(OutgoingMessage.id)))
    assert [(row.client_key, row.part, row.parts, row.state) for row in rows] == [
        ("click", 1, 3, OutgoingState.SENT),
        ("click/2", 2, 3, OutgoingState.SENT),
        ("click/3", 3, 3, OutgoingState.SENT),
    ]
