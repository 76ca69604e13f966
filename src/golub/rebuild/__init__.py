"""`golub rebuild`: folds the journal again into shadow tables and compares each message that a delivery told of with
ours. It is the proof that apply is a function of what arrived.

It works while the server runs and while it is stopped, on both databases. The shadow tables are temporary and belong to
one connection: nothing real can be written through it, no writer waits for it, and what was cut off leaves nothing
behind, so it simply begins anew. Most of the journal is folded in small parts; the end of it, and the comparison, see
one snapshot, so that deliveries that are applied meanwhile make no difference.

What is folded: every delivery that was applied, with the choices of its time; a hint that Avito has confirmed counts
as having told of its message, whose words came from the API. `compare` says what must be equal. Lawful, and counted:
messages that only the API (or we ourselves) told of, and those that are older than the journal.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from sqlalchemy import Table as SQLTable
from sqlalchemy import func, select, tuple_

from golub.apply.journal import kept
from golub.avito.wire import Event, MessageSeen, read_delivery
from golub.clock import HOUR, Millis
from golub.fold import Delivered, Observation, fold
from golub.fold.forgotten import look_up
from golub.model import Account, Act, Chat, Delivery, DeliveryState, Message, OutgoingMessage, Wait
from golub.rebuild.compare import Fault, compare
from golub.store import Store
from golub.store.shadow import Shadow

__all__ = ["Difference", "Fault", "Progress", "Report", "rebuild"]

PART = 500  # deliveries, or messages, at once
LATE = HOUR  # deliveries of other nodes may enter the journal so much out of order: the end is folded from there again
SHOWN = 100  # differences that are named

_deliveries = cast(SQLTable, Delivery.__table__)
_chats = cast(SQLTable, Chat.__table__)
_messages = cast(SQLTable, Message.__table__)

Row = dict[str, Any]
Progress = Callable[[str, float], None]  # the step, and how much of it is done: 0 to 1


@dataclass(frozen=True, slots=True)
class Difference:
    fault: Fault
    account_id: int
    chat_avito_id: str
    message_avito_id: str


@dataclass(slots=True)
class Report:
    """Times in milliseconds; `complete_from` None: the journal is empty."""

    deliveries: int = 0  # in the journal
    folded: int = 0  # … of them applied, and folded again
    left_out: dict[str, int] = field(default_factory=dict[str, int])  # the others, by state
    compared: int = 0  # messages that a delivery in the journal told of
    api_only: int = 0  # messages that no webhook ever told of
    older: int = 0  # messages whose webhook came, and is no longer in the journal
    complete_from: Millis | None = None  # since then every webhook's message has its delivery in the journal
    faults: dict[str, int] = field(default_factory=dict[str, int])
    differences: list[Difference] = field(default_factory=list[Difference])  # the first

    @property
    def is_good(self) -> bool:
        return not self.faults

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {"good": self.is_good, **asdict(self)}


def _silently(_step: str, _share: float) -> None:
    """Nobody watches."""


def rebuild(store: Store, now: Millis, progress: Progress = _silently) -> Report:
    """Blocks as long as it takes. Raises `Unavailable` in an outage."""
    with store.shadow(Chat, Message, OutgoingMessage, Wait, Act) as shadow:
        return _Rebuild(shadow, store, now, progress).run()


class _Rebuild:
    def __init__(self, shadow: Shadow, store: Store, now: Millis, progress: Progress) -> None:
        self._shadow = shadow
        self._store = store
        self._now = now
        self._progress = progress
        self._report = Report()
        self._users: dict[int, int] = {}

    def run(self) -> Report:
        self._users = {row.id: row.user_id for row in self._shadow.read(select(Account.id, Account.user_id))}
        total = self._shadow.read(select(func.count()).select_from(_deliveries)).scalar_one()
        place, done = (0, b""), 0
        for rows in self._journal_from(place):
            done += len(rows)
            place = rows[-1]["received_at"], bytes(rows[-1]["id"])
            self._fold(rows)
            self._shadow.commit()
            self._progress("folding", done / max(total, done))
        with self._shadow.snapshot():
            for rows in self._journal_from((max(0, place[0] - LATE), b"")):
                self._fold(rows)
            self._count()
            self._compare()
        return self._report

    def _journal_from(self, place: tuple[Millis, bytes]) -> Iterator[list[Row]]:
        key = (_deliveries.c.received_at, _deliveries.c.id)
        while True:
            following = select(_deliveries).where(tuple_(*key) > tuple_(*place)).order_by(*key).limit(PART)
            rows = [dict(row) for row in self._shadow.read(following).mappings()]
            if not rows:
                return
            yield rows
            place = rows[-1]["received_at"], bytes(rows[-1]["id"])

    def _fold(self, rows: list[Row]) -> None:
        told: defaultdict[int, list[Observation]] = defaultdict(list)
        for row in rows:
            if row["state"] == DeliveryState.APPLIED and (user_id := self._users.get(row["account_id"])) is not None:
                told[row["account_id"]] += self._observed(row, user_id)
        for account_id, observations in told.items():
            forgotten = look_up(self._shadow.read, account_id, observations)
            fold(
                self._shadow.connection,
                self._store,
                account_id,
                [one for one in observations if not (isinstance(one, MessageSeen) and forgotten.covers(one))],
                self._now,
                again=True,
                searchable=False,
            )

    def _observed(self, row: Row, user_id: int) -> list[Observation]:
        """What its message was told to be. Facts of chats are left to the API, which outranks webhooks there."""
        received = kept(row).received
        if received.token_id is None:
            is_message = row["event_type"] == "message" and row["message_avito_id"]
            return (
                [Delivered(row["chat_avito_id"], row["message_avito_id"], received.received_at)] if is_message else []
            )
        read = read_delivery(received.body, received.received_at, user_id)
        return [read.seen] if isinstance(read, Event) and isinstance(read.seen, MessageSeen) else []

    def _count(self) -> None:
        by_state = select(_deliveries.c.state, func.count().label("number")).group_by(_deliveries.c.state)
        found = {row.state: row.number for row in self._shadow.read(by_state)}
        self._report.deliveries = sum(found.values())
        self._report.folded = found.pop(DeliveryState.APPLIED.value, 0)
        self._report.left_out = found

    def _compare(self) -> None:
        """Ours against the shadow's, and the other way round; the journal's holes are known only after the latter."""
        report = self._report
        oldest = self._shadow.read(select(func.min(_deliveries.c.received_at))).scalar_one()
        total = self._shadow.connection.execute(select(func.count()).select_from(_messages)).scalar_one()
        report.complete_from = self._find_untold(oldest)
        faults: Counter[str] = Counter()
        for pairs in self._pairs():
            for name, ours, told in pairs:
                whole = (
                    report.complete_from is not None
                    and ours is not None
                    and ours["received_at"] >= report.complete_from
                )
                report.compared += 1
                if fault := compare(ours, told, journal_is_whole=whole):
                    faults[fault.value] += 1
                    if len(report.differences) < SHOWN:
                        report.differences.append(Difference(fault, *name))
            self._progress("comparing", report.compared / max(total, report.compared))
        report.faults = dict(faults)

    def _pairs(self) -> Iterator[list[tuple[tuple[int, str, str], Row | None, Row]]]:
        """Every message of the shadow with ours, or None."""
        last = 0
        named = select(_chats.c.avito_id.label("chat"), _messages).join(_chats, _chats.c.id == _messages.c.chat_id)
        while True:
            part = named.where(_messages.c.id > last).order_by(_messages.c.id).limit(PART)
            told = [dict(row) for row in self._shadow.connection.execute(part).mappings()]
            if not told:
                return
            last = told[-1]["id"]
            names = [(row["account_id"], row["chat"], row["avito_id"]) for row in told]
            key = tuple_(_chats.c.account_id, _chats.c.avito_id, _messages.c.avito_id)
            rows = self._shadow.read(named.where(key.in_(names))).mappings()
            ours = {(row["account_id"], row["chat"], row["avito_id"]): dict(row) for row in rows}
            yield [(name, ours.get(name), row) for name, row in zip(names, told, strict=True)]

    def _find_untold(self, oldest: Millis | None) -> Millis | None:
        """Counts those of ours that the shadow lacks, and says from when on none of them has lost its delivery."""
        last, newest_hole = 0, None
        named = select(
            _messages.c.id,
            _messages.c.account_id,
            _messages.c.avito_id,
            _messages.c.delivered_at,
            _chats.c.avito_id.label("chat"),
        ).join(_chats, _chats.c.id == _messages.c.chat_id)
        key = tuple_(_chats.c.account_id, _chats.c.avito_id, _messages.c.avito_id)
        known = select(_chats.c.account_id, _chats.c.avito_id, _messages.c.avito_id).join(
            _chats, _chats.c.id == _messages.c.chat_id
        )
        while True:
            part = named.where(_messages.c.id > last).order_by(_messages.c.id).limit(PART)
            ours = [dict(row) for row in self._shadow.read(part).mappings()]
            if not ours:
                break
            last = ours[-1]["id"]
            names = {(row["account_id"], row["chat"], row["avito_id"]): row for row in ours}
            told = {tuple(row) for row in self._shadow.connection.execute(known.where(key.in_(list(names))))}
            for name, row in names.items():
                if name in told:
                    continue
                if row["delivered_at"] is None or self._is_hinted(row):
                    self._report.api_only += 1
                else:
                    self._report.older += 1
                    newest_hole = max(newest_hole or 0, row["delivered_at"])
        if oldest is None:
            return None
        return max(oldest, newest_hole + 1) if newest_hole is not None else oldest

    def _is_hinted(self, row: Row) -> bool:
        """Whether the delivery that told of it is a confirmed hint: its words came from the API."""
        found = self._shadow.read(
            select(_deliveries.c.id).where(
                _deliveries.c.received_at == row["delivered_at"],
                _deliveries.c.message_avito_id == row["avito_id"],
                _deliveries.c.token_id.is_(None),
            )
        )
        return found.first() is not None
