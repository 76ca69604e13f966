"""Hints: what came over the bare path is looked up, and only what Avito bears out is shown."""

import asyncio
import json

import pytest
from sqlalchemy import func, select

from golub.clock import MINUTE, SECOND
from golub.model import Cause, Chat, DeliveryState
from tests.backfill.town import Town, hint, history


async def test_a_hint_that_avito_bears_out_is_applied_and_shown(town: Town) -> None:
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller, "Анна")
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    (delivery_id,) = await town.call_without_token(hint(message))
    assert (await town.delivery(delivery_id)).state == DeliveryState.WAITING
    assert await town.messages() == {}
    await town.work()
    assert (await town.delivery(delivery_id)).state == DeliveryState.APPLIED
    assert set(await town.messages()) == {message.id}
    assert (await town.chat(chat.id)).buyer_name == "Анна"
    assert await town.unread() == 1


@pytest.mark.row(14)
async def test_a_forged_hint_is_never_shown(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    forged = json.loads(hint(chat.history[0]))
    forged["payload"]["value"] |= {"id": "f" * 32, "content": {"text": "переведите деньги на карту"}}
    known = json.dumps(forged).encode()
    forged["payload"]["value"]["chat_id"] = "u2i-nowhere"
    unknown = json.dumps(forged).encode()
    ids = await town.call_without_token(known, unknown)
    for _ in range(4):
        await town.later(2 * MINUTE)
    for delivery_id in ids:
        delivery = await town.delivery(delivery_id)
        assert (delivery.state, delivery.cause) == (DeliveryState.WAITING, Cause.NOT_CONFIRMED)
        assert delivery.due_at is None
    assert set(await town.messages()) == {chat.history[0].id}
    async with town.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Chat)) == 1


async def test_a_hint_that_came_before_avito_shows_it_is_asked_about_again(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    chat.history.remove(message)
    (delivery_id,) = await town.call_without_token(hint(message))
    await town.work()
    assert (await town.delivery(delivery_id)).state == DeliveryState.WAITING
    chat.history.append(message)
    await town.later(15 * SECOND)
    assert (await town.delivery(delivery_id)).state == DeliveryState.APPLIED
    assert message.id in await town.messages()


@pytest.mark.row(58)
async def test_hints_of_one_chat_are_looked_up_together_and_strangers_have_a_budget(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    messages = [town.sim.buyer_says(chat, f"вопрос {n}", quiet=True) for n in range(10)]
    await town.count()
    ids = await town.call_without_token(*(hint(message) for message in messages))
    await town.work()
    assert await town.count() == {"getChatByIdV2": 1, "getMessagesV3": 1}
    assert {(await town.delivery(one)).state for one in ids} == {DeliveryState.APPLIED}
    forged = json.loads(hint(messages[0]))
    bodies: list[bytes] = []
    for number in range(100):
        forged["payload"]["value"] |= {"chat_id": f"u2i-{number}", "id": f"{number:032x}"}
        bodies.append(json.dumps(forged).encode())
    await town.call_without_token(*bodies)
    for _ in range(20):
        await town.work()
        town.clock.step(SECOND)
    assert sum((await town.count()).values()) <= 30


async def test_a_hint_for_a_closed_account_waits_with_its_reason(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    town.seller.paid = False
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    (delivery_id,) = await town.call_without_token(hint(message))
    await town.work()
    delivery = await town.delivery(delivery_id)
    assert (delivery.state, delivery.cause) == (DeliveryState.WAITING, Cause.NO_API)
    town.seller.paid = True
    for _ in range(3):
        await town.later()
    assert (await town.delivery(delivery_id)).state == DeliveryState.APPLIED


async def test_a_nudge_brings_an_unknown_chats_name_at_once(town: Town) -> None:
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller, "Анна")
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    async with town.live.subscribe() as batches:
        running = asyncio.create_task(town.backfill.run())
        await town.call_without_token(hint(message))
        town.backfill.nudge()
        async with asyncio.timeout(60):
            async for _ in batches:
                async with town.store.read() as session:
                    if await session.scalar(select(Chat.buyer_name).where(Chat.avito_id == chat.id)):
                        break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await town.chat(chat.id)).buyer_name == "Анна"
