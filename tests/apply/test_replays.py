"""Replays of many deliveries: nothing changes where nothing was missed, what was missed is told and mended, and nothing
is applied that Avito has not borne out."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from golub import replays
from golub.clock import MINUTE
from golub.errors import Conflict, Invalid, Paced
from golub.journal import Trust, Wanted
from golub.model import (
    AuditEntry,
    Cause,
    Chat,
    Delivery,
    DeliveryState,
    Mark,
    Message,
    Replay,
    ReplayKind,
    ReplayState,
    Webhook,
)
from golub.rebuild import Fault, rebuild
from golub.replays import Replays
from tests.apply.bench import Bench, refuse_text
from tests.apply.desk import MARIA, finish, run
from tests.conftest import ONE_DATABASE, AtScale
from tests.shapes import BUYER_ID, CREATED, USER_ID, envelope, message

QUARANTINE = Wanted(state=DeliveryState.QUARANTINED)


def rows(bench: Bench) -> dict[str, list[Any]]:
    return {table.__tablename__: [dict(row) for row in bench.all(table)] for table in (Chat, Message, Delivery)}


def change(bench: Bench, statement: Any) -> None:
    with bench.store.writing() as connection:
        connection.execute(statement)


async def arrive(bench: Bench, number: int) -> None:
    """Deliveries of every fate: mostly messages, some twice, edited or deleted; events, probes, hints, rubbish."""
    bodies: list[bytes] = []
    for turn in range(number):
        said = {"id": f"m-{turn}", "chat_id": f"u2i-{turn % 40}", "created": CREATED + turn}
        match turn % 12:
            case 3:
                bodies.append(bodies[-1])
            case 5:
                bodies.append(message(**said | {"id": f"m-{turn - 1}", "content": {"text": "Сообщение удалено"}}))
            case 7:
                value = {"chat_id": said["chat_id"], "user_id": USER_ID, "status": "archived"}
                event = envelope({}, payload={"type": "chat", "value": value}, timestamp=CREATED + turn)
                bodies.append(json.dumps(event).encode())
            case 9:
                event = envelope({}, payload={"type": "user", "value": {"id": BUYER_ID, "user_id": USER_ID}})
                bodies.append(json.dumps(event).encode())
            case 11:
                bodies.append(b"{}" if turn % 24 == 11 else b"[")
            case _:
                bodies.append(message(**said))
    for start in range(0, number, 1000):
        await asyncio.gather(*(bench.receive(body) for body in bodies[start : start + 1000]))
        await bench.applied()
    await asyncio.gather(*(bench.receive(message(id=f"hint-{turn}"), bare=True) for turn in range(number // 50)))
    await bench.applied()
    bench.clock.step(MINUTE)


async def test_where_nothing_was_missed_nothing_changes(bench: Bench, desk: Replays, at_scale: AtScale) -> None:
    number = at_scale(600, 10_000)
    await arrive(bench, number)
    change(bench, update(Delivery).values(due_at=None))  # hints that were asked about; a replay asks again
    before = rows(bench)
    stuck = sum(one["state"] == DeliveryState.QUARANTINED for one in before["deliveries"])
    assert stuck, "and that is said: who presses must not think that all of it is in the chats"
    for kind in (ReplayKind.TRY, ReplayKind.APPLY):
        done = await run(bench, desk, kind, Wanted(trust=Trust.TOKEN))
        assert (done.taken, done.changing, done.messages, done.changes) == (number, 0, 0, [])
        assert done.outcomes == {"quarantined quarantined": stuck}
        assert done.total == number or done.total_is_more, "a slow machine counts for so long and no longer"
        assert rows(bench) == before
    report = await asyncio.to_thread(rebuild, bench.store, bench.clock())
    assert report.is_good, report.differences
    assert report.compared == len(before["messages"])


@ONE_DATABASE
async def test_a_missing_message_is_told_of_and_mended(
    bench: Bench, desk: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "PART", 7)
    await arrive(bench, 60)
    before = rows(bench)
    lost = next(row for row in before["messages"] if row["avito_id"] == "m-2")  # it came twice: see `arrive`
    change(bench, delete(Message).where(Message.id == lost["id"]))
    faults = (await asyncio.to_thread(rebuild, bench.store, bench.clock())).faults
    assert faults == {Fault.MISSING: 1}
    missing = rows(bench)["messages"]
    tried = await run(bench, desk, ReplayKind.TRY)
    assert (tried.changing, tried.messages) == (2, 1)
    assert [(chat, one) for _, _, chat, one, _ in tried.changes] == [("u2i-2", "m-2")]
    assert rows(bench)["messages"] == missing
    mended = await run(bench, desk, ReplayKind.APPLY, Wanted(trust=Trust.TOKEN))
    assert mended.messages == 1
    (again,) = [row for row in rows(bench)["messages"] if row["avito_id"] == "m-2"]
    unlike = {"id", "version", "received_at"}
    assert {k: v for k, v in again.items() if k not in unlike} == {k: v for k, v in lost.items() if k not in unlike}
    assert (await asyncio.to_thread(rebuild, bench.store, bench.clock())).is_good
    assert (await run(bench, desk, ReplayKind.TRY)).messages == 0


@ONE_DATABASE
async def test_it_can_be_stopped_goes_on_and_survives_a_restart(
    bench: Bench, desk: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "PART", 5)
    await arrive(bench, 24)
    one = await desk.start(ReplayKind.APPLY, Wanted(), MARIA)
    with pytest.raises(Conflict):
        await desk.start(ReplayKind.TRY, Wanted(), MARIA)
    await desk.run_once()
    await desk.stop(one, MARIA)
    bench.clock.step(MINUTE)
    assert await desk.run_once() is None
    stopped = await desk.get(one)
    assert (stopped.state, stopped.taken) == (ReplayState.STOPPED, 5)
    await desk.resume(one, MARIA)
    await bench.receive(message(id="later"))
    await bench.applied()
    restarted = Replays(bench.store, bench.applier, bench.clock, lambda: None)
    assert (await finish(bench, restarted, one)).taken == 24, "what came later is not taken up"
    async with bench.store.read() as session:
        told = list(await session.scalars(select(AuditEntry.after).where(AuditEntry.subject == f"replay {one}")))
    assert told[1:] == ['{"state":"stopped"}', '{"state":"running"}']


async def test_only_one_of_several_that_begin_at_once_does(bench: Bench, desk: Replays) -> None:
    await bench.receive(message())
    await bench.applied()
    stopped = await desk.start(ReplayKind.APPLY, Wanted(), MARIA)
    await desk.stop(stopped, MARIA)
    begun = await asyncio.gather(
        desk.resume(stopped, MARIA),
        *(desk.start(ReplayKind.TRY, Wanted(), MARIA) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Conflict) for one in begun) == 4, begun
    async with bench.store.read() as session:
        assert len(list(await session.scalars(select(Replay.id).where(Replay.due_at.is_not(None))))) == 1


async def test_a_part_that_two_processes_take_counts_once(
    bench: Bench, desk: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them was away for longer than its lease."""
    monkeypatch.setattr(replays, "PART", 7)
    monkeypatch.setattr(replays, "LEASE", 0)
    await arrive(bench, 24)
    change(bench, delete(Message))
    one = await desk.start(ReplayKind.APPLY, Wanted(trust=Trust.TOKEN), MARIA)
    others = [Replays(bench.store, bench.applier, bench.clock, lambda: None) for _ in range(2)]
    await asyncio.gather(*(each.run_once() for each in others))
    done = await finish(bench, desk, one)
    assert (done.taken, done.messages) == (24, bench.count(Message))


