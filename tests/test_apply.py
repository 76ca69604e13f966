"""Applying: from the spool into the journal, chats and messages; once, whatever happens meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, func, make_url, select, text, update

from golub.apply import Applier, Failure
from golub.apply.batches import Batch
from golub.avito.wire import read_chat, read_message
from golub.errors import Unavailable
from golub.fold import FetchDue, MarkRead
from golub.live import Live, Ring, open_live
from golub.model import Account, Cause, Chat, Delivery, DeliveryState, Mark, Message, Webhook
from golub.spool import Received, Spool
from golub.store import Store
from tests.conftest import SteppedClock
from tests.shapes import BUYER_ID, CONTENTS, CREATED, HISTORY_RECORD, SHAPES, USER_ID, envelope, message, value
from tests.test_wire import HOSTILE

OTHER_USER_ID = 7_777
HEADERS = b'[["content-type", "application/json"], ["x-odd", "\\u00ff"]]'
QUOTA = 64 << 20
PATIENCE = 20.0  # seconds; nothing waits for it unless it fails


class Bench:
    """A spool, a migrated database with two accounts, and an applier between them."""

    def __init__(self, folder: Path, url: str, clock: SteppedClock) -> None:
        self.folder = folder
        self.url = url
        self.clock = clock
        self.told: list[Received] = []
        self.failures: list[Failure] = []
        self.failed = threading.Event()
        self.heard = threading.Event()
        self.store = Store(url)
        self.account_id, self.other_id = self._add_account(USER_ID), self._add_account(OTHER_USER_ID)
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.folder, quota=QUOTA, clock=self.clock)
        self.spool.start()
        self.live = Live()
        self.applier = Applier(self.spool, self.store, self.live, self.clock)
        self.applier.on_received = self._hear
        self.applier.on_failed = self._fail

    def close(self) -> None:
        self.applier.stop()
        self.spool.close()

    def _hear(self, rows: list[Received]) -> None:
        self.told += rows
        self.heard.set()

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.failed.set()

    def _add_account(self, user_id: int) -> int:
        with self.store.writing() as connection:
            account = self.store.insert(Account).values(
                user_id=user_id, client_id="id", client_secret=b"", created_at=self.clock()
            )
            account_id = connection.execute(account.returning(Account.id)).scalar_one()
            webhook = self.store.insert(Webhook).values(
                account_id=account_id, url="https://x.example", types=["message", "chat"], created_at=0, updated_at=0
            )
            connection.execute(webhook)
            return account_id

    async def receive(self, *bodies: bytes, bare: bool = False, account_id: int | None = None) -> list[bytes]:
        """Puts them into the spool, as ingest does. Returns their ids."""
        ids: list[bytes] = []
        for each in bodies:
            received = Received(
                id=os.urandom(16),
                received_at=self.clock(),
                account_id=None if bare else account_id or self.account_id,
                token_id=None if bare else 1,
                address="192.0.2.7",
                headers=HEADERS,
                body=each,
            )
            await self.spool.put(received)
            ids.append(received.id)
        return ids

    async def applied(self) -> None:
        """Starts applying where it is not on, and waits until nothing is pending."""
        if not self.applier._watcher.ident:
            self.applier.start()
        assert await asyncio.to_thread(self.applier.wait_applied, PATIENCE), self.failures

    def all(self, table: type[Any]) -> list[Any]:
        with self.store.writing() as connection:
            return list(connection.execute(select(table.__table__)).mappings())

    def journal(self) -> dict[bytes, Any]:
        return {bytes(row["id"]): row for row in self.all(Delivery)}

    def count(self, table: type[Any]) -> int:
        with self.store.writing() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
async def bench(tmp_path: Path, database_url: str, clock: SteppedClock) -> AsyncGenerator[Bench]:
    made = Bench(tmp_path / "spool", database_url, clock)
    yield made
    await asyncio.to_thread(made.close)
    await made.store.close()


def outcome(row: Any) -> tuple[str, str]:
    return row["state"], row["cause"]


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


async def test_a_history_record_comes_as_a_page_of_the_api(bench: Bench) -> None:
    seen = read_message(HISTORY_RECORD, USER_ID, "u2i-abc", bench.clock(), quiet=True)
    rings = await bench.applier.submit(bench.account_id, [seen])  # type: ignore[list-item]
    assert [ring.new_message for ring in rings] == [False]
    (said,) = bench.all(Message)
    assert (said["direction"], said["author_id"], said["quiet"]) == ("system", None, True)


async def test_hostile_bodies_are_quarantined_and_the_next_good_one_applied(bench: Bench) -> None:
    ids = await bench.receive(*(raw for raw, _ in HOSTILE.values()))
    plain = CONTENTS["text"]["text"]
    survivors = [
        (value(id="h-1", content={"text": "a\ud800\x00b"}), "a\ufffd\u2400b"),
        (value(id="h-2", created=CREATED * 1000), plain),
        (value(id="h-3", item_id=2**64), plain),
        (value(id="h-4", created=2**62), plain),
    ]
    survived = await bench.receive(*(json.dumps(envelope(odd)).encode() for odd, _ in survivors))
    (good,) = await bench.receive(message(id="good"))
    await bench.applied()
    journal = bench.journal()
    for name, one in zip(HOSTILE, ids, strict=True):
        raw, cause = HOSTILE[name]
        assert (name, *outcome(journal[one])) == (name, DeliveryState.QUARANTINED, cause)
        assert journal[one]["body"] == raw
        assert journal[one]["detail"]
    assert {outcome(journal[one]) for one in [*survived, good]} == {(DeliveryState.APPLIED, Cause.NONE)}
    assert journal[survived[0]]["detail"] == "characters_replaced"
    texts = {row["avito_id"]: row["text"] for row in bench.all(Message)}
    assert texts == {f"h-{n}": kept for n, (_, kept) in enumerate(survivors, 1)} | {"good": plain}
    (chat,) = bench.all(Chat)
    assert chat["last_message_at"] <= bench.clock()
    assert {failure.delivery_id for failure in bench.failures} == set(ids)


async def test_a_probe_is_noted_and_nothing_else(bench: Bench) -> None:
    ids = await bench.receive(b"", b"{}") + await bench.receive(b"{}", bare=True)
    await bench.applied()
    assert {outcome(bench.journal()[one]) for one in ids} == {(DeliveryState.PROBE, Cause.NONE)}


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


async def test_a_restart_between_commit_and_drained_applies_once(bench: Bench) -> None:
    await bench.receive(message(), message(id="m-2"))
    with bench.store.writing() as connection:  # what apply had committed when the process died
        Batch(connection, bench.store, bench.clock()).apply(bench.spool.read(0))
    before = bench.all(Chat), bench.all(Message), bench.journal()
    bench.close()
    bench.open()
    assert bench.spool.pending == 2
    await bench.applied()
    assert (bench.all(Chat), bench.all(Message), bench.journal()) == before
    assert bench.spool.pending == 0


def refuse_text(store: Store, refused: str) -> None:
    """From now on the database itself refuses a message of these words: a row's own error."""
    with store.writing() as connection:
        if store.is_sqlite:
            connection.execute(
                text(
                    "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN new.text = "
                    f"'{refused}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
                )
            )
        else:
            connection.execute(text(f"ALTER TABLE messages ADD CONSTRAINT refuse CHECK (text <> '{refused}')"))


