"""From SQLite to PostgreSQL: every row arrives, is compared, and nobody writes to the database that was left."""

import asyncio
import json
import sqlite3
import stat
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, insert, select, text

from benchmarks.town import Town
from golub.errors import Conflict, Rejected, Unavailable
from golub.health import Code, Health
from golub.model import AttachedPicture, AuditEntry, Mark, Message, Operator, Table
from golub.moved import Moved, find_moved, moving, tell_moved
from golub.moving import MOVING, Arrived, arrive, leave, must_not_be_left
from golub.moving import move as really_move
from golub.moving.copying import canonical
from golub.moving.target import MARK
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from tests.conftest import SteppedClock
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres

MESSAGES = 400


@pytest.fixture
def empty_url(postgres_server: Postgres) -> Generator[str]:
    url = postgres_server.create()
    yield url.replace("postgresql://", "postgresql+psycopg://")
    postgres_server.drop(url)


@pytest.fixture
def house(tmp_path: Path, sqlite_url: str) -> Settings:
    """A data folder with a town in its golub.db, and rows of every table that a town leaves empty."""
    settings = Settings.model_validate({"data_dir": tmp_path, "secret_key": "a key that is long enough for a key"})
    assert sqlite_url == settings.effective_database_url
    store = Store(sqlite_url)
    Town(MESSAGES).build(store, lambda _: None)
    with store.writing() as connection:
        connection.execute(insert(Mark).values(name="database", value="the old house"))
    asyncio.run(store.close())
    return settings


def move(settings: Settings, url: str, at: int = 1) -> Arrived:
    return really_move(settings, url, clock=lambda: at, tell=lambda _step, _share: None)


def rows(url: str, table: type[Table]) -> list[tuple[Any, ...]]:
    async def read() -> list[tuple[Any, ...]]:
        store = Store(url)
        async with store.read() as session:
            columns = table.__table__.columns
            found = sorted(tuple(row) for row in await session.execute(select(*columns)))
        await store.close()
        return found

    return asyncio.run(read())


def test_every_row_arrives_and_both_sides_agree(house: Settings, empty_url: str) -> None:
    outgoing = house.data_dir / "outgoing"
    outgoing.mkdir()
    name = f"{'ab' * 16}.jpg"
    (outgoing / name).write_bytes(b"large")
    (outgoing / name).with_suffix(".webp").write_bytes(b"small")
    old = house.effective_database_url
    before = (house.data_dir / "golub.db").read_bytes()
    arrived = move(house, empty_url)
    assert arrived.messages == MESSAGES
    for table in (Message, Operator):
        assert rows(old, table) == rows(empty_url, table)
    assert (house.data_dir / "golub.db").read_bytes() == before
    assert [(row[0], row[1], row[2]) for row in rows(empty_url, AttachedPicture)] == [(name, b"large", b"small")]
    assert house.effective_database_url == empty_url
    assert stat.S_IMODE((house.data_dir / "golub.moved").stat().st_mode) == 0o600
    store = Store(empty_url)
    with store.writing() as connection:  # counters stand behind what is there, and search begins anew
        one = connection.execute(select(*Message.__table__.columns).limit(1)).mappings().one()
        new = {name: value for name, value in one.items() if name != "id"} | {"avito_id": "another"}
        assert connection.execute(insert(Message).values(**new).returning(Message.id)).scalar_one() > MESSAGES
        assert connection.scalar(select(Mark.value).where(Mark.name == "search")) is None
        connection.rollback()
    asyncio.run(store.close())


def test_the_database_that_was_left_takes_nothing_more(house: Settings, empty_url: str) -> None:
    old = Store(house.effective_database_url)
    move(house, empty_url)
    with pytest.raises(Unavailable, match="has moved to PostgreSQL"), old.writing():
        pass

    async def write() -> None:
        async with old.write():
            pass

    with pytest.raises(Unavailable, match="has moved to PostgreSQL"):
        asyncio.run(write())
    named = house.model_copy(update={"database_url": house.own_database_url})
    with pytest.raises(Conflict, match="has moved"):
        must_not_be_left(named)
    with pytest.raises(Conflict, match="already"):
        move(house, empty_url)
    (house.data_dir / "golub.moved").unlink()  # somebody goes back
    with old.writing() as connection:
        assert connection.scalar(select(func.count()).select_from(Message)) == MESSAGES


