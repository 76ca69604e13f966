"""Folding: any order, any partition and any repetition of the same observations end in the same rows."""

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from golub.avito.wire import (
    API,
    DELETED_TEXT,
    ChatSeen,
    Event,
    MessageSeen,
    UserSeen,
    read_chat,
    read_delivery,
    read_message,
)
from golub.errors import Unavailable
from golub.fold import FetchDue, Fetched, FetchFailed, MarkRead, Observation, ReadSent, fold
from golub.live import Ring
from golub.model import Account, Chat, Direction, Message
from golub.store import Store
from tests.conftest import AtScale
from tests.shapes import BUYER_ID, CREATED, USER_ID, envelope, value

NOW = (CREATED + 1000) * 1000
CHATS = ("u2i-one", "u2i-two")
Row = dict[str, Any]


@pytest.fixture
def opened(database_url: str) -> Generator[Store]:
    store = Store(database_url)
    yield store
    asyncio.run(store.close())


_accounts = iter(range(1, 1_000_000))


def add_account(connection: Connection, store: Store) -> int:
    """Its user_id matters to nobody here: the observations say whose message it is."""
    statement = store.insert(Account).values(user_id=next(_accounts), client_id="id", client_secret=b"", created_at=NOW)
    return connection.execute(statement.returning(Account.id)).scalar_one()


