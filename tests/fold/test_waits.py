"""Waits: whatever order a chat's messages come in, who waited and for how long ends as the same rows."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from golub.avito.wire import DELETED_TEXT, MessageSeen
from golub.fold import CountWaits, Named, Observation
from golub.model import Operator, OutgoingMessage, Wait
from golub.store import Store
from tests.conftest import AtScale
from tests.fold.world import NOW, Row, World, a_world, api_chat, from_api, webhook
from tests.shapes import BUYER_ID, CREATED, USER_ID

CHAT = "u2i-abc"
MISSED = {"type": "call", "content": {"call": {"status": "missed"}}}
TAKEN = {"type": "call", "content": {"call": {"status": "answered"}}}
GREETING = "greeting"  # ids of what went out through Golub: by no operator, and by one
WRITTEN = "written"
SECOND = 1000

bodies = st.sampled_from(
    [
        {"type": "text", "content": {"text": "Здравствуйте"}},
        {"type": "text", "content": {"text": "Здравствуйте"}},
        {"type": "text", "content": {"text": DELETED_TEXT}},
        {"type": "deleted", "content": {}},
        {"type": "appCall", "content": {}},
        MISSED,
        TAKEN,
    ]
)
said: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["m1", "m2", "m3", "m4", "m5", "m6", GREETING, WRITTEN]),
        "author_id": st.sampled_from([BUYER_ID, BUYER_ID, USER_ID, USER_ID, 0]),
        "created": st.integers(CREATED - 9, CREATED),
    }
)
times = st.integers(CREATED, CREATED + 3)
told: st.SearchStrategy[Observation] = st.one_of(
    st.builds(lambda m, b, at: webhook(**m, **b, chat_id=CHAT, at=at), said, bodies, times),
    st.builds(lambda m, b, at, quiet: from_api(**m, **b, at=at, quiet=quiet), said, bodies, times, st.booleans()),
    st.builds(api_chat, st.just(CHAT), st.just(None), st.sampled_from(["Самокат", None]), times),
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Observation]]:
    """What was told, as it arrived: shuffled, with repetitions, in parts."""
    observations = draw(st.lists(told, min_size=1, max_size=12))
    repeated = draw(st.lists(st.sampled_from(observations), max_size=3))
    parts: list[list[Observation]] = [[]]
    for one in draw(st.permutations(observations + repeated)):
        parts[-1].append(one)
        if draw(st.booleans()):
            parts.append([])
    return parts


def waits_of(world: World) -> list[Row]:
    rows = world.connection.execute(
        select(Wait.__table__).where(Wait.account_id == world.account_id).order_by(Wait.began_at, Wait.ended_at)
    )
    return [{name: value for name, value in row.items() if name != "id"} for row in rows.mappings()]


def expected(world: World, operator_id: int) -> list[Row]:
    """The same said anew, over all messages at once."""
    chats, messages = world.rows()
    chat = chats.get(CHAT)
    found: list[Row] = []
    is_open = False
    for row in sorted(messages.values(), key=lambda row: (row["created_at"], row["id"])):
        if row["deleted_at"] is not None or row["direction"] == "system":
            continue
        buyers = row["direction"] == "in"
        taken = row["type"] == "call" and row["content"]["call"]["status"] == "answered"
        answers = taken or (not buyers and row["type"] != "call" and row["avito_id"] != GREETING)
        if taken and row["avito_id"] == GREETING:
            answers = False
        if answers and is_open:
            is_open = False
            found[-1] |= {
                "ended_at": row["created_at"],
                "seconds": (row["created_at"] - found[-1]["began_at"]) // SECOND,
                "answer": row["avito_id"],
                "operator_id": operator_id if row["avito_id"] == WRITTEN else None,
            }
        elif buyers and not taken and not is_open:
            is_open = True
            found.append(
                {
                    "account_id": world.account_id,
                    "chat_id": row["chat_id"],
                    "item_id": chat["item_id"] if chat else None,
                    "kind": "call" if row["type"] in ("call", "appCall") else "chat",
                    "is_first": not found,
                    "began_at": row["created_at"],
                    "ended_at": None,
                    "seconds": None,
                    "answer": "",
                    "operator_id": None,
                }
            )
    return found


def prepare(world: World) -> int:
    """The chat is known, and what went out through Golub has its names. Returns the operator."""
    world.fold(api_chat(CHAT, None, None, CREATED - 20))
    operator = {"login": "анна", "name": "Анна", "password_hash": "", "role": "manager", "locale": "ru",
                "active": True, "created_at": NOW}  # fmt: skip
    operator_id = world.connection.execute(insert(Operator).values(operator).returning(Operator.id)).scalar_one()
    add_outgoing(world, GREETING, None)
    add_outgoing(world, WRITTEN, operator_id)
    return operator_id


def add_outgoing(world: World, name: str, operator_id: int | None) -> None:
    world.connection.execute(
        insert(OutgoingMessage).values(
            account_id=world.account_id, chat_id=world.chat(CHAT)["id"], operator_id=operator_id, client_key=name,
            text="", state="sent", created_at=NOW, message_avito_id=name,
        )
    )  # fmt: skip


def any_order(store: Store, examples: int) -> None:
    @settings(max_examples=examples)
    @given(history=histories())
    def run(history: list[list[Observation]]) -> None:
        with a_world(store) as world:
            operator_id = prepare(world)
            for part in history:
                world.fold(*part)
                wanted = expected(world, operator_id)
                assert sorted(waits_of(world), key=str) == sorted(wanted, key=str)
            before = rows_of(world)
            world.fold(CountWaits(world.chat(CHAT)["id"]))
            world.fold(*(one for part in history for one in part if isinstance(one, MessageSeen)))
            assert rows_of(world) == before, "what had not changed was written"

    run()


def rows_of(world: World) -> list[Any]:
    """With our own ids: a row that is written anew gets another."""
    rows = world.connection.execute(select(Wait.__table__).where(Wait.account_id == world.account_id))
    return sorted(tuple(row) for row in rows)


@pytest.mark.promise("P5")
def test_any_order_ends_in_the_same_waits_on_sqlite(sqlite_url: str, at_scale: AtScale) -> None:
    store = Store(sqlite_url)
    any_order(store, at_scale(120, 2000))
    asyncio.run(store.close())


@pytest.mark.postgres
@pytest.mark.promise("P5")
def test_any_order_ends_in_the_same_waits_on_postgres(postgres_url: str, at_scale: AtScale) -> None:
    store = Store(postgres_url)
    any_order(store, at_scale(15, 300))
    asyncio.run(store.close())


def asks(name: str, after: int, **more: Any) -> MessageSeen:
    return webhook(id=name, author_id=BUYER_ID, created=CREATED + after, **more)


def answers(name: str, after: int, **more: Any) -> MessageSeen:
    return webhook(id=name, author_id=USER_ID, created=CREATED + after, **more)


def told_shortly(world: World) -> list[tuple[bool, int, int | None]]:
    return [(row["is_first"], row["began_at"] // SECOND - CREATED, row["seconds"]) for row in waits_of(world)]


def test_a_chat_has_several_waits_and_each_ends_with_the_first_answer(world: World) -> None:
    world.fold(asks("a", 0), asks("b", 5), answers("c", 65), answers("d", 70))
    world.fold(asks("e", 100))
    assert told_shortly(world) == [(True, 0, 65), (False, 100, None)]
    world.fold(answers("f", 107))
    assert told_shortly(world) == [(True, 0, 65), (False, 100, 7)]


def test_history_that_comes_later_takes_its_place(world: World) -> None:
    """An answer amid a wait cuts it in two, and an older chat makes the first wait a later one."""
    world.fold(asks("c", 20), asks("e", 40), answers("f", 50))
    assert told_shortly(world) == [(True, 20, 30)]
    world.fold(answers("d", 25))
    assert told_shortly(world) == [(True, 20, 5), (False, 40, 10)]
    world.fold(asks("a", 0), answers("b", 3))
    assert told_shortly(world) == [(True, 0, 3), (False, 20, 5), (False, 40, 10)]


def test_a_deleted_question_wants_no_answer_and_a_deleted_answer_was_none(world: World) -> None:
    world.fold(asks("a", 0), answers("b", 10), asks("c", 20), answers("d", 40))
    world.fold(answers("b", 10, type="deleted", content={}, at=CREATED + 60))
    assert told_shortly(world) == [(True, 0, 40)]
    world.fold(asks("a", 0, type="deleted", content={}, at=CREATED + 61))
    assert told_shortly(world) == [(True, 20, 20)]
    world.fold(asks("c", 20, type="deleted", content={}, at=CREATED + 62))
    assert told_shortly(world) == []


def test_who_answered_is_known_once_avito_has_named_the_reply(world: World) -> None:
    """Its webhook may come first; then the outbox has the chat's waits worked out anew."""
    world.fold(asks("a", 0), answers(GREETING, 1), answers(WRITTEN, 60))
    assert told_shortly(world) == [(True, 0, 1)]
    operator_id = prepare(world)
    world.fold(Named(CHAT, GREETING), Named(CHAT, "unheard of"))
    assert told_shortly(world) == [(True, 0, 60)]
    world.fold(Named(CHAT, WRITTEN))
    assert [row["operator_id"] for row in waits_of(world)] == [operator_id]


def test_the_waits_of_a_chat_follow_its_item(world: World) -> None:
    world.fold(asks("a", 0))
    world.fold(api_chat(CHAT, None, "Самокат", CREATED))
    assert [row["item_id"] for row in waits_of(world)] == [world.chat(CHAT)["item_id"]]


def test_a_long_chat_is_read_no_further_than_the_next_answer(world: World) -> None:
    """Late history far back in a chat of many pages leaves the rows behind the next answer as they are."""
    talk = [asks(f"q{n}", 10 * n) if n % 2 == 0 else answers(f"r{n}", 10 * n) for n in range(600)]
    world.fold(*talk)
    before = rows_of(world)
    assert len(before) == 300
    world.fold(answers("late", 4005))
    after = rows_of(world)
    assert len(after) == 300
    assert len(set(before) - set(after)) == 1