def test_what_postgresql_cannot_hold_is_mended_and_told(house: Settings, empty_url: str) -> None:
    with closing(sqlite3.connect(house.data_dir / "golub.db", isolation_level=None)) as connection:
        connection.execute("UPDATE messages SET text = ? WHERE id = 1", ("a\x00b",))
        connection.execute("""UPDATE messages SET content = '{"text": "\\ud800 \\u0000", "n": NaN}' WHERE id = 2""")
        connection.execute("UPDATE messages SET text = CAST(x'61eda08062' AS TEXT) WHERE id = 3")
        connection.execute("""UPDATE messages SET content = '{"b": 1e2, "a": 1.0, "c": 0.1}' WHERE id = 4""")
    arrived = move(house, empty_url)
    assert arrived.mended == 4
    found = {row[0]: row for row in rows(empty_url, Message)}
    names = [column.name for column in Message.__table__.columns]
    message = [dict(zip(names, found[number], strict=True)) for number in (1, 2, 3, 4)]
    assert message[0]["text"] == "a�b"
    assert message[1]["content"] == {"text": "� �", "n": None}
    assert set(message[2]["text"]) == set("a�b")
    assert message[3]["content"] == {"a": 1.0, "b": 100, "c": 0.1}


def test_a_row_that_does_not_arrive_as_it_was_is_found(
    house: Settings, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server changes one on its way: a trigger that the migrations bring along for this test."""
    from golub.moving import target

    real = target.upgrade_on

    def upgrade_with_a_fault(connection: Any) -> None:
        real(connection)
        connection.execute(
            text(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN IF NEW.id = 7 THEN NEW.text = NEW.text || '.'; END IF; RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER spoils BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION spoil()")
        )

    monkeypatch.setattr(target, "upgrade_on", upgrade_with_a_fault)
    with pytest.raises(Rejected, match="messages did not arrive as it was"):
        move(house, empty_url)
    assert find_moved(house.data_dir) is None
    monkeypatch.setattr(target, "upgrade_on", real)
    move(house, empty_url)  # nothing of the first try is left


def test_what_will_not_do_is_refused_before_anything_happens(house: Settings, empty_url: str) -> None:
    plain = empty_url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE TABLE of_somebody_else (id int)")
        with pytest.raises(Conflict, match="not empty"):
            move(house, empty_url)
        connection.execute("DROP TABLE of_somebody_else")
    with pytest.raises(Rejected, match="PostgreSQL's address"):
        move(house, "sqlite:///elsewhere.db")
    with pytest.raises(Unavailable, match="PostgreSQL says"):
        move(house, "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with moving(house.data_dir) as ours:
        assert ours
        with pytest.raises(Conflict, match="at work"):
            move(house, empty_url)
    assert find_moved(house.data_dir) is None


async def test_a_try_that_was_cut_off_after_its_commit_is_begun_anew(
    house: Settings, empty_url: str, clock: SteppedClock
) -> None:
    """Between PostgreSQL's commit and the word in the folder: nobody may start there, and the same move may."""
    await asyncio.to_thread(move, house, empty_url)
    (house.data_dir / "golub.moved").unlink()
    store = Store(empty_url)
    with pytest.raises(Rejected, match="has not ended"):
        await arrive(store, house.model_copy(update={"database_url": empty_url}), clock())
    other = Store(house.own_database_url)
    async with other.write() as session:
        mark = await session.get_one(Mark, "database")
        mark.value = "another house"
    with pytest.raises(Conflict, match="not of this move"):
        await asyncio.to_thread(move, house, empty_url)
    async with other.write() as session:
        mark = await session.get_one(Mark, "database")
        mark.value = "the old house"
    await asyncio.to_thread(move, house, empty_url)
    for _ in range(2):
        await arrive(store, house, clock())
    async with store.read() as session:
        assert await session.get(Mark, MARK) is None
        actions = list(await session.scalars(select(AuditEntry.action)))
    assert actions.count("moved") == 1
    await store.close()
    await other.close()


async def test_meanwhile_everything_is_read_and_nothing_written(house: Settings) -> None:
    store = Store(house.effective_database_url)
    watching = asyncio.create_task(leave(store, house))
    with moving(house.data_dir):
        while not store.refusal:  # noqa: ASYNC110 - it looks at a lock of another process
            await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="moving to another database"):
            async with store.write():
                pass
        async with store.read() as session:
            assert await session.scalar(select(func.count()).select_from(Message)) == MESSAGES
        health = Health(house, store, Spool(house.data_dir, quota=8 << 20), lambda: 0)
        found = [reason for reason in health.of_this_process() if reason.code is Code.MOVING]
        assert [(reason.text, reason.severe) for reason in found] == [(MOVING, False)]
    while store.refusal:  # noqa: ASYNC110 - the command was killed: all goes on
        await asyncio.sleep(0)
    async with store.write():
        pass
    tell_moved(house.data_dir, Moved("move", "postgresql://elsewhere", 1))
    await watching
    assert store.refusal
    await store.close()


@pytest.mark.parametrize(
    ("one", "other"), [('{"a": 1.0, "b": [1e2]}', '{"b": [100], "a": 1}'), ('{"x": "é"}', '{"x": "\\u00e9"}')]
)
def test_documents_are_compared_by_what_they_say(one: str, other: str) -> None:
    assert canonical(json.loads(one)) == canonical(json.loads(other))
    assert canonical(json.loads(one)) != canonical({})
