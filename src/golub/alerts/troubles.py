"""What is wrong now, read from where it is true: the states of accounts and webhooks, the journal, the spool, the disk.

So nobody has to remember to raise an alarm, and the status page and the alerts can never disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from golub.alerts.kinds import AlertKind
from golub.backup import Schedule
from golub.clock import DAY, HOUR, MINUTE, Clock, Millis
from golub.coverage import Coverage, Tally
from golub.health import Code, Health, Reason
from golub.model import (
    Account,
    AccountState,
    Cause,
    Delivery,
    DeliveryState,
    Node,
    OutgoingMessage,
    OutgoingState,
    Relay,
    RelayState,
    SubscriptionState,
    Webhook,
)
from golub.nodes import Nodes
from golub.settings import ProcessRole, Settings
from golub.spool import Spool
from golub.store import Store

UNREACHABLE_FOR = 15 * MINUTE  # an outage of Avito is nobody's to mend, and most are short
STUCK_AFTER = 2 * MINUTE
FILLED = 0.8
QUARANTINED = 5  # in an hour, for one account
NOT_RELAYED_FOR = 15 * MINUTE  # a receiver that restarts is nobody's trouble
UNCONFIRMED_FOR = 15 * MINUTE  # the chat's tail has been looked at by then
COVERED = 0.9
MISSED = 10  # of a day: less is no pattern
COVERAGE_EVERY = 10 * MINUTE

HELD_BACK = {  # by rules that a person made, each told on its own
    Cause.BAD_SIGNATURE: AlertKind.BAD_SIGNATURE,
    Cause.IP_NOT_ALLOWED: AlertKind.IP_NOT_ALLOWED,
}

Trouble = tuple[AlertKind, int]  # of an account; 0: of all; below 0: of one of several processes


@dataclass(slots=True)
class Found:
    """What is wrong, with a detail; and what cannot be said now, so that its alerts stay as they are."""

    wrong: dict[Trouble, str] = field(default_factory=dict[Trouble, str])
    unsure: set[Trouble] = field(default_factory=set[Trouble])


class Troubles:
    """`nodes`: where there are several processes each answers for its own disk and parts, and all for the rest."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, spool: Spool, health: Health, nodes: Nodes | None = None
    ) -> None:
        self._nodes = nodes
        self._store = store
        self._settings = settings
        self._clock = clock
        self._spool = spool
        self._health = health
        self._coverage = Coverage(store, clock)
        self._schedule = Schedule(settings, clock, store)
        self._began_at = clock()
        self._tallies: dict[int, Tally] = {}
        self._tallied_at: Millis = -COVERAGE_EVERY

    async def find(self) -> Found:
        """Raises `Unavailable` while the main database is away."""
        now, found = self._clock(), Found()
        async with self._store.read() as session:
            accounts = (await session.scalars(select(Account))).all()
            webhooks = (await session.scalars(select(Webhook))).all()
            relays = (await session.scalars(select(Relay).order_by(Relay.id))).all()
            quarantined = await session.execute(
                select(Delivery.account_id, func.count())
                .where(
                    Delivery.state == DeliveryState.QUARANTINED,
                    Delivery.cause.not_in(HELD_BACK),
                    Delivery.received_at > now - HOUR,
                )
                .group_by(Delivery.account_id)
            )
            in_quarantine = {account_id or 0: count for account_id, count in quarantined}
            held_back = await session.execute(
                select(Delivery.account_id, Delivery.cause, func.count())
                .where(Delivery.state == DeliveryState.QUARANTINED, Delivery.cause.in_(HELD_BACK))
                .group_by(Delivery.account_id, Delivery.cause)
            )
            by_rules = {(HELD_BACK[Cause(cause)], key or 0): count for key, cause, count in held_back}
            unconfirmed = await session.execute(
                select(OutgoingMessage.account_id, func.count())
                .where(
                    OutgoingMessage.state == OutgoingState.UNCONFIRMED,
                    OutgoingMessage.due_at.is_(None),
                    OutgoingMessage.created_at <= now - UNCONFIRMED_FOR,
                )
                .group_by(OutgoingMessage.account_id)
            )
            unsent = {row[0]: row[1] for row in unconfirmed}
        for account in accounts:
            _look_at_account(account, now, found)
        paused = {account.id for account in accounts if account.paused_at is not None}
        deaf = {account.id for account in accounts if account.deaf_since is not None}
        for webhook in webhooks:
            if webhook.account_id not in paused:
                _look_at_webhook(webhook, webhook.account_id in deaf, now, found)
        for account_id, count in unsent.items():
            found.wrong[AlertKind.OUTBOX_WAITS, account_id] = str(count)
        for account_id, count in in_quarantine.items():
            if count >= QUARANTINED:
                found.wrong[AlertKind.QUARANTINE_GROWS, account_id] = str(count)
        for trouble, count in by_rules.items():  # until a person has looked, however long ago
            found.wrong[trouble] = str(count)
        for relay in relays:
            failing = relay.state == RelayState.WORKING and (relay.failing_since or now) <= now - NOT_RELAYED_FOR
            if failing or relay.state in (RelayState.STALLED, RelayState.GONE):
                found.wrong.setdefault((AlertKind.RELAY_FAILING, relay.account_id), relay.host)
        await self._look_at_coverage(paused, found)
        here, oldest_at = await self._look_around(found)
        self._look_at_this_process(self._health.of_this_process(), here, found)
        if (
            oldest_at is not None
            and oldest_at <= now - STUCK_AFTER
            and (AlertKind.APPLY_STOPPED, here) not in found.wrong
        ):
            found.wrong[AlertKind.SPOOL_STUCK, 0] = str((now - oldest_at) // MINUTE)
        if await self._health.is_without_worker():
            found.wrong[AlertKind.WORKER_AWAY, 0] = ""
        await self._look_at_backups(now, found)
        return found

    async def _look_around(self, found: Found) -> tuple[int, Millis | None]:
        """The key of this process's own troubles, and since when the oldest delivery of any spool waits. What another
        process has told of itself is left to it, for as long as it is known."""
        if self._nodes is None or self._store.is_sqlite:
            return 0, self._spool.oldest_at
        own, *others = await self._nodes.list_all()
        elsewhere = {_key_of(node) for node in others if node.stopped_at is None} - {_key_of(own)}
        found.unsure |= {(kind, key) for kind in AlertKind for key in elsewhere}
        waiting = [node.spool_oldest_at for node in (own, *others) if node.spool_waiting and node.spool_oldest_at]
        return _key_of(own), min(waiting, default=None)

    async def _look_at_backups(self, now: Millis, found: Found) -> None:
        """One that failed is tried again by itself; twice the time between two is for a person. Of several processes
        those tell that make any."""
        makes = self._settings.backup_every and self._settings.role is not ProcessRole.WEB
        newest_at = await self._schedule.newest_at() if makes else None
        old = now - (newest_at or self._began_at)
        if makes and old > 2 * self._settings.backup_every * HOUR:
            found.wrong[AlertKind.BACKUP_OLD, 0] = str(old // HOUR)
        elif newest_at is None and not self._store.is_sqlite:
            found.unsure.add((AlertKind.BACKUP_OLD, 0))

    async def _look_at_coverage(self, paused: set[int], found: Found) -> None:
        """What explains it better is told instead."""
        now = self._clock()
        if not 0 <= now - self._tallied_at < COVERAGE_EVERY:
            self._tallies, self._tallied_at = await self._coverage.all_since(now - DAY), now
        explained = {AlertKind.SUBSCRIPTION_STOLEN, AlertKind.SUBSCRIPTION_MISSING, AlertKind.WEBHOOK_SILENT}
        for account_id, tally in self._tallies.items():
            better = any((kind, account_id) in found.wrong for kind in explained)
            if account_id in paused or better or tally.share is None:
                continue
            if tally.share < COVERED and tally.missed >= MISSED:
                found.wrong[AlertKind.COVERAGE_LOW, account_id] = f"{int(tally.share * 100)} %"

    def _look_at_this_process(self, reasons: Sequence[Reason], here: int, found: Found) -> None:
        codes = {reason.code: reason for reason in reasons}
        if reason := codes.get(Code.DISK_FULL):
            found.wrong[AlertKind.DISK_FULL, here] = str(reason.fields["free"])
        if reason := codes.get(Code.DISK_LOW):
            found.wrong[AlertKind.DISK_LOW, here] = str(reason.fields["free"])
        if reason := codes.get(Code.LOOP_STUCK) or codes.get(Code.LOOP_BROKEN):
            found.wrong[AlertKind.LOOP_STUCK, here] = str(reason.fields["loop"])
        if Code.APPLY_STOPPED in codes:
            found.wrong[AlertKind.APPLY_STOPPED, here] = ""
        filled = self._spool.bytes_pending / (self._settings.spool_quota_mb << 20)
        if filled >= FILLED:
            found.wrong[AlertKind.SPOOL_FILLS, here] = f"{filled:.0%}"


def _key_of(node: Node) -> int:
    """The same over restarts: it is the folder's."""
    return -1 - int(node.folder[:12], 16)


def _look_at_account(account: Account, now: Millis, found: Found) -> None:
    if account.paused_at is not None:
        found.unsure |= {(kind, account.id) for kind in AlertKind}
    elif account.state == AccountState.WRONG_KEYS:
        found.wrong[AlertKind.WRONG_KEYS, account.id] = account.state_detail
    elif account.state == AccountState.NO_ACCESS:
        found.wrong[AlertKind.NO_ACCESS, account.id] = account.state_detail
    elif account.state == AccountState.UNREACHABLE:
        found.unsure |= {(AlertKind.WRONG_KEYS, account.id), (AlertKind.NO_ACCESS, account.id)}
        if account.state_at <= now - UNREACHABLE_FOR:
            found.wrong[AlertKind.AVITO_UNREACHABLE, account.id] = account.state_detail


def _look_at_webhook(webhook: Webhook, deaf: bool, now: Millis, found: Found) -> None:
    missing = AlertKind.SUBSCRIPTION_MISSING, webhook.account_id
    stolen = AlertKind.SUBSCRIPTION_STOLEN, webhook.account_id
    if (webhook.repair_rests_until or 0) > now:
        found.wrong[AlertKind.REPAIR_RESTS, webhook.account_id] = webhook.foreign_host
    if webhook.subscription == SubscriptionState.MISSING:
        found.wrong[missing] = ""
    elif webhook.subscription == SubscriptionState.FOREIGN:
        found.wrong[stolen] = webhook.foreign_host
    elif webhook.subscription == SubscriptionState.UNKNOWN:
        found.unsure |= {missing, stolen}
    if deaf and missing not in found.wrong and stolen not in found.wrong:
        found.wrong[AlertKind.WEBHOOK_SILENT, webhook.account_id] = ""