@ONE_DATABASE
async def test_what_was_applied_stays_applied_though_its_kind_was_unticked_since(bench: Bench, desk: Replays) -> None:
    await bench.receive(message())
    await bench.applied()
    change(bench, update(Webhook).values(types=["chat"]))
    before = rows(bench)
    assert (await run(bench, desk, ReplayKind.APPLY)).changing == 0
    assert rows(bench) == before
    change(bench, delete(Message))
    assert (await run(bench, desk, ReplayKind.APPLY)).messages == 1
    assert [row["state"] for row in rows(bench)["deliveries"]] == [DeliveryState.APPLIED]


@pytest.mark.row(57)
@pytest.mark.parametrize("state", [DeliveryState.WAITING, DeliveryState.QUARANTINED, DeliveryState.DISCARDED])
async def test_a_forgery_is_only_asked_about(bench: Bench, desk: Replays, state: DeliveryState) -> None:
    """Also where a fault of ours had put it into quarantine: whatever it was, only Avito's word applies it."""
    (forged,) = await bench.receive(message(content={"text": "переведите деньги сюда"}), bare=True)
    await bench.applied()
    change(bench, update(Delivery).values(state=state, cause=Cause.ROW_ERROR, due_at=None))
    for _ in range(3):
        await desk.replay_one(forged, MARIA)
        await run(bench, desk, ReplayKind.APPLY)
    kept = bench.journal()[forged]
    assert (kept["state"], kept["cause"]) == (DeliveryState.WAITING, Cause.UNCONFIRMED)
    assert kept["due_at"] is not None
    assert bench.count(Message) == 0


