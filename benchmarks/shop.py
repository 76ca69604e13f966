"""A Golub with one account, made on the disk before the server starts: its token is known, Avito is left in peace."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from benchmarks.load import SELLER
from golub.app import Golub
from golub.clock import now
from golub.model import Account, PathToken, Webhook
from golub.settings import WEBHOOK_PATH, Settings
from golub.spool import TokenEntry

TOKEN = "benchmark-benchmark-benchmark-benchmark-bench"
PATH = f"{WEBHOOK_PATH}/{TOKEN}"
DRAINED_WITHIN = 600.0  # seconds
QUIET = {"GOLUB_AVITO_URL": "http://127.0.0.1:9", "GOLUB_BACKUP_EVERY": "0"}


def make(folder: Path, pattern: Path) -> None:
    """Puts it into `folder/node`; made once in `pattern`, and copied from there."""
    made = pattern / "made"
    if not made.exists():
        shutil.rmtree(pattern, ignore_errors=True)
        settings = Settings.model_validate({"data_dir": pattern / "node"})
        asyncio.run(_open(settings))
        (pattern / "node/ballast").unlink(missing_ok=True)
        made.touch()
    shutil.copytree(pattern / "node", folder / "node")


async def _open(settings: Settings) -> None:
    golub = Golub(settings)
    async with golub.opened() as parts:
        await golub.migrate()
        await asyncio.to_thread(open_account, golub)
        await parts.store.close()


def open_account(golub: Golub) -> int:
    """A paused one: Avito gets no request, and webhooks are taken as ever. Returns its row."""
    parts, digest = golub.parts, sha256(TOKEN.encode()).digest()
    with parts.store.writing() as connection:
        account = {"client_id": "id", "client_secret": b"", "created_at": now(), "paused_at": now()}
        insert = parts.store.insert(Account).values(user_id=SELLER, name="Магазин", **account)
        row = connection.execute(insert.returning(Account.id)).scalar_one()
        webhook = {"url": "https://shop.example", "types": ["message", "chat"], "created_at": 0, "updated_at": 0}
        connection.execute(parts.store.insert(Webhook).values(account_id=row, **webhook))
        token = {"hash": digest, "token": parts.vault.seal(TOKEN), "created_at": now()}
        insert = parts.store.insert(PathToken).values(account_id=row, **token)
        token_id = connection.execute(insert.returning(PathToken.id)).scalar_one()
    parts.spool.put_token(TokenEntry(digest, token_id, row))
    return row


def pending(folder: Path) -> tuple[int, float]:
    """How many deliveries wait in the spool, and for how many seconds the oldest does."""
    with closing(sqlite3.connect(f"file:{folder / 'node/spool.db'}?mode=ro", uri=True)) as connection:
        number, first = connection.execute(
            "SELECT count(*), min(seq) FROM progress WHERE drained_at IS NULL"
        ).fetchone()
        if not number:
            return 0, 0.0
        row = connection.execute("SELECT received_at FROM received WHERE seq = ?", (first,)).fetchone()
        return number, (now() - row[0]) / 1000 if row else 0.0


def wait_until_drained(folder: Path, say: Callable[[str], None]) -> None:
    """Ends the run where that takes longer than `DRAINED_WITHIN`."""
    until, told = time.monotonic() + DRAINED_WITHIN, time.monotonic()
    while left := pending(folder)[0]:
        if time.monotonic() > until:
            raise SystemExit(f"{left} deliveries were not applied within {DRAINED_WITHIN:.0f} s")
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{left} deliveries are still to be applied")
        time.sleep(0.1)


def kept(folder: Path) -> set[int]:
    """The numbers of all messages that are stored, in the spool or in the database."""
    found: set[int] = set()
    with closing(sqlite3.connect(f"file:{folder / 'node/golub.db'}?mode=ro", uri=True)) as connection:
        found.update(int(row[0]) for row in connection.execute("SELECT avito_id FROM messages"))
    with closing(sqlite3.connect(f"file:{folder / 'node/spool.db'}?mode=ro", uri=True)) as connection:
        bodies = connection.execute("SELECT body FROM received JOIN progress USING (seq) WHERE drained_at IS NULL")
        found.update(int(row[0][8:20]) for row in bodies)
    return found
