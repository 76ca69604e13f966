"""Backups: one file each, made while the server runs, and what brings one back.

`making` writes an archive, `restoring` brings it back into an empty place, `folder` says what there is, `schedule`
whose turn it is. `Backups` makes them on time and on demand inside the server. The doctor, alerts and the status page
ask `Schedule.newest_at` and `last_failure`.
"""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from golub import metrics
from golub.backup import folder
from golub.backup.archive import Manifest, read_manifest
from golub.backup.folder import Backed, Failed, Reason, last, last_failure, list_all
from golub.backup.making import Order, Step, Tell, make
from golub.backup.restoring import Restored, restore, unfinished
from golub.backup.schedule import Schedule
from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Conflict, GolubError, Unavailable
from golub.runner import Loop
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault

__all__ = [
    "Backed",
    "Backups",
    "Failed",
    "Manifest",
    "Order",
    "Progress",
    "Reason",
    "Restored",
    "Schedule",
    "Step",
    "Tell",
    "before_upgrade",
    "last",
    "last_failure",
    "list_all",
    "make",
    "read_manifest",
    "restore",
    "unfinished",
]

FIRST_AFTER = 2 * MINUTE  # of running: a start has enough to do
AGAIN_AFTER = HOUR  # when one failed: what it lacks takes a person

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    step: Step
    share: float  # of this step, 0 to 1
    begun_at: Millis


class Backups:
    """One in each process; of several on one PostgreSQL one makes them, into its own folder and with its own spool."""

    def __init__(self, settings: Settings, vault: Vault, clock: Clock, schedule: Schedule | None = None) -> None:
        self.schedule = schedule or Schedule(settings, clock)
        self.folder = settings.effective_backup_dir
        self.progress: Progress | None = None  # of the one being made
        self._settings = settings
        self._vault = vault
        self._clock = clock
        self._not_before = clock() + FIRST_AFTER
        self._loop = Loop("backups", clock, longest_wait=30.0)
        self._stopped = threading.Event()
        self._making: asyncio.Task[None] | None = None
        metrics.backup_age.set_function(self._age)

    async def run(self) -> None:
        await self._loop.run(self.run_once)

    async def run_once(self) -> Millis | None:
        """Begins one where it is due; returns when the next one is."""
        if not self._settings.backup_every:
            return None
        now = self._clock()
        if self._not_before > now + AGAIN_AFTER:  # the clock was set back
            self._not_before = now + FIRST_AFTER
        due = max(await self.schedule.due_at(), self._not_before)
        if due > now:
            return due
        if not self.progress and await self.schedule.claim():
            self.begin(Reason.SCHEDULED)
        return None

    def begin(self, reason: Reason = Reason.BY_HAND) -> None:
        """Starts one, beside everything else. Raises `Conflict` while one is being made."""
        if self.progress:
            raise Conflict("A backup is being made at this moment.", code="backup_running")
        self.progress = Progress(Step.SPOOL, 0.0, self._clock())
        self._making = asyncio.create_task(self._make(reason))

    async def wait(self) -> None:
        """Until what was begun has ended, well or not."""
        if self._making:
            await asyncio.wait([self._making])

    async def close(self) -> None:
        """Ends what is being made; nothing of it stays."""
        self._stopped.set()
        await self.wait()

    def list_all(self) -> Sequence[Backed]:
        return list_all(self.folder)

    def last_failure(self) -> Failed | None:
        return last_failure(self._settings)

    async def _make(self, reason: Reason) -> None:
        made: Backed | None = None
        try:
            made = await asyncio.to_thread(self._make_here, reason)
        except GolubError as error:
            self._not_before = self._clock() + AGAIN_AFTER
            log.warning("no backup was made", reason=str(error))
        except Exception:  # a mistake of ours, and nobody waits for this task
            self._not_before = self._clock() + AGAIN_AFTER
            log.exception("no backup was made")
        try:
            if made:
                await self.schedule.made(made.taken_at)
            elif reason is Reason.SCHEDULED:
                await self.schedule.failed()
        except Unavailable as error:  # other processes wait for a while, and this one sees its own folder
            log.warning("other processes could not be told of a backup", made=made is not None, reason=str(error))
        finally:
            self.progress = None

    def _make_here(self, reason: Reason) -> Backed:
        begun_at = self._clock()

        def tell(step: Step, share: float) -> None:
            if self._stopped.is_set():
                raise Unavailable("Golub is stopping.", code="stopping")
            self.progress = Progress(step, share, begun_at)

        try:
            made = make(self._settings, self._vault, Order(reason), clock=self._clock, tell=tell)
        except GolubError as error:
            if error.code != "stopping":
                folder.remember_failure(self.folder, begun_at, error)
            raise
        folder.forget_failure(self.folder)
        gone = self._rotate()
        seconds = (self._clock() - begun_at) / SECOND
        log.info("a backup was made", file=made.path.name, bytes=made.bytes, seconds=seconds, deleted=gone)
        return made

    def _rotate(self) -> int:
        chosen = self._settings
        return len(folder.rotate(self.folder, days=chosen.backup_keep_days, weeks=chosen.backup_keep_weeks))

    def _age(self) -> float:
        newest = last(self._settings)
        return (self._clock() - newest.taken_at) / SECOND if newest else float("nan")


def before_upgrade(settings: Settings, store: Store, vault: Vault, clock: Clock) -> Backed | None:
    """A backup of a SQLite database whose schema is about to change; None where none is due. Blocks.

    PostgreSQL's owner has backups of his own, and its schema changes in one transaction. An upgrade that was cut off
    and starts again within the hour finds the backup of its first try.
    """
    if not store.is_sqlite or not store.upgrade_is_due():
        return None
    newest = last(settings)
    revision = store.revision()
    lately = newest and newest.reason == Reason.BEFORE_UPGRADE and clock() - newest.taken_at < HOUR
    if newest and lately and read_manifest(newest.path).schema == revision:
        return newest
    log.info("the database is of an older release: it is backed up and then upgraded", schema=revision)
    try:
        made = make(settings, vault, Order(Reason.BEFORE_UPGRADE), clock=clock, tell=lambda _step, _share: None)
    except Conflict as error:  # somebody makes one by hand: after it
        raise Unavailable(error.message, **error.fields) from error
    log.info("a backup was made", file=str(made.path), bytes=made.bytes)
    folder.rotate(settings.effective_backup_dir, days=settings.backup_keep_days, weeks=settings.backup_keep_weeks)
    return made
