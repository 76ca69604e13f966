"""Folding: any order, any partition and any repetition of the same observations end in the same rows."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golub.avito.wire import (
    API,
    DELETED_TEXT,
    ChatSeen,
    MessageSeen,
)
from golub.fold import MarkRead, Observation
from golub.model import Direction
from golub.store import Store
from tests.conftest import AtScale
from tests.fold.world import Row, World, a_world, api_chat, chat_event, from_api, webhook
from tests.shapes import BUYER_ID, CREATED, USER_ID

CHATS = ("u2i-one", "u2i-two")
times = st.integers(CREATED, CREATED + 3)
texts = st.sampled_from(["Здравствуйте", "Здравствуйте!", DELETED_TEXT])
said: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["m1", "m2", "m3", ...]),
        "author_id": st.sampled_from([BUYER_ID, BUYER_ID, USER_ID, 0]),
        "created": st.integers(CREATED - 2, CREATED),
        "read": st.sampled_from([None, None, CREATED]),
    }
)
bodies = st.one_of(
    st.builds(lambda text: {"type": "text", "content": {"text": text}}, texts),
    st.just({"type": "deleted", "content": {}}),
    st.builds(lambda n: {"type": "image", "content": {"image": {"sizes": {"32x32": n}}}}, st.sampled_from("ab")),
)
told: st.SearchStrategy[Observation] = st.one_of(
    st.builds(
        lambda m, b, chat, at: webhook(**m, **b, chat_id=chat, at=at), said, bodies, st.sampled_from(CHATS), times
    ),
    st.builds(
        lambda m, b, chat, at, quiet: from_api(**m, **b, chat=chat, at=at, quiet=quiet),
        said,
        bodies,
        st.sampled_from(CHATS),
        times,
        st.booleans(),
    ),
    st.builds(chat_event, st.sampled_from(CHATS), st.sampled_from(["archived", "active", "blocked"]), times),
    st.builds(
        api_chat,
        st.sampled_from(CHATS),
        st.sampled_from(["Вера", "Вера П.", None]),
        st.sampled_from(["Самокат", "Самокат новый", None]),
        times,
    ),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Observation], list[list[Observation]]]:
    """What was told, and one way in which it arrived: shuffled, with repetitions, in parts."""
    observations = draw(st.lists(told, min_size=1, max_size=8))
    repeated = draw(st.lists(st.sampled_from(observations), max_size=4))
    arrived = draw(st.permutations(observations + repeated))
    parts: list[list[Observation]] = [[]]
    for one in arrived:
        parts[-1].append(one)
        if draw(st.booleans()):
            parts.append([])
    return observations, parts


def expected_message(observations: list[MessageSeen], operator_saw: bool) -> Row:
    """Rule 4, said as a property of the set: no order in sight."""

    def greatest(these: list[MessageSeen]) -> MessageSeen:
        return max(these, key=lambda one: (one.observed_at, one.source, one.digest))

    explicit = [one for one in observations if one.type == "deleted"]
    tombstones = [one for one in observations if one.type == "text" and one.text == DELETED_TEXT]
    content = [one for one in observations if one not in explicit and one not in tombstones]
    winner = greatest(content or tombstones or explicit)
    deletions = explicit + (tombstones if content else [])
    quiet = all(one.quiet for one in observations)
    seen = operator_saw or any(one.read and one.direction is Direction.IN for one in observations)
    deleted_at = min((one.observed_at for one in deletions), default=None)
    return {
        "author_id": winner.author_id,
        "direction": winner.direction,
        "type": winner.type,
        "content": winner.content,
        "text": winner.text,
        "created_at": winner.created_at,
        "observed_at": winner.observed_at,
        "source": winner.source,
        "digest": winner.digest,
        "deleted_at": deleted_at,
        "edited": len({one.text for one in content}) > 1,
        "confirmed": any(one.source == API for one in observations),
        "read_by_peer": any(one.read and one.direction is Direction.OUT for one in observations),
        "quiet": quiet,
        "seen": seen,
        "unread": winner.direction is Direction.IN and not quiet and not seen and deleted_at is None,
    }


def expected_derived(messages: list[Row]) -> Row:
    ordered = sorted(messages, key=lambda row: (row["created_at"], row["id"]))
    answers = [place for place, row in enumerate(ordered) if row["direction"] == "out" and row["deleted_at"] is None]
    after = ordered[answers[-1] + 1 :] if answers else ordered
    waiting = [r["created_at"] for r in after if r["direction"] == "in" and not r["quiet"] and r["deleted_at"] is None]
    return {
        "last_message_id": ordered[-1]["id"] if ordered else None,
        "last_message_at": ordered[-1]["created_at"] if ordered else 0,
        "unread": sum(row["unread"] for row in after),
        "waiting_since": waiting[0] if waiting else None,
    }


def expected_facts(seen: list[ChatSeen]) -> Row:
    def latest(these: list[ChatSeen], part: str) -> Any:
        found = [one for one in these if getattr(one, part) is not None and one.source == API]
        if not found:
            return None
        newest = max(one.observed_at for one in found)
        return {getattr(one, part) for one in found if one.observed_at == newest}

    told_status = [one for one in seen if one.status is not None]
    newest = max((one.observed_at for one in told_status), default=0)
    return {
        "facts_at": max((one.observed_at for one in seen if one.source == API), default=0),
        "buyer": latest(seen, "buyer"),
        "item": latest(seen, "item"),
        "status": {one.status for one in told_status if one.observed_at == newest} or {""},
    }


def check(world: World, observations: Sequence[Observation], saw: set[tuple[str, str]]) -> None:
    by_message: defaultdict[tuple[str, str], list[MessageSeen]] = defaultdict(list)
    by_chat: defaultdict[str, list[ChatSeen]] = defaultdict(list)
    for one in observations:
        if isinstance(one, MessageSeen):
            by_message[one.chat_avito_id, one.avito_id].append(one)
        elif isinstance(one, ChatSeen):
            by_chat[one.chat_avito_id].append(one)
    chats, messages = world.rows()
    assert messages.keys() == by_message.keys()
    assert chats.keys() == {key[0] for key in by_message} | by_chat.keys()
    for key, row in messages.items():
        wanted = expected_message(by_message[key], key in saw)
        assert {name: row[name] for name in wanted} == wanted
    for name, chat in chats.items():
        wanted = expected_derived([row for key, row in messages.items() if key[0] == name])
        assert {column: chat[column] for column in wanted} == wanted
        facts = expected_facts(by_chat[name])
        assert chat["facts_at"] == facts["facts_at"]
        assert chat["status"] in facts["status"]
        if facts["buyer"]:
            assert chat["buyer_name"] in {buyer.name for buyer in facts["buyer"]}
        if facts["item"]:
            assert chat["item_title"] in {item.title for item in facts["item"]}


def any_order(store: Store, examples: int) -> None:
    @settings(max_examples=examples)
    @given(history=histories(), chance=st.randoms(use_true_random=False))
    def run(history: tuple[list[Observation], list[list[Observation]]], chance: Random) -> None:
        observations, parts = history
        with a_world(store) as world:
            for part in parts:
                world.fold(*part)
            check(world, observations, set())

            before = world.rows()
            chance.shuffle(observations)
            assert world.fold(*(one for one in observations if isinstance(one, MessageSeen))) == []
            assert world.rows() == before, "a pure duplicate wrote something"

            messages = before[1]
            if messages:
                _, last = chance.choice(sorted(messages.items()))
                saw = {
                    key
                    for key, row in messages.items()
                    if row["chat_id"] == last["chat_id"] and row["id"] <= last["id"] and row["direction"] == "in"
                }
                world.fold(MarkRead(last["chat_id"], last["id"]))
                world.fold(*observations)
                check(world, observations, saw)

    run()


@pytest.mark.row(18)
@pytest.mark.promise("P5")
def test_any_order_ends_in_the_same_rows_on_sqlite(sqlite_url: str, at_scale: AtScale) -> None:
    store = Store(sqlite_url)
    any_order(store, at_scale(150, 2000))
    asyncio.run(store.close())


@pytest.mark.row(18)
@pytest.mark.postgres
@pytest.mark.promise("P5")
def test_any_order_ends_in_the_same_rows_on_postgres(postgres_url: str, at_scale: AtScale) -> None:
    store = Store(postgres_url)
    any_order(store, at_scale(25, 300))
    asyncio.run(store.close())
