"""Deliveries of the journal, taken up again: judged by the choices of today, folded once more, and compared.

Promises, which the journal's pages and replays of many deliveries rely on:
- What was applied stays applied. A choice made since concerns what comes from then on, so it is folded as it was.
- A hint is never applied here: it is asked about anew, whatever it was, and a confirmed one is left alone.
- What nobody missed changes no row, not even its own; the same may be asked a hundred times.
- The difference that it makes is told message by message, also by a dry run, which is the same and rolled back.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, select, tuple_

from golub.allowlist import OPEN
from golub.apply import journal
from golub.apply.journal import Kept
from golub.apply.verdicts import Shops, Verdict, judge, quarantine
from golub.avito.wire import ChatSeen, MessageSeen, UserSeen
from golub.clock import Millis
from golub.fold import fold
from golub.fold.merge import UNSEEN_BY_ALL
from golub.live import Ring
from golub.model import EVENT_TYPES, Cause, Chat, DeliveryState, Message
from golub.store import Store, is_outage
from golub.store.lists import chunks

FEW = 16  # deliveries among which a bad one is looked for one by one, which costs ten times as much
_NOT_COMPARED = frozenset({"version"})

Name = tuple[int, str, str]  # account, chat, message; no message: the chat itself
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """One delivery: the state it was in, and the one it is in now."""

    id: bytes
    was: DeliveryState
    now: DeliveryState


@dataclass(frozen=True, slots=True)
class Change:
    """What a delivery changed: a message (or a chat, where `message_avito_id` is empty), new, or in these columns."""

    delivery_id: bytes
    account_id: int
    chat_avito_id: str
    message_avito_id: str
    columns: tuple[str, ...] = ()  # none: it was not there

    @property
    def name(self) -> Name:
        return self.account_id, self.chat_avito_id, self.message_avito_id


@dataclass(slots=True)
class Replayed:
    """`changes` name each message once a delivery that tells of it; `rings` are for after the commit."""

    taken: list[Taken] = field(default_factory=list[Taken])
    changes: list[Change] = field(default_factory=list[Change])
    rings: list[Ring] = field(default_factory=list[Ring])

    @property
    def states(self) -> dict[DeliveryState, int]:
        """How many ended how."""
        return Counter(one.now for one in self.taken)


Judged = tuple[Kept, Verdict | None]  # None: it is left as it is


def replay(
    connection: Connection, store: Store, shops: Shops, ids: Sequence[bytes], now: Millis, also_discarded: bool
) -> Replayed:
    """In the caller's transaction. Ids that are not in the journal are passed over."""
    once_wanted = Shops([replace(shop, types=EVENT_TYPES, gate=OPEN) for shop in shops.by_account.values()])
    left = {DeliveryState.PROBE, DeliveryState.ERASED, *(() if also_discarded else (DeliveryState.DISCARDED,))}
    judged = [
        (one, None if one.state in left else _judge(one, shops, once_wanted, now))
        for one in journal.read(connection, ids)
    ]
    names = {name for _, verdict in judged if (name := _named(verdict))}
    before = dict(_rows(connection, names))
    done = Replayed()
    if not _guarded(connection, lambda: _fold(connection, store, judged, done, now), done):
        for start in range(0, len(judged), FEW):
            _take_few(connection, store, shops, judged[start : start + FEW], done, now)
    after = dict(_rows(connection, names))
    for one, verdict in judged:
        if (name := _named(verdict)) and (columns := _difference(before.get(name), after.get(name))) is not None:
            done.changes.append(Change(one.received.id, *name, columns))
    return done


def _judge(one: Kept, shops: Shops, once_wanted: Shops, now: Millis) -> Verdict | None:
    if one.state is DeliveryState.APPLIED:
        verdict = judge(one.received, once_wanted, now) if one.received.token_id is not None else None
        return verdict if verdict and verdict.state is DeliveryState.APPLIED else None
    verdict = judge(one.received, shops, now)
    if verdict.state is DeliveryState.WAITING:
        return verdict
    discarded_still = one.state is DeliveryState.DISCARDED and verdict.state is DeliveryState.QUARANTINED
    return None if discarded_still or (one.state, one.cause) == (verdict.state, verdict.cause) else verdict


