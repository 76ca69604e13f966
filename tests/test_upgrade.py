"""From any schema that was ever released to the newest, with messages in it; and no release where it must not go."""

import asyncio
import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, insert, select, text

from golub import backup, migrations
from golub.app import UPGRADING, Golub
from golub.errors import Conflict, Rejected
from golub.model import Mark, Message
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from tests import postgres
from tests.conftest import SteppedClock

REVISIONS = [script.revision for script in migrations._scripts().walk_revisions()][::-1]
STARTS = [
    *(("sqlite", revision) for revision in REVISIONS[:-1]),
    *(pytest.param("postgres", revision, marks=pytest.mark.postgres) for revision in (REVISIONS[0], REVISIONS[-2])),
]
MESSAGES = 20


def old_database(url: str, revision: str, messages: int = MESSAGES) -> None:
    """A database at that revision, with an account, a chat, messages and their deliveries, written as SQL writes."""
    store = Store(url)
    with store.writing() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _fill(connection, messages)
    store._apply.dispose()


def _fill(connection: Connection, messages: int) -> None:
    tables = MetaData()
    tables.reflect(connection)

    def put(table: str, *rows: dict[str, Any]) -> None:
        columns = tables.tables[table].columns
        needed = {
            column.name: b""
            if "BYTEA" in str(column.type) or "BLOB" in str(column.type)
            else _nothing(str(column.type))
            for column in columns
            if not column.nullable and column.server_default is None
        }
        connection.execute(insert(tables.tables[table]), [needed | row for row in rows])

    put("accounts", {"id": 1, "user_id": 94_235_311, "name": "Лавка", "client_id": "id"})
    put("chats", {"id": 1, "account_id": 1, "avito_id": "u2i-1", "last_message_at": messages})
    ids = range(1, messages + 1)
    one = {"account_id": 1, "chat_id": 1, "direction": "in", "type": "text", "content": {"text": "Да"}}
    put("messages", *({**one, "id": n, "avito_id": f"m{n}", "text": f"Сообщение {n}", "created_at": n} for n in ids))
    got = {"account_id": 1, "headers": [], "state": "applied", "body": b"{}"}
    put("deliveries", *({**got, "id": n.to_bytes(16), "received_at": n, "applied_at": n} for n in ids))


