"""Notices: what is told of an alert through one channel. Each is planned once, gathered for a short while so that
several come in one message, put off in the quiet hours unless it is urgent, and tried again ever more seldom while the
channel fails.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub import metrics
from golub.alerts.channels import Channel, Said, Sent
from golub.alerts.kinds import URGENT, AlertKind, path_of
from golub.alerts.register import Channels
from golub.alerts.rules import Rules
from golub.alerts.texts import text_of
from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Invalid
from golub.model import Account, Alert, ChannelKind, Notice, NoticeKind, Operator, Role
from golub.settings import Settings
from golub.store import Store

GATHER = 20 * SECOND  # what goes wrong together is told together
LEASE = MINUTE
FIRST_PAUSE = 15 * SECOND  # doubled with each failure
LONGEST_PAUSE = HOUR
AT_ONCE = 20  # in one message

log = structlog.get_logger(__name__)


class Notices:
    def __init__(self, store: Store, settings: Settings, clock: Clock, channels: Channels) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._channels = channels

    async def plan(self, open_alerts: Sequence[Alert], channels: Sequence[ChannelKind], rules: Rules) -> None:
        """Each open alert gets its notice for each channel, and a reminder when its time has come."""
        if not (open_alerts and channels):
            return
        now = self._clock()
        async with self._store.write() as session:
            planned = {
                (row[0], row[1])
                for row in await session.execute(
                    select(Notice.alert_id, Notice.channel).where(
                        Notice.kind == NoticeKind.OPENED, Notice.alert_id.in_([alert.id for alert in open_alerts])
                    )
                )
            }
            for alert in open_alerts:
                due = _due(AlertKind(alert.kind), alert.opened_at, rules, now)
                for channel in channels:
                    if (alert.id, channel) not in planned:
                        await self._add(session, alert.id, channel, NoticeKind.OPENED, due)
            if not rules.remind_every:
                return
            for alert_id in await self._store.claim(
                session,
                Alert.due_at,
                now=now,
                lease=rules.remind_every,
                limit=AT_ONCE,
                only=(Alert.closed_at.is_(None),),
            ):
                alert = await session.get_one(Alert, alert_id)
                alert.attempts += 1
                due = _due(AlertKind(alert.kind), now, rules)
                for channel in channels:
                    await self._add(session, alert.id, channel, NoticeKind.REMINDER, due, alert.attempts)

    async def end(self, session: AsyncSession, alert: Alert, rules: Rules) -> None:
        """Of an alert that is closed: who was not told that it opened is not told that it closed."""
        notices = (await session.scalars(select(Notice).where(Notice.alert_id == alert.id))).all()
        due = _due(AlertKind(alert.kind), self._clock(), rules)
        for channel in {notice.channel for notice in notices if notice.told_at is not None}:
            await self._add(session, alert.id, channel, NoticeKind.CLOSED, due)
        await session.execute(
            delete(Notice).where(
                Notice.alert_id == alert.id, Notice.kind != NoticeKind.CLOSED, Notice.due_at.is_not(None)
            )
        )

    async def tell(self, channel: Channel, rules: Rules) -> None:
        """What is due is claimed first, so that of two nodes one tells; and with it what is due in a moment."""
        now = self._clock()
        ours = (Notice.channel == channel.kind,)
        async with self._store.read() as session:
            earliest = await session.scalar(select(func.min(Notice.due_at)).where(*ours, Notice.due_at.is_not(None)))
        if earliest is None or earliest > now:
            return
        async with self._store.write() as session:
            claimed = await self._store.claim(
                session, Notice.due_at, now=now + GATHER, lease=LEASE + GATHER, limit=AT_ONCE, only=ours
            )
        said = await self._words(claimed)
        if not said:
            return
        sent = await _send(channel, [one for _, one in said])
        await self._channels.note(channel.kind, sent)
        metrics.alerts_told.labels(channel.kind, "sent" if sent.succeeded else "failed").inc()
        if not sent.succeeded:
            log.warning("an alert could not be told", channel=channel.kind, cause=str(sent))
        for notice, _ in said:
            await self._note(notice, rules, told=sent.succeeded)

    async def send_test(self, kind: ChannelKind) -> Sent:
        """Raises `Invalid` where the channel is not configured, or its address cannot be used."""
        now, locale = self._clock(), await self._locale()
        said = Said(
            f"alert_test_{now}",
            AlertKind.TEST,
            NoticeKind.CLOSED,
            text_of(AlertKind.TEST, locale, closed=False),
            self._url(AlertKind.TEST, 0),
            now,
        )
        sent = await (await self._channels.open(kind)).send([said])
        await self._channels.note(kind, sent)
        return sent

    async def tell_away(self, since: Millis, until: Millis | None) -> bool:
        """That the database is: no row can keep that. Returns whether anybody was reached."""
        kind, notice = AlertKind.DATABASE_AWAY, NoticeKind.OPENED if until is None else NoticeKind.CLOSED
        text = text_of(kind, "ru", closed=until is not None)
        said = Said(f"alert_away_{since}_{notice}", kind, notice, text, self._url(kind, 0), since, until)
        sent = [await _send(channel, [said]) for channel in await self._channels.open_all()]
        return any(one.succeeded for one in sent)

    async def _words(self, notice_ids: Sequence[int]) -> list[tuple[Notice, Said]]:
        locale = await self._locale()
        async with self._store.read() as session:
            rows = await session.execute(
                select(Notice, Alert)
                .join(Alert, Alert.id == Notice.alert_id)
                .where(Notice.id.in_(notice_ids))
                .order_by(Alert.id)
            )
            found = [(row[0], row[1]) for row in rows]
            accounts = {account.id: account for account in await session.scalars(select(Account))}
        return [(notice, self._said(notice, alert, accounts.get(alert.account_id), locale)) for notice, alert in found]

    def _said(self, notice: Notice, alert: Alert, account: Account | None, locale: str) -> Said:
        kind, closed = AlertKind(alert.kind), notice.kind == NoticeKind.CLOSED
        name = account.name if account else "Avito"
        return Said(
            key=f"alert_{alert.id}_{notice.kind}" + (f"_{notice.number}" if notice.number else ""),
            kind=kind,
            notice=NoticeKind(notice.kind),
            text=text_of(kind, locale, closed=closed, account=name, detail=alert.detail),
            url=self._url(kind, alert.account_id),
            opened_at=alert.opened_at,
            closed_at=alert.closed_at if closed else None,
            account=(account.user_id, account.name) if account else None,
        )

    async def _note(self, sent: Notice, rules: Rules, *, told: bool) -> None:
        now = self._clock()
        async with self._store.write() as session:
            notice = await session.get(Notice, sent.id)
            alert = await session.get(Alert, sent.alert_id)
            if alert is None:
                return
            if not told:
                if notice is not None:
                    notice.attempts += 1
                    notice.due_at = now + min(FIRST_PAUSE << min(notice.attempts - 1, 10), LONGEST_PAUSE)
                return
            if notice is None:  # it was closed while we told: then that is told as well
                await self._add(session, alert.id, sent.channel, NoticeKind.CLOSED, now)
            else:
                notice.due_at, notice.told_at = None, now
            if sent.kind == NoticeKind.CLOSED:
                alert.recovery_told_at = now
            elif alert.told_at is None:
                alert.told_at = now
                if rules.remind_every and alert.closed_at is None:
                    alert.due_at = now + rules.remind_every

    async def _add(
        self, session: AsyncSession, alert_id: int, channel: str, kind: NoticeKind, due: Millis, number: int = 0
    ) -> None:
        values = {"alert_id": alert_id, "channel": channel, "kind": kind, "number": number, "due_at": due}
        await session.execute(self._store.insert(Notice).values(**values, attempts=0).on_conflict_do_nothing())

    def _url(self, kind: AlertKind, account_id: int) -> str:
        return f"{self._settings.public_url}{path_of(kind, account_id)}" if self._settings.public_url else ""

    async def _locale(self) -> str:
        """The language of whoever set Golub up."""
        async with self._store.read() as session:
            found = await session.scalar(
                select(Operator.locale).where(Operator.role == Role.SUPER_ADMIN).order_by(Operator.id).limit(1)
            )
        return found or "ru"


async def _send(channel: Channel, said: Sequence[Said]) -> Sent:
    try:
        return await channel.send(said)
    except Invalid as error:  # what is set up cannot be used; the other channels can
        return Sent("invalid", str(error))


def _due(kind: AlertKind, since: Millis, rules: Rules, now: Millis | None = None) -> Millis:
    """When a notice may be told: gathered with others, and not in the quiet hours unless it is urgent."""
    due = max(since + GATHER, now or 0)
    return due if kind in URGENT else rules.earliest(due)
