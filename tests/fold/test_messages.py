"""What becomes of one message: new, edited, deleted, read; and of its chat's place in the list."""

import pytest

from golub.avito.wire import (
    API,
    DELETED_TEXT,
)
from golub.fold import FetchDue, Fetched, MarkRead, ReadSent
from golub.live import Ring
from golub.store import Store
from tests.conftest import ONE_DATABASE
from tests.fold.world import NOW, World, from_api, webhook
from tests.shapes import CREATED, USER_ID

pytestmark = ONE_DATABASE


def test_a_new_message_rings_and_its_unknown_chat_is_due(world: World) -> None:
    rings = world.fold(webhook())
    chat, message = world.chat(), world.message()
    assert rings == [Ring(world.account_id, chat["id"], 1, new_message=True)]
    assert (chat["unread"], chat["waiting_since"], chat["last_message_id"]) == (1, CREATED * 1000, message["id"])
    assert (chat["fetch_due_at"], chat["fetch_quietly"], chat["item_id"], chat["chat_type"]) == (
        NOW,
        False,
        5_003,
        "u2i",
    )
    assert (message["version"], message["received_at"], message["first_source"], message["confirmed"]) == (
        1,
        NOW,
        0,
        False,
    )


def test_the_same_again_writes_and_rings_nothing(world: World) -> None:
    world.fold(webhook())
    before = world.rows()
    assert world.fold(webhook(), webhook(), now=NOW + 5) == []
    assert world.rows() == before


def test_an_edit_keeps_the_row_and_its_place(world: World) -> None:
    world.fold(webhook(), webhook(id="m-2", created=CREATED + 1))
    rings = world.fold(webhook(content={"text": "Исправлено"}, at=CREATED + 9))
    message = world.message()
    assert (message["text"], message["edited"], message["version"]) == ("Исправлено", True, 2)
    assert [(ring.version, ring.new_message) for ring in rings] == [(2, False)]
    assert world.chat()["last_message_id"] == world.message("m-2")["id"]


@pytest.mark.row(18)
def test_a_late_older_version_changes_only_that_it_was_edited(world: World) -> None:
    world.fold(webhook(content={"text": "Исправлено"}, at=CREATED + 9))
    world.fold(webhook())
    assert (world.message()["text"], world.message()["edited"]) == ("Исправлено", True)


def test_an_edit_that_seems_a_moment_older_than_what_the_api_told_is_asked_about(world: World) -> None:
    """Our clock may be ahead of Avito's: it dates what the API tells."""
    world.fold(webhook(), FetchDue("u2i-abc", NOW), Fetched("u2i-abc", at=NOW), from_api(at=CREATED + 30))
    assert world.chat()["fetch_due_at"] is None
    world.fold(webhook(), now=NOW + 5)  # the same words
    assert world.chat()["fetch_due_at"] is None
    edited = webhook(content={"text": "Исправлено"}, at=CREATED + 20)
    world.fold(edited, now=NOW + 9)
    assert (world.message()["text"], world.chat()["fetch_due_at"]) == (from_api().text, NOW + 9)
    world.fold(Fetched("u2i-abc", at=NOW), from_api(content={"text": "Исправлено"}, at=CREATED + 40))
    assert world.message()["text"] == "Исправлено"
    world.fold(edited, webhook(at=CREATED - 60), now=NOW + 90)  # long before: an older version
    assert world.chat()["fetch_due_at"] is None


def test_other_addresses_of_the_same_picture_are_no_edit(world: World) -> None:
    world.fold(webhook(type="image", content={"image": {"sizes": {"32x32": "https://a.example/1"}}}))
    world.fold(from_api(type="image", content={"image": {"sizes": {"32x32": "https://b.example/1"}}}, at=CREATED + 5))
    message = world.message()
    assert (message["edited"], message["confirmed"]) == (False, True)
    assert message["content"]["image"]["sizes"]["32x32"] == "https://b.example/1"


def test_a_tombstone_deletes_only_what_was_known(world: World) -> None:
    gone = {"text": DELETED_TEXT}
    world.fold(webhook(), webhook(id="m-2", content=gone, at=CREATED + 5))
    world.fold(webhook(content=gone, at=CREATED + 5))
    known, unknown = world.message("m-1"), world.message("m-2")
    assert (known["text"], known["deleted_at"], known["unread"], known["edited"]) == (
        "Добрый день, ещё продаёте?",
        (CREATED + 5) * 1000,
        False,
        False,
    )
    assert (unknown["text"], unknown["deleted_at"], unknown["unread"]) == (DELETED_TEXT, None, True)
    assert world.chat()["unread"] == 1


