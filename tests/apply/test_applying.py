"""Applying: from the spool into the journal, chats and messages; once, whatever happens meanwhile."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import update

from golub.avito.wire import read_chat, read_message
from golub.errors import Unavailable
from golub.fold import FetchDue, MarkRead
from golub.live import Ring
from golub.model import Cause, Chat, DeliveryState, Message, Webhook
from golub.spool import Received
from tests.apply.bench import OTHER_USER_ID, PATIENCE, Bench, locked, outcome
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.shapes import BUYER_ID, CONTENTS, CREATED, HISTORY_RECORD, SHAPES, USER_ID, envelope, message, value


async def test_a_delivery_is_in_the_journal_and_its_message_in_the_chat(bench: Bench) -> None:
    async with bench.live.subscribe() as rings:
        (one,) = await bench.receive(message())
        await bench.applied()
        async with asyncio.timeout(PATIENCE):
            rung = await anext(aiter(rings))
    row = bench.journal()[one]
    assert outcome(row) == (DeliveryState.APPLIED, Cause.NONE)
    assert (row["account_id"], row["token_id"], row["address"], row["body"]) == (
        bench.account_id,
        1,
        "192.0.2.7",
        message(),
    )
    assert row["headers"] == [["content-type", "application/json"], ["x-odd", "\u00ff"]]
    assert (row["event_type"], row["chat_avito_id"], row["message_avito_id"]) == ("message", "u2i-abc", "m-1")
    (chat,), (said,) = bench.all(Chat), bench.all(Message)
    assert (said["text"], chat["unread"]) == (CONTENTS["text"]["text"], 1)
    assert rung == [Ring(bench.account_id, chat["id"], 1, new_message=True)]
    assert [received.id for received in bench.told] == [one]
    assert bench.failures == []


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_known_shape_is_applied(tmp_path: Path, sqlite_url: str, clock: SteppedClock, shape: str) -> None:
    bench = Bench(tmp_path / "spool", sqlite_url, clock)
    try:
        (one,) = await bench.receive(json.dumps(SHAPES[shape]).encode())
        await bench.applied()
        assert outcome(bench.journal()[one]) == (DeliveryState.APPLIED, Cause.NONE)
        assert bench.count(Message) == 1
    finally:
        await asyncio.to_thread(bench.close)
        await bench.store.close()


@ONE_DATABASE
async def test_a_history_record_comes_as_a_page_of_the_api(bench: Bench) -> None:
    seen = read_message(HISTORY_RECORD, USER_ID, "u2i-abc", bench.clock(), quiet=True)
    rings = await bench.applier.submit(bench.account_id, [seen])  # type: ignore[list-item]
    assert [ring.new_message for ring in rings] == [False]
    (said,) = bench.all(Message)
    assert (said["direction"], said["author_id"], said["quiet"]) == ("system", None, True)


@pytest.mark.row(21, 24)
@ONE_DATABASE
async def test_a_probe_is_noted_and_nothing_else(bench: Bench) -> None:
    ids = await bench.receive(b"", b"{}") + await bench.receive(b"{}", bare=True)
    await bench.applied()
    assert {outcome(bench.journal()[one]) for one in ids} == {(DeliveryState.PROBE, Cause.NONE)}


@pytest.mark.row(19)
async def test_a_body_of_another_account_is_not_applied(bench: Bench) -> None:
    (wrong,) = await bench.receive(message(user_id=OTHER_USER_ID))
    (unnamed,) = await bench.receive(message(id="m-2", user_id=..., author_id=OTHER_USER_ID), account_id=bench.other_id)
    await bench.applied()
    journal = bench.journal()
    assert outcome(journal[wrong]) == (DeliveryState.QUARANTINED, Cause.WRONG_ACCOUNT)
    assert journal[wrong]["account_id"] == bench.account_id
    assert outcome(journal[unnamed]) == (DeliveryState.APPLIED, Cause.NONE)
    (said,) = bench.all(Message)
    assert (said["account_id"], said["direction"]) == (bench.other_id, "out")


@ONE_DATABASE
async def test_a_token_whose_account_was_removed_waits(bench: Bench) -> None:
    (one,) = await bench.receive(message(), account_id=bench.other_id + 1)
    await bench.applied()
    row = bench.journal()[one]
    assert (outcome(row), row["account_id"]) == ((DeliveryState.WAITING, Cause.UNKNOWN_ACCOUNT), None)
    assert bench.count(Chat) == 0


async def test_a_hint_touches_nothing_until_the_api_confirms_it(bench: Bench) -> None:
    user = envelope({}, payload={"type": "user", "value": {"user_id": USER_ID, "id": BUYER_ID, "chat_id": "u2i-abc"}})
    chat = envelope({}, payload={"type": "chat", "value": {"user_id": USER_ID, "id": "u2i-abc"}})
    odd = envelope({}, payload={"type": "rating", "value": {"user_id": USER_ID}})
    with bench.store.writing() as connection:
        connection.execute(update(Webhook).values(types=["message", "chat", "user"]))
    bodies = (
        message(),
        message(id="forged"),
        message(user_id=404),
        message(user_id=...),
        *(json.dumps(each).encode() for each in (user, chat, odd)),
        b"{",
    )
    ids = await bench.receive(*bodies, bare=True)
    await bench.applied()
    journal = bench.journal()
    expected = [
        (DeliveryState.WAITING, Cause.UNCONFIRMED, bench.clock()),
        (DeliveryState.WAITING, Cause.UNCONFIRMED, bench.clock()),
        (DeliveryState.WAITING, Cause.UNKNOWN_ACCOUNT, None),
        (DeliveryState.WAITING, Cause.UNKNOWN_ACCOUNT, None),
        (DeliveryState.WAITING, Cause.NOTHING_CONFIRMS, None),
        (DeliveryState.WAITING, Cause.UNCONFIRMED, bench.clock()),
        (DeliveryState.IGNORED, Cause.UNKNOWN_TYPE, None),
        (DeliveryState.QUARANTINED, Cause.NOT_JSON, None),
    ]
    assert [(*outcome(journal[one]), journal[one]["due_at"]) for one in ids] == expected
    assert (journal[ids[0]]["account_id"], journal[ids[0]]["token_id"]) == (bench.account_id, None)
    assert (bench.count(Chat), bench.count(Message)) == (0, 0)

    fetched = [
        read_chat({"id": "u2i-abc", "created": CREATED}, USER_ID, bench.clock()),
        read_message(value(), USER_ID, "u2i-abc", bench.clock()),
    ]
    await bench.applier.submit(bench.account_id, fetched)  # type: ignore[arg-type]
    assert await bench.applier.confirm(bench.account_id, "u2i-abc") == 2
    journal = bench.journal()
    assert outcome(journal[ids[0]]) == outcome(journal[ids[5]]) == (DeliveryState.APPLIED, Cause.NONE)
    assert outcome(journal[ids[1]]) == (DeliveryState.WAITING, Cause.NOT_CONFIRMED)
    assert outcome(journal[ids[4]]) == (DeliveryState.WAITING, Cause.NOTHING_CONFIRMS)
    assert {row["due_at"] for row in journal.values()} == {None}
    assert [row["avito_id"] for row in bench.all(Message)] == ["m-1"]


@ONE_DATABASE
async def test_who_waits_does_not_wait_for_the_backlog(bench: Bench) -> None:
    bodies = (message(id=f"m-{number}") for number in range(1500))
    await asyncio.gather(*(bench.receive(each) for each in bodies))
    bench.applier.start()
    assert await asyncio.to_thread(bench.heard.wait, PATIENCE)
    await bench.applier.submit(bench.account_id, [FetchDue("u2i-xyz", 5)])
    assert bench.spool.pending > 0
    await bench.applied()
    assert bench.count(Message) == 1500


@ONE_DATABASE
async def test_what_operators_and_backfill_found_out_is_folded_and_rung(bench: Bench) -> None:
    await bench.receive(message())
    await bench.applied()
    (chat,), (said,) = bench.all(Chat), bench.all(Message)
    async with bench.live.subscribe() as batches:
        rings = await bench.applier.submit(bench.account_id, [MarkRead(chat["id"], said["id"])])
        async with asyncio.timeout(PATIENCE):
            assert await anext(aiter(batches)) == rings == [Ring(bench.account_id, chat["id"], 2)]
    assert bench.all(Chat)[0]["unread"] == 0


@ONE_DATABASE
async def test_after_stop_nothing_is_taken(bench: Bench) -> None:
    await bench.receive(message())
    bench.applier.start()
    await bench.applied()
    await asyncio.to_thread(bench.applier.stop)
    with pytest.raises(Unavailable):
        await bench.applier.submit(bench.account_id, [FetchDue("u2i-abc", 0)])


@pytest.mark.outage
@ONE_DATABASE
async def test_who_waits_at_the_stop_is_told_and_not_cancelled(bench: Bench) -> None:
    with locked(bench):
        asked = [
            asyncio.create_task(bench.applier.submit(bench.account_id, [FetchDue(f"u2i-{number}", 0)]))
            for number in range(3)
        ]
        await asyncio.sleep(0)  # all three stand in line now; the first has the thread
        await asyncio.to_thread(bench.applier.stop)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3


@pytest.mark.outage
async def test_a_drain_without_threads(bench: Bench) -> None:
    """`golub spool drain`."""
    await bench.receive(*(message(id=f"m-{number}") for number in range(3)))
    assert await asyncio.to_thread(bench.applier.drain) == 3
    assert bench.count(Message) == 3
    await bench.receive(message(id="m-9"))
    with locked(bench), pytest.raises(Unavailable):
        await asyncio.to_thread(bench.applier.drain)


@ONE_DATABASE
async def test_a_log_that_cannot_be_written_does_not_stop_the_drain(bench: Bench) -> None:
    def full(_: Sequence[Received]) -> None:
        raise OSError("No space left on device")

    bench.applier.on_received = full
    await bench.receive(message())
    await bench.applied()
    assert bench.count(Message) == 1