class World:
    """An account of ours, in one transaction that is never committed."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self.connection = connection
        self.store = store
        self.account_id = add_account(connection, store)

    def fold(self, *observations: Observation, now: int = NOW) -> list[Ring]:
        return fold(self.connection, self.store, self.account_id, observations, now)

    def rows(self) -> tuple[dict[str, Row], dict[tuple[str, str], Row]]:
        """Chats by name, messages by (chat's name, id)."""
        chats = self._all(Chat)
        names = {chat["id"]: chat["avito_id"] for chat in chats}
        return (
            {chat["avito_id"]: chat for chat in chats},
            {(names[row["chat_id"]], row["avito_id"]): row for row in self._all(Message)},
        )

    def chat(self, name: str = "u2i-abc") -> Row:
        return self.rows()[0][name]

    def message(self, name: str = "m-1", chat: str = "u2i-abc") -> Row:
        return self.rows()[1][chat, name]

    def _all(self, table: type[Chat | Message]) -> list[Row]:
        rows = self.connection.execute(select(table.__table__).where(table.account_id == self.account_id))
        return [dict(row) for row in rows.mappings()]


@contextmanager
def a_world(store: Store) -> Generator[World]:
    with store.writing() as connection:
        yield World(connection, store)
        connection.rollback()


@pytest.fixture
def world(opened: Store) -> Generator[World]:
    with a_world(opened) as made:
        yield made


def webhook(**changes: Any) -> MessageSeen:
    """A message as a webhook brings it; `at` is the envelope's time in seconds."""
    at = changes.pop("at", CREATED)
    read = read_delivery(json.dumps(envelope(value(**changes), timestamp=at)).encode(), NOW)
    assert isinstance(read, Event)
    assert isinstance(read.seen, MessageSeen)
    return read.seen


def from_api(chat: str = "u2i-abc", at: float = CREATED, quiet: bool = False, **changes: Any) -> MessageSeen:
    read = read_message(value(**changes), USER_ID, chat, int(at * 1000), quiet=quiet)
    assert isinstance(read, MessageSeen)
    return read


def chat_event(chat: str, status: str, at: int) -> ChatSeen:
    carried = {"chat_id": chat, "user_id": USER_ID, "status": status, "item_id": 5}
    body = envelope({}, payload={"type": "chat", "value": carried}, timestamp=at)
    read = read_delivery(json.dumps(body).encode(), NOW)
    assert isinstance(read, Event)
    assert isinstance(read.seen, ChatSeen)
    return read.seen


def api_chat(chat: str, name: str | None, title: str | None, at: int) -> ChatSeen:
    record: Row = {"id": chat, "created": CREATED - 500, "updated": at}
    if name is not None:
        record["users"] = [{"id": USER_ID, "name": "Магазин"}, {"id": BUYER_ID, "name": name}]
    if title is not None:
        record["context"] = {"type": "item", "value": {"id": 9, "title": title, "price_string": "5 ₽"}}
    read = read_chat(record, USER_ID, at * 1000)
    assert isinstance(read, ChatSeen)
    return read


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
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@pytest.mark.promise("P5")
def test_any_order_ends_in_the_same_rows_on_sqlite(sqlite_url: str, at_scale: AtScale) -> None:
    store = Store(sqlite_url)
    any_order(store, at_scale(200, 2000))
    asyncio.run(store.close())


@pytest.mark.postgres
@pytest.mark.promise("P5")
def test_any_order_ends_in_the_same_rows_on_postgres(postgres_url: str, at_scale: AtScale) -> None:
    store = Store(postgres_url)
    any_order(store, at_scale(40, 300))
    asyncio.run(store.close())


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


def test_a_late_older_version_changes_only_that_it_was_edited(world: World) -> None:
    world.fold(webhook(content={"text": "Исправлено"}, at=CREATED + 9))
    world.fold(webhook())
    assert (world.message()["text"], world.message()["edited"]) == ("Исправлено", True)


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


def test_another_accounts_chat_cannot_be_read(opened: Store) -> None:
    with opened.writing() as connection:
        mine, other = World(connection, opened), World(connection, opened)
        mine.fold(webhook())
        chat, message = mine.chat(), mine.message()
        assert other.fold(MarkRead(chat["id"], message["id"]), ReadSent(chat["id"], NOW)) == []
        assert mine.chat() == chat
        connection.rollback()


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


def test_a_history_of_many_chats_and_messages_at_once(world: World) -> None:
    """More keys than one statement takes."""
    pages = [
        from_api(chat=f"u2i-{number % 450}", id=f"m-{number}", created=CREATED - number, quiet=True)
        for number in range(1000)
    ]
    rings = world.fold(*(api_chat(f"u2i-{number}", "Вера", None, CREATED) for number in range(450)), *pages)
    chats, messages = world.rows()
    assert (len(chats), len(messages), len(rings)) == (450, 1000, 450)
    assert chats["u2i-7"]["last_message_at"] == (CREATED - 7) * 1000
    assert world.fold(*reversed(pages)) == []


@pytest.mark.postgres
@pytest.mark.promise("P4")
def test_two_nodes_that_fold_the_same_at_once_end_in_the_same_rows(postgres_url: str) -> None:
    """Chats are locked, so the second waits for the first; a deadlock would be told as an outage, and tried again."""
    nodes = [Store(postgres_url) for _ in range(2)]
    with nodes[0].writing() as connection:
        account_id = add_account(connection, nodes[0])
    observations = [webhook(chat_id=f"u2i-{n % 7}", id=f"m-{n}", created=CREATED + n) for n in range(60)]
    observations += [
        webhook(chat_id=f"u2i-{n % 7}", id=f"m-{n}", content={"text": "!"}, at=CREATED + 9) for n in range(30)
    ]
    together = threading.Barrier(2)

    def run(store: Store, order: Random) -> None:
        mine = observations * 2
        order.shuffle(mine)
        together.wait()
        for start in range(0, len(mine), 20):
            for _ in range(20):
                try:
                    with store.writing() as connection:
                        fold(connection, store, account_id, mine[start : start + 20], NOW)
                    break
                except Unavailable:
                    continue
            else:
                raise AssertionError("never got the locks")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, store, Random(seed)) for seed, store in enumerate(nodes)]:
            done.result()
    with nodes[0].writing() as connection:
        chats = connection.execute(select(Chat.avito_id, Chat.unread)).all()
        messages = connection.execute(select(Message.avito_id, Message.edited, Message.text)).all()
    assert sum(unread for _, unread in chats) == len(messages) == 60
    assert len(chats) == 7
    assert {name for name, edited, text in messages if edited and text == "!"} == {f"m-{n}" for n in range(30)}
    for store in nodes:
        asyncio.run(store.close())
