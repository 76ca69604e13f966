"""Whose a chat is and how far it is: what operators do to it, and what a buyer's words do."""

from itertools import permutations

import pytest
from sqlalchemy import select

from golub.avito.wire import DELETED_TEXT
from golub.fold import Close, HandOver, Labelled, Observation, Reopen, Snooze, Woken
from golub.live import Ring
from golub.model import Chat, ChatLabel, ChatState, Label
from tests.fold.world import NOW, World, from_api, webhook
from tests.shapes import CREATED, USER_ID

ANNA, BORIS = 7, 8
LATER = NOW + 3_600_000


def state(world: World) -> ChatState:
    chat = world.chat()
    shown = ("closed_at", "snoozed_until", "waiting_since")
    return Chat(**{name: chat[name] for name in shown}).state


def closed(world: World) -> int:
    """Closes the chat as it is to be seen now; returns its id."""
    chat = world.chat()
    world.fold(Close(chat["id"], chat["version"], NOW))
    return chat["id"]


def test_the_first_who_takes_a_chat_has_it(world: World) -> None:
    world.fold(webhook())
    chat = world.chat()["id"]
    rings = world.fold(HandOver(chat, None, ANNA, NOW), HandOver(chat, None, BORIS, NOW + 1))
    assert rings == [Ring(world.account_id, chat, 2)]
    assert world.fold(HandOver(chat, None, BORIS, NOW + 2)) == []
    assert world.fold(HandOver(chat, BORIS, None, NOW + 2)) == []
    assert (world.chat()["owner_id"], world.chat()["owned_since"]) == (ANNA, NOW)


def test_a_chat_goes_from_hand_to_hand_and_back_to_nobody(world: World) -> None:
    world.fold(webhook())
    chat = world.chat()["id"]
    world.fold(HandOver(chat, None, ANNA, NOW))
    assert world.fold(HandOver(chat, ANNA, ANNA, NOW + 1)) == []
    assert len(world.fold(HandOver(chat, ANNA, BORIS, NOW + 2))) == 1
    assert (world.chat()["owner_id"], world.chat()["owned_since"]) == (BORIS, NOW + 2)
    assert len(world.fold(HandOver(chat, BORIS, None, NOW + 3))) == 1
    assert (world.chat()["owner_id"], world.chat()["owned_since"]) == (None, None)


def test_closing_settles_what_is_there_and_the_buyer_opens_it_again(world: World) -> None:
    world.fold(webhook())
    assert state(world) is ChatState.WAITING
    closed(world)
    chat = world.chat()
    assert (state(world), chat["waiting_since"], chat["unread"], chat["read_due_at"]) == ("closed", None, 0, NOW)
    assert world.fold(Close(chat["id"], chat["version"], NOW + 9)) == []

    world.fold(webhook(id="m-2", created=CREATED + 60))
    assert (state(world), world.chat()["closed_at"]) == ("waiting", None)
    assert world.chat()["waiting_since"] == (CREATED + 60) * 1000  # not since the words on which it was closed


def test_closing_does_not_hide_what_nobody_has_seen(world: World) -> None:
    """The buyer wrote between the page and the click."""
    world.fold(webhook())
    chat = world.chat()
    world.fold(webhook(id="m-2", created=CREATED + 1))
    assert world.fold(Close(chat["id"], chat["version"], NOW)) == []
    assert world.fold(Snooze(chat["id"], chat["version"], LATER)) == []
    assert (state(world), world.chat()["unread"]) == ("waiting", 2)


def test_our_own_words_and_history_open_nothing(world: World) -> None:
    world.fold(webhook())
    closed(world)
    world.fold(webhook(id="m-2", author_id=USER_ID, created=CREATED + 1), webhook(id="m-3", author_id=1))
    world.fold(from_api(id="m-0", created=CREATED - 900, quiet=True))
    world.fold(webhook(at=CREATED + 30), webhook(content={"text": "Исправлено"}, at=CREATED + 40))
    assert state(world) is ChatState.CLOSED


