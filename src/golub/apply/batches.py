"""Deliveries into the journal and their observations into chats and messages, in the caller's transaction.

Draining twice is harmless: a delivery's id is the journal's key, and one that is there already is passed over.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, exists, select

from golub.allowlist import OPEN, load_gates
from golub.apply import forward, journal
from golub.apply.verdicts import Shop, Shops, Verdict, erased, judge, quarantine
from golub.avito.wire import MessageSeen
from golub.clock import Millis
from golub.fold import Observation, fold
from golub.fold.forgotten import look_up
from golub.live import Ring
from golub.model import DEFAULT_EVENT_TYPES, Account, Cause, Relay, RelayState, Webhook
from golub.settings import WEBHOOK_PATH
from golub.signatures import Trial
from golub.spool import Received
from golub.store import Store, is_outage

Outcome = tuple[Received, Verdict]


class Batch:
    """One transaction of apply. Collects what is to be told once it is committed: `rings` and their `number`,
    `outcomes`, `relayed`."""

    def __init__(self, connection: Connection, store: Store, now: Millis, trial: Trial) -> None:
        self.rings: list[Ring] = []
        self.number = 0
        self.outcomes: list[Outcome] = []
        self.relayed = 0
        self._connection = connection
        self._store = store
        self._now = now
        self._shops = load_shops(connection, trial)

    def apply(self, received: Sequence[Received]) -> None:
        """Those that are not in the journal yet, all together. Raises what the database says of any of them."""
        known = journal.known(self._connection, [one.id for one in received])
        fresh = {one.id: one for one in received if one.id not in known}
        judged = self._without_erased([(one, judge(one, self._shops, self._now)) for one in fresh.values()])
        self._keep(judged)
        self._fold(judged)

    def apply_each(self, received: Sequence[Received]) -> None:
        """The same one by one: a row at fault is quarantined, and hurts nobody else."""
        for one in received:
            if fault := self.attempt([one]):
                self.condemn(one, Cause.ROW_ERROR, fault)

    def attempt(self, received: Sequence[Received]) -> str:
        """Applies all of them and returns nothing; or where one is at fault does nothing, and says what is wrong."""
        told = len(self.rings), len(self.outcomes), self.relayed
        try:
            with self._connection.begin_nested():
                self.apply(received)
        except Exception as error:
            if is_outage(error):
                raise
            del self.rings[told[0] :], self.outcomes[told[1] :]
            self.relayed = told[2]
            return _reason(error)
        return ""

    def condemn(self, received: Received, cause: Cause, detail: str) -> None:
        """Quarantines a delivery that cannot be applied, without another look at its bytes."""
        if journal.known(self._connection, [received.id]):
            return
        verdict = quarantine(received, self._shops, cause, detail)
        self._keep([(received, verdict)])
        self.outcomes.append((received, verdict))

    def _without_erased(self, judged: list[Outcome]) -> list[Outcome]:
        """What tells of an erased message, once more or late, leaves nothing but that it came."""
        told: defaultdict[int, list[tuple[int, MessageSeen]]] = defaultdict(list)
        for place, (_, verdict) in enumerate(judged):
            seen = verdict.event.seen if verdict.event else None
            if isinstance(seen, MessageSeen) and verdict.account_id is not None:
                told[verdict.account_id].append((place, seen))
        for account_id, messages in told.items():
            forgotten = look_up(self._connection.execute, account_id, [seen for _, seen in messages])
            for place, seen in messages:
                if forgotten.covers(seen):
                    judged[place] = erased(judged[place][0], account_id)
        return judged

    def _keep(self, judged: Sequence[Outcome]) -> None:
        journal.record(self._connection, judged, self._now)
        self.relayed += forward.enqueue(self._connection, self._store, judged, self._shops, self._now)

    def _fold(self, judged: Sequence[Outcome]) -> None:
        by_account: defaultdict[int, list[Observation]] = defaultdict(list)
        for _, verdict in judged:
            if verdict.seen is not None and verdict.account_id is not None:
                by_account[verdict.account_id].append(verdict.seen)
        for account_id in sorted(by_account):  # one order for all, so that two nodes cannot wait for each other
            self.rings += fold(self._connection, self._store, account_id, by_account[account_id], self._now)
        self.outcomes += judged


def load_shops(connection: Connection, trial: Trial) -> Shops:
    """Few rows, and read for every batch: a choice made in the panel counts at once, on every node."""
    rows = connection.execute(
        select(
            Account.id,
            Account.user_id,
            Webhook.types,
            Webhook.url,
            exists().where(Relay.account_id == Account.id, Relay.state != RelayState.GONE),
        ).outerjoin(Webhook, Webhook.account_id == Account.id)
    )
    gates = load_gates(connection)
    return Shops(
        [
            Shop(
                key,
                user_id,
                tuple(types or DEFAULT_EVENT_TYPES),
                relayed,
                (url or "").endswith(WEBHOOK_PATH),
                gates.get(key, OPEN),
            )
            for key, user_id, types, url, relayed in rows
        ],
        trial.of_batch(connection),
    )


def _reason(error: Exception) -> str:
    """The database's first words, or the kind of our own mistake."""
    told = getattr(error, "orig", None)
    return f"{type(told or error).__name__}: {str(told or error).partition(chr(10))[0]}"[:300]
