"""The doorbell, in memory and over PostgreSQL alike: heard from any thread, bounded and coalescing; it ends when the
hub closes, and whoever comes back hears what he missed."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from golub.live import EVERYTHING, Heard, Live, Ring, open_live
from golub.live.memory import PENDING_LIMIT, REMEMBERED
from golub.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def live(store: Store) -> AsyncGenerator[Live]:
    """It runs, as in a process; over PostgreSQL it has begun to listen."""
    opened = open_live(store)
    running = asyncio.create_task(opened.run())
    async with opened.subscribe() as batches, asyncio.timeout(10):
        if not store.is_sqlite:
            assert await anext(aiter(batches)) == [EVERYTHING]
    yield opened
    opened.close()
    running.cancel()
    await asyncio.wait([running])


async def test_a_ring_from_another_thread_is_heard_by_all(live: Live) -> None:
    async with live.subscribe() as one, live.subscribe() as other:
        ring = Ring(account_id=1, chat_id=17, version=42, new_message=True)
        thread = threading.Thread(target=live.ring, args=([ring],))
        thread.start()
        assert await anext(aiter(one)) == [ring]
        assert await anext(aiter(other)) == [ring]
        thread.join()
    assert live.listeners == 0


async def test_rings_of_one_chat_become_one(live: Live) -> None:
    async with live.subscribe() as batches:
        live.ring([Ring(1, 17, 3, new_message=True), Ring(1, 18, 9)])
        live.ring([Ring(1, 17, 5), Ring(1, 17, 4)])
        assert await anext(aiter(batches)) == [Ring(1, 17, 5, new_message=True), Ring(1, 18, 9)]


async def test_a_listener_far_behind_hears_everything_and_goes_on(live: Live) -> None:
    async with live.subscribe() as batches:
        listening = aiter(batches)
        for chat_id in range(1, PENDING_LIMIT + 2):
            live.ring([Ring(1, chat_id, 1)])
        live.ring([Ring(1, 7, 2)])
        assert await anext(listening) == [EVERYTHING]
        live.ring([Ring(1, 7, 3)])
        assert await anext(listening) == [Ring(1, 7, 3)]


async def test_closing_ends_every_stream_after_what_was_rung(live: Live) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(live.subscribe()) for _ in range(3)]
        live.ring([Ring(1, 1, 1)])
        threading.Thread(target=live.close).start()
        async with asyncio.timeout(60):
            heard = [[batch async for batch in stream] for stream in streams]
        assert heard == [[[Ring(1, 1, 1)]]] * 3
        async with live.subscribe() as late, asyncio.timeout(60):
            assert [batch async for batch in late] == []
        live.ring([Ring(1, 2, 1)])


async def test_who_comes_back_hears_what_he_missed_and_nothing_else(store: Store, live: Live) -> None:
    await rung(store, live, Ring(1, 17, 1))
    async with live.subscribe() as batches:
        await rung(store, live, Ring(1, 17, 2), Ring(1, 18, 1))
        here = await anext(aiter(batches))
    await rung(store, live, Ring(1, 17, 3))
    await rung(store, live, Ring(1, 19, 1))
    async with live.subscribe(here.place) as batches:
        back = await anext(aiter(batches))
        assert back == [Ring(1, 17, 3), Ring(1, 19, 1)]
    async with live.subscribe(back.place) as batches:
        await rung(store, live, Ring(1, 17, 4))
        assert await anext(aiter(batches)) == [Ring(1, 17, 4)]


async def test_who_stayed_away_too_long_or_comes_from_elsewhere_fetches_everything(store: Store, live: Live) -> None:
    async with live.subscribe() as batches:
        await rung(store, live, Ring(1, 17, 1))
        here = await anext(aiter(batches))
    await rung(store, live, *(Ring(1, chat, 1) for chat in range(1, REMEMBERED + 10)))
    for place in (here.place, "elsewhere-3", f"{here.place}9", "pg-", "x", "pg--1", "-"):
        async with live.subscribe(place) as batches, asyncio.timeout(60):
            assert await anext(aiter(batches)) == [EVERYTHING], place


async def test_a_place_is_never_ahead_of_what_was_heard(store: Store, live: Live) -> None:
    """A listener that leaves after any batch and comes back with its place has missed nothing."""
    versions: list[int] = []
    place = ""

    async def ring() -> None:
        for version in range(1, 101):
            await rung(store, live, Ring(1, 17, version), Ring(1, 1000 + version, 1))

    ringing = asyncio.create_task(ring())
    chats: set[int] = set()
    async with asyncio.timeout(20):
        while len(chats) < 101:
            async with live.subscribe(place or live.place) as batches:
                batch: Heard = await anext(aiter(batches))
            place = batch.place
            chats |= {one.chat_id for one in batch}
            versions += [one.version for one in batch if one.chat_id == 17]
    await ringing
    assert versions[-1] == 100
    assert versions == sorted(versions)


def test_a_listener_whose_loop_is_gone_is_forgotten() -> None:
    live = Live()
    subscription = live.subscribe()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(subscription.__aenter__())
    assert live.listeners == 1
    loop.close()
    live.ring([Ring(1, 1, 1)])
    assert live.listeners == 0


async def rung(store: Store, live: Live, *rings: Ring) -> None:
    """As apply does it: the number in the transaction, the ring after its commit."""

    def change() -> int:
        with store.writing() as connection:
            return live.draw(connection)

    live.ring(rings, await asyncio.to_thread(change))
