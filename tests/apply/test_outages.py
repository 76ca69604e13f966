"""The main database is away, not migrated yet or another one, or the process dies: nothing is quarantined, and nothing
counts twice."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, make_url

from golub.apply.batches import Batch
from golub.errors import Unavailable
from golub.fold import FetchDue
from golub.model import Cause, Chat, Delivery, DeliveryState, Mark, Message
from golub.signatures import Trial
from tests.apply.bench import PATIENCE, Bench, locked, outcome
from tests.conftest import SteppedClock
from tests.shapes import message

pytestmark = pytest.mark.outage


async def test_an_outage_quarantines_nothing_and_is_told_meanwhile(bench: Bench) -> None:
    bench.applier.start()
    with locked(bench):
        first = await bench.receive(message(id="m-1"))
        assert await asyncio.to_thread(bench.failed.wait, PATIENCE)
        bench.heard.clear()
        second = await bench.receive(message(id="m-2"))
        assert await asyncio.to_thread(bench.heard.wait, PATIENCE), "not told before the database is back"
        assert bench.applier.failing
        with pytest.raises(Unavailable):
            await bench.applier.submit(bench.account_id, [FetchDue("u2i-abc", 0)])
        assert bench.spool.pending == 2
    await bench.applied()
    journal = bench.journal()
    assert [outcome(journal[one]) for one in first + second] == [(DeliveryState.APPLIED, Cause.NONE)] * 2
    assert {failure.delivery_id for failure in bench.failures} == {None}
    assert [received.id for received in bench.told] == first + second
    assert not bench.applier.failing


async def test_a_database_that_is_not_migrated_yet_is_waited_for(
    tmp_path: Path, sqlite_url: str, clock: SteppedClock
) -> None:
    migrated = Path(make_url(sqlite_url).database or "")
    bench = Bench(tmp_path / "spool", sqlite_url, clock)
    aside = migrated.with_name("aside.db")
    await bench.store.close()
    await asyncio.to_thread(migrated.rename, aside)
    try:
        await bench.receive(message())
        bench.applier.start()
        assert await asyncio.to_thread(bench.failed.wait, PATIENCE)
        await bench.store.close()
        await asyncio.to_thread(aside.rename, migrated)
        await bench.applied()
        assert bench.count(Message) == 1
        assert {failure.delivery_id for failure in bench.failures} == {None}
    finally:
        await asyncio.to_thread(bench.close)
        await bench.store.close()


async def test_a_restart_between_commit_and_drained_applies_once(bench: Bench) -> None:
    await bench.receive(message(), message(id="m-2"))
    with bench.store.writing() as connection:  # what apply had committed when the process died
        Batch(connection, bench.store, bench.clock(), Trial(None)).apply(bench.spool.read(0))
    before = bench.all(Chat), bench.all(Message), bench.journal()
    bench.close()
    bench.open()
    assert bench.spool.pending == 2
    await bench.applied()
    assert (bench.all(Chat), bench.all(Message), bench.journal()) == before
    assert bench.spool.pending == 0


async def test_a_restored_database_gets_again_what_it_lacks(bench: Bench) -> None:
    """A restore removes the mark; whichever way the identity changed, the spool offers what it still keeps."""
    ids = await bench.receive(message(), message(id="m-2"))
    await bench.applied()
    bench.close()
    with bench.store.writing() as connection:
        for table in (Message, Chat, Delivery, Mark):
            connection.execute(delete(table))
    bench.open()
    assert bench.spool.pending == 0
    bench.applier.start()
    await bench.receive(message(id="m-3"))
    await bench.applied()
    assert set(ids) < bench.journal().keys()
    assert sorted(row["avito_id"] for row in bench.all(Message)) == ["m-1", "m-2", "m-3"]
