"""Apply by itself: a spool, a database, and what stands in their way."""

import asyncio
import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, func, make_url, select, text

from golub.apply import Applier, Failure
from golub.live import Live
from golub.model import Account, Delivery, Webhook
from golub.spool import Received, Spool
from golub.store import Store
from tests.conftest import SteppedClock
from tests.shapes import USER_ID

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

    def _hear(self, rows: Sequence[Received]) -> None:
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


def outcome(row: Any) -> tuple[str, str]:
    return row["state"], row["cause"]


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


def accept_all(store: Store) -> None:
    """`refuse_text` is taken back: the cause is mended."""
    with store.writing() as connection:
        connection.execute(
            text("DROP TRIGGER refuse" if store.is_sqlite else "ALTER TABLE messages DROP CONSTRAINT refuse")
        )


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
