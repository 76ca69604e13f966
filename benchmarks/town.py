"""A town whose buyers have written to three shops for a year: as many rows as one likes, the same in every run.

The first twenty thousand messages are told to `fold` as webhooks tell them, in the order of time, and what operators
did with their chats after them. The rest are copies of these rows by the database, with other numbers, names and times
(but not digests), as if there were more of the same buyers; words are put into the index as search itself reads them,
in the order of time. `check` works a sample of the copies out anew. Only the journal is left out, which no page of the
inbox reads. Each transaction notes how far it came, so a town that was cut off is built on.
"""

import bisect
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, select, update

from benchmarks.copies import OWN_ITEMS, YEAR, Pattern
from golub.avito.wire_seen import API, WEBHOOK, BuyerFacts, ChatSeen, ItemFacts, MessageSeen
from golub.clock import DAY, MINUTE, SECOND, Millis
from golub.fold import Close, CountWaits, HandOver, Labelled, MarkRead, NoteWritten, Observation, Snooze, fold, rows
from golub.index import statements
from golub.index.analyser import VERSION
from golub.index.entries import (
    CHATS,
    MESSAGES,
    Entry,
    entry_of_chat,
    entry_of_message,
    key_of_message,
    of_chat,
    of_item,
)
from golub.index.question import All, Facet, Words
from golub.model import (
    Account,
    Chat,
    Direction,
    Label,
    Mark,
    Message,
    Operator,
    OperatorAccount,
    OutgoingMessage,
    OutgoingState,
    Role,
    SavedView,
    Wait,
)
from golub.reports.filling import ALL
from golub.reports.filling import MARK as WAITS_MARK
from golub.search.catching_up import MARK as SEARCH_MARK
from golub.search.catching_up import Place
from golub.store import Store

NOW: Millis = 1_790_000_000_000
CHAT_OF = 10  # messages, on average
PATTERN = 20_000  # messages that are folded
LONG = 4  # chats that go on all the year
SHARES = (50, 30, 20)  # of the chats, by account, in per cent
WORDS = 30_000
BATCH = 2_000  # messages in a transaction
CARED_AT_ONCE = 1_000  # chats
LABELS = {"frequent": 0.2, "usual": 0.06, "seldom": 0.025}  # on how many of the chats …
LEAST_LABELLED = 60  # … and on how many at least
OPERATORS = 10
PHONE = "8 (916) {:03}-{:02}-{:02}"

_MARK = "town"  # JSON: how far each stage is
_SYLLABLES = "на ко ре ст до ва ла ми те ло пр ос ит ан ел ов ен ра по ку че ма".split()  # noqa: SIM905 - they are read so


class Talk:
    """Made-up words with Zipf's frequencies, as a language has: few are in every tenth message, most in a handful."""

    def __init__(self, words: int = WORDS) -> None:
        """`words`: so many are made up; those that come twice count once."""
        dice = random.Random(7)
        self.words = list(dict.fromkeys("".join(dice.choices(_SYLLABLES, k=dice.randint(2, 5))) for _ in range(words)))
        self._weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(self.words))))

    def says(self, dice: random.Random) -> str:
        top, number = self._weights[-1], dice.randint(3, 14)
        return " ".join(self.words[bisect.bisect(self._weights, dice.random() * top)] for _ in range(number))


