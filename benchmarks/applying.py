"""One process that applies a backlog: what `benchmarks.suite.apply` starts, alone or two at once.

    python -m benchmarks.applying FOLDER [--database-url …] [--deliveries 20000] [--first 0] [--batch 256] [--process 0]

Fills the spool in FOLDER, says `ready`, waits for a line, drains as a server does, and says what that took as JSON.
"""

import argparse
import asyncio
import bisect
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import insert, select

from benchmarks.town import Talk, Town, name_of
from golub import apply
from golub.app import Golub
from golub.errors import Unavailable
from golub.model import Account, Webhook
from golub.settings import Settings
from golub.spool import Received
from golub.web.parts import Parts

SELLER = 1001  # the town's first account
CHATS = 2_000
VOCABULARY = 200_000  # words that are made up
DISTINCT = 50_000  # words that a corpus has at least
AT = 1_790_000_000  # seconds; the town ends then
AT_ONCE = 200
# As Avito sends them, behind a proxy; the signature is nobody's.
HEADERS = [
    ["host", "golub.example.ru"],
    ["user-agent", "Avito Messenger Webhooks"],
    ["accept", "*/*"],
    ["content-type", "application/json"],
    ["x-forwarded-for", "203.0.113.7"],
    ["x-forwarded-proto", "https"],
]


class Corpus:
    """Bodies of `number` webhooks: talk with a language's frequencies, whose seldom words are many. In chats of the
    town's first account, of which `process` takes every second one, so that two processes meet in none of them."""

    def __init__(self, number: int, first: int = 0, process: int | None = None) -> None:
        talk, town = Talk(VOCABULARY), Town(20_000)
        chats = [chat for chat in range(town.chats) if town.account_of(chat) == 1][:CHATS]
        self._chats = chats if process is None else chats[process::2]
        self._number, self._first = number, first
        self._words = talk.words
        self._weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(self._words))))
        self._dice = random.Random(f"{first}:{process}")
        self.distinct: set[str] = set()

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._first, self._first + self._number):
            yield self._body(number)

    def _body(self, number: int) -> bytes:
        dice, top = self._dice, self._weights[-1]
        words = [self._words[bisect.bisect(self._weights, dice.random() * top)] for _ in range(dice.randint(2, 10))]
        words += dice.choices(self._words, k=3)
        self.distinct.update(words)
        chat = dice.choice(self._chats)
        value = {
            "id": f"{dice.getrandbits(128):032x}",
            "chat_id": name_of(chat),
            "user_id": SELLER,
            "author_id": SELLER if dice.random() < 0.25 else 5_000_000 + chat * 19 // 20,
            "created": AT + number // 10,
            "type": "text",
            "chat_type": "u2i",
            "content": {"text": " ".join(words)},
            "item_id": 7_000_000 + chat % 300,
            "published_at": "2026-11-22T10:00:00Z",
        }
        told = {"id": f"{number:032x}", "version": "v3.0.0", "timestamp": AT + number // 10}
        return json.dumps(told | {"payload": {"type": "message", "value": value}}, ensure_ascii=False).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first one's number")
    parser.add_argument("--batch", type=int, default=apply.BATCH_ROWS)
    parser.add_argument("--process", type=int, help="0 or 1 of two")
    asked = parser.parse_args()
    apply.BATCH_ROWS = asked.batch
    apply.BATCH_BYTES = max(apply.BATCH_BYTES, asked.batch * 4096)
    settings = Settings.model_validate({"data_dir": asked.folder, "database_url": asked.database_url})
    corpus = Corpus(asked.deliveries, asked.first, asked.process)
    print(json.dumps(asyncio.run(_apply(settings, corpus))), flush=True)


async def _apply(settings: Settings, corpus: Corpus) -> dict[str, float]:
    golub = Golub(settings)
    async with golub.opened() as parts:
        await golub.migrate()
        account_id = _account(parts)
        number = 0
        for some in _parts(list(corpus), AT_ONCE):
            await asyncio.gather(*(_put(parts, _received(body, account_id)) for body in some))
            number += len(some)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        clock, processor = time.perf_counter(), time.process_time()
        applied = await asyncio.to_thread(parts.applier.drain)
        seconds, taken = time.perf_counter() - clock, time.process_time() - processor
        if applied != number:
            raise SystemExit(f"{applied} of {number} deliveries were applied")
        return {"deliveries": number, "seconds": seconds, "processor": taken, "words": len(corpus.distinct)}


def _account(parts: Parts) -> int:
    """The seller's row: the town's, or a new one."""
    with parts.store.writing() as connection:
        known = connection.scalar(select(Account.id).where(Account.user_id == SELLER))
        if known is None:
            values = {"user_id": SELLER, "client_id": "id", "client_secret": b"", "created_at": 0}
            known = connection.scalar(insert(Account).values(values).returning(Account.id))
            webhook = {"url": "https://shop.example", "types": ["message", "chat"], "created_at": 0, "updated_at": 0}
            connection.execute(insert(Webhook).values(account_id=known, **webhook))
        assert known is not None
        return known


async def _put(parts: Parts, received: Received) -> None:
    """A slow disk is no reason to end."""
    while True:
        try:
            return await parts.spool.put(received)
        except Unavailable:
            await asyncio.sleep(0.1)


def _received(body: bytes, account_id: int) -> Received:
    headers = [*HEADERS, ["content-length", str(len(body))], ["x-avito-messenger-signature", os.urandom(32).hex()]]
    return Received(
        id=os.urandom(16),
        received_at=AT * 1000,
        account_id=account_id,
        token_id=1,
        address="192.0.2.7",
        headers=json.dumps(headers, ensure_ascii=False, separators=(",", ":")).encode(),
        body=body,
    )


def _parts(bodies: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(bodies), size):
        yield bodies[start : start + size]


if __name__ == "__main__":
    main()
