"""Housekeeping: only what is finished goes, only past its age or size, and nobody waits for it."""

import itertools
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from golub import audit
from golub.audit import Action
from golub.clock import DAY, HOUR, MINUTE
from golub.errors import Unavailable
from golub.housekeeping import EVEN_FOR, FINISHED, MARK, ROW_COST, Housekeeping
from golub.model import (
    Account,
    Alert,
    AuditEntry,
    Delivery,
    DeliveryState,
    Mark,
    Notice,
    Relay,
    RelayedDelivery,
    RelayedState,
    TimelineEntry,
    TimelineKind,
)
from golub.settings import Settings
from golub.store import LOG_WAIT, LONG_LOG, Store
from tests.conftest import AtScale, SteppedClock

pytestmark = pytest.mark.anyio


def keeping(**settings: Any) -> Settings:
    return Settings.model_validate(settings)


def keeper(store: Store, clock: SteppedClock, **settings: Any) -> Housekeeping:
    return Housekeeping(store, keeping(**settings), clock)


def delivery(key: int, received_at: int, state: DeliveryState = DeliveryState.APPLIED, **more: Any) -> dict[str, Any]:
    row = {"id": key.to_bytes(16, "big"), "received_at": received_at, "applied_at": received_at, "state": state}
    return {**row, "headers": [["a", "b"]], "body": b"{}", "due_at": None, **more}


async def add(store: Store, rows: list[dict[str, Any]]) -> None:
    async with store.write() as session:
        await session.execute(insert(Delivery), rows)


async def kept(store: Store) -> set[int]:
    async with store.read() as session:
        return {int.from_bytes(key, "big") for key in await session.scalars(select(Delivery.id))}


async def shop(store: Store) -> int:
    """An account, the first one."""
    async with store.write() as session:
        account = Account(
            user_id=1, name="Shop", colour="#868e96", client_id="c", client_secret=b"", created_at=0, state="working"
        )
        session.add(account)
    return account.id


async def relay(store: Store) -> int:
    account_id = await shop(store)
    async with store.write() as session:
        added = Relay(account_id=account_id, url=b"", url_hash=b"1", host="crm.example", created_at=0)
        session.add(added)
        await session.flush()
        return added.id


@pytest.mark.promise("P29")
async def test_only_finished_deliveries_past_retention_go(
    store: Store, clock: SteppedClock, at_scale: AtScale, figures: Any
) -> None:
    """Every state × age × applied again lately × still to be looked up × each way of a relay, many times over."""
    relay_id, now = await relay(store), clock()
    rows: list[dict[str, Any]] = []
    relayed: list[dict[str, Any]] = []
    may_go: set[int] = set()
    ages = (0, 89 * DAY, 90 * DAY - 1, 90 * DAY, 90 * DAY + 1, 400 * DAY)
    ways: tuple[RelayedState | None, ...] = (None, *RelayedState)
    cases = itertools.product(DeliveryState, ages, (False, True), (None, now - HOUR), ways)
    for key, (state, age, again, due_at, way) in enumerate(list(cases) * at_scale(2, 40)):
        applied_at = now - DAY if again else now - age
        rows.append(delivery(key, now - age, state, due_at=due_at, applied_at=applied_at))
        if way:
            queued = way is RelayedState.QUEUED
            relayed.append(
                {"relay_id": relay_id, "delivery_id": rows[-1]["id"], "chat_key": "c", "state": way}
                | {"due_at": now if queued else None, "finished_at": None if queued else now, "attempts": 0}
            )
        if age > 90 * DAY and state in FINISHED and not again and due_at is None and way is not RelayedState.QUEUED:
            may_go.add(key)
    await add(store, rows)
    async with store.write() as session:
        await session.execute(insert(RelayedDelivery), relayed)
    removed, whole = await keeper(store, clock).remove_old()
    left = await kept(store)
    wrongly = len(set(range(len(rows))) - left - may_go)
    figures(rows=len(rows), removed=removed["deliveries"], removed_wrongly=wrongly)
    assert wrongly == 0
    assert whole
    assert left == set(range(len(rows))) - may_go
    assert removed["deliveries"] == len(may_go) > 0
    async with store.read() as session:
        queued = RelayedDelivery.state == RelayedState.QUEUED
        waiting = await session.scalar(select(func.count()).where(queued))
    assert waiting == sum(row["state"] is RelayedState.QUEUED for row in relayed)
    assert (await keeper(store, clock).remove_old())[0]["deliveries"] == 0


