"""Who is at a chat, in memory and over PostgreSQL alike: known at once and for some seconds, and written nowhere."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from golub.live import Beat, Here, Live, Ring
from golub.live import memory as memory_module
from golub.live.postgres import LiveOverPostgres
from golub.live.presence import LIFE, TABS_AN_OPERATOR
from golub.store import Store

pytestmark = pytest.mark.anyio

ANNA, BORIS = 1, 2


@dataclass
class Seconds:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    monkeypatch.setattr(memory_module, "EXPIRE_EVERY", 0.02)
    return Seconds()


@asynccontextmanager
async def process(store: Store, seconds: Seconds) -> AsyncGenerator[Live]:
    live = Live(seconds) if store.is_sqlite else LiveOverPostgres(store, seconds)
    running = asyncio.create_task(live.run())
    async with live.subscribe() as batches, asyncio.timeout(10):
        if not store.is_sqlite:
            await anext(aiter(batches))  # it has begun to listen
    yield live
    live.close()
    running.cancel()
    await asyncio.wait([running])


async def until(live: Live, chat_id: int, operators: dict[int, bool]) -> None:
    async with live.subscribe() as batches, asyncio.timeout(20):
        while live.here(chat_id).operators != operators:
            await anext(aiter(batches))


async def test_who_comes_types_and_goes_is_told_and_no_chat_rings(store: Store, seconds: Seconds) -> None:
    async with process(store, seconds) as live, live.subscribe() as batches, asyncio.timeout(20):
        heard = aiter(batches)
        live.meet(Beat(ANNA, "a", 7, 17))
        batch = await anext(heard)
        assert (list(batch), batch.moved, live.here(17)) == ([], {17}, Here(7, {ANNA: False}))
        live.meet(Beat(ANNA, "a", 7, 17))  # again and again: nothing is another
        live.meet(Beat(BORIS, "b", 7, 17, typing=True))
        assert (await anext(heard)).moved == {17}
        assert live.here(17).operators == {ANNA: False, BORIS: True}
        live.meet(Beat(ANNA, "a", 7, 18))
        live.meet(Beat(BORIS, "b"))
        assert (await anext(heard)).moved == {17, 18}
        assert (live.here(17).operators, live.here(18).operators) == ({}, {ANNA: False})


async def test_two_tabs_of_one_operator_are_one_person(store: Store, seconds: Seconds) -> None:
    async with process(store, seconds) as live:
        live.meet(Beat(ANNA, "a", 7, 17))
        live.meet(Beat(ANNA, "b", 7, 17, typing=True))
        assert live.here(17).operators == {ANNA: True}
        live.meet(Beat(ANNA, "b"))
        assert live.here(17).operators == {ANNA: False}


async def test_who_falls_silent_has_left(store: Store, seconds: Seconds) -> None:
    async with process(store, seconds) as live:
        live.meet(Beat(ANNA, "a", 7, 17))
        seconds.now += LIFE / 2
        live.meet(Beat(BORIS, "b", 7, 17))
        seconds.now += LIFE / 2
        await until(live, 17, {BORIS: False})
        seconds.now += LIFE / 2
        await until(live, 17, {})
        assert len(live._presence) == 0


async def test_a_new_listener_learns_who_is_there_already(store: Store, seconds: Seconds) -> None:
    async with process(store, seconds) as live:
        live.meet(Beat(ANNA, "a", 7, 17))
        async with live.subscribe() as batches, asyncio.timeout(20):
            assert (await anext(aiter(batches))).moved == {17}


async def test_an_operator_with_a_thousand_tabs_is_at_a_few(store: Store, seconds: Seconds) -> None:
    async with process(store, seconds) as live:
        live.meet(Beat(BORIS, "b", 7, 1))
        for number in range(1000):
            live.meet(Beat(ANNA, f"{number}", 7, number + 1))
        assert len(live._presence) == TABS_AN_OPERATOR + 1
        assert live.here(1).operators == {BORIS: False}
        assert live.here(1000).operators == {ANNA: False}


async def test_who_never_reads_holds_no_more_than_the_chats_and_still_hears_the_rings(
    store: Store, seconds: Seconds
) -> None:
    async with process(store, seconds) as live, live.subscribe() as batches, asyncio.timeout(20):
        for number in range(1000):
            live.meet(Beat(ANNA, "a", 7, 17 + number % 2, typing=number % 3 == 0))
        live.ring([Ring(7, 17, 5)])
        batch = await anext(aiter(batches))
        assert (list(batch), batch.moved) == ([Ring(7, 17, 5)], {17, 18})


@pytest.mark.postgres
async def test_another_process_knows_it_and_forgets_a_process_that_died(postgres_url: str, seconds: Seconds) -> None:
    store = Store(postgres_url)
    async with process(store, seconds) as one:
        async with process(store, seconds) as other:
            other.meet(Beat(ANNA, "a", 7, 17, typing=True))
            await until(one, 17, {ANNA: True})
            other.meet(Beat(BORIS, "b", 7, 17))
            other.meet(Beat(ANNA, "a", 7, 17))
            await until(one, 17, {ANNA: False, BORIS: False})
            one.meet(Beat(BORIS, "b"))  # his browser now talks to another node
            await until(other, 17, {ANNA: False})
        seconds.now += LIFE  # it died, and said nothing
        await until(one, 17, {})
        assert one._all_heard == 0  # no ring was counted for all this
    await store.close()


@pytest.mark.postgres
async def test_two_hundred_at_once_are_carried_whole(postgres_url: str, seconds: Seconds) -> None:
    store = Store(postgres_url)
    async with process(store, seconds) as one, process(store, seconds) as other:
        everybody = dict.fromkeys(range(2**62, 2**62 + 200), True)
        for operator_id in everybody:
            one.meet(Beat(operator_id, "f" * 16, 2**62, 2**62, typing=True))
        await until(other, 2**62, everybody)
    await store.close()
