"""The doorbell between processes, and every way in which a ring can get lost on its way (P13): pages are right a few
seconds later, and nothing is missing once the line is back."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from golub.live import EVERYTHING, Heard, Ring
from golub.live.postgres import CHANNEL, GRACE, LOOK_EVERY, LiveOverPostgres
from golub.store import Store
from tests.conftest import AtScale
from tests.postgres import OwnPostgres
from tests.promises import Figures

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.promise("P13")]

RIGHT_WITHIN = 5.0  # seconds: the promise
PATIENCE = 60.0  # seconds until a test gives up


@asynccontextmanager
async def process(url: str) -> AsyncGenerator[tuple[Store, LiveOverPostgres]]:
    """The bell of one process, once it listens."""
    store = Store(url)
    live = LiveOverPostgres(store)
    async with live.subscribe() as batches:
        running = asyncio.create_task(live.run())
        async with asyncio.timeout(10):
            assert await anext(aiter(batches)) == [EVERYTHING]
    try:
        yield store, live
    finally:
        live.close()
        running.cancel()
        await asyncio.wait([running])
        await store.close()


@asynccontextmanager
async def both(url: str) -> AsyncGenerator[tuple[Store, LiveOverPostgres, LiveOverPostgres]]:
    async with process(url) as (store, one), process(url) as (_, other):
        yield store, one, other


@asynccontextmanager
async def hearing(live: LiveOverPostgres, after: str = "") -> AsyncGenerator[asyncio.Queue[Heard]]:
    heard = asyncio.Queue[Heard]()

    async def listen() -> None:
        async with live.subscribe(after) as batches:
            async for batch in batches:
                heard.put_nowait(batch)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)  # it subscribes
    yield heard
    listening.cancel()
    await asyncio.wait([listening])


async def change(store: Store, live: LiveOverPostgres, *rings: Ring, tell: bool = True) -> None:
    """A commit and its ring; without `tell` the process dies between the two."""

    def commit() -> int:
        with store.writing() as connection:
            return live.draw(connection)

    number = await asyncio.to_thread(commit)
    if tell:
        live.ring(rings, number)


async def next_batch(heard: asyncio.Queue[Heard]) -> Heard:
    async with asyncio.timeout(PATIENCE):
        return await heard.get()


async def until_told(heard: asyncio.Queue[Heard], version: int) -> set[int]:
    """What was told until this version was, or everything."""
    told = set[int]()
    while not told & {EVERYTHING.version, version}:
        told |= {ring.version for ring in await next_batch(heard)}
    return told


async def until_it_rings_by_itself(store: Store, live: LiveOverPostgres, heard: asyncio.Queue[Heard]) -> None:
    """Once more and again, until a ring comes over the other's line: its repair may ring for everything until then."""
    for version in count(100):
        await change(store, live, Ring(1, 17, version))
        if version in await until_told(heard, version):
            return


def test_what_is_missed_is_told_in_time() -> None:
    """A gap is as old as `GRACE` at the second look after it at the latest."""
    assert GRACE + 2 * LOOK_EVERY < RIGHT_WITHIN


async def test_a_ring_in_one_process_is_heard_in_the_other_once(postgres_url: str) -> None:
    async with both(postgres_url) as (store, one, other), hearing(one) as mine, hearing(other) as theirs:
        for version in range(1, 4):
            await change(store, one, Ring(1, 17, version, new_message=True))
            assert await next_batch(mine) == await next_batch(theirs) == [Ring(1, 17, version, new_message=True)]
        one.ring([Ring(1, 18, 1)])  # without a number of its own
        assert await next_batch(mine) == await next_batch(theirs) == [Ring(1, 18, 1)]
        await change(store, one, Ring(1, 19, 1))
        assert await next_batch(mine) == await next_batch(theirs) == [Ring(1, 19, 1)]  # and nothing came twice
        assert one._all_heard == other._all_heard == 5  # so no look will find a gap


async def test_a_great_change_is_carried_whole_or_as_everything(postgres_url: str) -> None:
    async with both(postgres_url) as (store, one, other), hearing(other) as heard:
        chats = set[int]()
        await change(store, one, *(Ring(2**62, 2**62 + chat, 2**40) for chat in range(600)))
        while len(chats) < 600:
            chats |= {ring.chat_id for ring in await next_batch(heard)}
        await change(store, one, *(Ring(1, chat, 1) for chat in range(1, 3000)))
        assert await next_batch(heard) == [EVERYTHING]


