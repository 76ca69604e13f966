"""Whatever arrives, in whatever order, how often and between which restarts: in the end our rows say what Avito says.

The model is a plain dict of what happened at Avito. Webhooks and pages of the API are taken from it at one moment and
brought at another, or several times, or never until the end; ours is the whole way from the spool to the rows.
"""

import asyncio
import json
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from golub.avito.wire import read_message
from golub.clock import DAY, HOUR, SECOND
from golub.fold import MarkRead, Observation
from golub.model import Chat, Delivery, Message
from tests.apply.bench import Bench
from tests.conftest import AtScale, SteppedClock
from tests.promises import Figures
from tests.shapes import BUYER_ID, CREATED, envelope, value

CHATS = ("u2i-one", "u2i-two")
WRONG = (0, 2 * HOUR, -2 * HOUR, 3 * DAY, -20 * HOUR)  # what our clock shows beside Avito's; see P19 for what is worse

Key = tuple[str, str]  # chat and message
users = count(100_000)


@dataclass
class Said:
    """A message as Avito has it now."""

    author_id: int
    created: int
    text: str
    deleted: bool = False
    seen: bool = False  # an operator of ours had it before his eyes


@dataclass
class Counted:
    examples: int = 0
    deliveries: int = 0
    applied_twice: int = 0