async def test_one_bad_row_in_a_batch_is_quarantined_alone(bench: Bench) -> None:
    refuse_text(bench.store, "poison")
    before, bad, after = await bench.receive(
        message(id="m-1"), message(id="m-2", content={"text": "poison"}), message(id="m-3")
    )
    await bench.applied()
    journal = bench.journal()
    assert outcome(journal[before]) == outcome(journal[after]) == (DeliveryState.APPLIED, Cause.NONE)
    assert outcome(journal[bad]) == (DeliveryState.QUARANTINED, Cause.ROW_ERROR)
    assert journal[bad]["body"] == message(id="m-2", content={"text": "poison"})
    assert journal[bad]["detail"]
    assert sorted(row["avito_id"] for row in bench.all(Message)) == ["m-1", "m-3"]
    assert [(failure.delivery_id, failure.cause) for failure in bench.failures] == [(bad, Cause.ROW_ERROR)]
    assert bench.all(Chat)[0]["unread"] == 2


async def test_a_replay_of_a_bad_row_keeps_it_in_quarantine_and_a_mended_one_is_applied(bench: Bench) -> None:
    refuse_text(bench.store, "poison")
    good, bad = await bench.receive(message(id="m-1"), message(id="m-2", content={"text": "poison"}))
    await bench.applied()
    assert (await bench.applier.replay([good, bad])).states == {DeliveryState.APPLIED: 1, DeliveryState.QUARANTINED: 1}
    with bench.store.writing() as connection:
        connection.execute(
            text("DROP TRIGGER refuse" if bench.store.is_sqlite else "ALTER TABLE messages DROP CONSTRAINT refuse")
        )
    assert (await bench.applier.replay([bad])).states == {DeliveryState.APPLIED: 1}
    assert sorted(row["avito_id"] for row in bench.all(Message)) == ["m-1", "m-2"]


@contextmanager
def locked(bench: Bench) -> Generator[None]:
    """Somebody else has the chats, as a long migration or a backup tool would."""
    engine: Engine
    if bench.store.is_sqlite:
        engine = create_engine(bench.url, isolation_level="AUTOCOMMIT")
        statement = "BEGIN IMMEDIATE"
    else:
        engine = create_engine(make_url(bench.url).set(drivername="postgresql+psycopg"))
        statement = "LOCK TABLE chats IN ACCESS EXCLUSIVE MODE"
    with engine.connect() as connection:
        connection.execute(text(statement))
        yield
        connection.execute(text("ROLLBACK"))
    engine.dispose()