async def test_a_client_that_moves_to_another_process_hears_all_after_its_last_id(postgres_url: str) -> None:
    async with both(postgres_url) as (store, one, other):
        async with hearing(one) as here, hearing(other) as elsewhere:
            await change(store, one, Ring(1, 17, 1))
            left = await next_batch(here)
            assert await next_batch(elsewhere) == [Ring(1, 17, 1)]
            await change(store, one, Ring(1, 17, 2), Ring(1, 18, 1))
            assert await next_batch(elsewhere) == [Ring(1, 17, 2), Ring(1, 18, 1)]
        async with hearing(other, left.place) as heard:
            assert await next_batch(heard) == [Ring(1, 17, 2), Ring(1, 18, 1)]
        async with process(postgres_url) as (_, new), hearing(new, left.place) as heard:
            assert await next_batch(heard) == [EVERYTHING]


async def test_a_process_that_dies_between_commit_and_ring_is_noticed(postgres_url: str) -> None:
    async with both(postgres_url) as (store, one, other), hearing(other) as heard:
        await change(store, one, Ring(1, 17, 1), tell=False)
        assert await next_batch(heard) == [EVERYTHING]
        await change(store, one, Ring(1, 17, 2))
        assert await next_batch(heard) == [Ring(1, 17, 2)]
        assert other._all_heard == 2  # so it is told once


async def test_a_line_that_is_killed_comes_back_and_nothing_is_missing(
    postgres_url: str, at_scale: AtScale, figures: Figures
) -> None:
    late: list[float] = []
    async with both(postgres_url) as (store, one, other), hearing(other) as heard:
        for version in range(1, at_scale(4, 11)):
            async with store.write() as session:
                killed = await session.scalars(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                         " OR query LIKE '%FROM ring_numbers%' AND pid <> pg_backend_pid()")
                )  # fmt: skip
                assert any(killed)
            await change(store, one, Ring(1, 17, version))
            began = time.monotonic()
            await until_told(heard, version)
            late.append(time.monotonic() - began)
        await until_it_rings_by_itself(store, one, heard)
    figures(killed=len(late), slowest_s=round(max(late), 2))
    assert max(late) < at_scale(round(PATIENCE), round(RIGHT_WITHIN))


async def test_a_line_that_hangs_is_found_out_and_replaced(
    own_postgres: OwnPostgres, tmp_path: Path, at_scale: AtScale, figures: Figures
) -> None:
    late: list[float] = []
    url = own_postgres.create()
    direct = Store(url)
    await asyncio.to_thread(direct.migrate)
    await direct.close()
    hanging = Hanging(own_postgres.folder / ".s.PGSQL.5432")
    server = await asyncio.start_unix_server(hanging.carry, tmp_path / ".s.PGSQL.5432")
    through = make_url(url).update_query_dict({"host": str(tmp_path)}).render_as_string(hide_password=False)
    async with server, process(url) as (store, one), process(through) as (_, other), hearing(other) as heard:
        await change(store, one, Ring(1, 17, 1))
        assert await next_batch(heard) == [Ring(1, 17, 1)]
        hanging.hang()
        for version in range(2, at_scale(3, 12)):
            began = time.monotonic()
            await change(store, one, Ring(1, 17, version))
            told = await until_told(heard, version)
            late.append(time.monotonic() - began)
            assert version > 2 or EVERYTHING.version in told, "right, by asking"
        await until_it_rings_by_itself(store, one, heard)  # over the line that takes its place
    figures(rings=len(late), slowest_s=round(max(late), 2))
    assert max(late) < at_scale(round(PATIENCE), round(RIGHT_WITHIN))


async def test_a_database_that_went_away_is_caught_up_with(own_postgres: OwnPostgres) -> None:
    url = own_postgres.create()
    store = Store(url)
    await asyncio.to_thread(store.migrate)
    await store.close()
    async with both(url) as (store, one, other), hearing(other) as heard:
        await asyncio.to_thread(own_postgres.stop)
        await asyncio.to_thread(own_postgres.start)
        with psycopg.connect(url, autocommit=True) as line:  # its ring is lost: nobody listens yet
            number = line.execute("SELECT nextval('ring_numbers')").fetchone()
            line.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f'["x",{number[0] if number else 0},[[1,17,5,0]]]'))
        assert await next_batch(heard) == [EVERYTHING]
        await until_it_rings_by_itself(store, one, heard)


class Hanging:
    """A way to the database on which the lines that listen can be made to hang: nothing comes, and nothing breaks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listening: set[asyncio.StreamWriter] = set()
        self._hung: set[asyncio.StreamWriter] = set()

    def hang(self) -> None:
        self._hung |= self._listening

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_unix_connection(self.path)

        async def there() -> None:
            while sent := await reader.read(65536):
                if b"LISTEN" in sent:
                    self._listening.add(writer)
                their_writer.write(sent)
            their_writer.close()

        async def back() -> None:
            while sent := await their_reader.read(65536):
                if writer not in self._hung:
                    writer.write(sent)
            writer.close()

        await asyncio.gather(there(), back(), return_exceptions=True)
