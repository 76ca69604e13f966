"""What becomes of a chat: who the buyer is, what it is about, and when it is to be fetched."""

import json

from golub.avito.wire import (
    Event,
    UserSeen,
    read_delivery,
)
from golub.fold import FetchDue, Fetched, FetchFailed, ReadSent
from tests.fold.world import NOW, World, api_chat, chat_event, webhook
from tests.shapes import BUYER_ID, CREATED, USER_ID, envelope


def test_a_webhook_does_not_hide_what_the_api_told(world: World) -> None:
    world.fold(api_chat("u2i-abc", "Вера", "Самокат", CREATED))
    rings = world.fold(webhook(at=CREATED + 50), chat_event("u2i-abc", "archived", CREATED + 51))
    chat = world.chat()
    assert (chat["buyer_name"], chat["item_title"], chat["item_id"], chat["status"]) == (
        "Вера",
        "Самокат",
        9,
        "archived",
    )
    assert len(rings) == 1
    world.fold(api_chat("u2i-abc", None, None, CREATED + 60))
    assert (world.chat()["buyer_name"], world.chat()["item_title"]) == ("Вера", "Самокат")
    assert world.chat()["facts_at"] == (CREATED + 60) * 1000


def test_facts_told_again_are_noted_and_ring_nothing(world: World) -> None:
    world.fold(api_chat("u2i-abc", "Вера", "Самокат", CREATED))
    assert world.fold(api_chat("u2i-abc", "Вера", "Самокат", CREATED + 60)) == []
    assert world.chat()["version"] == 1
    assert world.chat()["fetch_due_at"] is None


def test_a_blocked_buyer_is_shown_in_all_his_chats(world: World) -> None:
    world.fold(api_chat("u2i-one", "Вера", None, CREATED), api_chat("u2i-two", "Вера", None, CREATED))
    event = envelope(
        {}, payload={"type": "user", "value": {"user_id": USER_ID, "blocked_user_id": BUYER_ID, "status": "blocked"}}
    )
    read = read_delivery(json.dumps(event).encode(), NOW)
    assert isinstance(read, Event)
    assert isinstance(read.seen, UserSeen)
    assert len(world.fold(read.seen)) == 2
    assert {(chat["status"], chat["fetch_due_at"]) for chat in world.rows()[0].values()} == {("blocked", NOW)}


def test_a_new_name_shows_until_the_api_tells_its_own(world: World) -> None:
    renamed = UserSeen(user_id=BUYER_ID, account_user_id=USER_ID, observed_at=NOW, name="Ёлка", chat_avito_id="u2i-abc")
    world.fold(FetchDue("u2i-abc", NOW), renamed)
    assert (world.chat()["buyer_name"], world.chat()["buyer_id"]) == ("Ёлка", BUYER_ID)
    world.fold(api_chat("u2i-abc", "Анна", None, CREATED))
    world.fold(renamed)
    assert world.chat()["buyer_name"] == "Анна"


def test_fetching_is_due_claimed_failed_and_done(world: World) -> None:
    world.fold(FetchDue("u2i-abc", NOW + 50, quietly=True))
    assert (world.chat()["fetch_due_at"], world.chat()["fetch_quietly"]) == (NOW, False)  # unknown, so due at once
    world.fold(FetchFailed("u2i-abc", NOW + 90))
    assert (world.chat()["fetch_due_at"], world.chat()["fetch_attempts"]) == (NOW + 90, 1)
    world.fold(Fetched("u2i-abc", NOW, verified_to=CREATED, lease=NOW + 5000))
    assert world.chat()["fetch_due_at"] == NOW + 90  # somebody made it due again after the claim
    world.fold(Fetched("u2i-abc", NOW + 1, verified_to=CREATED - 5, lease=NOW + 90))
    chat = world.chat()
    assert (chat["fetch_due_at"], chat["fetch_attempts"], chat["fetched_at"], chat["verified_to"]) == (
        None,
        0,
        NOW + 1,
        CREATED,
    )
    world.fold(FetchDue("u2i-abc", NOW + 70, quietly=True))
    assert world.chat()["fetch_quietly"]
    world.fold(FetchDue("u2i-abc", NOW + 80))
    assert (world.chat()["fetch_due_at"], world.chat()["fetch_quietly"]) == (NOW + 70, False)
    assert world.chat()["version"] == 1


def test_that_avito_was_told_is_noted(world: World) -> None:
    world.fold(webhook())
    assert world.fold(ReadSent(world.chat()["id"], NOW)) == []
    assert world.chat()["read_sent_at"] == NOW
