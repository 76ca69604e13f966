"""Alerts: when messages stop coming or going, one person is told, once; and once more when all is well.

What is wrong is read from where it is true (the webhooks' and accounts' states, the journal, the spool), so nobody has
to remember to raise an alarm, and a restart forgets none. An alert is a row that is opened, told, closed and told.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy import func, select

from golub.alerts.texts import AlertKind, text_of
from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Invalid, Unavailable
from golub.guarded import Call, Failure, Guarded
from golub.model import (
    Account,
    AccountState,
    Alert,
    Delivery,
    DeliveryState,
    Operator,
    Relay,
    RelayState,
    Role,
    SubscriptionState,
    Webhook,
)
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store

TURN = 15.0  # seconds
UNREACHABLE_FOR = 15 * MINUTE  # an outage of Avito is nobody's to mend, and most are short
STUCK_AFTER = 2 * MINUTE
AWAY_AFTER = 2 * MINUTE
FILLED = 0.8
QUARANTINED = 5  # in an hour, for one account
NOT_RELAYED_FOR = 15 * MINUTE  # a receiver that restarts is nobody's trouble
TELEGRAM = "https://api.telegram.org"
TELEGRAM_LIMIT = 4000  # characters; sendMessage allows 4096
LEASE = MINUTE
FIRST_PAUSE = 15 * SECOND  # doubled with each failure
LONGEST_PAUSE = HOUR

Trouble = tuple[AlertKind, int]  # of an account, or of 0

log = structlog.get_logger(__name__)


class Alerts:
    """`guarded` is given in tests alone."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, spool: Spool, guarded: Guarded | None = None
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._spool = spool
        self._guarded = guarded or Guarded(allow_loopback=settings.allow_loopback_webhook)
        self._away_since: Millis | None = None
        self._away_told = False

    @property
    def channel(self) -> str:
        """telegram, url, or empty: nobody is told."""
        if self._settings.telegram_token and self._settings.telegram_chat:
            return "telegram"
        return "url" if self._settings.alert_url else ""

    async def list_open(self) -> Sequence[Alert]:
        async with self._store.read() as session:
            return (
                await session.scalars(select(Alert).where(Alert.closed_at.is_(None)).order_by(Alert.opened_at))
            ).all()

    async def open(self, kind: AlertKind, account_id: int = 0, detail: str = "") -> None:
        """Harmless when it is open already."""
        now = self._clock()
        async with self._store.write() as session:
            await session.execute(
                self._store.insert(Alert)
                .values(kind=kind, account_id=account_id, detail=detail, opened_at=now, due_at=now, attempts=0)
                .on_conflict_do_nothing()
            )

    async def close(self, kind: AlertKind, account_id: int = 0) -> None:
        """Harmless when it is not open. What nobody was told of ends in silence."""
        now = self._clock()
        async with self._store.write() as session:
            alert = await session.scalar(
                select(Alert).where(Alert.kind == kind, Alert.account_id == account_id, Alert.closed_at.is_(None))
            )
            if alert is not None:
                alert.closed_at, alert.attempts = now, 0
                alert.due_at = None if alert.told_at is None else now

    async def send_test(self) -> Call:
        """Raises `Invalid` where no channel is configured, or its address cannot be used."""
        if not self.channel:
            raise Invalid("No channel for alerts is configured.")
        now = self._clock()
        alert = Alert(kind=AlertKind.TEST, account_id=0, detail="", opened_at=now, closed_at=None)
        return await self._send([alert], {}, await self._locale())

    async def run(self) -> None:
        while True:
            await self.run_once()
            await asyncio.sleep(TURN)

    async def run_once(self) -> None:
        try:
            await self._compare()
            if self.channel:
                await self._tell()
        except Unavailable as error:
            await self._database_is_away(str(error))
        else:
            await self._database_is_back()

    async def _compare(self) -> None:
        """Opens what is wrong and not open, closes what is open and surely not wrong any more."""
        wrong, unsure = await self._find_troubles()
        known = {(AlertKind(alert.kind), alert.account_id) for alert in await self.list_open()}
        for (kind, account_id), detail in wrong.items():
            if (kind, account_id) not in known:
                await self.open(kind, account_id, detail)
        for kind, account_id in known - wrong.keys() - unsure:
            await self.close(kind, account_id)

    async def _find_troubles(self) -> tuple[dict[Trouble, str], set[Trouble]]:
        """What is wrong, with a detail; and what cannot be said now, so that its alerts stay as they are."""
        now = self._clock()
        wrong: dict[Trouble, str] = {}
        unsure: set[Trouble] = set()
        async with self._store.read() as session:
            accounts = (await session.scalars(select(Account))).all()
            webhooks = (await session.scalars(select(Webhook))).all()
            relays = (await session.scalars(select(Relay).order_by(Relay.id))).all()
            quarantined = await session.execute(
                select(Delivery.account_id, func.count())
                .where(Delivery.state == DeliveryState.QUARANTINED, Delivery.received_at > now - HOUR)
                .group_by(Delivery.account_id)
            )
            in_quarantine = {account_id or 0: count for account_id, count in quarantined}
        paused = {account.id for account in accounts if account.paused_at is not None}
        deaf = {account.id for account in accounts if account.deaf_since is not None}
        for account in accounts:
            if account.id in paused:
                unsure |= {(kind, account.id) for kind in AlertKind}
            elif account.state == AccountState.WRONG_KEYS:
                wrong[AlertKind.WRONG_KEYS, account.id] = account.state_detail
            elif account.state == AccountState.NO_ACCESS:
                wrong[AlertKind.NO_ACCESS, account.id] = account.state_detail
            elif account.state == AccountState.UNREACHABLE:
                unsure |= {(AlertKind.WRONG_KEYS, account.id), (AlertKind.NO_ACCESS, account.id)}
                if account.state_at <= now - UNREACHABLE_FOR:
                    wrong[AlertKind.AVITO_UNREACHABLE, account.id] = account.state_detail
        for webhook in webhooks:
            missing = AlertKind.SUBSCRIPTION_MISSING, webhook.account_id
            stolen = AlertKind.SUBSCRIPTION_STOLEN, webhook.account_id
            if webhook.account_id in paused:
                continue
            if (webhook.repair_rests_until or 0) > now:
                wrong[AlertKind.REPAIR_RESTS, webhook.account_id] = webhook.foreign_host
            if webhook.subscription == SubscriptionState.MISSING:
                wrong[missing] = ""
            elif webhook.subscription == SubscriptionState.FOREIGN:
                wrong[stolen] = webhook.foreign_host
            elif webhook.subscription == SubscriptionState.UNKNOWN:
                unsure |= {missing, stolen}
            if webhook.account_id in deaf and missing not in wrong and stolen not in wrong:
                wrong[AlertKind.WEBHOOK_SILENT, webhook.account_id] = ""
        for account_id, count in in_quarantine.items():
            if count >= QUARANTINED:
                wrong[AlertKind.QUARANTINE_GROWS, account_id] = str(count)
        for relay in relays:
            failing = relay.state == RelayState.WORKING and (relay.failing_since or now) <= now - NOT_RELAYED_FOR
            if failing or relay.state in (RelayState.STALLED, RelayState.GONE):
                wrong.setdefault((AlertKind.RELAY_FAILING, relay.account_id), relay.host)
        oldest = self._spool.oldest_at
        if oldest is not None and oldest <= now - STUCK_AFTER:
            wrong[AlertKind.SPOOL_STUCK, 0] = _minutes(now - oldest, await self._locale())
        filled = self._spool.bytes_pending / (self._settings.spool_quota_mb << 20)
        if filled >= FILLED:
            wrong[AlertKind.SPOOL_FILLS, 0] = f"{filled:.0%}"
        return wrong, unsure

    async def _tell(self) -> None:
        """What is due is claimed first, so that of two nodes one tells; told together, in one message."""
        now = self._clock()
        async with self._store.write() as session:
            due = await self._store.claim(session, Alert.due_at, now=now, lease=LEASE, limit=20)
        if not due:
            return
        async with self._store.read() as session:
            alerts = (await session.scalars(select(Alert).where(Alert.id.in_(due)).order_by(Alert.id))).all()
            accounts = {account.id: account for account in await session.scalars(select(Account))}
        # Telegram gets all in one message; a URL gets a POST for each, and each stands for itself.
        groups = [list(alerts)] if self.channel == "telegram" else [[alert] for alert in alerts]
        locale = await self._locale()
        for group in groups:
            try:
                call = await self._send(group, accounts, locale)
            except Invalid as error:
                log.warning("the alert channel cannot be used", reason=str(error))
                call = Call(failure=Failure.CLOSED)
            if not call.succeeded:
                log.warning("an alert could not be told", channel=self.channel, status=call.status, cause=call.failure)
            await self._note(group, told=call.succeeded)

    async def _note(self, group: Sequence[Alert], *, told: bool) -> None:
        now = self._clock()
        async with self._store.write() as session:
            for sent in group:
                alert = await session.get(Alert, sent.id)
                if alert is None:
                    continue
                if not told:
                    alert.attempts += 1
                    alert.due_at = now + min(FIRST_PAUSE << min(alert.attempts - 1, 10), LONGEST_PAUSE)
                    continue
                alert.attempts, alert.due_at = 0, None
                if sent.closed_at is not None:
                    alert.recovery_told_at = now
                    continue
                alert.told_at = now
                if alert.closed_at is not None:  # it was closed while we told
                    alert.due_at = now

    async def _send(self, alerts: Sequence[Alert], accounts: dict[int, Account], locale: str) -> Call:
        def text(alert: Alert) -> str:
            account = accounts.get(alert.account_id)
            return text_of(
                AlertKind(alert.kind),
                locale,
                closed=alert.closed_at is not None,
                account=account.name if account else "Avito",
                detail=alert.detail,
            )

        page = f"{self._settings.public_url}/admin/webhooks" if self._settings.public_url else ""
        if self.channel == "telegram":
            marks = {False: "🔴 ", True: "🟢 "}
            lines = [marks[alert.closed_at is not None] + text(alert) for alert in alerts]
            token = self._settings.telegram_token.get_secret_value() if self._settings.telegram_token else ""
            message = {
                "chat_id": self._settings.telegram_chat,
                "text": "\n\n".join([*lines, *([page] if page else [])])[:TELEGRAM_LIMIT],
                "link_preview_options": {"is_disabled": True},
            }
            return await self._post(f"{TELEGRAM}/bot{token}/sendMessage", message)
        (alert,) = alerts
        account = accounts.get(alert.account_id)
        times = {"opened_at": _iso(alert.opened_at)}
        if alert.closed_at is not None:
            times["closed_at"] = _iso(alert.closed_at)
        return await self._post(
            self._settings.alert_url,
            {
                "kind": alert.kind,
                "account": {"user_id": account.user_id, "name": account.name} if account else None,
                "text": text(alert),
                **times,
                "url": page,
            },
        )

    async def _post(self, url: str, message: object) -> Call:
        content = json.dumps(message, ensure_ascii=False).encode()
        return await self._guarded.post(url, content=content, headers={"content-type": "application/json"})

    async def _locale(self) -> str:
        """The language of whoever set Golub up."""
        async with self._store.read() as session:
            found = await session.scalar(
                select(Operator.locale).where(Operator.role == Role.SUPER_ADMIN).order_by(Operator.id).limit(1)
            )
        return found or "ru"

    async def _database_is_away(self, reason: str) -> None:
        """The one trouble that no row can keep. Kept in memory: a restart tells it again, and that is right."""
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
            log.warning("alerts cannot be read", reason=reason)
        if now - self._away_since >= AWAY_AFTER and not self._away_told and self.channel:
            self._away_told = await self._tell_away(self._away_since, None)

    async def _database_is_back(self) -> None:
        if self._away_since is not None and self._away_told:
            await self._tell_away(self._away_since, self._clock())
        self._away_since, self._away_told = None, False

    async def _tell_away(self, since: Millis, until: Millis | None) -> bool:
        alert = Alert(kind=AlertKind.DATABASE_AWAY, account_id=0, detail="", opened_at=since, closed_at=until)
        try:
            return (await self._send([alert], {}, "ru")).succeeded
        except Invalid:
            return False


def _minutes(passed: Millis, locale: str) -> str:
    return f"{passed // MINUTE} {'min' if locale == 'en' else 'мин'}"


def _iso(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