def test_reopening_gives_back_the_wait_that_was_settled(world: World) -> None:
    world.fold(webhook())
    chat = closed(world)
    assert len(world.fold(Reopen(chat))) == 1
    assert (state(world), world.chat()["waiting_since"]) == ("waiting", CREATED * 1000)
    assert world.fold(Reopen(chat)) == []


def test_a_snooze_ends_by_its_time_by_hand_or_by_the_buyer(world: World) -> None:
    world.fold(webhook())
    chat, version = world.chat()["id"], world.chat()["version"]
    assert len(world.fold(Snooze(chat, version, LATER))) == 1
    assert (state(world), world.chat()["unread"]) == ("snoozed", 1)
    assert world.fold(Snooze(chat, version, LATER)) == []
    assert world.fold(Woken(chat, LATER - 1)) == []  # it was snoozed anew since that was found due

    assert len(world.fold(Woken(chat, LATER))) == 1
    assert world.fold(Woken(chat, LATER)) == []
    assert (state(world), world.chat()["listed_at"]) == ("waiting", LATER)  # where people look first
    assert world.chat()["last_message_at"] == CREATED * 1000

    world.fold(Snooze(chat, world.chat()["version"], LATER * 2), Reopen(chat))
    assert state(world) is ChatState.WAITING
    world.fold(Snooze(chat, world.chat()["version"], LATER * 2))
    world.fold(webhook(id="m-2", created=CREATED + 1))
    assert (state(world), world.chat()["snoozed_until"]) == ("waiting", None)


def test_closed_and_snoozed_are_one_or_the_other(world: World) -> None:
    world.fold(webhook())
    chat = closed(world)
    world.fold(Snooze(chat, world.chat()["version"], LATER))
    assert (state(world), world.chat()["waiting_since"]) == ("snoozed", CREATED * 1000)
    closed(world)
    assert (state(world), world.chat()["snoozed_until"]) == ("closed", None)


NEW = (
    webhook(id="m-2", created=CREATED + 60),
    webhook(id="m-2", created=CREATED + 60, content={"text": DELETED_TEXT}, at=CREATED + 90),
    from_api(id="m-2", created=CREATED + 60, at=CREATED + 95, quiet=True, isRead=True),
)


@pytest.mark.promise("P5")
@pytest.mark.parametrize("told", permutations(NEW))
def test_a_closed_chat_ends_the_same_in_whatever_order_avito_tells(world: World, told: tuple[Observation, ...]) -> None:
    world.fold(webhook())
    closed(world)
    for one in told:
        world.fold(one, webhook())
    ends = world.chat()
    assert (state(world), ends["settled_to"], ends["unread"]) == ("open", world.message("m-1")["id"], 0)
    assert world.fold(*told, *told) == []
    assert world.chat() == ends


def test_labels_are_put_on_and_taken_off_once(world: World) -> None:
    world.fold(webhook())
    chat = world.chat()["id"]
    new = world.store.insert(Label).values(name="Срочно", folded="срочно", colour="#cc3300", created_at=NOW)
    label = world.connection.execute(new.returning(Label.id)).scalar_one()
    assert len(world.fold(Labelled(chat, label, True, None, NOW))) == 1
    assert world.fold(Labelled(chat, label, True, None, NOW), Labelled(chat, 2**40, True, None, NOW)) == []
    assert world.connection.execute(select(ChatLabel.chat_id, ChatLabel.label_id)).all() == [(chat, label)]
    assert len(world.fold(Labelled(chat, label, False, None, NOW))) == 1
    assert world.fold(Labelled(chat, label, False, None, NOW)) == []


@pytest.mark.row(56)
def test_a_chat_of_another_account_is_left_alone(world: World) -> None:
    world.fold(webhook())
    before = world.chat()
    other = World(world.connection, world.store)
    chat = before["id"]
    acts = (HandOver(chat, None, ANNA, NOW), Close(chat, 9, NOW), Snooze(chat, 9, LATER), Reopen(chat))
    assert other.fold(*acts, Labelled(chat, 1, True, None, NOW)) == []
    assert world.chat() == before
