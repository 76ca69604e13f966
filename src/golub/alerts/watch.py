"""Alerts: when messages stop coming or going, a person is told, once, then now and then, and once when all is well.

An alert is a row that is opened and closed by comparing `troubles` with what is open, so a restart forgets none. How it
is told is `notices`' part.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import select, update

from golub import metrics
from golub.alerts.channels import Sent
from golub.alerts.kinds import AlertKind
from golub.alerts.notices import Notices
from golub.alerts.register import Channels
from golub.alerts.rules import MARK, Rules
from golub.alerts.troubles import Found, Troubles
from golub.audit import Action, By
from golub.clock import MINUTE, Clock, Millis
from golub.errors import Unavailable
from golub.guarded import Guarded
from golub.health import Health
from golub.model import Alert, ChannelKind, Mark
from golub.nodes import Nodes
from golub.runner import Loop
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from golub.vault import Vault

TURN = 15.0  # seconds
AWAY_AFTER = 2 * MINUTE
NEXT_AFTER = 5 * MINUTE  # of several processes each tells so much later than the one before: that may be gone as well

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
        self._clock = clock
        self._notices = Notices(store, settings, clock, self.channels)
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
        """Harmless when it is not open."""
        now, rules = self._clock(), await self.rules()
        async with self._store.write() as session:
            alert = await session.scalar(
                select(Alert).where(Alert.kind == kind, Alert.account_id == account_id, Alert.closed_at.is_(None))
            )
            if alert is None:
                return
            alert.closed_at, alert.due_at = now, None
            await self._notices.end(session, alert, rules)

    async def send_test(self, kind: ChannelKind) -> Sent:
        """Raises `Invalid` where the channel is not configured, or its address cannot be used."""
        return await self._notices.send_test(kind)

    async def run(self) -> None:
        await self._loop.run(self._turn)

    async def _turn(self) -> Millis | None:
        await self.run_once()
        return None

    async def run_once(self) -> None:
        if self._store.refusal:  # that is somebody's wish, and can be read on every page
            return
        try:
            await self._compare()
            if channels := await self.channels.open_all():
                rules = await self.rules()
                await self._notices.plan(await self.list_open(), [channel.kind for channel in channels], rules)
                for channel in channels:
                    await self._notices.tell(channel, rules)
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

    async def _database_is_away(self, reason: str) -> None:
        """The one trouble that no row can keep. Kept in memory: a restart tells it again, and that is right."""
        now = self._clock()
        if self._away_since is None:
            log.warning("alerts cannot be read", reason=reason)
        self._away_since = min(now, now if self._away_since is None else self._away_since)
        if now - self._away_since >= AWAY_AFTER + self._rank * NEXT_AFTER and not self._away_told:
            self._away_told = await self._notices.tell_away(self._away_since, None)

    async def _database_is_back(self) -> None:
        if self._away_since is not None and self._away_told:
            await self._notices.tell_away(self._away_since, self._clock())
        self._away_since, self._away_told = None, False
