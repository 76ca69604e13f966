"""The index follows the rows: whatever happened to them and in whatever order, it holds exactly what they say now."""

import asyncio
from collections.abc import Generator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from golub import index
from golub.avito.wire import DELETED_TEXT
from golub.fold import MarkRead, NoteWritten, Observation
from golub.index import entries, forget_account, statements
from golub.index.question import Facet, ask
from golub.store import Store
from tests.fold.test_any_order import histories
from tests.fold.world import World, a_world, api_chat, from_api, webhook
from tests.search.test_questions import found
from tests.shapes import CREATED


@pytest.fixture
def opened(database_url: str) -> Generator[Store]:
    store = Store(database_url)
    yield store
    asyncio.run(store.close())


def held(connection: Connection) -> dict[int, set[Any]]:
    """Every entry, word by word."""
    if connection.dialect.name == "sqlite":
        statement = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab(main, search_entries, instance)"
        connection.execute(text(statement))
        found: dict[int, set[Any]] = {}
        for key, column, place, word in connection.execute(text("SELECT doc, col, offset, term FROM temp.words")):
            found.setdefault(key, set()).add((column, place if column == "stems" else 0, word))
        return found
    rows = connection.execute(text("SELECT key, CAST(words AS text) FROM search_entries"))
    return {key: {words} for key, words in rows}


def expected(world: World) -> dict[int, set[Any]]:
    """What the rows as they are would be indexed as."""
    chats, messages = world.rows()
    items = {row["id"]: row["item_id"] for row in chats.values()}
    made = [entries.entry_of_message({**row, "item_id": items[row["chat_id"]]}) for row in messages.values()]
    made += [entries.entry_of_chat(row) for row in chats.values()]
    if world.connection.dialect.name == "sqlite":
        return {
            entry.key: {("stems", place, stem) for place, stem in enumerate(entry.stems)}
            | {("others", 0, word) for word in entry.others}
            | {("facets", 0, facet) for facet in entry.facets}
            for entry in made
            if entry
        }
    written = text("SELECT CAST(CAST(:words AS tsvector) AS text)")
    return {
        entry.key: {world.connection.execute(written, {"words": statements.vector(entry)}).scalar_one()}
        for entry in made
        if entry
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_any_order_of_the_same_observations_gives_the_same_index(opened: Store) -> None:
    @settings(max_examples=40)
    @given(history=histories(), shuffled=st.randoms())
    def holds(history: tuple[list[Observation], list[list[Observation]]], shuffled: Random) -> None:
        observations, parts = history
        with a_world(opened) as world:
            for part in parts:
                world.fold(*part)
            assert held(world.connection) == expected(world)
        shuffled.shuffle(observations)
        with a_world(opened) as other:
            other.fold(*observations)
            assert held(other.connection) == expected(other)

    holds()


def test_what_becomes_of_a_message_becomes_of_its_entry(opened: Store) -> None:
    with a_world(opened) as world:
        world.fold(webhook(id="one", content={"text": "Продаёте диван?"}), webhook(id="two", content={"text": "Диван"}))
        assert found(world, "диван") == {"one", "two"}
        world.fold(webhook(id="one", content={"text": "Продаёте стол?"}, at=CREATED + 5))
        assert (found(world, "диван"), found(world, "столы")) == ({"two"}, {"one"})
        world.fold(webhook(id="two", content={"text": DELETED_TEXT}, at=CREATED + 6))
        assert found(world, "диван") == found(world, "удалено") == set()
        world.fold(from_api(id="one", content={"text": "Продаёте стол?"}, created=CREATED - 60, at=CREATED + 9))
        assert held(world.connection) == expected(world)
        assert found(world, "стол") == {"one"}

        world.fold(api_chat("u2i-abc", "Анна", "Стол письменный", CREATED))
        assert found(world, "стол") == {"one", "u2i-abc"}
        world.fold(api_chat("u2i-abc", "Анна", "Шкаф", CREATED + 9))
        assert (found(world, "стол"), found(world, "шкафы анна")) == ({"one"}, {"u2i-abc"})
        before = held(world.connection)
        world.fold(MarkRead(world.chat()["id"], 2**62), from_api(id="one", content={"text": "Продаёте стол?"}))
        assert held(world.connection) == before == expected(world)


def test_what_was_said_follows_its_chat_to_another_item(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_AT_ONCE", 2)

    def about(item: int) -> int:
        asked = Facet(entries.of_item(item))
        return len(statements.find(world.connection, asked, least=0, greatest=entries.GREATEST, limit=99))

    with a_world(opened) as world:
        world.fold(*(webhook(id=f"m{number}", item_id=None) for number in range(5)))
        world.fold(webhook(id="gone", type="deleted", content={}, item_id=None))
        chat_id = world.chat()["id"]
        world.fold(NoteWritten(chat_id, None, "note", "Просит скидку", CREATED))
        assert (about(5), about(9)) == (0, 0)
        world.fold(webhook(id="m5", item_id=5))
        assert (about(5), about(9)) == (7, 0)  # six messages and the note
        world.fold(api_chat("u2i-abc", "Анна", "Стол", CREATED))
        assert (about(5), about(9)) == (0, 7)
        world.fold(NoteWritten(chat_id, None, "other", "И ещё", CREATED), webhook(id="m6", item_id=5))
        assert (about(5), about(9)) == (0, 9)


def test_the_newest_come_first_by_pages_that_lose_nothing(opened: Store) -> None:
    times = [CREATED + number // 3 for number in range(20)]
    Random(5).shuffle(times)
    with a_world(opened) as world:
        for number, at in enumerate(times):
            world.fold(webhook(id=f"m{number}", content={"text": "Добрый день"}, created=at))
        _, rows = world.rows()
        newest_first = sorted(((row["created_at"], row["id"]) for row in rows.values()), reverse=True)
        asked, keys, below = ask("добрый").asked, list[int](), entries.GREATEST
        assert asked is not None
        while page := statements.find(world.connection, asked, least=0, greatest=below, limit=3):
            keys += page
            below = page[-1] - 1
        assert [entries.message_id_of(key) for key in keys] == [key for _, key in newest_first]
        since = entries.key_at((CREATED + 3) * 1000)
        late = statements.find(world.connection, asked, least=since, greatest=entries.GREATEST, limit=99)
        assert len(late) == sum(at >= CREATED + 3 for at in times)


def test_an_account_that_goes_takes_its_entries_along_and_no_others(opened: Store) -> None:
    with a_world(opened) as world:
        other = World(world.connection, opened)
        for one in (world, other):
            one.fold(webhook(content={"text": "Диван"}), api_chat("u2i-abc", "Анна", "Стол", CREATED))
        forget_account(world.connection, world.account_id)
        assert held(world.connection) == expected(other)


@pytest.mark.row(26)
def test_absurd_times_have_their_place(opened: Store) -> None:
    with a_world(opened) as world:
        for name, created in (("past", 0), ("far", 2**40), ("now", CREATED)):
            world.fold(webhook(id=name, content={"text": "Диван"}, created=created))
        assert found(world, "диван") == {"past", "far", "now"} & {name for _, name in world.rows()[1]}
        assert held(world.connection) == expected(world)