def test_content_that_comes_after_its_tombstone_is_kept_as_deleted(world: World) -> None:
    world.fold(webhook(content={"text": DELETED_TEXT}, at=CREATED + 5))
    world.fold(webhook())
    message = world.message()
    assert (message["text"], message["deleted_at"]) == ("Добрый день, ещё продаёте?", (CREATED + 5) * 1000)


def test_our_answer_ends_the_waiting_and_a_deleted_one_does_not(world: World) -> None:
    world.fold(webhook(), webhook(id="m-2", created=CREATED + 1))
    world.fold(webhook(id="m-3", author_id=USER_ID, created=CREATED + 2, content={"text": "Да"}))
    chat = world.chat()
    assert (chat["unread"], chat["waiting_since"], chat["last_message_at"]) == (0, None, (CREATED + 2) * 1000)
    world.fold(webhook(id="m-3", author_id=USER_ID, created=CREATED + 2, type="deleted", content={}, at=CREATED + 9))
    assert (world.chat()["unread"], world.chat()["waiting_since"]) == (2, CREATED * 1000)


def test_within_one_second_the_order_of_arrival_counts(world: World) -> None:
    """A test of ours and a bot's answer are that quick; without it the buyer's next words would be lost from sight."""
    world.fold(webhook())
    world.fold(webhook(id="m-2", author_id=USER_ID, content={"text": "Да"}))
    assert world.chat()["waiting_since"] is None
    world.fold(webhook(id="m-3", content={"text": "Спасибо"}))
    assert (world.chat()["unread"], world.chat()["waiting_since"]) == (1, CREATED * 1000)


def test_history_is_quiet_until_a_webhook_speaks_of_it(world: World) -> None:
    assert [ring.new_message for ring in world.fold(from_api(quiet=True))] == [False]
    assert (world.chat()["unread"], world.chat()["waiting_since"]) == (0, None)
    assert world.chat()["last_message_at"] == CREATED * 1000
    assert [ring.new_message for ring in world.fold(webhook())] == [True]
    assert (world.chat()["unread"], world.chat()["waiting_since"]) == (1, CREATED * 1000)
    assert (world.message()["first_source"], world.message()["confirmed"]) == (API, True)


def test_what_the_account_read_elsewhere_is_not_unread(world: World) -> None:
    world.fold(webhook())
    world.fold(from_api(isRead=True, at=CREATED + 5))
    assert (world.message()["unread"], world.chat()["unread"], world.chat()["waiting_since"]) == (0, 0, CREATED * 1000)


def test_the_buyer_read_ours(world: World) -> None:
    world.fold(webhook(author_id=USER_ID))
    rings = world.fold(from_api(author_id=USER_ID, isRead=True, at=CREATED + 5))
    assert world.message()["read_by_peer"]
    assert len(rings) == 1


def test_reading_counts_down_to_what_was_on_the_page(world: World) -> None:
    world.fold(webhook(), webhook(id="m-2", created=CREATED + 1))
    shown = world.message("m-2")["id"]
    world.fold(webhook(id="m-0", created=CREATED - 9))  # older, but it arrived after the page was made
    chat_id = world.chat()["id"]
    assert [ring.new_message for ring in world.fold(MarkRead(chat_id, shown))] == [False]
    assert world.chat()["unread"] == 1
    assert [key for key, row in world.rows()[1].items() if row["unread"]] == [("u2i-abc", "m-0")]
    assert world.fold(MarkRead(chat_id, shown)) == []


@pytest.mark.row(56)
def test_another_accounts_chat_cannot_be_read(opened: Store) -> None:
    with opened.writing() as connection:
        mine, other = World(connection, opened), World(connection, opened)
        mine.fold(webhook())
        chat, message = mine.chat(), mine.message()
        assert other.fold(MarkRead(chat["id"], message["id"]), ReadSent(chat["id"], NOW)) == []
        assert mine.chat() == chat
        connection.rollback()