class Town:
    """`messages` of them, in a tenth as many chats: whole patterns, or less than one."""

    def __init__(self, messages: int) -> None:
        self.messages = min(messages, PATTERN)
        self.chats = self.messages // CHAT_OF
        self.copies = messages // self.messages
        self.items = max(self.chats // 50, 1)
        self.talk = Talk()
        self._pattern = Pattern(self.messages, self.chats, self.items, self.copies)

    def build(self, store: Store, say: Callable[[str], None]) -> None:
        """Whatever of it is missing. Needs a migrated database that holds nothing else."""
        with store.writing() as connection:
            if connection.scalar(select(Mark.value).where(Mark.name == _MARK)) is None:
                self._found(connection)
                connection.execute(insert(Mark).values(name=_MARK, value="[0, 0, 0, 1, 0, 0]"))
        stages = (
            (self.chats, CARED_AT_ONCE, "chats", self._open),
            (self.messages, BATCH, "messages", self._speak),
            (self.chats, CARED_AT_ONCE, "chats cared for", self._care),
            (self.copies, 1, "copies", self._copy),
            (self.chats, CARED_AT_ONCE, "chats that search finds", self._index_chats),
            (self.messages, max(BATCH // self.copies, 1), "messages that search finds", self._index_messages),
        )
        for stage, (number, step, of, do) in enumerate(stages):
            while True:
                with store.writing() as connection:
                    done: list[int] = json.loads(connection.scalar(select(Mark.value).where(Mark.name == _MARK)) or "")
                    first = done[stage]
                    if first >= number:
                        break
                    do(connection, store, first, min(first + step, number))
                    done[stage] = min(first + step, number)
                    connection.execute(update(Mark).where(Mark.name == _MARK).values(value=json.dumps(done)))
                if first // step % max(number // step // 20, 1) == 0:
                    say(f"{done[stage]:>9} of {number} {of}")

    def account_of(self, chat: int) -> int:
        """The account's row: 1, 2 or 3."""
        place = chat * 7919 % 100
        return 1 if place < SHARES[0] else 2 if place < SHARES[0] + SHARES[1] else 3

    def _found(self, connection: Connection) -> None:
        """Accounts, operators of whom the first sees all, the second one and the third two accounts, labels, views."""
        accounts = [
            {"user_id": 1000 + row, "name": f"Магазин {row}", "client_id": "id", "client_secret": b"", "created_at": 0}
            for row in range(1, len(SHARES) + 1)
        ]
        connection.execute(insert(Account), accounts)
        operators = [
            {
                "login": f"operator-{row}",
                "name": f"Оператор {row}",
                "password_hash": "",
                "role": Role.SUPER_ADMIN if row == 1 else Role.MANAGER,
                "every_account": row not in (2, 3),
                "created_at": 0,
            }
            for row in range(1, OPERATORS + 1)
        ]
        connection.execute(insert(Operator), operators)
        seen = [{"operator_id": row, "account_id": account} for row, account in ((2, 1), (3, 2), (3, 3))]
        connection.execute(insert(OperatorAccount), seen)
        labels = [
            {"name": name, "folded": name, "colour": "#0369a1", "created_at": row} for row, name in enumerate(LABELS)
        ]
        connection.execute(insert(Label), labels)
        views = [
            {"operator_id": row, "created_at": 0, "account_id": None, "label_id": None, "item_id": None} | narrowed
            for row in (1, 2, 3)
            for narrowed in (
                {"name": "ждут, с меткой", "view": "waiting", "label_id": 2},
                {"name": "аккаунт", "view": "all", "account_id": 1 if row < 3 else 2, "label_id": 1},
                {"name": "объявление", "view": "all", "item_id": self.item_of(0)},
            )
        ]
        connection.execute(insert(SavedView), views)
        read = json.dumps(asdict(Place(VERSION, 0, 0, self.messages * self.copies)))
        connection.execute(insert(Mark), [{"name": WAITS_MARK, "value": ALL}, {"name": SEARCH_MARK, "value": read}])

    def rare(self) -> str:
        """A word that was said some sixty times."""
        return self.talk.words[self.messages * self.copies * 8 // 600]

    def item_of(self, chat: int) -> int:
        """One item of each account has a fifth of its chats, the others their share."""
        account = self.account_of(chat)
        own = random.Random(chat).randrange(self.items)
        return OWN_ITEMS * account + (0 if chat % 5 == 0 else own)

    def _open(self, connection: Connection, store: Store, first: int, end: int) -> None:
        """The chats as the API tells of them, so that their rows have the numbers of their names."""
        for account, chats in _by(self.account_of, range(first, end)):
            told = [
                ChatSeen(
                    chat_avito_id=name_of(chat),
                    account_user_id=1000 + account,
                    observed_at=NOW - YEAR,
                    source=API,
                    chat_type="u2i",
                    buyer=BuyerFacts(id=5_000_000 + chat * 19 // 20, name=self.talk.words[chat % 2000].title()),
                    item=ItemFacts(
                        id=(item := self.item_of(chat)),
                        title=" ".join(self.talk.words[(item + word * 97) % 3000] for word in range(4)),
                        price=f"{item % 900 + 100} ₽",
                        url="https://www.avito.ru/item",
                    ),
                    created_at=NOW - YEAR,
                    updated_at=NOW - YEAR,
                )
                for chat in chats
            ]
            fold(connection, store, account, told, NOW - YEAR, searchable=False)

    def _speak(self, connection: Connection, store: Store, first: int, end: int) -> None:
        dice = random.Random(first)
        said = [
            (chat, self._message(dice, number, chat))
            for number in range(first, end)
            for chat in (self._who(dice, number),)
        ]
        rows = self._rows(connection, sorted({chat for chat, _ in said}))
        answered = [(chat, one) for chat, one in said if one.direction is Direction.OUT and dice.random() < 0.6]
        connection.execute(
            insert(OutgoingMessage), [self._reply(dice, rows[chat], chat, one) for chat, one in answered]
        )
        for account, those in _by(lambda one: self.account_of(one[0]), said):
            at = those[-1][1].created_at
            fold(connection, store, account, [one for _, one in those], at, searchable=False)

    def _who(self, dice: random.Random, number: int) -> int:
        """In which chat it is said: one that has just begun, one of the long ones, or any."""
        begun = number // CHAT_OF
        chance = dice.random()
        if number % CHAT_OF == 0:
            return begun
        if chance < max(0.1, 1200 / self.messages):
            return dice.randrange(min(LONG, begun + 1))
        if chance < 0.8:
            return max(begun - int(dice.expovariate(200 / self.chats)), 0)
        return dice.randrange(begun + 1)

    def _message(self, dice: random.Random, number: int, chat: int) -> MessageSeen:
        at = (NOW - YEAR + number * YEAR // self.messages) // SECOND * SECOND
        ours = number % CHAT_OF != 0 and dice.random() < 0.45
        words = self.talk.says(dice)
        if dice.random() < 0.005:
            words += f" звоните {PHONE.format(number % 1000, number // 1000 % 100, number // 100_000 % 100)}"
        photo = dice.random() < 0.02
        user_id = 1000 + self.account_of(chat)
        return MessageSeen(
            chat_avito_id=name_of(chat),
            avito_id=f"m-{number}",
            account_user_id=user_id,
            author_id=user_id if ours else 5_000_000 + chat * 19 // 20,
            direction=Direction.OUT if ours else Direction.IN,
            type="image" if photo else "text",
            content={"image": {"sizes": {"640x480": f"https://img.example/{number}.jpg"}}}
            if photo
            else {"text": words},
            text="" if photo else words,
            created_at=at,
            observed_at=at,
            source=WEBHOOK,
            chat_type="u2i",
            delivered_at=at,
        )

    def _reply(self, dice: random.Random, row: int, chat: int, one: MessageSeen) -> dict[str, Any]:
        return {
            "account_id": self.account_of(chat),
            "chat_id": row,
            "operator_id": dice.randint(1, OPERATORS),
            "client_key": one.avito_id,
            "text": one.text,
            "state": OutgoingState.SENT,
            "created_at": one.created_at,
            "finished_at": one.created_at,
            "message_avito_id": one.avito_id,
        }

    def _care(self, connection: Connection, store: Store, first: int, end: int) -> None:
        """What the team did with each chat, in the end."""
        dice = random.Random(first)
        rows = self._rows(connection, range(first, end))
        shares = [(row, max(share, LEAST_LABELLED / self.chats)) for row, share in enumerate(LABELS.values(), 1)]
        for account, chats in _by(self.account_of, range(first, end)):
            told: list[Observation] = []
            for chat in chats:
                row = rows[chat]
                if dice.random() < 0.6:
                    owner = dice.choices(range(1, OPERATORS + 1), [25, 25, 25, *[4] * (OPERATORS - 3)])[0]
                    told.append(HandOver(row, None, owner, NOW - DAY))
                if dice.random() < 0.7:
                    told.append(MarkRead(row, 1 << 40))
                told += [Labelled(row, label, True, 1, NOW) for label, share in shares if dice.random() < share]
                if chat < LONG or dice.random() < 0.05:
                    told.append(NoteWritten(row, 1, f"n-{chat}", self.talk.says(dice), NOW - 7 * DAY))
                end_of_it = dice.random()
                if chat >= LONG and end_of_it < 0.25:
                    told.append(Close(row, 1 << 40, NOW - int(dice.random() * 30 * DAY)))
                elif chat >= LONG and end_of_it < 0.32:
                    told.append(Snooze(row, 1 << 40, NOW + MINUTE + int(dice.random() * 30 * DAY)))
            fold(connection, store, account, told, NOW, searchable=False)

    def _copy(self, connection: Connection, store: Store, first: int, end: int) -> None:  # noqa: ARG002 - like the others
        self._pattern.copy(connection, first)

    def _index_chats(self, connection: Connection, store: Store, first: int, end: int) -> None:  # noqa: ARG002
        for copy in range(self.copies):
            among = Chat.id.between(first + 1 + copy * self.chats, end + copy * self.chats)
            rows = connection.execute(CHATS.where(among)).mappings()
            statements.put(connection, [entry for row in rows if (entry := entry_of_chat(row))])

    def _index_messages(self, connection: Connection, store: Store, first: int, end: int) -> None:  # noqa: ARG002
        """With the words of a message its copies get theirs."""
        found: list[Entry] = []
        among = MESSAGES.where(Message.id > first, Message.id <= end)
        for row in connection.execute(among).mappings():
            if (entry := entry_of_message(row)) is None:
                continue
            item = row["item_id"]
            others = set(entry.facets) - {of_chat(row["chat_id"])} - ({of_item(item)} if item is not None else set())
            for copy in range(self.copies):
                key = key_of_message(row["created_at"] + self._pattern.later(copy), row["id"] + copy * self.messages)
                facets = [*others, of_chat(row["chat_id"] + copy * self.chats)]
                if item is not None:
                    facets.append(of_item(self._pattern.item(item, copy)))
                found.append(Entry(key, entry.stems, entry.others, facets))
        statements.put(connection, found)

    def check(self, store: Store, chats: int = 50) -> None:
        """Works out anew what follows from the messages of some chats, copies among them, and compares; looks for
        their words. Nothing is kept of it. Raises `AssertionError`."""
        dice = random.Random(11)
        for row in dice.sample(range(1, self.chats * self.copies + 1), min(chats, self.chats)):
            with store.writing() as connection:
                before = _following(connection, row)
                account = connection.scalar(select(Chat.account_id).where(Chat.id == row)) or 0
                fold(connection, store, account, [CountWaits(row)], NOW)
                (derived,) = rows.derived(connection, [row])
                assert _following(connection, row)[1] == before[1], f"the waits of chat {row}"
                assert tuple(derived.values())[1:] == before[0], f"what follows from the messages of chat {row}"
                for message in connection.execute(MESSAGES.where(Message.chat_id == row).limit(5)).mappings():
                    entry = entry_of_message(message)
                    assert entry
                    asked = All((*(Words((stem,)) for stem in entry.stems), *(Facet(one) for one in entry.facets)))
                    there = statements.find(connection, asked, least=entry.key, greatest=entry.key, limit=2)
                    assert there == [entry.key], f"the words of message {message['id']}"
                connection.rollback()

    def _rows(self, connection: Connection, chats: Sequence[int]) -> dict[int, int]:
        """The chats' row ids."""
        found: dict[int, int] = {}
        for start in range(0, len(chats), 500):
            names = [name_of(chat) for chat in chats[start : start + 500]]
            for name, row in connection.execute(select(Chat.avito_id, Chat.id).where(Chat.avito_id.in_(names))):
                found[int(name.partition("-")[2])] = row
        return found


def _following(connection: Connection, chat: int) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """What follows from a chat's messages: in its own row, and its waits."""
    own = select(Chat.last_message_id, Chat.last_message_at, Chat.unread, Chat.waiting_since).where(Chat.id == chat)
    waits = select(Wait.item_id, Wait.kind, Wait.is_first, Wait.began_at, Wait.ended_at, Wait.answer, Wait.operator_id)
    found = connection.execute(waits.where(Wait.chat_id == chat).order_by(Wait.began_at, Wait.ended_at))
    return tuple(connection.execute(own).one()), [tuple(row) for row in found]


def name_of(chat: int) -> str:
    return f"u2i-{chat:07}"


def _by(account_of: Callable[[Any], int], those: Sequence[Any]) -> Iterator[tuple[int, list[Any]]]:
    found: dict[int, list[Any]] = {}
    for one in those:
        found.setdefault(account_of(one), []).append(one)
    return iter(sorted(found.items()))
