"""In order per chat, at least once, and never two at the same delivery."""

import asyncio

from golub.clock import MINUTE, SECOND
from golub.model import RelayedDelivery, RelayedState
from golub.relay.courier import AT_ONCE, LEASE
from tests.receiver import Got
from tests.relay.post import CRM, Post, said


async def test_a_failing_delivery_holds_back_its_own_chat_only(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    broken = {said(1, "u2i-a")}
    post.receiver.answer = lambda got: 500 if got.body in broken else 200
    await post.arrive(*(said(number, chat) for number in (1, 2, 3) for chat in ("u2i-a", "u2i-b")))
    await post.send()
    assert post.receiver.bodies.count(said(1, "u2i-a")) == 1
    assert [body for body in post.receiver.bodies if body not in broken] == [said(n, "u2i-b") for n in (1, 2, 3)]
    broken.clear()
    post.receiver.got.clear()
    post.clock.step(6 * SECOND)
    await post.send()
    assert post.receiver.bodies == [said(number, "u2i-a") for number in (1, 2, 3)]


async def test_order_holds_while_a_third_of_the_answers_are_errors(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    chats = [f"u2i-{number}" for number in range(6)]
    await post.arrive(*(said(number, chat) for number in range(4) for chat in chats))
    arrived: list[bytes] = []

    def answer(got: Got) -> int:
        if len(post.receiver.got) % 3 == 1:
            return 503
        arrived.append(got.body)
        return 200

    post.receiver.answer = answer
    while await post.count(RelayedDelivery.due_at.is_not(None)):
        await post.send()
        post.clock.step(10 * MINUTE)
    for chat in chats:
        own = [said(number, chat) for number in range(4)]
        assert [body for body in arrived if body in own] == own
    assert len(post.receiver.got) > len(arrived) == 24


async def test_a_crash_between_sending_and_recording_sends_again_under_the_same_id(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.open.clear()
    (delivery,) = await post.arrive(said(1))
    dying = asyncio.create_task(post.relays.run_once())
    await post.receiver.arrived.acquire()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    post.receiver.open.set()
    after = post.process()
    await post.send(after)
    assert len(post.receiver.got) == 1  # its lease: the one who sends may be alive
    post.clock.step(LEASE)
    await post.send(after)
    assert [got.delivery for got in post.receiver.got] == [delivery.hex()] * 2
    assert await post.states() == [RelayedState.SENT]


async def test_two_processes_send_each_delivery_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(*(said(1, f"u2i-{number}") for number in range(40)))
    first, second = post.process(), post.process()
    while await post.count(RelayedDelivery.due_at.is_not(None)):
        await asyncio.gather(first.run_once(), second.run_once())
    assert len(post.receiver.got) == 40
    assert len({got.delivery for got in post.receiver.got}) == 40


async def test_no_more_than_a_few_at_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(*(said(1, f"u2i-{number}") for number in range(30)))
    post.receiver.open.clear()
    sending = asyncio.create_task(post.send())
    for _ in range(AT_ONCE):
        await post.receiver.arrived.acquire()
    post.receiver.open.set()
    await sending
    assert len(post.receiver.got) == 30
    assert post.receiver.most_at_once == AT_ONCE


async def test_the_running_loop_forwards_at_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.applier.on_relayed = post.relays.nudge
    running = asyncio.create_task(post.relays.run())
    await post.arrive(said(1))
    async with asyncio.timeout(10):
        await post.receiver.arrived.acquire()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