async def test_an_outage_quarantines_nothing_and_is_told_meanwhile(bench: Bench) -> None:
    bench.applier.start()
    with locked(bench):
        first = await bench.receive(message(id="m-1"))
        assert await asyncio.to_thread(bench.failed.wait, PATIENCE)
        bench.heard.clear()
        second = await bench.receive(message(id="m-2"))
        assert await asyncio.to_thread(bench.heard.wait, 1.0), "not told within a second"
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


async def test_who_waits_does_not_wait_for_the_backlog(bench: Bench) -> None:
    bodies = (message(id=f"m-{number}") for number in range(3000))
    await asyncio.gather(*(bench.receive(each) for each in bodies))
    bench.applier.start()
    assert await asyncio.to_thread(bench.heard.wait, PATIENCE)
    await bench.applier.submit(bench.account_id, [FetchDue("u2i-xyz", 5)])
    assert bench.spool.pending > 0
    await bench.applied()
    assert bench.count(Message) == 3000


async def test_what_operators_and_backfill_found_out_is_folded_and_rung(bench: Bench) -> None:
    await bench.receive(message())
    await bench.applied()
    (chat,), (said,) = bench.all(Chat), bench.all(Message)
    async with bench.live.subscribe() as batches:
        rings = await bench.applier.submit(bench.account_id, [MarkRead(chat["id"], said["id"])])
        async with asyncio.timeout(PATIENCE):
            assert await anext(aiter(batches)) == rings == [Ring(bench.account_id, chat["id"], 2)]
    assert bench.all(Chat)[0]["unread"] == 0


async def test_after_stop_nothing_is_taken(bench: Bench) -> None:
    await bench.receive(message())
    bench.applier.start()
    await bench.applied()
    await asyncio.to_thread(bench.applier.stop)
    with pytest.raises(Unavailable):
        await bench.applier.submit(bench.account_id, [FetchDue("u2i-abc", 0)])


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


async def test_a_drain_without_threads(bench: Bench) -> None:
    """`golub spool drain`."""
    await bench.receive(*(message(id=f"m-{number}") for number in range(3)))
    assert await asyncio.to_thread(bench.applier.drain) == 3
    assert bench.count(Message) == 3
    await bench.receive(message(id="m-9"))
    with locked(bench), pytest.raises(Unavailable):
        await asyncio.to_thread(bench.applier.drain)


APPLY_OR_DIE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from golub.apply import Applier
from golub.live import Live
from golub.spool import Spool
from golub.store import Store

folder, url, now = sys.argv[1:]
store = Store(url)

@event.listens_for(store._apply, "before_cursor_execute", retval=False)
def die(connection, cursor, statement, parameters, context, executemany):
    if statement.startswith("INSERT INTO messages") and "deadly" in repr(parameters):
        os.kill(os.getpid(), signal.SIGKILL)

spool = Spool(Path(folder), quota=1 << 24, clock=lambda: int(now))
spool.start()
Applier(spool, store, Live(), lambda: int(now)).drain()
spool.close()
"""


async def test_a_delivery_that_kills_the_process_is_quarantined_at_last(bench: Bench) -> None:
    before = await bench.receive(*(message(id=f"m-{number}") for number in range(3)))
    (bad,) = await bench.receive(message(id="deadly"))
    after = await bench.receive(*(message(id=f"m-{number}") for number in range(3, 6)))
    bench.close()
    ends: list[int] = []
    for _ in range(4):
        command = [sys.executable, "-c", APPLY_OR_DIE, str(bench.folder), bench.url, str(bench.clock())]
        done = await asyncio.to_thread(subprocess.run, command, check=False, timeout=60)
        ends.append(done.returncode)
    bench.open()
    assert ends == [-signal.SIGKILL, -signal.SIGKILL, -signal.SIGKILL, 0]
    journal = bench.journal()
    assert outcome(journal[bad]) == (DeliveryState.QUARANTINED, Cause.CRASHED)
    assert journal[bad]["body"] == message(id="deadly")
    assert {outcome(journal[one]) for one in before + after} == {(DeliveryState.APPLIED, Cause.NONE)}
    assert sorted(row["avito_id"] for row in bench.all(Message)) == [f"m-{number}" for number in range(6)]
    assert bench.spool.pending == 0


async def test_a_log_that_cannot_be_written_does_not_stop_the_drain(bench: Bench) -> None:
    def full(_: list[Received]) -> None:
        raise OSError("No space left on device")

    bench.applier.on_received = full
    await bench.receive(message())
    await bench.applied()
    assert bench.count(Message) == 1
