"""How quickly apply takes deliveries in, against the least that could be done with them.

    .venv/bin/python benchmarks/apply.py [--deliveries 20000] [--chats 2000] [--database-url postgresql://…]

Fills a spool with webhooks of talk in Russian, drains it as the server does, and writes the same bytes into a bare
table in transactions of the same size: a journal that understands nothing. The ratio is what chats, messages, the
index of words and the reports cost together. Then the same number once more, into a database that is no longer empty:
what that costs more must not grow with what is there. Processor time, so that a busy machine tells the same; waits for
the disk are left out on both sides.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from golub.app import Golub
from golub.apply import BATCH_ROWS
from golub.model import Account, Webhook
from golub.settings import Settings
from golub.spool import Received
from golub.web.parts import Parts

SELLER = 1_000_001
WORDS = """
    здравствуйте ещё продаёте доставка доставкой Авито самовывоз завтра сегодня после шести торг уместен скидка
    телефон экран батарея коробка чек состояние новое царапины размер цвет чёрный белый адрес метро приехать
    забрать отправьте почтой СДЭК сколько стоит рублей 500 1200 iphone 13 128 pro max спасибо хорошо договорились
""".split()  # noqa: SIM905 - words, to be read
HEADERS = b'[["content-type", "application/json"]]'


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--chats", type=int, default=2_000)
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL; default: SQLite")
    asked = parser.parse_args()
    rng = random.Random(1)
    bodies = [body(rng, number, asked.chats) for number in range(2 * asked.deliveries)]
    with tempfile.TemporaryDirectory(prefix="golub-benchmark-") as folder:
        bare = asked.deliveries / written_bare(Path(folder) / "bare.db", bodies[: asked.deliveries])
        settings = {"data_dir": Path(folder) / "node", "database_url": asked.database_url}
        halves = asyncio.run(applied(Settings.model_validate(settings), bodies))
    first, second = (asked.deliveries / seconds for seconds in halves)
    print(f"a bare table       {bare:10.0f} deliveries a second of one processor")
    print(f"apply, first half  {first:10.0f} deliveries/s, {bare / first:.1f} times the bare table's time")
    print(f"apply, second half {second:10.0f} deliveries/s, {first / second:.2f} times the first half's time")


def body(rng: random.Random, number: int, chats: int) -> bytes:
    """A message in one of the chats: one in four is the seller's own."""
    chat = rng.randrange(chats)
    buyer = 5_000_000 + chat
    value = {
        "id": f"m-{number}",
        "chat_id": f"u2i-{chat}",
        "user_id": SELLER,
        "author_id": SELLER if number % 4 == 3 else buyer,
        "created": 1_790_000_000 + number,
        "type": "text",
        "chat_type": "u2i",
        "content": {"text": " ".join(rng.choices(WORDS, k=rng.randint(2, 16)))},
        "item_id": 7_000_000 + chat % 300,
    }
    told = {"id": f"d-{number}", "version": "v3.0.0", "timestamp": 1_790_000_000 + number}
    return json.dumps(told | {"payload": {"type": "message", "value": value}}, ensure_ascii=False).encode()


def written_bare(path: Path, bodies: list[bytes]) -> float:
    """Seconds."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE journal (id BLOB PRIMARY KEY, headers BLOB, body BLOB)")
        began = time.process_time()
        for start in range(0, len(bodies), BATCH_ROWS):
            connection.execute("BEGIN IMMEDIATE")
            rows = [(os.urandom(16), HEADERS, each) for each in bodies[start : start + BATCH_ROWS]]
            connection.executemany("INSERT INTO journal VALUES (?, ?, ?)", rows)
            connection.execute("COMMIT")
        return time.process_time() - began


async def applied(settings: Settings, bodies: list[bytes]) -> list[float]:
    """Seconds, for either half."""
    golub = Golub(settings)
    async with golub.opened() as parts:
        await golub.migrate()
        account_id = add_account(parts)
        found: list[float] = []
        for half in (bodies[: len(bodies) // 2], bodies[len(bodies) // 2 :]):
            for start in range(0, len(half), 500):
                await asyncio.gather(
                    *(parts.spool.put(received(each, account_id)) for each in half[start : start + 500])
                )
            began = time.process_time()
            await asyncio.to_thread(parts.applier.drain)
            found.append(time.process_time() - began)
        return found


def add_account(parts: Parts) -> int:
    with parts.store.writing() as connection:
        account = parts.store.insert(Account).values(
            user_id=SELLER, client_id="id", client_secret=b"", created_at=parts.clock()
        )
        account_id = connection.execute(account.returning(Account.id)).scalar_one()
        webhook = {"url": "https://shop.example", "types": ["message", "chat"], "created_at": 0, "updated_at": 0}
        connection.execute(parts.store.insert(Webhook).values(account_id=account_id, **webhook))
        return account_id


def received(body: bytes, account_id: int) -> Received:
    return Received(
        id=os.urandom(16),
        received_at=1_790_000_000_000,
        account_id=account_id,
        token_id=1,
        address="192.0.2.7",
        headers=HEADERS,
        body=body,
    )


if __name__ == "__main__":
    main()