@ONE_DATABASE
async def test_the_quarantine_is_emptied_by_a_fix_or_by_a_decision(bench: Bench, desk: Replays) -> None:
    refuse_text(bench.store, "poison")
    bad, rubbish, other = await bench.receive(message(id="m-2", content={"text": "poison"}), b"[", b"nonsense")
    await bench.applied()
    for reason in ("", " ", "x" * 501):
        with pytest.raises(Invalid):
            await desk.discard_one(rubbish, reason, MARIA)
    with pytest.raises(Invalid):
        await desk.start(ReplayKind.DISCARD, Wanted(), MARIA, reason="everything")
    await desk.discard_one(rubbish, "пробует чужой сервис", MARIA)
    with pytest.raises(Conflict):
        await desk.discard_one(rubbish, "ещё раз", MARIA)
    kept = bench.journal()[rubbish]
    assert (kept["state"], kept["cause"], kept["body"]) == (DeliveryState.DISCARDED, Cause.NOT_JSON, b"[")
    assert (kept["discarded_by"], kept["discard_reason"]) == ("Мария", "пробует чужой сервис")
    assert kept["discarded_at"] == bench.clock()
    done = await run(
        bench, desk, ReplayKind.DISCARD, Wanted(state=DeliveryState.QUARANTINED, cause=Cause.NOT_JSON), "то же"
    )
    assert (done.taken, done.changing) == (1, 1)
    states = {key: row["state"] for key, row in bench.journal().items()}
    assert states == {bad: "quarantined", rubbish: "discarded", other: "discarded"}
    assert (await run(bench, desk, ReplayKind.APPLY)).changing == 0, "neither mended nor wanted"


@pytest.mark.row(57)
@ONE_DATABASE
async def test_who_asked_is_in_the_audit_before_anything_happens(bench: Bench, desk: Replays) -> None:
    (bad,) = await bench.receive(b"[")
    await bench.applied()
    await run(bench, desk, ReplayKind.TRY)
    assert bench.count(AuditEntry) == 0
    await run(bench, desk, ReplayKind.APPLY, QUARANTINE)
    await desk.replay_one(bad, MARIA)
    await desk.discard_one(bad, "сор", MARIA)
    entries = [(row["who"], row["action"], row["address"]) for row in bench.all(AuditEntry)]
    assert entries == [("maria", action, "192.0.2.9") for action in ("replayed", "replayed", "discarded")]
    change(bench, delete(Mark).where(Mark.name == "audit_newest"))
    change(bench, update(Delivery).values(state=DeliveryState.QUARANTINED))
    for attempt in (
        desk.start(ReplayKind.APPLY, Wanted(), MARIA),
        desk.replay_one(bad, MARIA),
        desk.discard_one(bad, "сор", MARIA),
    ):
        with pytest.raises(Exception, match="row"):
            await attempt
    assert bench.journal()[bad]["state"] == DeliveryState.QUARANTINED
    assert bench.count(Replay) == 2


@pytest.mark.row(57)
@ONE_DATABASE
async def test_a_hundred_presses_are_paced_and_count_once(bench: Bench, desk: Replays) -> None:
    (one,) = await bench.receive(message())
    await bench.applied()
    change(bench, delete(Message))
    for _ in range(replays.PRESSES_A_MINUTE):
        await desk.replay_one(one, MARIA)
    with pytest.raises(Paced):
        await desk.replay_one(one, MARIA)
    assert bench.count(Message) == 1
    bench.clock.step(MINUTE)
    await desk.replay_one(one, MARIA)
    async with bench.store.read() as session:
        assert len(list(await session.scalars(select(AuditEntry.id)))) == replays.PRESSES_A_MINUTE + 1
