"""What search costs: how fast it is written beside the messages, and how its questions take to more of them.

    python -m benchmarks.search                                  SQLite, 20 000 and 200 000 messages
    python -m benchmarks.search --few 10000 --many 1000000
    python -m benchmarks.search --database postgresql://…        an empty one

Only ratios within one run are worth anything: the machine, and whoever else is at it, cancel out. Sellers' talk is made
up with the frequencies of a language: few words are in every tenth message, most are in a handful.
"""

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from benchmarks.town import Talk
from golub.fold import fold
from golub.index import entries, statements
from golub.index.entries import Entry
from golub.index.question import All, Any, Asked, Facet, ask
from golub.store import Store
from tests.fold.world import NOW, add_account, webhook
from tests.shapes import CREATED

ACCOUNTS = 3
CHATS = 20_000
REPEATED = 7  # of each question; the best counts

_dice = random.Random(7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=200_000)
    parser.add_argument("--database", default="")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="golub-search-") as folder:
        store = Store(chosen.database or f"sqlite:///{Path(folder) / 'golub.db'}")
        try:
            store.migrate()
            talk = Talk()
            _write(store, talk)
            few = _ask_all(store, talk, 0, chosen.few)
            many = _ask_all(store, talk, chosen.few, chosen.many)
        finally:
            asyncio.run(store.close())
    print(f"\n{'question':34} {chosen.few:>12} {chosen.many:>12}   ratio")
    for name, before in few.items():
        print(f"{name:34} {before * 1000:9.2f} ms {many[name] * 1000:9.2f} ms  {many[name] / before:6.1f}")


def _write(store: Store, talk: Talk, batches: int = 30, size: int = 256) -> None:
    """Folding with and without the index, turn by turn, in processor time of this process."""
    numbers = itertools.count()
    spent = {True: 0.0, False: 0.0}
    with store.writing() as connection:
        account_id = add_account(connection, store)
    for turn in range(2 * batches):
        searchable = turn % 2 == 0
        told = [
            webhook(
                id=f"b{number}",
                chat_id=f"b{number % 500}",
                content={"text": talk.says(_dice)},
                created=CREATED + number,
            )
            for number in itertools.islice(numbers, size)
        ]
        began = time.process_time()
        with store.writing() as connection:
            fold(connection, store, account_id, told, NOW, searchable=searchable)
        spent[searchable] += (time.process_time() - began) if turn > 4 else 0.0
    count = size * (batches - 2)
    print(f"fold, of {size} messages at once:  {spent[False] / count * 1e6:.0f} µs a message without search, ", end="")
    print(f"{spent[True] / count * 1e6:.0f} µs with it: {spent[True] / spent[False]:.2f} times")


def _ask_all(store: Store, talk: Talk, start: int, end: int) -> dict[str, float]:
    began = time.perf_counter()
    for part in _parts(range(start, end), 1000):
        with store.writing() as connection:
            statements.put(connection, [_entry(talk, number) for number in part])
    print(f"{end - start} entries written in {time.perf_counter() - began:.1f} s")
    with store.writing() as connection:
        if not store.is_sqlite:
            connection.execute(text("ANALYZE search_entries"))
        return {name: _best(connection, asked, below) for name, asked, below in _questions(talk, end)}


def _entry(talk: Talk, number: int) -> Entry:
    row = {
        "id": number + 1,
        "account_id": number % ACCOUNTS + 100,
        "chat_id": number * 7919 % CHATS,
        "direction": "in" if number % 3 else "out",
        "type": "image" if number % 50 == 0 else "text",
        "text": talk.says(_dice),
        "created_at": (CREATED + number) * 1000,
        "deleted_at": None,
        "item_id": None,
    }
    made = entries.entry_of_message(row)
    assert made is not None
    return made


def _questions(talk: Talk, end: int) -> Iterator[tuple[str, Asked, int]]:
    newest = entries.GREATEST
    common, second, rare, rarer = talk.words[0], talk.words[1], talk.words[2000], talk.words[9000]
    middle = entries.key_at((CREATED + end // 2) * 1000)
    seen = Any((Facet(entries.of_account(100)), Facet(entries.of_account(101))))
    for name, words, below, facets in (
        ("a common word", f'"{common}"', newest, ()),
        ("a common word, from the middle on", f'"{common}"', middle, ()),
        ("two common words", f'"{common}" "{second}"', newest, ()),
        ("a phrase of common words", f'"{common} {second}"', newest, ()),
        ("a rare word", f'"{rare}"', newest, ()),
        ("a common and a rare word", f'"{common}" "{rarer}"', newest, ()),
        ("a common word in two accounts", f'"{common}"', newest, (seen,)),
        ("a common word in one chat", f'"{common}"', newest, (Facet(entries.of_chat(7919 % CHATS)),)),
        ("a common word under a photo", f'"{common}"', newest, (Facet(entries.HAS_PHOTO),)),
        ("a cut word, common", common[:3], newest, ()),
        ("a cut word, rare", rarer[:6], newest, ()),
        ("no such word", "ыыыыы", newest, ()),
    ):
        question = ask(words).asked
        assert question is not None
        yield name, All((question, *facets)), below


def _best(connection: Connection, asked: Asked, below: int) -> float:
    def once() -> float:
        began = time.perf_counter()
        statements.find(connection, asked, least=0, greatest=below, limit=41)
        return time.perf_counter() - began

    return min(_times(once, REPEATED))


def _times(once: Callable[[], float], number: int) -> list[float]:
    return [once() for _ in range(number)]


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


if __name__ == "__main__":
    main()
