"""The doorbell: heard from any thread, bounded and coalescing, and it ends when the hub closes."""

import asyncio
import threading
from contextlib import AsyncExitStack

from golub.live import EVERYTHING, Live, Ring
from golub.live.memory import PENDING_LIMIT


async def test_a_ring_from_another_thread_is_heard_by_all() -> None:
    live = Live()
    async with live.subscribe() as one, live.subscribe() as other:
        ring = Ring(account_id=1, chat_id=17, version=42, new_message=True)
        thread = threading.Thread(target=live.ring, args=([ring],))
        thread.start()
        assert await anext(aiter(one)) == [ring]
        assert await anext(aiter(other)) == [ring]
        thread.join()
    assert live.listeners == 0


async def test_rings_of_one_chat_become_one() -> None:
    live = Live()
    async with live.subscribe() as batches:
        live.ring([Ring(1, 17, 3, new_message=True), Ring(1, 18, 9)])
        live.ring([Ring(1, 17, 5), Ring(1, 17, 4)])
        assert await anext(aiter(batches)) == [Ring(1, 17, 5, new_message=True), Ring(1, 18, 9)]


async def test_a_listener_far_behind_hears_everything_and_goes_on() -> None:
    live = Live()
    async with live.subscribe() as batches:
        listening = aiter(batches)
        for chat_id in range(1, PENDING_LIMIT + 2):
            live.ring([Ring(1, chat_id, 1)])
        live.ring([Ring(1, 7, 2)])
        assert await anext(listening) == [EVERYTHING]
        live.ring([Ring(1, 7, 3)])
        assert await anext(listening) == [Ring(1, 7, 3)]


async def test_closing_ends_every_stream_after_what_was_rung() -> None:
    live = Live()
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(live.subscribe()) for _ in range(3)]
        live.ring([Ring(1, 1, 1)])
        threading.Thread(target=live.close).start()
        async with asyncio.timeout(5):
            heard = [[batch async for batch in stream] for stream in streams]
        assert heard == [[[Ring(1, 1, 1)]]] * 3
        async with live.subscribe() as late, asyncio.timeout(5):
            assert [batch async for batch in late] == []
        live.ring([Ring(1, 2, 1)])


def test_a_listener_whose_loop_is_gone_is_forgotten() -> None:
    live = Live()
    subscription = live.subscribe()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(subscription.__aenter__())
    assert live.listeners == 1
    loop.close()
    live.ring([Ring(1, 1, 1)])
    assert live.listeners == 0
