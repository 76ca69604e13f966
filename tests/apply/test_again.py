"""Deliveries of the journal are applied again: by today's choices, to no change where nothing was missed."""

import json
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update

from golub.avito.wire import read_chat
from golub.live import open_live
from golub.model import Cause, Chat, DeliveryState, Message, Webhook
from tests.apply.bench import Bench, accept_all, outcome, refuse_text
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.shapes import BUYER_ID, USER_ID, envelope, message


async def test_a_type_that_was_not_chosen_is_ignored_and_replayed_after_it_was(bench: Bench) -> None:
    event = envelope({}, payload={"type": "user", "value": {"id": BUYER_ID, "user_id": USER_ID, "status": "blocked"}})
    (one,) = await bench.receive(json.dumps(event).encode())
    users = [{"id": USER_ID}, {"id": BUYER_ID, "name": "Вера"}]
    chat = read_chat({"id": "u2i-abc", "users": users}, USER_ID, bench.clock())
    await bench.applier.submit(bench.account_id, [chat])  # type: ignore[list-item]
    await bench.applied()
    assert outcome(bench.journal()[one]) == (DeliveryState.IGNORED, Cause.TYPE_NOT_CHOSEN)
    assert (await bench.applier.replay([one])).states == {DeliveryState.IGNORED: 1}
    with bench.store.writing() as connection:
        connection.execute(update(Webhook).values(types=["message", "user"]))
    assert (await bench.applier.replay([one, b"unknown"])).states == {DeliveryState.APPLIED: 1}
    assert outcome(bench.journal()[one]) == (DeliveryState.APPLIED, Cause.NONE)
    assert bench.all(Chat)[0]["status"] == "blocked"


@ONE_DATABASE
async def test_replaying_what_was_applied_changes_nothing(bench: Bench) -> None:
    ids = await bench.receive(message(), message(id="m-2"))
    await bench.applied()
    before = bench.all(Chat), bench.all(Message)
    assert (await bench.applier.replay(ids)).states == {DeliveryState.APPLIED: 2}
    assert (bench.all(Chat), bench.all(Message)) == before


@pytest.mark.postgres
async def test_the_rings_of_a_replay_have_a_number_of_its_own_transaction(
    postgres_url: str, tmp_path: Path, clock: SteppedClock
) -> None:
    """Else a process that dies between commit and ring leaves no gap, and pages elsewhere stay as they are."""
    bench = Bench(tmp_path / "spool", postgres_url, clock)
    bench.applier._live = open_live(bench.store)
    numbers = text("SELECT last_value FROM ring_numbers")
    ids = await bench.receive(message())
    await bench.applied()
    with bench.store.writing() as connection:
        connection.execute(delete(Message))
        before: int = connection.execute(numbers).scalar_one()
    assert (await bench.applier.replay(ids)).rings
    with bench.store.writing() as connection:
        assert connection.scalar(numbers) == before + 1
    bench.close()
    await bench.store.close()


async def test_a_replay_of_a_bad_row_keeps_it_in_quarantine_and_a_mended_one_is_applied(bench: Bench) -> None:
    refuse_text(bench.store, "poison")
    good, bad = await bench.receive(message(id="m-1"), message(id="m-2", content={"text": "poison"}))
    await bench.applied()
    assert (await bench.applier.replay([good, bad])).states == {DeliveryState.APPLIED: 1, DeliveryState.QUARANTINED: 1}
    accept_all(bench.store)
    assert (await bench.applier.replay([bad])).states == {DeliveryState.APPLIED: 1}
    assert sorted(row["avito_id"] for row in bench.all(Message)) == ["m-1", "m-2"]