@dataclass
class Page:
    chat: str
    asked_at: int
    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class History(RuleBasedStateMachine):
    def __init__(self, bench: Bench, runner: asyncio.Runner, counted: Counted) -> None:
        super().__init__()
        self.bench, self.runner, self.counted = bench, runner, counted
        self.said: dict[Key, Said] = {}
        self.under_way: list[bytes] = []  # webhooks that Avito sent and that are not here yet
        self.brought: list[bytes] = []
        self.pages: list[Page] = []
        self.time = CREATED  # Avito's, in seconds; ours is the bench's clock, and jumps
        self.here: set[Key] = set()  # messages that must be among our rows

    @initialize()
    def an_account(self) -> None:
        self.user_id = next(users)
        self.account_id = self.bench._add_account(self.user_id)
        self.counted.examples += 1
        self.our_clock_jumps(0)

    @rule(chat=st.sampled_from(CHATS), ours=st.booleans())
    def someone_writes(self, chat: str, ours: bool) -> None:
        self._tick()
        key = chat, f"m-{len(self.said)}"
        self.said[key] = Said(self.user_id if ours else BUYER_ID, self.time, f"{key} как есть")
        self._notify(key)

    @precondition(lambda self: self.said)
    @rule(which=st.integers(0), deletes=st.booleans())
    def it_changes(self, which: int, deletes: bool) -> None:
        key = self._pick(which)
        if self.said[key].deleted:
            return
        self._tick()
        if deletes:
            self.said[key].deleted = True
        else:
            self.said[key].text += "!"
        self._notify(key)

    @precondition(lambda self: self.under_way)
    @rule(order=st.randoms(use_true_random=False), drains=st.booleans())
    def webhooks_come(self, order: Any, drains: bool) -> None:
        order.shuffle(self.under_way)
        some = order.randrange(len(self.under_way)) + 1
        come, self.under_way = self.under_way[:some], self.under_way[some:]
        self._bring(come)
        self.brought += come
        if drains:
            self.they_are_applied()

    @precondition(lambda self: self.brought)
    @rule(which=st.integers(0))
    def one_comes_again(self, which: int) -> None:
        self._bring([self.brought[which % len(self.brought)]] * 2)

    @rule(chat=st.sampled_from(CHATS))
    def a_page_is_asked_for(self, chat: str) -> None:
        self._tick()
        records = [self._record(key) for key in self.said if key[0] == chat]
        self.pages.append(Page(chat, self.time * SECOND, records))

    @precondition(lambda self: self.pages)
    @rule(which=st.integers(0), keeps=st.booleans())
    def a_page_is_read(self, which: int, keeps: bool) -> None:
        page = self.pages[which % len(self.pages)]
        if not keeps:
            self.pages.remove(page)
        self._submit(read_message(record, self.user_id, page.chat, page.asked_at) for record in page.records)
        self.here |= {(page.chat, record["id"]) for record in page.records}

    @rule()
    def they_are_applied(self) -> None:
        self.bench.applier.drain()
        self.here |= {key_of(body) for body in self.brought}
        self._check_presence()

    @rule(chat=st.sampled_from(CHATS))
    def an_operator_reads(self, chat: str) -> None:
        self.they_are_applied()
        found = [row for (name, _), row in self._messages().items() if name == chat]
        if found:
            newest = max(found, key=lambda row: row.id)
            self._submit([MarkRead(newest.chat_id, newest.id)])
            for key in self.here:
                if key[0] == chat:
                    self.said[key].seen = True

    @rule()
    def all_is_applied_again(self) -> None:
        before = self._messages(), self._chats()
        with self.bench.store.writing() as connection:
            ids = connection.scalars(select(Delivery.id).where(Delivery.account_id == self.account_id)).all()
        self.runner.run(self.bench.applier.replay(ids))
        assert (self._messages(), self._chats()) == before, "a replay changed what was not missing"

    @rule(again=st.booleans())
    def it_restarts(self, again: bool) -> None:
        self.bench.close()
        self.bench.open()
        if again:
            self.bench.spool.offer_again()  # as after a restore, or a crash between the commit and our note of it

    @rule(wrong=st.sampled_from(WRONG))
    def our_clock_jumps(self, wrong: int) -> None:
        self.bench.clock.now = self.time * SECOND + wrong

    def teardown(self) -> None:
        """What is still under way arrives at last."""
        if not hasattr(self, "account_id"):
            return
        self._bring(self.under_way)
        self.brought += self.under_way
        self.they_are_applied()
        self._check_end()
        with self.bench.store.writing() as connection:
            journal = connection.scalars(select(Delivery.id).where(Delivery.account_id == self.account_id)).all()
        self.counted.deliveries += len(journal)

    def _check_presence(self) -> None:
        with self.bench.store.writing() as connection:
            found = connection.execute(
                select(Chat.avito_id, Message.avito_id).join(Chat).where(Message.account_id == self.account_id)
            ).all()
        keys = [(chat, message) for chat, message in found]
        self.counted.applied_twice += len(keys) - len(set(keys))
        assert sorted(keys) == sorted(self.here)

    def _check_end(self) -> None:
        rows = self._messages()
        assert rows.keys() == self.said.keys()
        for key, said in self.said.items():
            row = rows[key]
            assert (row.text, row.created_at) == (said.text, said.created * SECOND), key
            assert (row.deleted_at is not None) == said.deleted, key
        for chat, row in self._chats().items():
            told = sorted((each for key, each in self.said.items() if key[0] == chat), key=lambda each: each.created)
            answers = [each.created for each in told if each.author_id == self.user_id and not each.deleted]
            unread = [
                each
                for each in told
                if each.author_id == BUYER_ID
                and not (each.deleted or each.seen)
                and each.created > max(answers, default=0)
            ]
            assert (row.unread, row.last_message_at) == (len(unread), told[-1].created * SECOND), chat

    def _tick(self) -> None:
        self.time += 1
        self.bench.clock.step(SECOND)

    def _pick(self, which: int) -> Key:
        return list(self.said)[which % len(self.said)]

    def _record(self, key: Key) -> dict[str, Any]:
        said = self.said[key]
        content = {"type": "deleted", "content": {}} if said.deleted else {"content": {"text": said.text}}
        return value(
            id=key[1], chat_id=key[0], user_id=self.user_id, author_id=said.author_id, created=said.created, **content
        )

    def _notify(self, key: Key) -> None:
        self.under_way.append(json.dumps(envelope(self._record(key), timestamp=self.time)).encode())

    def _bring(self, bodies: list[bytes]) -> None:
        self.runner.run(self.bench.receive(*bodies, account_id=self.account_id))

    def _submit(self, observations: Any) -> None:
        told: list[Observation] = list(observations)
        if told:
            self.runner.run(self.bench.applier.submit(self.account_id, told))

    def _messages(self) -> dict[Key, Any]:
        with self.bench.store.writing() as connection:
            rows = connection.execute(
                select(Message.__table__, Chat.avito_id.label("chat"))
                .join(Chat)
                .where(Message.account_id == self.account_id)
            )
            return {(row.chat, row.avito_id): row for row in rows}

    def _chats(self) -> dict[str, Any]:
        with self.bench.store.writing() as connection:
            rows = connection.execute(select(Chat.__table__).where(Chat.account_id == self.account_id))
            return {row.avito_id: row for row in rows}


def key_of(body: bytes) -> Key:
    told = json.loads(body)["payload"]["value"]
    return told["chat_id"], told["id"]


@pytest.fixture
def runner() -> Generator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.mark.promise("P5")
def test_every_history_ends_as_avito_tells_it(
    tmp_path: Path,
    database_url: str,
    clock: SteppedClock,
    runner: asyncio.Runner,
    at_scale: AtScale,
    figures: Figures,
) -> None:
    bench, counted = Bench(tmp_path / "spool", database_url, clock), Counted()
    examples = at_scale(40, 2000) if bench.store.is_sqlite else at_scale(10, 200)
    chosen = settings(max_examples=examples, stateful_step_count=25)
    try:
        machine = cast(type[History], partial(History, bench, runner, counted))
        run_state_machine_as_test(machine, settings=chosen)
    finally:
        figures(histories=counted.examples, deliveries=counted.deliveries, applied_twice=counted.applied_twice)
        bench.close()
        runner.run(bench.store.close())
