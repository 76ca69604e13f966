"""A reply whose answer was lost is looked for in the chat, taken for no other, and never sent again by itself."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from golub.clock import HOUR, SECOND
from golub.model import OutgoingState
from tests.conftest import AtScale
from tests.outbox.desk import Desk
from tests.promises import Figures


@pytest.mark.parametrize("call_seconds", [0.5])
@pytest.mark.parametrize("fault", [{"hang": True, "after": True}, {"status": 500, "after": True}])
async def test_a_lost_answer_is_looked_up_and_found(desk: Desk, fault: dict[str, Any]) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendMessage", **fault)
    outgoing_id = await desk.write(ours, "привет")
    reply = await desk.work_until_done(outgoing_id)
    assert (reply.state, reply.message_avito_id) == (OutgoingState.SENT, theirs.history[0].id)
    assert desk.sends() == {"привет": 1}


async def test_a_lost_send_stays_unconfirmed_until_the_operator_decides(desk: Desk) -> None:
    _, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=500)
    outgoing_id = await desk.write(ours, "привет")
    for _ in range(8):
        await desk.work()
        desk.clock.step(HOUR)
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.due_at, reply.error_code) == (OutgoingState.UNCONFIRMED, None, "ambiguous")
    assert desk.sends() == {}
    await desk.retry(outgoing_id)
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT
    assert desk.sends() == {"привет": 1}


async def test_a_message_that_shows_up_late_is_found_and_not_sent_again(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=500)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.UNCONFIRMED
    desk.sim.shop_said(theirs, "привет", at=desk.clock() // 1000)  # Avito was slow, and did it after all
    await desk.retry(outgoing_id)
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT
    assert desk.sends() == {"привет": 1}


async def test_a_message_is_never_taken_for_another_with_the_same_words(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    first = await desk.write(ours, "Да")
    await desk.work()
    desk.clock.step(2 * SECOND)
    desk.sim.fault("postSendMessage", status=500)
    second = await desk.write(ours, "Да")
    await desk.work()
    assert (await desk.reply(first)).message_avito_id == theirs.history[0].id
    assert (await desk.reply(second)).state == OutgoingState.UNCONFIRMED


async def test_what_was_there_before_is_not_what_was_sent(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.shop_said(theirs, "Да", at=desk.clock() // 1000 - 60)
    desk.sim.fault("postSendMessage", status=500)
    outgoing_id = await desk.write(ours, "Да")
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.UNCONFIRMED


async def test_what_avito_answers_counts_more_than_what_was_found_by_words(desk: Desk) -> None:
    """The first is looked for while the second is on its way, and takes that one's message for its own."""
    _, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=500)
    first = await desk.write(ours, "Да")
    assert (await desk.work_until_done(first)).state == OutgoingState.UNCONFIRMED
    second = await desk.write(ours, "Да")
    other, anna = desk.process(), await desk.operator()
    taken: list[str] = []

    async def meanwhile(path: str) -> None:
        desk.network.meanwhile = None
        await other.retry(first, anna)
        await other.run_once()
        taken.append((await desk.reply(first)).state)

    desk.network.meanwhile = meanwhile
    await desk.outbox.run_once()
    assert taken == [OutgoingState.SENT]
    assert (await desk.reply(second)).state == OutgoingState.SENT
    assert (await desk.work_until_done(first)).state == OutgoingState.UNCONFIRMED
    await desk.retry(first)
    assert (await desk.reply(first)).state == OutgoingState.SENT
    assert desk.sends() == {"Да": 2}


async def test_two_that_are_looked_up_at_once_never_take_the_same_message(desk: Desk) -> None:
    """The first was given up and is wanted again while another process looks for the second."""
    for _ in range(8):
        theirs, ours = await desk.chat()
        replies: list[int] = []
        for _ in range(2):
            desk.sim.fault("postSendMessage", status=500)
            replies.append(await desk.write(ours, "Да"))
            await desk.work_until_done(replies[-1])
        desk.sim.shop_said(theirs, "Да", at=desk.clock() // SECOND)
        anna = await desk.operator()
        for one in replies:
            await desk.outbox.retry(one, anna)
        await asyncio.gather(
            *(
                process._sender.attend_to(one)
                for process, one in zip((desk.outbox, desk.process()), replies, strict=True)
            )
        )
        await desk.work()
        ended = [await desk.reply(one) for one in replies]
        assert {one.message_avito_id for one in ended} == {one.id for one in theirs.history}
        assert len(theirs.history) == 2


@pytest.mark.promise("P7")
async def test_whoever_dies_between_sending_and_recording_sends_nothing_twice(
    desk: Desk, at_scale: AtScale, figures: Figures, seed: int
) -> None:
    """Killed at a random moment around the request: the next process looks it up, and never sends it blindly."""
    dice = random.Random(seed)
    theirs, ours = await desk.chat()
    ended: Counter[str] = Counter()
    for trial in range(at_scale(16, 100)):
        outgoing_id = await desk.write(ours, f"ответ {trial}")
        desk.sim.fault("postSendMessage", hang=True, after=trial % 4 != 0)
        steps = dice.choice([0, 1, 2, 5, 20])
        reply = await desk.die_and_go_on(outgoing_id, on_arrival=trial % 5 != 0, steps=steps)
        ended[reply.state] += 1
        assert desk.sends()[reply.text] == (reply.state == OutgoingState.SENT)
    sends = desk.sends()
    figures(trials=sum(ended.values()), double_sends=sum(number > 1 for number in sends.values()), **ended)
    assert max(sends.values()) == 1
    assert ended.keys() == {OutgoingState.SENT, OutgoingState.UNCONFIRMED}
    assert len(theirs.history) == ended[OutgoingState.SENT]