def _nothing(kind: str) -> Any:
    return {"JSON": {}, "JSONB": {}, "BOOLEAN": False}.get(kind, 0 if "INT" in kind else "")


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """No table yet, in the database that the test's parameter names."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.db'}"
        return
    server: postgres.Postgres = request.getfixturevalue("postgres_server")
    url = server.create()
    yield url.replace("postgresql://", "postgresql+psycopg://")
    server.drop(url)


@pytest.mark.promise("P25")
@pytest.mark.parametrize(("empty_url", "revision"), STARTS, indirect=["empty_url"])
def test_every_schema_comes_to_the_newest_with_its_messages(empty_url: str, revision: str) -> None:
    old_database(empty_url, revision)
    store = Store(empty_url)
    try:
        assert store.upgrade_is_due()
        store.migrate()
        assert not store.upgrade_is_due()
        assert migrations.differences(store._apply) == []
        with store.writing() as connection:
            found = connection.execute(
                select(Message.avito_id, Message.text, Message.content).order_by(Message.id)
            ).all()
            journal = connection.scalar(text("SELECT count(*) FROM deliveries"))
            mark = connection.scalar(select(Mark.value).where(Mark.name == migrations.OLDEST_BINARY))
    finally:
        asyncio.run(store.close())
    assert found == [(f"m{n}", f"Сообщение {n}", {"text": "Да"}) for n in range(1, MESSAGES + 1)]
    assert (journal, mark) == (MESSAGES, migrations.oldest_binary())


@pytest.mark.promise("P25")
@pytest.mark.parametrize("needs", ["0.0.9", "0.1.0", "0.2.0", "0.10.0", None])
async def test_a_newer_schema_says_who_may_use_it(store: Store, needs: str | None) -> None:
    await asyncio.to_thread(store.migrate)
    async with store.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
        mark = await session.get_one(Mark, migrations.OLDEST_BINARY)
        made_by = await session.get_one(Mark, migrations.MADE_BY)
        mark.value, made_by.value = needs or "", "0.9.0"
        if needs is None:
            await session.delete(mark)
    if needs in {"0.0.9", "0.1.0"}:
        await asyncio.to_thread(store.migrate)
        assert await asyncio.to_thread(store.revision) == "9999_future"
        return
    with pytest.raises(Rejected, match=rf"made by Golub 0\.9\.0 and needs Golub {needs or '.'}"):
        await asyncio.to_thread(store.migrate)


@pytest.mark.promise("P25")
@pytest.mark.postgres
def test_nodes_that_start_together_upgrade_once(postgres_server: postgres.Postgres) -> None:
    url = postgres_server.create()
    old_database(url.replace("postgresql://", "postgresql+psycopg://"), REVISIONS[0])
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def node() -> None:
        store = Store(url)
        try:
            together.wait()
            store.migrate()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            asyncio.run(store.close())

    nodes = [threading.Thread(target=node) for _ in range(4)]
    for thread in nodes:
        thread.start()
    for thread in nodes:
        thread.join(60)
    postgres_server.drop(url)
    assert failures == []


@pytest.mark.promise("P25")
async def test_a_backup_is_made_first_and_pages_wait(tmp_path: Path, clock: SteppedClock) -> None:
    old_database(f"sqlite:///{tmp_path / 'golub.db'}", REVISIONS[0])
    settings = Settings.model_validate({"data_dir": tmp_path})
    golub = Golub(settings, clock=clock)
    async with golub.opened() as parts, httpx2.AsyncClient(transport=httpx2.ASGITransport(golub.asgi)) as client:
        with closing(sqlite3.connect(tmp_path / "golub.db", isolation_level=None)) as outsider:
            outsider.execute("BEGIN IMMEDIATE")
            upgrading = asyncio.create_task(golub.migrate())
            while not parts.halted:  # noqa: ASYNC110 - set from the upgrade itself
                await asyncio.sleep(0)
            answer = await client.get("http://localhost/sign-in")
            assert (answer.status_code, parts.halted) == (503, UPGRADING)
            ready = await client.get("http://localhost/healthz/ready")
            assert [reason["code"] for reason in ready.json()["reasons"]] == ["migrating"]
            assert (await client.post("http://localhost/webhook/avito", content=b"{}")).status_code == 200
            outsider.execute("ROLLBACK")
        await upgrading
        assert not parts.halted
        assert (await client.get("http://localhost/sign-in")).status_code == 200
    (made,) = backup.list_all(settings.effective_backup_dir)
    assert made.reason == backup.Reason.BEFORE_UPGRADE
    manifest = backup.read_manifest(made.path)
    assert (manifest.schema, manifest.counts["messages"]) == (REVISIONS[0], MESSAGES)
    place = Settings.model_validate({"data_dir": tmp_path / "restored"})
    restored = await backup.restore(made.path, place, lost_key=True, clock=clock, tell=lambda _step, _share: None)
    assert restored.messages == MESSAGES


@pytest.mark.promise("P25")
def test_a_spool_of_a_later_release_opens_unless_it_says_no(tmp_path: Path) -> None:
    Spool(tmp_path, quota=8 << 20).close()
    with closing(sqlite3.connect(tmp_path / "spool.db")) as spool:
        spool.executescript("CREATE TABLE added_later (id INTEGER); PRAGMA user_version=99;")
    Spool(tmp_path, quota=8 << 20).close()
    with closing(sqlite3.connect(tmp_path / "spool.db")) as spool:
        spool.executescript("PRAGMA application_id=99;")
    for _ in range(2):  # the folder is let go each time
        with pytest.raises(Rejected, match="newer Golub") as refused:
            Spool(tmp_path, quota=8 << 20)
        assert not isinstance(refused.value, Conflict)
