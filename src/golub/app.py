"""The composition root: every part is made here, once, and runs under one TaskGroup.

The order of starting is a promise: the spool first and the webhook with it, so that deliveries are acked while the main
database is still away, locked or migrating; then the schema; then everything that needs it.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import httpx2
import structlog

from golub import __version__, logs
from golub.accounts import Accounts
from golub.alerts import Alerts
from golub.allowlist import Watch
from golub.apply import Applier
from golub.automation import Automation
from golub.avito.client import Avito
from golub.backfill import Backfill
from golub.backup import Backups, Schedule, before_upgrade, unfinished
from golub.buyers import Erasures, clear_archives
from golub.clock import Clock, now
from golub.doctor import Doctor, Inside, note_where
from golub.errors import Conflict, Rejected, Unavailable
from golub.health import Code, Health
from golub.housekeeping import Housekeeping
from golub.ingest import Ingest
from golub.jumps import Jumps
from golub.live import open_live
from golub.meter import Meter
from golub.model import KEY_CHECK, Mark
from golub.moving import arrive, leave, must_not_be_left
from golub.nodes import Load, Nodes
from golub.operators import Operators
from golub.outbox import Outbox, open_pictures
from golub.received import log_failed, log_received
from golub.relay import Relays
from golub.replays import Replays
from golub.reports import Filling
from golub.rota import Rota
from golub.runner import keep
from golub.search.catching_up import CatchingUp
from golub.server import Server
from golub.settings import ProcessRole, Settings
from golub.signatures import Lab, Trial
from golub.silence import Silence
from golub.spool import Spool
from golub.store import Store
from golub.subscription import Subscriptions
from golub.vault import Vault
from golub.waking import Waking
from golub.web.door import Door
from golub.web.headers import is_loopback
from golub.web.keeping import Keeping, files_of
from golub.web.media import Media
from golub.web.parts import Parts
from golub.web.routes import build
from golub.web.turnstile import Turnstile
from golub.web.warming import warm
from golub.web.webhook import Webhook

DATABASE_AGAIN = 1.0  # seconds between two tries to reach the main database at start

# Which processes run a loop (rule 7 of the design).
WORKS = (ProcessRole.ALL, ProcessRole.WORKER)
SERVES = (ProcessRole.ALL, ProcessRole.WEB)
EVERYWHERE = tuple(ProcessRole)

WRONG_KEY = (
    "This database's secrets were sealed with another key: restore its secret.key into the data folder. "
    "Webhooks are still received and kept meanwhile."
)

UPGRADING = (
    "Golub is upgrading its database, which may take minutes; the log says how far it is. "
    "Webhooks are received and kept meanwhile."
)


class Runs(Protocol):
    """A part with a loop of its own; `run` ends when it is cancelled."""

    async def run(self) -> None: ...


Started = Callable[[str, str | None], None]  # told our address, and the set-up link while nobody can sign in

log = structlog.get_logger("golub")


class Golub:
    """One server. `transport` leads to a simulator in tests, to the network otherwise.

    `opened` makes a server without a socket, for tests and commands; `run` is the whole thing. One that is given a
    `spool` takes it over from another that has left its database.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = now,
        transport: httpx2.AsyncBaseTransport | None = None,
        spool: Spool | None = None,
    ) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if unfinished(settings.data_dir):
            raise Conflict("A restore into {folder} was cut off: run it again first.", folder=settings.data_dir)
        must_not_be_left(settings)
        self.settings = settings
        self._transport = transport
        vault = open_vault(settings)
        spool = spool or Spool(settings.data_dir, quota=settings.spool_quota_mb << 20, clock=clock)
        store = Store(settings.effective_database_url)
        live = open_live(store)
        applier = Applier(spool, store, live, clock, Trial(vault, settings.signature_headers))
        relays = Relays(store, vault, settings, clock)
        applier.on_received, applier.on_failed, applier.on_relayed = log_received, log_failed, relays.nudge
        nodes = Nodes(store, settings, clock, lambda: Load(spool.pending, spool.bytes_pending, spool.oldest_at))
        avito = Avito(settings, store, vault, clock, transport, nodes=nodes)
        backfill = Backfill(store, avito, applier, settings, clock)
        health = Health(settings, store, spool, clock, applier)
        subscriptions = Subscriptions(store, avito, spool, vault, settings, clock)
        pictures = open_pictures(store, settings.data_dir / "outgoing", clock)
        self.silence = Silence(store, clock, backfill.nudge)
        self.parts = Parts(
            settings=settings,
            clock=clock,
            store=store,
            vault=vault,
            spool=spool,
            ingest=Ingest(spool, store, settings, clock),
            applier=applier,
            live=live,
            nodes=nodes,
            avito=avito,
            outbox=Outbox(store, avito, applier, live, clock, pictures),
            backfill=backfill,
            operators=Operators(store, clock, vault),
            accounts=Accounts(store, avito, vault, clock),
            subscriptions=subscriptions,
            relays=relays,
            replays=Replays(store, applier, clock, backfill.nudge),
            alerts=Alerts(store, settings, clock, spool, vault, health, nodes=nodes),
            media=Media(settings, clock, transport),
            health=health,
            meter=Meter(store, settings, clock),
            doctor=Doctor(settings, store, clock, vault, Inside(health, spool, subscriptions), avito=transport),
            backups=Backups(settings, vault, clock, Schedule(settings, clock, store, nodes.folder)),
            erasures=Erasures(store, applier, clock, pictures, files_of, settings.data_dir / "media"),
        )
        self._keeping = Keeping(store, avito, self.parts.media, clock)
        self._housekeeping = Housekeeping(store, settings, clock)
        self._filling = Filling(store, applier, clock)
        self._waking = Waking(store, applier, clock)
        self._rota = Rota(store, applier, clock)
        self._automation = Automation(store, applier, self.parts.outbox, backfill.nudge, clock)
        self._catching_up = CatchingUp(store, clock)
        self._lab = Lab(store, settings, clock)
        self._watch = Watch(store, settings, clock)
        self._jumps = Jumps(store, clock, nodes.folder)
        self.site = site = build(self.parts)
        self.asgi = site if settings.role is ProcessRole.WORKER else Webhook(self.parts.ingest, Turnstile(site))

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Parts]:
        """The spool takes deliveries; nothing is applied or sent yet. Closes everything on leaving."""
        self.parts.spool.start()
        try:
            async with self._furnished() as parts:
                yield parts
        finally:
            await asyncio.to_thread(self.parts.spool.close)

    @asynccontextmanager
    async def _furnished(self) -> AsyncGenerator[Parts]:
        """All but the spool is closed on leaving."""
        parts = self.parts
        await asyncio.to_thread(clear_archives, self.settings.data_dir)
        try:
            yield parts
        finally:
            parts.live.close()
            await parts.doctor.close()
            await parts.backups.close()
            await asyncio.to_thread(parts.applier.stop)
            await parts.media.close()
            await parts.avito.close()
            parts.operators.close()
            await parts.store.close()

    async def migrate(self) -> None:
        """Waits for the main database as long as it takes, and brings its schema up to this release."""
        told = False
        while True:
            try:
                await self._upgrade()
                await arrive(self.parts.store, self.settings, self.parts.clock())
                if not await is_our_key(self.parts.store, self.parts.vault):
                    self.parts.health.halted_by = Code.WRONG_KEY
                    self.parts.health.halted = self.parts.nodes.halted = WRONG_KEY
                return
            except Unavailable as error:
                if not told:
                    log.warning("the main database is away; webhooks are taken meanwhile", reason=str(error))
                    told = True
                await asyncio.sleep(DATABASE_AGAIN)

    async def _upgrade(self) -> None:
        """Pages are refused meanwhile, also over a failure that will be tried again: old rows do not fit new code."""
        store, health = self.parts.store, self.parts.health
        if await asyncio.to_thread(store.upgrade_is_due):
            health.halted, health.halted_by = UPGRADING, Code.MIGRATING
            await asyncio.to_thread(before_upgrade, self.settings, store, self.parts.vault, self.parts.clock)
        await asyncio.to_thread(store.migrate)
        if health.halted_by is Code.MIGRATING:  # another key stays one, also where all this is done once more
            health.halted = ""

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[Parts]:
        """Migrated, applying what comes, and in step with Avito, until the block ends."""
        async with self.opened() as parts:
            await self.migrate()
            async with asyncio.TaskGroup() as loops:
                with self._work(loops):
                    yield parts

    async def run(self, started: Started) -> None:
        """Serves until SIGTERM or SIGINT. Raises `Conflict` where the folder or the port is taken."""
        settings, parts = self.settings, self.parts
        logs.configure(settings.data_dir / "logs", settings.log_level)
        door = Door(self)
        server = Server(door, settings.host, settings.port)
        server.on_stop.append(door.close)
        url = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{server.port}"  # noqa: S104
        loop = asyncio.get_running_loop()
        fatal: list[str] = []

        def give_up(reason: str) -> None:
            fatal.append(reason)
            loop.call_soon_threadsafe(server.stop)

        parts.spool.on_fatal = give_up
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, server.stop)
        parts.spool.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(server.run(), name="server")
                folder = str(settings.data_dir.absolute())
                does = "working" if settings.role is ProcessRole.WORKER else "receiving"
                log.info(f"golub is {does}", url=url, role=str(settings.role), version=__version__, folder=folder)
                if not (is_loopback(settings.host) or settings.public_url.startswith("https://")):
                    log.warning(
                        "whoever reaches this machine can listen in: put a proxy with HTTPS before Golub", url=url
                    )
                house = await self.live(door, serving, url, started)
                while house:
                    house = await house.live(door, serving, url, lambda _url, _link: None)
        finally:
            await asyncio.to_thread(parts.spool.close)
        log.info("golub has stopped")
        if fatal:
            raise Rejected("Golub stopped: the spool cannot be written. {reason}", reason=fatal[0])

    async def live(self, door: Door, serving: asyncio.Task[None], url: str, started: Started) -> "Golub | None":
        """Until the server has stopped, or the main database has moved: then it returns the one who goes on with the
        new database. The door leads there already, and nothing of ours writes any more."""
        async with self._furnished(), asyncio.TaskGroup() as tasks:
            warming = tasks.create_task(self._warm(), name="warm")
            leaving = tasks.create_task(leave(self.parts.store, self.settings), name="leave")
            preparing = tasks.create_task(self._prepare(self.settings.public_url or url), name="prepare")
            ends = {serving, leaving}
            await asyncio.wait({*ends, preparing}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done() and not preparing.exception() and not any(one.done() for one in ends):
                started(url, preparing.result())
                with self._work(tasks):
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            next_one = None
            if not serving.done() and not (preparing.done() and preparing.exception()):
                log.info("the main database has moved: golub goes on with it")
                spool, clock = self.parts.spool, self.parts.clock
                next_one = await asyncio.to_thread(
                    Golub, self.settings, clock=clock, transport=self._transport, spool=spool
                )
                door.house = next_one
            for one in (warming, leaving, preparing):
                one.cancel()
        return next_one

    async def _warm(self) -> None:
        if self.settings.role is ProcessRole.WORKER:
            return
        try:
            await asyncio.to_thread(warm, self.site)
        except Exception:  # whatever is broken in a page, webhooks are taken
            log.exception("the pages could not be made ready")

    async def _prepare(self, url: str) -> str | None:
        while True:
            try:
                await self.migrate()
                if self.settings.role is ProcessRole.WORKER:
                    return None
                await note_where(self.parts.store, self.settings)
                if not await self.parts.operators.needs_setup():
                    return None
                return f"{url}/setup/{await self.parts.operators.make_link('setup')}"
            except Unavailable:  # it went away again: the process that acks must not end for that
                await asyncio.sleep(DATABASE_AGAIN)

    @contextmanager
    def _work(self, tasks: asyncio.TaskGroup) -> Generator[None]:
        parts = self.parts
        if parts.halted:
            log.error("only receiving", reason=parts.halted)
            yield
            return
        parts.applier.start()
        loops = [
            tasks.create_task(keep(type(part).__name__, part.run))
            for part, roles in self._loops()
            if self.settings.role in roles
        ]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()

    def _loops(self) -> Sequence[tuple[Runs, Collection[ProcessRole]]]:
        """Every loop and who runs it. On PostgreSQL any number of processes run the same one at once, so each takes
        what is due by a claim (`store.claim`), or does what harms nobody when it is done twice: docs/nodes.md."""
        parts = self.parts
        return (
            (parts.outbox, WORKS),
            (parts.backfill, WORKS),
            (parts.subscriptions, WORKS),
            (parts.subscriptions.secrets, SERVES),
            (self.silence, WORKS),
            (self._waking, WORKS),
            (parts.relays, WORKS),
            (parts.replays, WORKS),
            (parts.erasures, WORKS),
            (self._rota, WORKS),
            (self._automation, WORKS),
            (parts.alerts, EVERYWHERE),
            (parts.backups, WORKS),
            (self._housekeeping, WORKS),
            (self._filling, WORKS),
            (self._catching_up, WORKS),
            (self._lab, WORKS),
            (self._watch, WORKS),
            (self._jumps, WORKS),
            (parts.nodes, EVERYWHERE),
            (parts.meter, EVERYWHERE),
            (parts.avito, EVERYWHERE),
            (parts.live, EVERYWHERE),
            (parts.operators, EVERYWHERE),
            (self._keeping, SERVES),
        )


def open_vault(settings: Settings) -> Vault:
    """Raises `Rejected` for a key that cannot be one."""
    try:
        if settings.secret_key:
            return Vault.from_phrase(settings.secret_key.get_secret_value())
        return Vault.from_file(settings.secret_key_file or settings.data_dir / "secret.key")
    except ValueError as error:
        raise Rejected("The secret key cannot be used: {reason}.", reason=str(error)) from error


async def is_our_key(store: Store, vault: Vault) -> bool:
    """Whether our key sealed what this database holds; the first key ever seen counts.

    With another one we could open no secret, and would seal new ones that the right key cannot open. Of several keys
    the one that the database names seals from now on.
    """
    async with store.write() as session:
        await session.execute(store.insert(Mark).values(name=KEY_CHECK, value=vault.check).on_conflict_do_nothing())
        check = (await session.get_one(Mark, KEY_CHECK)).value
    if not vault.knows(check):
        return False
    vault.use(check)
    return True
