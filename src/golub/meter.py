"""The meter: keeps how fast Avito was answered, for people, and sets the gauges that only the main database knows.

Answer times are counted by the webhook in memory; once a minute what was added goes into rows of five minutes, to
which every node adds its own. So the status page shows the last day after a restart too, and the ack path writes
nothing. A crash loses the last minute of these counts, and nothing else.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from golub import __version__, metrics
from golub.allowlist import Register
from golub.clock import DAY, MINUTE, Clock, Millis
from golub.health import disk_of
from golub.ladder import held_back
from golub.model import (
    SAMPLE_USER_ID,
    Account,
    AccountState,
    AckTally,
    AllowListMode,
    Cause,
    Delivery,
    DeliveryState,
    OutgoingMessage,
    OutgoingState,
    Relay,
    RelayState,
    SignatureLab,
    SignatureMode,
    SignatureTally,
    SubscriptionState,
    Webhook,
)
from golub.runner import Loop
from golub.settings import Settings
from golub.store import Store

GRAIN = 5 * MINUTE
KEPT = 2 * DAY
EVERY = 60.0  # seconds
IN_TIME = 2000  # ms that Avito waits

SLOWER, REFUSED = 0, -1  # in the place of an upper bound in ms
STEPS: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1500, 2000)

Counts = dict[int, int]  # by upper bound in ms, of those that no lower bound holds


@dataclass(frozen=True, slots=True)
class Acks:
    """Answers of a while."""

    counts: Counts

    @property
    def answered(self) -> int:
        """With 200."""
        return sum(count for step, count in self.counts.items() if step != REFUSED)

    @property
    def refused(self) -> int:
        """With 503: whoever gets one sends again."""
        return self.counts.get(REFUSED, 0)

    @property
    def late(self) -> int:
        return self.counts.get(SLOWER, 0)

    def within(self, share: float) -> int | None:
        """The step, in ms, that at least this share of the answers kept to; 0: none did. None: nothing came."""
        wanted, passed = self.answered * share, 0
        if not self.answered:
            return None
        for step in STEPS:
            passed += self.counts.get(step, 0)
            if passed >= wanted:
                return step
        return SLOWER


class Meter:
    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._loop = Loop("meter", clock, longest_wait=EVERY)
        self._written = _counted()
        database = "sqlite" if store.is_sqlite else "postgresql"
        metrics.build.labels(__version__, database, str(settings.role)).set(1)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        metrics.tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        await self._loop.run(self.run_once)

    async def run_once(self) -> Millis | None:
        await self._keep()
        await self._look()
        return None

    async def acks(self, since: Millis) -> Acks:
        """Answers since then, over all nodes, to five minutes; of this node to the very moment."""
        counts = self._added()
        summed = select(AckTally.within_ms, func.sum(AckTally.count)).where(AckTally.began_at > since - GRAIN)
        async with self._store.read() as session:
            for step, count in await session.execute(summed.group_by(AckTally.within_ms)):
                counts[step] = counts.get(step, 0) + int(count)
        return Acks(counts)

    def _added(self) -> Counts:
        """Since the last row was written."""
        counted = _counted()
        return {step: counted[step] - self._written[step] for step in counted if counted[step] > self._written[step]}

    async def _keep(self) -> None:
        now, counted, added = self._clock(), _counted(), self._added()
        if not added:
            return  # nothing to write: others need the database's one writer
        began_at = now - now % GRAIN
        async with self._store.write() as session:
            for step, count in added.items():
                row = self._store.insert(AckTally).values(began_at=began_at, within_ms=step, count=count)
                both = AckTally.count + row.excluded.count
                key = ["began_at", "within_ms"]
                await session.execute(row.on_conflict_do_update(index_elements=key, set_={"count": both}))
            await session.execute(delete(AckTally).where(AckTally.began_at < now - KEPT))
        self._written = counted

    async def _look(self) -> None:
        disk = disk_of(self._settings.data_dir)
        metrics.disk_free.set(disk.free)
        metrics.disk_size.set(disk.size)
        async with self._store.read() as session:
            real = select(Account.id, Account.user_id, Account.state, Account.paused_at).where(
                Account.user_id != SAMPLE_USER_ID
            )
            accounts = (await session.execute(real)).all()
            subscriptions = await session.execute(
                select(Webhook.subscription, func.count()).group_by(Webhook.subscription)
            )
            outgoing = await session.execute(
                select(OutgoingMessage.state, func.count())
                .where(OutgoingMessage.state.not_in((OutgoingState.SENT, OutgoingState.DISCARDED)))
                .group_by(OutgoingMessage.state)
            )
            quarantined = select(func.count()).where(Delivery.state == DeliveryState.QUARANTINED)
            in_quarantine = await session.scalar(quarantined.select_from(Delivery))
            relays = await session.execute(select(Relay.state, func.count()).group_by(Relay.state))
            _fill(metrics.subscriptions, SubscriptionState, ((row[0], row[1]) for row in subscriptions))
            open_states = [
                state for state in OutgoingState if state not in (OutgoingState.SENT, OutgoingState.DISCARDED)
            ]
            _fill(metrics.outgoing, open_states, ((row[0], row[1]) for row in outgoing))
            _fill(metrics.relays, RelayState, ((row[0], row[1]) for row in relays))
        metrics.quarantined.set(in_quarantine or 0)
        await self._look_at_the_door({row[0]: str(row[1]) for row in accounts})
        metrics.account_states.clear()
        for _, user_id, state, paused_at in accounts:
            shown = "paused" if paused_at is not None else state
            for one in (*AccountState, "paused"):
                metrics.account_states.labels(str(user_id), str(one)).set(one == shown)

    async def _look_at_the_door(self, numbers: Mapping[int, str]) -> None:
        """What is demanded of deliveries, and what was counted for it. `numbers`: Avito's, by our ids."""
        async with self._store.read() as session:
            labs = {lab.account_id: lab for lab in await session.scalars(select(SignatureLab))}
            tallies = (await session.scalars(select(SignatureTally).where(SignatureTally.run > 0))).all()
            causes = (Cause.BAD_SIGNATURE, Cause.IP_NOT_ALLOWED)
            waiting = await held_back(session, causes)
        lists = await Register(self._store, self._clock).list(list(numbers))
        gauges = (
            metrics.held_back, metrics.signature_mode, metrics.signature_messages, metrics.signature_run,
            metrics.networks_mode, metrics.networks_messages,
        )  # fmt: skip
        for gauge in gauges:
            gauge.clear()  # accounts and schemes may be gone
        for key, account in numbers.items():
            lab, senders = labs.get(key), lists[key]
            for cause in causes:
                metrics.held_back.labels(account, cause).set(waiting.get((key, cause), 0))
            for mode in SignatureMode:
                metrics.signature_mode.labels(account, mode).set(mode == (lab.mode if lab else SignatureMode.OBSERVE))
            for mode in AllowListMode:
                metrics.networks_mode.labels(account, mode).set(mode is senders.mode)
            metrics.signature_messages.labels(account, "confirmed").set(lab.confirmed if lab else 0)
            metrics.signature_messages.labels(account, "signed").set(lab.signed if lab else 0)
            metrics.networks_messages.labels(account, "confirmed").set(senders.row.confirmed)
            metrics.networks_messages.labels(account, "outside").set(senders.outside if senders.row.networks else 0)
            metrics.networks_messages.labels(account, "doubtful").set(senders.row.doubtful)
        for tally in tallies:
            if account := numbers.get(tally.account_id):
                metrics.signature_run.labels(account, tally.scheme).set(tally.run)


def _fill(gauge: metrics.Gauge, states: Iterable[str], rows: Iterable[tuple[str, int]]) -> None:
    """Every state is there, those with nothing in them as 0: a series that vanishes alarms nobody."""
    found = dict(rows)
    for state in states:
        gauge.labels(str(state)).set(found.get(state, 0))


def _counted() -> Counts:
    """By this process since it began."""
    found: Counts = dict.fromkeys((*STEPS, SLOWER, REFUSED), 0)
    passed = 0
    for sample in next(iter(metrics.webhook_seconds.collect())).samples:
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            step = SLOWER if bound == float("inf") else round(bound * 1000)
            found[step] = int(sample.value) - passed
            passed = int(sample.value)
    for sample in next(iter(metrics.webhook_answers.collect())).samples:
        if sample.name.endswith("_total") and sample.labels["status"] == "503":
            found[REFUSED] += int(sample.value)
    return found
