"""Each account at Avito: keys, access, whom Avito calls, and whether what buyers write really comes that way.

The running server asks Avito anew; from beside it the command reads what the server found, and when.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from golub.allowlist import Register
from golub.clock import DAY, MINUTE, Clock, Millis
from golub.coverage import Coverage
from golub.doctor import shop_faults as faults
from golub.doctor.finding import N_, Check, Fault, Finding, after, unseen, well
from golub.errors import NOT_PAID, GolubError, Unavailable
from golub.model import (
    SAMPLE_USER_ID,
    Account,
    AccountState,
    AllowListMode,
    Delivery,
    DeliveryState,
    Relay,
    RelayedDelivery,
    RelayState,
    SubscriptionState,
    TimelineEntry,
    TimelineKind,
    Webhook,
)
from golub.settings import Settings
from golub.store import Store
from golub.subscription import Subscriptions, host_of
from golub.vault import Vault

ASK_WITHIN = 10.0  # seconds that Avito has to say whom it calls
ASKED_AT_ONCE = 4
STALE_AFTER = 30 * MINUTE
COVERED_WELL = 0.97
COVERED_BADLY = 0.8
ENOUGH = 5  # messages; a share of fewer says nothing
NOT_RELAYED_FOR = 15 * MINUTE
NAMED = 4  # networks


class Shops:
    """`subscriptions` is the running server's own; without it nothing is asked of Avito."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        vault: Vault | None,
        subscriptions: Subscriptions | None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._vault = vault
        self._subscriptions = subscriptions
        self._coverage = Coverage(store, clock)

    async def look(self) -> AsyncGenerator[Finding]:
        accounts = await self._accounts()
        if not accounts:
            yield faults.NO_ACCOUNTS.found()
            return
        yield well(Check.ACCOUNTS, N_("{count} connected"), figures={"accounts": len(accounts)}, count=len(accounts))
        if self._subscriptions is not None:
            await self._ask_avito(self._subscriptions, accounts)
            accounts = await self._accounts()
        for account in accounts:
            async for one in self._one(account):
                yield one
        yield unseen(
            Check.SIGNATURE,
            N_("Avito does not publish how its signature is made. Golub keeps it with every delivery, and relies on "
               "it only where you demand it at Webhooks; the secret in the address proves the account."),
        )  # fmt: skip

    async def _accounts(self) -> list[Account]:
        async with self._store.read() as session:
            real = select(Account).where(Account.user_id != SAMPLE_USER_ID).order_by(Account.id)
            return list(await session.scalars(real.options(selectinload(Account.webhook))))

    async def _ask_avito(self, subscriptions: Subscriptions, accounts: Iterable[Account]) -> None:
        """Keeps what Avito says in the accounts' states, as the regular check does."""
        at_once = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(account: Account) -> None:
            async with at_once:
                try:
                    async with asyncio.timeout(ASK_WITHIN):
                        if account.webhook is None:
                            await subscriptions.preview(account.id)
                        else:
                            await subscriptions.check(account.id)
                except (GolubError, TimeoutError):
                    return  # kept with the account, or as unknown for too long

        async with asyncio.TaskGroup() as asking:
            for account in accounts:
                if account.paused_at is None:
                    asking.create_task(ask(account))

    async def _one(self, account: Account) -> AsyncGenerator[Finding]:
        if account.paused_at is not None:
            yield well(
                Check.KEYS, N_("{shop} is paused: Avito is asked nothing."), account=account.name, shop=account.name
            )
            return
        webhook = account.webhook
        refused = self._keys(account)
        for one in refused:
            yield one
        if webhook is None:
            yield self._found(faults.NO_WEBHOOK, account)
            return
        lost = webhook.subscription in {SubscriptionState.FOREIGN, SubscriptionState.MISSING}
        if lost or not any(one.fault for one in refused):
            yield self._subscription(account, webhook)
        if lost:  # what is known of our address and its deliveries is of the time before
            for one in after(Check.SUBSCRIPTION, Check.WEBHOOK_URL, Check.DELIVERIES, account=account.name):
                yield one
        else:
            yield self._webhook_url(account, webhook)
            yield await self._deliveries(account)
        yield await self._covered(account)
        yield await self._networks(account)
        yield await self._relays(account)

    def _keys(self, account: Account) -> list[Finding]:
        detail = account.state_detail
        if self._vault is not None:
            try:
                self._vault.open(account.client_secret)
            except Unavailable:
                return [self._found(faults.SEALED_OTHERWISE, account)]
        if account.state == AccountState.WRONG_KEYS:
            return [self._found(faults.WRONG_KEYS, account)]
        keys = well(Check.KEYS, N_("Avito knows them."), account=account.name)
        if account.state == AccountState.NO_ACCESS:
            if detail == NOT_PAID:
                return [keys, self._found(faults.NOT_PAID, account)]
            return [keys, self._found(faults.NO_RIGHTS, account, reason=detail or "?")]
        access = well(Check.ACCESS, N_("Paid for, with the rights to read and write."), account=account.name)
        if account.state == AccountState.UNREACHABLE:
            return [self._found(faults.AVITO_AWAY, account, reason=detail or "?")]
        return [keys, access, well(Check.AVITO, N_("Its last answer was a good one."), account=account.name)]

    def _subscription(self, account: Account, webhook: Webhook) -> Finding:
        if webhook.subscription == SubscriptionState.FOREIGN:
            return self._found(faults.FOREIGN, account, service=webhook.foreign_host or "?")
        if webhook.subscription == SubscriptionState.MISSING:
            return self._found(faults.MISSING, account)
        age = self._clock() - max(webhook.checked_at, webhook.created_at)
        if age > STALE_AFTER:
            return self._found(faults.STALE, account, minutes=age // MINUTE, reason=webhook.last_error or "?")
        if webhook.subscription != SubscriptionState.ACTIVE:
            return unseen(Check.SUBSCRIPTION, N_("Avito has not told yet."), account=account.name)
        figures = {"asked_seconds_ago": age // 1000}
        return well(Check.SUBSCRIPTION, N_("Avito calls our address."), account=account.name, figures=figures)

    def _webhook_url(self, account: Account, webhook: Webhook) -> Finding:
        ours = urlsplit(self._settings.public_url).hostname or ""
        called = host_of(webhook.url)
        if ours and called != ours:
            return self._found(faults.OTHER_HOST, account, called=called, host=ours)
        if webhook.token_hash is None:
            return self._found(faults.BARE_URL, account)
        return well(Check.WEBHOOK_URL, N_("At {called}, with a secret"), account=account.name, called=called)

    async def _deliveries(self, account: Account) -> Finding:
        last_at = await last_delivery(self._store, account.id)
        figures = {"last_seconds_ago": (self._clock() - last_at) // 1000} if last_at else {}
        if account.deaf_since is not None:
            return self._found(faults.DEAF, account, figures=figures)
        async with self._store.read() as session:
            silent = await session.scalar(
                select(TimelineEntry.at)
                .where(
                    TimelineEntry.account_id == account.id,
                    TimelineEntry.kind == TimelineKind.SILENT,
                    TimelineEntry.until.is_(None),
                    TimelineEntry.detail == "",
                )
                .limit(1)
            )
        if silent is not None:
            return self._found(faults.SILENT, account, figures=figures, since=_moment(silent))
        if last_at is None:
            return unseen(
                Check.DELIVERIES,
                N_("No real delivery has come yet, so the way from outside is not proved. Write to one of the shop's "
                   "items from another profile."),
                account=account.name,
            )  # fmt: skip
        return well(
            Check.DELIVERIES, N_("The last one came {at}"), account=account.name, figures=figures, at=_moment(last_at)
        )

    async def _covered(self, account: Account) -> Finding:
        tally = await self._coverage.tally(account.id, self._clock() - DAY)
        figures = {"sent": tally.sent, "missed": tally.missed}
        if tally.share is None:
            return well(Check.COVERAGE, N_("Nobody wrote in the last 24 hours."), account=account.name, figures=figures)
        share = int(100 * tally.share)  # never 100 where something was missed
        if tally.sent >= ENOUGH and tally.share < COVERED_WELL:
            fault = faults.LOW_COVERAGE if tally.share < COVERED_BADLY else faults.SOME_MISSED
            return self._found(fault, account, figures=figures, share=share, missed=tally.missed)
        return well(
            Check.COVERAGE, N_("{share} % in the last 24 hours"), account=account.name, figures=figures, share=share
        )

    async def _networks(self, account: Account) -> Finding:
        """Whether the allow-list holds Avito itself back, or would, and whether it could be of any use."""
        register = Register(self._store, self._clock)
        standing = await register.get(account.id)
        figures = {"confirmed": standing.row.confirmed, "outside": standing.outside, "held_back": standing.held_back}
        outside = [one.row.network for one in standing.seen if not one.listed]
        if standing.held_back_wrongly:
            return self._found(faults.SENDERS_HELD_BACK, account, figures=figures, networks=_first(outside))
        if standing.is_hidden and standing.mode is not AllowListMode.OFF:
            places = {"networks": _first(outside), "network": outside[0]}
            return self._found(faults.SENDERS_HIDDEN, account, figures=figures, **places)
        if standing.mode is AllowListMode.FLAG:
            came = await register.elsewhere(account.id, standing.row.networks)
            if came.deliveries:
                networks = _first([network or "?" for network, _ in came.networks])
                fields = {"count": came.deliveries, "networks": networks}
                return self._found(faults.SENDERS_ELSEWHERE, account, figures=figures, **fields)
        if standing.mode is AllowListMode.ENFORCE:
            return well(
                Check.NETWORKS, N_("Only those of the allow-list get in."), account=account.name, figures=figures
            )
        said = N_("The networks are noted, and none is demanded.")
        if standing.mode is AllowListMode.FLAG:
            said = N_("All deliveries of the last day came from the allow-list.")
        elif standing.mode is AllowListMode.OFF:
            said = N_("The networks are not looked at.")
        return well(Check.NETWORKS, said, account=account.name, figures=figures)

    async def _relays(self, account: Account) -> Finding:
        async with self._store.read() as session:
            relays = (
                await session.scalars(select(Relay).where(Relay.account_id == account.id).order_by(Relay.id))
            ).all()
            queued = (
                select(RelayedDelivery.relay_id, func.count())
                .where(RelayedDelivery.due_at.is_not(None), RelayedDelivery.relay_id.in_([one.id for one in relays]))
                .group_by(RelayedDelivery.relay_id)
            )
            waiting = {row[0]: row[1] for row in await session.execute(queued)}
        now = self._clock()
        for relay in relays:
            fields: dict[str, Any] = {"service": relay.host, "waiting": waiting.get(relay.id, 0)}
            if relay.state in {RelayState.STALLED, RelayState.GONE}:
                return self._found(faults.RELAY_STOPPED, account, **fields)
        for relay in relays:
            failing = relay.failing_since is not None and now - relay.failing_since > NOT_RELAYED_FOR
            if relay.state == RelayState.WORKING and failing:
                fields = {"service": relay.host, "waiting": waiting.get(relay.id, 0)}
                return self._found(faults.RELAY_FAILING, account, reason=relay.last_error or "?", **fields)
        if not relays:
            return well(Check.RELAYS, N_("Nothing is forwarded."), account=account.name)
        return well(Check.RELAYS, N_("{count} addresses get everything."), account=account.name, count=len(relays))

    def _found(
        self, fault: Fault, account: Account, *, figures: Mapping[str, int] | None = None, **fields: Any
    ) -> Finding:
        places = {"shop": account.name, "account_id": account.id, "port": self._settings.port}
        return fault.found({**places, **fields}, account=account.name, figures=figures)


async def last_delivery(store: Store, account_id: int | None = None) -> Millis | None:
    async with store.read() as session:
        return await find_last_delivery(session, account_id)


async def find_last_delivery(session: AsyncSession, account_id: int | None = None) -> Millis | None:
    """The last real one by a secret address, or that Avito has borne out; of this account, or of any."""
    newest = (
        select(Delivery.received_at)
        .where(
            Delivery.state != DeliveryState.PROBE,
            or_(Delivery.token_id.is_not(None), Delivery.state == DeliveryState.APPLIED),
        )
        .order_by(Delivery.received_at.desc())
        .limit(1)
    )
    if account_id is not None:
        newest = newest.where(Delivery.account_id == account_id)
    return await session.scalar(newest)


def _first(networks: Sequence[str]) -> str:
    return ", ".join(networks[:NAMED]) + (" …" if len(networks) > NAMED else "")


def _moment(at: Millis) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
