"""Health: whether this process does its work, and if not, why, so that a person or a program knows what to mend.

Asked and answered from what is true now: the spool, apply's thread, the loops' last turns, the disk, and one look into
the main database. It promises an answer within about a second whatever hangs, and looks at most once a second however
often it is asked, since strangers may ask too. `/healthz/ready`, the status page, alerts and the doctor rely on it.

A reason is severe where this process needs a person or a restart; a reason that is not (an account's keys, another
service's subscription) asks for a person too, but no restart and no other machine would help.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from golub import runner
from golub.apply import Applier
from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import Unavailable
from golub.migrations import Schema, schema_of
from golub.model import Account, AccountState, Node, SubscriptionState, Webhook
from golub.settings import ProcessRole, Settings
from golub.spool import Spool
from golub.store import Store

WAITED: Millis = MINUTE  # that a delivery may wait in the spool before apply counts as stuck
TURN_LIMIT = 10 * 60.0  # seconds; the longest honest turn reads a page of history in every chat of a list
BROKEN_FOR = 30.0  # seconds of turns that fail: one may be a mishap
DISK_FULL = 32 << 20  # free bytes: less than the ballast gives back
DISK_LOW = 1 << 30
DISK_LOW_SHARE = 0.05  # a small disk is low at a twentieth, where that is less
SPOOL_FULL = 0.98
WORKER_SILENT: Millis = 9 * SECOND  # nodes beat every five
ASKED_FOR = 1.0  # seconds that an answer is good for
DATABASE_WAIT = 1.0


class Code(StrEnum):
    """What programs compare; stable."""

    DATABASE_AWAY = "database_away"
    MIGRATING = "migrating"
    MOVING = "moving"
    SCHEMA_NEWER = "schema_newer"
    WRONG_KEY = "wrong_key"
    SPOOL_FAILED = "spool_failed"
    SPOOL_FULL = "spool_full"
    DISK_FULL = "disk_full"
    APPLY_STOPPED = "apply_stopped"
    APPLY_STUCK = "apply_stuck"
    LOOP_STUCK = "loop_stuck"
    LOOP_BROKEN = "loop_broken"
    DISK_LOW = "disk_low"
    WORKER_AWAY = "worker_away"
    ACCOUNTS_REFUSED = "accounts_refused"
    SUBSCRIPTIONS_LOST = "subscriptions_lost"


@dataclass(frozen=True, slots=True)
class Reason:
    """`text` with `fields` is a key of the catalogue. It names no account and no secret: strangers may read it."""

    code: Code
    text: str
    severe: bool = True
    fields: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return self.text.format(**self.fields)


@dataclass(frozen=True, slots=True)
class Disk:
    """The one that holds the data folder."""

    free: int
    size: int

    @property
    def is_full(self) -> bool:
        return self.free < DISK_FULL

    @property
    def is_low(self) -> bool:
        return self.free < min(DISK_LOW, self.size * DISK_LOW_SHARE)


class Health:
    """`halted` is why we only receive, `halted_by` its code, both set by `app`; an English text of the catalogue."""

    def __init__(
        self, settings: Settings, store: Store, spool: Spool, clock: Clock, applier: Applier | None = None
    ) -> None:
        self.halted = ""
        self.halted_by = Code.WRONG_KEY
        self._settings = settings
        self._store = store
        self._spool = spool
        self._clock = clock
        self._applier = applier
        self._asking = asyncio.Lock()
        self._asked_at = -ASKED_FOR
        self._answer: Sequence[Reason] = ()

    async def reasons(self) -> list[Reason]:
        """What is wrong now, the worst first; empty: all is well. Raises nothing."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= ASKED_FOR:
                found = [*self.of_this_process(), *await self._of_the_database()]
                self._answer = sorted(found, key=lambda reason: not reason.severe)
                self._asked_at = time.monotonic()
        return list(self._answer)

    async def is_without_worker(self) -> bool:
        return any(reason.code is Code.WORKER_AWAY for reason in await self.reasons())

    def disk(self) -> Disk:
        return disk_of(self._settings.data_dir)

    def of_this_process(self) -> list[Reason]:
        """Without a look into the main database."""
        found: list[Reason] = []
        if self.halted:
            found.append(Reason(self.halted_by, self.halted))
        if self._spool.fatal:
            fields = {"reason": self._spool.fatal}
            found.append(Reason(Code.SPOOL_FAILED, "The spool cannot be written: {reason}", fields=fields))
        filled = self._spool.bytes_pending / (self._settings.spool_quota_mb << 20)
        if filled >= SPOOL_FULL:
            found.append(Reason(Code.SPOOL_FULL, "The spool is full: webhooks are answered with 503."))
        if self._store.refusal:
            found.append(Reason(Code.MOVING, self._store.refusal, severe=False))
        else:
            found += self._of_apply()
        disk = self.disk()
        fields = {"free": disk.free >> 20}
        if disk.is_full:
            found.append(Reason(Code.DISK_FULL, "The disk is full: {free} MiB are left.", fields=fields))
        elif disk.is_low:
            found.append(Reason(Code.DISK_LOW, "The disk fills up: {free} MiB are left.", severe=False, fields=fields))
        for loop in runner.running():
            fields = {"loop": loop.name}
            if loop.turn_began is not None and time.monotonic() - loop.turn_began > TURN_LIMIT:
                found.append(Reason(Code.LOOP_STUCK, "The loop “{loop}” does not turn any more.", fields=fields))
            if loop.broken_since is not None and time.monotonic() - loop.broken_since > BROKEN_FOR:
                found.append(Reason(Code.LOOP_BROKEN, "Every turn of the loop “{loop}” fails.", fields=fields))
        return found

    def _of_apply(self) -> list[Reason]:
        if self._applier is not None and self._applier.stopped:
            return [Reason(Code.APPLY_STOPPED, "Apply has stopped: messages are kept and do not reach the inbox.")]
        try:
            oldest_at = self._spool.oldest_at
        except Unavailable as error:
            return [Reason(Code.SPOOL_FAILED, "The spool cannot be read: {reason}", fields={"reason": str(error)})]
        waited = self._clock() - oldest_at if oldest_at is not None else 0
        if waited <= WAITED:
            return []
        fields = {"seconds": waited // SECOND}
        return [Reason(Code.APPLY_STUCK, "The oldest delivery has waited {seconds} s to be applied.", fields=fields)]

    async def _of_the_database(self) -> list[Reason]:
        accounts = select(func.count()).select_from(Account).where(Account.paused_at.is_(None))
        refused = accounts.where(Account.state.in_((AccountState.WRONG_KEYS, AccountState.NO_ACCESS)))
        states = (SubscriptionState.MISSING, SubscriptionState.FOREIGN)
        lost = accounts.join(Webhook, Webhook.account_id == Account.id).where(Webhook.subscription.in_(states))
        try:
            async with asyncio.timeout(DATABASE_WAIT), self._store.read() as session:
                schema = await (await session.connection()).run_sync(schema_of)
                if schema is Schema.TOO_NEW:
                    return [Reason(Code.SCHEMA_NEWER, "A newer release has migrated the database: start that one.")]
                if schema in (Schema.EMPTY, Schema.OLDER):
                    if self.halted and self.halted_by is Code.MIGRATING:
                        return []  # told already
                    return [Reason(Code.MIGRATING, "The database is being prepared: webhooks are kept meanwhile.")]
                numbers = await session.scalar(refused), await session.scalar(lost)
                workers = await self._count_workers(session)
        except (Unavailable, SQLAlchemyError, TimeoutError):
            return [Reason(Code.DATABASE_AWAY, "The database does not answer: webhooks are kept meanwhile.")]
        found: list[Reason] = []
        if workers == 0:
            why = "No worker lives: replies do not go out, and what was missed is not fetched."
            found.append(Reason(Code.WORKER_AWAY, why, severe=False))
        if numbers[0]:
            why = "Avito refuses {count} accounts: nobody can reply there."
            found.append(Reason(Code.ACCOUNTS_REFUSED, why, severe=False, fields={"count": numbers[0]}))
        if numbers[1]:
            why = "Avito does not call us for {count} accounts: messages come late."
            found.append(Reason(Code.SUBSCRIPTIONS_LOST, why, severe=False, fields={"count": numbers[1]}))
        return found

    async def _count_workers(self, session: AsyncSession) -> int | None:
        """That have given a sign of life lately; None where this process does the work itself."""
        if self._store.is_sqlite or self._settings.role is not ProcessRole.WEB:
            return None
        alive = (Node.stopped_at.is_(None), Node.seen_at > self._store.moment - WORKER_SILENT)
        return await session.scalar(select(func.count()).select_from(Node).where(Node.role != ProcessRole.WEB, *alive))


def disk_of(folder: Path) -> Disk:
    disk = os.statvfs(folder)
    return Disk(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
