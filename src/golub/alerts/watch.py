"""Alerts: when messages stop coming or going, a person is told, once, then now and then, and once when all is well.

An alert is a row that is opened and closed by comparing `troubles` with what is open, so a restart forgets none. What
is to be told of it through one channel is a notice: gathered for a short while so that several come in one message,
put off in the quiet hours unless it is urgent, tried again ever more seldom while the channel fails.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub import metrics
from golub.alerts.channels import Channel, Said, Sent
from golub.alerts.kinds import URGENT, AlertKind, path_of
from golub.alerts.register import Channels
from golub.alerts.rules import MARK, Rules
from golub.alerts.texts import text_of
from golub.alerts.troubles import Found, Troubles
from golub.audit import Action, By
from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Invalid, Unavailable
from golub.guarded import Guarded
from golub.health import Health
from golub.model import Account, Alert, ChannelKind, Mark, Notice, NoticeKind, Operator, Role
from golub.nodes import Nodes
from golub.runner import Loop
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from golub.vault import Vault

TURN = 15.0  # seconds
GATHER = 20 * SECOND  # what goes wrong together is told together
AWAY_AFTER = 2 * MINUTE
NEXT_AFTER = 5 * MINUTE  # of several processes each tells so much later than the one before: that may be gone as well
LEASE = MINUTE
FIRST_PAUSE = 15 * SECOND  # doubled with each failure
LONGEST_PAUSE = HOUR
AT_ONCE = 20  # in one message

log = structlog.get_logger(__name__)


class Alerts:
    """`guarded` is given in tests alone."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        spool: Spool,
        vault: Vault,
        health: Health,
        guarded: Guarded | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        guarded = guarded or Guarded(allow_loopback=settings.allow_loopback_webhook)
        self.channels = Channels(store, settings, vault, clock, guarded)
        self._store = store
        self._settings = settings
        self._clock = clock
        self._troubles = Troubles(store, settings, clock, spool, health, nodes)
        self._nodes = nodes
        self._rank = 0  # of this process among the living, when that could last be asked
        self._loop = Loop("alerts", clock, longest_wait=TURN)
        self._away_since: Millis | None = None
        self._away_told = False

    async def find(self) -> Found:
        """What is wrong now, whether anybody was told or not. Raises `Unavailable`."""
        return await self._troubles.find()

    async def list_open(self) -> Sequence[Alert]:
        async with self._store.read() as session:
            return (
                await session.scalars(select(Alert).where(Alert.closed_at.is_(None)).order_by(Alert.opened_at))
            ).all()

    async def list_closed(self, limit: int = 50) -> Sequence[Alert]:
        """Newest first."""
        closed = select(Alert).where(Alert.closed_at.is_not(None)).order_by(Alert.id.desc()).limit(limit)
        async with self._store.read() as session:
            return (await session.scalars(closed)).all()

    async def rules(self) -> Rules:
        async with self._store.read() as session:
            mark = await session.get(Mark, MARK)
        return Rules.load(mark.value if mark else None)

    async def change_rules(self, rules: Rules, *, by: By) -> None:
        async with self._store.write() as session:
            mark = await session.get(Mark, MARK)
            before = Rules.load(mark.value if mark else None)
            await session.merge(Mark(name=MARK, value=rules.dump()))
            await by.did(
                session,
                Action.SETTINGS_CHANGED,
                "alerts: rules",
                before={"rules": before.dump()},
                after={"rules": rules.dump()},
                now=self._clock(),
            )

    async def open(self, kind: AlertKind, account_id: int = 0, detail: str = "") -> None:
        """Harmless when it is open already."""
        now = self._clock()
        async with self._store.write() as session:
            await session.execute(
                self._store.insert(Alert)
                .values(kind=kind, account_id=account_id, detail=detail, opened_at=now, attempts=0)
                .on_conflict_do_nothing()
            )

    async def close(self, kind: AlertKind, account_id: int = 0) -> None:
        """Harmless when it is not open. Who was not told that it opened is not told that it closed."""
        now, rules = self._clock(), await self.rules()
        async with self._store.write() as session:
            alert = await session.scalar(
                select(Alert).where(Alert.kind == kind, Alert.account_id == account_id, Alert.closed_at.is_(None))
            )
            if alert is None:
                return
            alert.closed_at, alert.due_at = now, None
            notices = (await session.scalars(select(Notice).where(Notice.alert_id == alert.id))).all()
            for channel in {notice.channel for notice in notices if notice.told_at is not None}:
                due = _due(AlertKind(alert.kind), now, rules)
                await self._add(session, alert.id, channel, NoticeKind.CLOSED, due)
            await session.execute(
                delete(Notice).where(
                    Notice.alert_id == alert.id, Notice.kind != NoticeKind.CLOSED, Notice.due_at.is_not(None)
                )
            )

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
        sent = await (await self.channels.open(kind)).send([said])
        await self.channels.note(kind, sent)
        return sent

    async def run(self) -> None:
        await self._loop.run(self._turn)

    async def _turn(self) -> Millis | None:
        await self.run_once()
        return None

    async def run_once(self) -> None:
        try:
            await self._compare()
            channels = await self.channels.open_all()
            await self._plan([channel.kind for channel in channels])
            for channel in channels:
                await self._tell(channel)
            self._rank = await self._nodes.rank() if self._nodes else 0
        except Unavailable as error:
            await self._database_is_away(str(error))
        else:
            await self._database_is_back()

    async def _compare(self) -> None:
        """Opens what is wrong and not open, closes what is open and surely not wrong any more."""
        found = await self._troubles.find()
        known = {(AlertKind(alert.kind), alert.account_id): alert for alert in await self.list_open()}
        for trouble, detail in found.wrong.items():
            if trouble not in known:
                await self.open(*trouble, detail)
            elif known[trouble].detail != detail:
                async with self._store.write() as session:
                    await session.execute(update(Alert).where(Alert.id == known[trouble].id).values(detail=detail))
        metrics.alerts_open.clear()
        for kind, _ in found.wrong:
            metrics.alerts_open.labels(kind).inc()
        for kind, account_id in known.keys() - found.wrong.keys() - found.unsure:
            await self.close(kind, account_id)

    async def _plan(self, channels: Sequence[ChannelKind]) -> None:
        """Each open alert gets its notice for each channel, and a reminder when its time has come."""
        open_alerts = await self.list_open()
        if not (open_alerts and channels):
            return
        now, rules = self._clock(), await self.rules()
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

    async def _tell(self, channel: Channel) -> None:
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
        try:
            sent = await channel.send([one for _, one in said])
        except Invalid as error:  # what is set up cannot be used; the other channels can
            sent = Sent("invalid", str(error))
        await self.channels.note(channel.kind, sent)
        metrics.alerts_told.labels(channel.kind, "sent" if sent.succeeded else "failed").inc()
        if not sent.succeeded:
            log.warning("an alert could not be told", channel=channel.kind, cause=str(sent))
        for notice, _ in said:
            await self._note(notice, told=sent.succeeded)

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

    async def _note(self, sent: Notice, *, told: bool) -> None:
        now, rules = self._clock(), await self.rules()
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

    async def _database_is_away(self, reason: str) -> None:
        """The one trouble that no row can keep. Kept in memory: a restart tells it again, and that is right."""
        now = self._clock()
        if self._away_since is None:
            log.warning("alerts cannot be read", reason=reason)
        self._away_since = min(now, now if self._away_since is None else self._away_since)
        if now - self._away_since >= AWAY_AFTER + self._rank * NEXT_AFTER and not self._away_told:
            self._away_told = await self._tell_away(self._away_since, None)

    async def _database_is_back(self) -> None:
        if self._away_since is not None and self._away_told:
            await self._tell_away(self._away_since, self._clock())
        self._away_since, self._away_told = None, False

    async def _tell_away(self, since: Millis, until: Millis | None) -> bool:
        kind, notice = AlertKind.DATABASE_AWAY, NoticeKind.OPENED if until is None else NoticeKind.CLOSED
        text = text_of(kind, "ru", closed=until is not None)
        said = Said(f"alert_away_{since}_{notice}", kind, notice, text, self._url(kind, 0), since, until)
        sent = [await channel.send([said]) for channel in await self.channels.open_all()]
        return any(one.succeeded for one in sent)


def _due(kind: AlertKind, since: Millis, rules: Rules, now: Millis | None = None) -> Millis:
    """When a notice may be told: gathered with others, and not in the quiet hours unless it is urgent."""
    due = max(since + GATHER, now or 0)
    return due if kind in URGENT else rules.earliest(due)
