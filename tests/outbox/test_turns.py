"""Replies of one chat go strictly in their order, no chat waits for another, and two processes never send the same."""

import asyncio

import pytest

from golub.clock import HOUR, MINUTE
from golub.model import OutgoingState
from golub.outbox import LEASE, TEXT_LIMIT, split
from tests.outbox.desk import LONG, Desk


async def test_replies_of_a_chat_keep_their_order(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    texts = [f"сообщение {number}" for number in range(6)]
    for text in texts:
        await desk.write(ours, text)
    desk.sim.fault("postSendMessage", status=429, headers={"retry-after": "1"}, times=2)
    for _ in range(20):
        await desk.work()
        desk.clock.step(MINUTE)
    assert [message.text for message in theirs.history] == texts


@pytest.mark.parametrize("status", [400, 500])
async def test_after_a_part_that_failed_no_other_goes_out_alone(desk: Desk, status: int) -> None:
    theirs, ours = await desk.chat()
    await desk.write(ours, "Здравствуйте")
    await desk.work()
    first = await desk.write(ours, LONG)
    desk.sim.fault("postSendMessage", status=status)
    other = await desk.write(ours, "А это другой ответ")
    for _ in range(8):
        await desk.work()
        desk.clock.step(HOUR)
    states = [(await desk.reply(first + number)).state for number in range(3)]
    failed = OutgoingState.REJECTED if status == 400 else OutgoingState.UNCONFIRMED
    assert states == [failed, OutgoingState.REJECTED, OutgoingState.REJECTED]
    assert (await desk.reply(first + 1)).error_code == "earlier_part"
    assert (await desk.reply(other)).state == OutgoingState.SENT
    for number in range(3):  # a person sends them again, one by one
        await desk.retry(first + number)
    assert [message.text for message in theirs.history][2:] == split(LONG, TEXT_LIMIT)


async def test_a_hanging_chat_holds_up_no_other(desk: Desk) -> None:
    (_, slow), (_, quick) = await desk.chat(), await desk.chat()
    desk.sim.fault("postSendMessage", hang=True)
    slow_id, quick_id = await desk.write(slow, "раз"), await desk.write(quick, "два")
    rings: list[int] = []
    async with desk.live.subscribe() as batches:
        running = asyncio.create_task(desk.outbox.run())
        async for batch in batches:
            rings += [ring.chat_id for ring in batch]
            sent = OutgoingState.SENT in {(await desk.reply(one)).state for one in (slow_id, quick_id)}
            if sent and {slow.id, quick.id} == set(rings):
                break
    states = {(await desk.reply(one)).state for one in (slow_id, quick_id)}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert states == {OutgoingState.SENDING, OutgoingState.SENT}


async def test_two_processes_send_each_reply_once(desk: Desk) -> None:
    chats = [(await desk.chat())[1] for _ in range(10)]
    for chat in chats:
        await desk.write(chat, f"раз в {chat.id}")
        await desk.write(chat, f"два в {chat.id}")
    other = desk.process()
    for _ in range(6):
        await asyncio.gather(desk.outbox.run_once(), other.run_once())
        desk.clock.step(LEASE)  # on a busy machine the database may have been too slow for one of them
    assert sum(desk.sends().values()) == 20
    assert set(desk.sends().values()) == {1}
