"""What Avito refuses, or cannot be given, says why; and what a person then decides."""

import pytest

from golub.clock import HOUR, MINUTE
from golub.errors import Conflict, NotFound
from golub.model import Account, AccountState, OutgoingMessage, OutgoingState
from golub.outbox import TRIES
from tests.outbox.desk import Desk


async def test_a_refusal_says_why_and_may_be_tried_again(desk: Desk) -> None:
    _, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=400, body={"error": {"code": 400, "message": "user is blocked"}})
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.error, reply.error_code) == (OutgoingState.REJECTED, "user is blocked", "rejected")
    await desk.retry(outgoing_id)
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT


@pytest.mark.parametrize(("paid", "revoked", "code"), [(False, False, "not_paid"), (True, True, "wrong_keys")])
async def test_a_closed_account_rejects_in_words(desk: Desk, paid: bool, revoked: bool, code: str) -> None:
    _, ours = await desk.chat()
    desk.seller.paid, desk.seller.revoked = paid, revoked
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.error_code, bool(reply.error)) == (OutgoingState.REJECTED, code, True)


async def test_what_never_left_waits_and_is_sent_later(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("token", status=500, times=2)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.started_at, reply.error_code) == (OutgoingState.QUEUED, None, "unavailable")
    for _ in range(3):
        desk.clock.step(MINUTE)
        await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.error_code) == (OutgoingState.SENT, "")
    assert len(theirs.history) == 1


async def test_after_an_hour_of_silence_nothing_is_sent_unasked(desk: Desk) -> None:
    _, ours = await desk.chat()
    desk.sim.fault("token", status=500, times=None)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    async with desk.store.write() as session:
        (await session.get_one(OutgoingMessage, outgoing_id)).attempts = TRIES - 1
    for expected in (OutgoingState.QUEUED, OutgoingState.REJECTED):
        desk.clock.step(HOUR)
        await desk.work()
        assert (await desk.reply(outgoing_id)).state == expected
    assert desk.sends() == {}


async def test_an_operator_gives_up_what_is_not_on_its_way(desk: Desk) -> None:
    _, ours = await desk.chat()
    outgoing_id = await desk.write(ours, "привет")
    await desk.outbox.discard(outgoing_id)
    await desk.work()
    assert desk.sends() == {}
    with pytest.raises(Conflict):
        await desk.retry(outgoing_id)
    with pytest.raises(NotFound):
        await desk.outbox.discard(outgoing_id + 1)


async def test_the_state_of_the_account_does_not_decide(desk: Desk) -> None:
    _, ours = await desk.chat()
    async with desk.store.write() as session:
        (await session.get_one(Account, desk.account_id)).state = AccountState.UNREACHABLE
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT
