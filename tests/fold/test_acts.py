"""What was done with a chat stands in its thread once; and a close ends a wait without being an answer, whatever comes
late."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from golub.fold import Close, CountWaits, HandOver, Observation, Reopen, Snooze, Woken
from golub.fold.waits import ON_ITS_WAY
from golub.model import Act
from golub.store import Store
from tests.fold.test_waits import CHAT, add_outgoing, answers, asks, prepare, waits_of
from tests.fold.world import NOW, World, a_world
from tests.shapes import CREATED

ANNA, BORIS = 7, 8
LATER = NOW + 3_600_000


def acts_of(world: World) -> list[tuple[str, int | None, int | None]]:
    found = world.connection.execute(select(Act.kind, Act.was_id, Act.owner_id).order_by(Act.id))
    return [(row.kind, row.was_id, row.owner_id) for row in found]


def close(world: World, by: int | None = None, at: int = NOW) -> None:
    chat = world.chat(CHAT)
    world.fold(Close(chat["id"], chat["version"], at, by))


def ends(world: World) -> list[tuple[int, int | None, int | None]]:
    """Of each wait: when it began, its seconds, and when it ended, in seconds from the first message."""
    return [
        (row["began_at"] // 1000 - CREATED, row["seconds"], row["ended_at"] and row["ended_at"] // 1000 - CREATED)
        for row in waits_of(world)
    ]


def test_each_act_is_told_once_and_what_came_too_late_is_not(world: World) -> None:
    world.fold(asks("a", 0))
    chat = world.chat(CHAT)["id"]
    world.fold(HandOver(chat, None, ANNA, NOW), HandOver(chat, None, BORIS, NOW + 1))
    world.fold(HandOver(chat, ANNA, ANNA, NOW + 2))
    world.fold(Snooze(chat, world.chat(CHAT)["version"], LATER))
    world.fold(Snooze(chat, world.chat(CHAT)["version"], LATER))
    world.fold(Woken(chat, LATER), Woken(chat, LATER))
    close(world)
    close(world)
    world.fold(Reopen(chat), Reopen(chat))
    close(world)
    world.fold(asks("b", 2000), asks("b", 2000))
    kinds = [kind for kind, *_ in acts_of(world)]
    assert kinds == ["owned", "snoozed", "woken", "closed", "reopened", "closed", "reopened"]
    assert acts_of(world)[0] == ("owned", None, ANNA)


def test_a_close_ends_the_wait_and_is_no_answer(world: World) -> None:
    operator = prepare(world)
    world.fold(asks("a", 0), answers("b", 10), asks("c", 20))
    close(world, operator, at=(CREATED + 100) * 1000)
    assert ends(world) == [(0, 10, 10), (20, None, 100)]
    assert waits_of(world)[1]["operator_id"] == operator
    world.fold(asks("d", 200))
    assert ends(world) == [(0, 10, 10), (20, None, 100), (200, None, None)]
    world.fold(answers("e", 260))
    assert ends(world)[2] == (200, 60, 260)


def test_who_reopens_takes_the_close_back_and_who_is_answered_meanwhile_was_answered(world: World) -> None:
    world.fold(asks("a", 0))
    close(world, at=(CREATED + 100) * 1000)
    world.fold(Reopen(world.chat(CHAT)["id"]))
    assert ends(world) == [(0, None, None)]
    close(world, at=(CREATED + 110) * 1000)
    world.fold(answers("on its way", 112))
    assert ends(world) == [(0, 112, 112)]
    world.fold(answers("on its way", 112, type="deleted", content={}, at=CREATED + 300))
    assert ends(world) == [(0, None, 110)]
    world.fold(answers("much later", 111 + ON_ITS_WAY // 1000))
    assert ends(world) == [(0, None, 110)]


def test_what_was_said_before_the_close_and_came_after_it_opens_a_wait_of_its_own(world: World) -> None:
    world.fold(asks("a", 0))
    close(world, at=(CREATED + 100) * 1000)
    world.fold(asks("late", 50))
    assert world.chat(CHAT)["waiting_since"] == (CREATED + 50) * 1000
    assert ends(world) == [(0, None, 100), (50, None, None)]


Told = tuple[str, int]
happening: st.SearchStrategy[Told] = st.tuples(st.sampled_from("<<>xo"), st.integers(0, 9))


def test_whatever_comes_between_closes_ends_as_if_it_were_counted_anew(sqlite_url: str) -> None:
    store = Store(sqlite_url)

    @settings(max_examples=60)
    @given(told=st.lists(happening, max_size=9))
    def run(told: list[Told]) -> None:
        with a_world(store) as world:
            prepare(world)
            add_outgoing(world, "4", None)
            for number, (what, after) in enumerate(told):
                chat = world.chat(CHAT)
                happens: dict[str, Observation] = {
                    "x": Close(chat["id"], chat["version"], (CREATED + 5 + number) * 1000),
                    "o": Reopen(chat["id"]),
                    "<": asks(str(number), after),
                    ">": answers(str(number), after),
                }
                world.fold(happens[what])
            before = waits_of(world)
            world.fold(CountWaits(world.chat(CHAT)["id"]))
            assert waits_of(world) == before

    run()
    asyncio.run(store.close())