async def test_zero_keeps_for_ever(store: Store, clock: SteppedClock) -> None:
    await add(store, [delivery(1, 0)])
    never = {f"{kind}_keep_days": 0 for kind in ("deliveries", "timeline", "alerts", "audit")}
    removed, _ = await keeper(store, clock, **never, deliveries_keep_mb=0).remove_old()
    assert set(removed.values()) == {0}
    assert await kept(store) == {1}


async def test_a_large_journal_loses_its_oldest_but_never_its_last_day(store: Store, clock: SteppedClock) -> None:
    body, now = bytes(100_000), clock()
    rows = [delivery(key, now - 10 * DAY + key * HOUR, body=body) for key in range(40)]
    rows[3]["state"] = DeliveryState.QUARANTINED
    await add(store, rows)
    room = (1 << 20) // (len(body) + ROW_COST)
    removed, _ = await keeper(store, clock, deliveries_keep_mb=1).remove_old()
    assert removed["deliveries"] == pytest.approx(40 - room, abs=1)
    assert min(await kept(store)) == 3, "what is in quarantine stays"
    assert max(await kept(store)) == 39
    await add(store, [delivery(100 + key, now - HOUR, body=body) for key in range(30)])
    await keeper(store, clock, deliveries_keep_mb=1).remove_old()
    assert await kept(store) == {3, *range(100, 130)}


async def test_timeline_alerts_and_audit_grow_old(store: Store, clock: SteppedClock) -> None:
    relay_id, now, old = await relay(store), clock(), clock() - 400 * DAY
    async with store.write() as session:
        account_id = (await session.get_one(Relay, relay_id)).account_id
        session.add_all(
            TimelineEntry(account_id=account_id, kind=kind, at=at)
            for kind, at in (
                (TimelineKind.PAUSED, old),
                (TimelineKind.PAUSED, now),
                (TimelineKind.REGISTERED, old),
                (TimelineKind.REGISTERED, old + 1),
            )
        )
        alerts = [
            Alert(kind=f"k{n}", opened_at=old, closed_at=closed) for n, closed in enumerate((old, old, now, None))
        ]
        session.add_all(alerts)
        await session.flush()
        session.add(Notice(alert_id=alerts[1].id, channel="url", kind="closed", due_at=now))
    for at in (old, old + 1, now):
        async with store.write() as session:
            await audit.ITSELF.did(session, Action.SIGNED_IN, "", now=at)
    removed, _ = await keeper(store, clock).remove_old()
    assert removed == {
        "deliveries": 0,
        "timeline": 2,
        "alerts": 1,
        "replays": 0,
        "drafts": 0,
        "automatic_acts": 0,
        "audit": 2,
    }
    async with store.read() as session:
        assert list(await session.scalars(select(TimelineEntry.at).order_by(TimelineEntry.at))) == [old + 1, now]
        assert list(await session.scalars(select(Alert.kind).order_by(Alert.kind))) == ["k1", "k2", "k3"]
        told = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
        assert told == [Action.SIGNED_IN, Action.AUDIT_CUT]
        assert (await session.get_one(Mark, MARK)).value
    assert (await audit.verify(store)).broken is None
    assert (await keeper(store, clock).remove_old())[0]["audit"] == 0