def _take_few(
    connection: Connection, store: Store, shops: Shops, judged: Sequence[Judged], done: Replayed, now: Millis
) -> None:
    if not _guarded(connection, lambda: _fold(connection, store, judged, done, now), done):
        for one, verdict in judged:
            _take_alone(connection, store, shops, one, verdict, done, now)


def _take_alone(
    connection: Connection, store: Store, shops: Shops, one: Kept, verdict: Verdict | None, done: Replayed, now: Millis
) -> None:
    """A row at fault hurts nobody else: it goes to quarantine, unless it was applied before."""
    if _guarded(connection, lambda: _fold(connection, store, [(one, verdict)], done, now), done):
        return
    if one.state is not DeliveryState.APPLIED:
        refused = quarantine(one.received, shops, Cause.ROW_ERROR, "the database refused it again")
        journal.judge_again(connection, one.received, refused, now)
        done.taken.append(Taken(one.received.id, one.state, refused.state))
    else:
        done.taken.append(Taken(one.received.id, one.state, one.state))


def _guarded(connection: Connection, step: Callable[[], None], done: Replayed) -> bool:
    """Whether the database took it; an outage is raised."""
    told = len(done.rings), len(done.taken)
    try:
        with connection.begin_nested():
            step()
    except Exception as error:
        if is_outage(error):
            raise
        del done.rings[told[0] :], done.taken[told[1] :]
        return False
    return True


def _fold(connection: Connection, store: Store, judged: Sequence[Judged], done: Replayed, now: Millis) -> None:
    first: defaultdict[int, list[MessageSeen | ChatSeen | UserSeen]] = defaultdict(list)
    again: defaultdict[int, list[MessageSeen | ChatSeen | UserSeen]] = defaultdict(list)
    for one, verdict in judged:
        done.taken.append(Taken(one.received.id, one.state, verdict.state if verdict else one.state))
        if verdict is None:
            continue
        if one.state is not DeliveryState.APPLIED:
            journal.judge_again(connection, one.received, verdict, now)
        if verdict.seen is not None and verdict.account_id is not None:
            (again if one.state is DeliveryState.APPLIED else first)[verdict.account_id].append(verdict.seen)
    for account_id in sorted(first.keys() | again.keys()):  # one order for all, as in a batch
        for seen, is_again in ((again[account_id], True), (first[account_id], False)):
            done.rings += fold(connection, store, account_id, seen, now, again=is_again) if seen else []


def _named(verdict: Verdict | None) -> Name | None:
    """The row that it tells of, where it tells of one."""
    seen = verdict.seen if verdict else None
    if verdict is None or seen is None or verdict.account_id is None or not seen.chat_avito_id:
        return None
    return verdict.account_id, seen.chat_avito_id, seen.avito_id if isinstance(seen, MessageSeen) else ""


def _rows(connection: Connection, names: Collection[Name]) -> Generator[tuple[Name, Row]]:
    chats, messages = Chat.__table__, Message.__table__
    by_message = sorted(name for name in names if name[2])
    for chunk in chunks(by_message):
        key = tuple_(chats.c.account_id, chats.c.avito_id, messages.c.avito_id)
        rows = connection.execute(
            select(chats.c.account_id, chats.c.avito_id.label("chat_name"), messages)
            .join(messages, messages.c.chat_id == chats.c.id)
            .where(key.in_(chunk))
        )
        for row in rows.mappings():
            kept = {name: value for name, value in row.items() if name not in _NOT_COMPARED}
            yield (row["account_id"], row["chat_name"], row["avito_id"]), kept
    by_chat = sorted((name[0], name[1]) for name in names if not name[2])
    for chunk in chunks(by_chat):
        key = tuple_(chats.c.account_id, chats.c.avito_id)
        rows = connection.execute(select(chats).where(key.in_(chunk)))
        for row in rows.mappings():
            kept = {name: value for name, value in row.items() if name not in UNSEEN_BY_ALL}
            yield (row["account_id"], row["avito_id"], ""), kept


def _difference(before: Row | None, after: Row | None) -> tuple[str, ...] | None:
    """The columns in which they differ; none of them where the row is new; None where all is as it was."""
    if after is None or before == after:
        return None
    return tuple(sorted(name for name in after if before[name] != after[name])) if before else ()