class Uptime:
    """Seconds since the start, as no change of the clock moves them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_clock_that_jumped_removes_nothing(store: Store, clock: SteppedClock) -> None:
    uptime = Uptime()
    keeping_house = Housekeeping(store, keeping(), clock, monotonic=uptime)

    async def an_hour_later() -> set[int]:
        for _ in range(7):
            uptime.now += EVEN_FOR / 6
            clock.step(10 * MINUTE)
            await keeping_house.run_once()
        return await kept(store)

    await add(store, [delivery(1, clock()), delivery(2, clock() - 200 * DAY)])
    await keeping_house.run_once()
    assert await kept(store) == {1, 2}, "nothing goes right after the start"
    assert await an_hour_later() == {1}
    clock.step(365 * DAY)
    await keeping_house.run_once()
    assert await kept(store) == {1}
    clock.step(-365 * DAY)
    await keeping_house.run_once()
    assert await an_hour_later() == {1}
    await add(store, [delivery(3, clock() - 91 * DAY)])
    assert await an_hour_later() == {1}


async def test_it_goes_on_where_it_was_cut_off(store: Store, clock: SteppedClock) -> None:
    uptime = Uptime()
    keeping_house = Housekeeping(store, keeping(), clock, monotonic=uptime)
    await add(store, [delivery(key, 0) for key in range(1200)])
    turns = iter([uptime.now, uptime.now, uptime.now + 60])

    def hurried() -> float:
        uptime.now = next(turns, uptime.now)
        return uptime.now

    keeping_house._monotonic = hurried
    removed, whole = await keeping_house.remove_old()
    assert (whole, 0 < removed["deliveries"] < 1200) == (False, True)
    keeping_house._monotonic = uptime
    more, whole = await keeping_house.remove_old()
    assert whole
    assert removed["deliveries"] + more["deliveries"] == 1200


@pytest.mark.outage
async def test_a_writer_beside_it_has_its_turn(store: Store, clock: SteppedClock) -> None:
    """As apply is one. Whoever waited longer than a page does for a lock would be refused by the store."""
    await add(store, [delivery(key, key, body=bytes(1200)) for key in range(3000)])
    written, refused = 0, list[Unavailable]()
    done = threading.Event()

    def write() -> None:
        nonlocal written
        while not done.wait(0.005):
            try:
                with store.writing() as connection:
                    connection.execute(store.insert(Mark).values(name="x", value="y").on_conflict_do_nothing())
                written += 1
            except Unavailable as error:
                refused.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        removed, whole = await keeper(store, clock).remove_old()
    finally:
        done.set()
        thread.join()
    assert whole
    assert removed["deliveries"] == 3000
    assert (refused, written > 0) == ([], True)


async def test_the_log_is_cut_off_and_a_reader_is_let_be(sqlite_url: str, tmp_path: Path) -> None:
    store, log = Store(sqlite_url), tmp_path / "golub.db-wal"
    reader = sqlite3.connect(tmp_path / "golub.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM marks").fetchone()
    for number in range(3):
        with store.writing() as connection:
            row = delivery(number, 1, body=bytes(LONG_LOG // 2))
            connection.execute(insert(Delivery), [row])
    assert store.shorten_log() > LONG_LOG
    assert reader.execute("SELECT count(*) FROM deliveries").fetchone() == (0,), "its snapshot is whole"
    reader.execute("COMMIT")
    assert store.shorten_log() == log.stat().st_size == 0
    reader.close()
    await store.close()


async def test_a_very_long_log_is_cut_off_as_soon_as_its_reader_leaves(sqlite_url: str, tmp_path: Path) -> None:
    store, log = Store(sqlite_url), tmp_path / "golub.db-wal"
    reader = sqlite3.connect(tmp_path / "golub.db", isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM marks").fetchone()
    with store.writing() as connection:
        connection.execute(insert(Delivery), [delivery(1, 1, body=bytes(2 * LONG_LOG))])
    leaves = threading.Timer(2 * LOG_WAIT[0], lambda: reader.execute("COMMIT"))  # while it is being waited for
    leaves.start()
    assert store.shorten_log() == log.stat().st_size == 0
    leaves.join()
    reader.close()
    await store.close()


async def test_a_very_long_log_is_cut_off_among_writers(sqlite_url: str, tmp_path: Path) -> None:
    store, log = Store(sqlite_url), tmp_path / "golub.db-wal"
    with store.writing() as connection:
        connection.execute(insert(Delivery), [delivery(1, 1, body=bytes(2 * LONG_LOG))])
    begun = threading.Event()

    def write() -> None:
        with store.writing():
            begun.set()
            time.sleep(1.2 * LOG_WAIT[1])  # longer than SQLite's own lock would be waited for

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(5)
    assert store.shorten_log() == log.stat().st_size == 0
    writer.join()
    await store.close()
