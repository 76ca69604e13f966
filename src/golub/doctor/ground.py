"""Golub itself and the machine under it: whether it runs, the clock, the disk, who may read, and what it is given."""

import os
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx2

from golub import backup
from golub.clock import DAY, HOUR, Clock, Millis
from golub.doctor import ground_faults as faults
from golub.doctor.finding import N_, Check, Fault, Finding, Said, unseen, well
from golub.doctor.machine import NETWORK_DISKS, Machine
from golub.doctor.reach import is_outer
from golub.health import Code, Health
from golub.settings import Settings

CLOCK_LIMIT = 60  # seconds
ASK_WITHIN = 5.0  # seconds that Avito has to tell its time
DISK_FULL = 256 << 20  # free bytes; less and the ballast is not made again
DISK_LOW = 0.1  # of the disk …
DISK_PLENTY = 5 << 30  # … unless so much is free
FILES_FEW = 4096
FILES_USED = 0.8
MEMORY_LITTLE = 0.05  # of all
LOAD_HIGH = 4.0  # for each processor
OLD_BACKUP = 3  # periods of the schedule without a new one, and days at least

_WHATEVER = ("0.0.0.0", "::")  # noqa: S104 - told apart here, not listened on
_SECRET_FILES = ("golub.db", "golub.db-wal", "spool.db", "spool.db-wal", "logs/app.log")


class Ground:
    """`health` is the running server's own, None beside it; `avito` leads to a simulator in tests. `alert_kinds`: the
    channels for alerts that the server's environment gives."""

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        clock: Clock,
        health: Health | None,
        avito: httpx2.AsyncBaseTransport | None,
        alert_kinds: Sequence[str],
    ) -> None:
        self._settings = settings
        self._folder = settings.data_dir.absolute()
        self._machine = machine
        self._clock = clock
        self._health = health
        self._avito = avito
        self._alert_kinds = alert_kinds
        self._pid = os.getpid() if health else machine.owner_of(self._folder)

    async def look(self) -> AsyncGenerator[Finding]:
        yield self._server()
        yield self._loops()
        yield await self._clocks()
        for one in self._disk():
            yield one
        yield self._filesystem()

    def care(self, backed_at: Millis | None) -> Iterator[Finding]:
        """`backed_at`: when the newest backup began, as far as is known."""
        yield self._secrets()
        yield self._listening()
        yield self._files()
        yield self._memory()
        yield self._load()
        yield self._alerts()
        yield self._backup(backed_at)

    def _server(self) -> Finding:
        if self._pid is None:
            return self._found(faults.NOT_RUNNING)
        return well(Check.SERVER, N_("Process {pid}"), pid=self._pid)

    def _loops(self) -> Finding:
        if self._health is None:
            return unseen(Check.LOOPS, N_("Only the server itself can tell: open the page “Doctor”."))
        for reason in self._health.of_this_process():
            if reason.code in {Code.LOOP_STUCK, Code.LOOP_BROKEN, Code.APPLY_STOPPED}:
                return self._found(faults.PART_STOPPED, reason=Said(reason.text, reason.fields))
        return well(Check.LOOPS, N_("All of them take their turns."))

    async def _clocks(self) -> Finding:
        """Against Avito's: a proxy on this machine goes by the same clock as we do."""
        try:
            theirs = await self._avito_time()
        except (httpx2.HTTPError, OSError, TimeoutError):
            return unseen(Check.CLOCK, N_("Avito did not answer, so its clock could not be compared."))
        if theirs is None:
            return unseen(Check.CLOCK, N_("Avito did not say what time it is."))
        off = round((self._clock() - theirs) / 1000)
        if abs(off) > CLOCK_LIMIT:
            return self._found(faults.CLOCK_OFF, figures={"seconds_off": off}, seconds=off)
        return well(Check.CLOCK, N_("{seconds} s away from Avito's"), figures={"seconds_off": off}, seconds=off)

    async def _avito_time(self) -> Millis | None:
        """The middle of the call is compared, so that a slow one does not look like a wrong clock."""
        transport = self._avito or httpx2.AsyncHTTPTransport(trust_env=False)
        client = httpx2.AsyncClient(transport=transport, timeout=ASK_WITHIN, trust_env=False, follow_redirects=False)
        try:
            started = time.monotonic()
            response = await client.get(self._settings.avito_url)
            half = (time.monotonic() - started) / 2
            date = parsedate_to_datetime(response.headers.get("date", ""))
            return round((date.timestamp() + half) * 1000)
        except (TypeError, ValueError):
            return None
        finally:
            if self._avito is None:
                await client.aclose()

    def _disk(self) -> list[Finding]:
        disk = self._machine.disk(self._folder)
        free, share = disk.free >> 20, round(100 * disk.free / (disk.size or 1))
        figures = {"free_mb": free, "free_percent": share}
        if disk.free < DISK_FULL:
            first = self._found(faults.DISK_FULL, figures=figures, free=free)
        elif disk.free < min(disk.size * DISK_LOW, DISK_PLENTY):
            first = self._found(faults.DISK_LOW, figures=figures, free=free, share=share)
        else:
            first = well(Check.DISK, N_("{free} MB are free, {share} %"), figures=figures, free=free, share=share)
        if (self._folder / "ballast").exists():
            return [first, well(Check.BALLAST, N_("64 MB are set aside."))]
        return [first, self._found(faults.NO_BALLAST)]

    def _filesystem(self) -> Finding:
        kind = self._machine.disk_kind(self._folder)
        if kind in NETWORK_DISKS:
            return self._found(faults.NETWORK_DISK, kind=kind)
        try:
            with TemporaryFile(dir=self._folder):  # a full disk lets an empty file be made
                pass
        except OSError:
            return self._found(faults.READ_ONLY)
        return well(Check.FILESYSTEM, N_("A disk of this machine ({kind})"), kind=kind or "?")

    def _secrets(self) -> Finding:
        """A closed folder closes what is in it, but for the key: it is copied about, mode and all."""
        key = self._settings.secret_key_file or self._folder / "secret.key"
        if not self._settings.secret_key and (mode := _mode(key)) is not None and mode & 0o077:
            return self._open(key, mode)
        mode = _mode(self._folder) or 0
        if mode & 0o001:
            for name in _SECRET_FILES:
                inner = _mode(self._folder / name)
                if inner is not None and inner & 0o004:
                    return self._open(self._folder / name, inner)
        if mode & 0o002:
            return self._open(self._folder, mode)
        return well(Check.SECRETS, N_("Key, databases and logs are closed to other users."))

    def _open(self, path: Path, mode: int) -> Finding:
        return self._found(faults.SECRET_OPEN, path=path, mode=f"{mode:o}")

    def _listening(self) -> Finding:
        host, port = self._settings.host, self._settings.port
        if host in _WHATEVER or is_outer(host):
            return self._found(faults.OPEN_PORT, host=host)
        return well(Check.LISTENING, N_("Golub listens on {host}:{port}"), host=host, port=port)

    def _files(self) -> Finding:
        files = self._machine.files(self._pid) if self._pid else None
        if files is None:
            return unseen(Check.FILES, N_("The system does not tell."))
        figures: dict[str, Any] = {"limit": files.limit}
        if files.used is not None:
            figures["used"] = files.used
        if files.limit < FILES_FEW or (files.used or 0) > FILES_USED * files.limit:
            return self._found(faults.FEW_FILES, figures=figures, limit=files.limit, used=_told(files.used))
        return well(
            Check.FILES, N_("{used} of {limit} are open"), figures=figures, limit=files.limit, used=_told(files.used)
        )

    def _memory(self) -> Finding:
        memory = self._machine.memory()
        if memory is None:
            return unseen(Check.MEMORY, N_("The system does not tell."))
        free, total = memory.free >> 20, memory.total >> 20
        figures = {"free_mb": free, "total_mb": total}
        if memory.free < memory.total * MEMORY_LITTLE:
            return self._found(faults.LITTLE_MEMORY, figures=figures, free=free, total=total)
        return well(Check.MEMORY, N_("{free} MB of {total} are free"), figures=figures, free=free, total=total)

    def _load(self) -> Finding:
        load, processors = self._machine.load(), self._machine.processors()
        if load is None:
            return unseen(Check.LOAD, N_("The system does not tell."))
        figures = {"load": load, "processors": processors}
        if load > LOAD_HIGH * processors:
            return self._found(faults.OVERLOADED, figures=figures, load=load, processors=processors)
        return well(
            Check.LOAD, N_("{load} on {processors} processors"), figures=figures, load=load, processors=processors
        )

    def _alerts(self) -> Finding:
        if not self._alert_kinds:
            return self._found(faults.NOBODY_TOLD)
        return well(Check.ALERTS, N_("By {kinds}"), kinds=", ".join(self._alert_kinds))

    def _backup(self, backed_at: Millis | None) -> Finding:
        newest, failed = backup.last(self._settings), backup.last_failure(self._settings)
        if failed is not None:
            return self._found(faults.BACKUP_FAILS, reason=Said(failed.text, failed.fields))
        if newest is None and backed_at is None:
            return self._found(faults.NO_BACKUP)
        age = self._clock() - max(newest.taken_at if newest else 0, backed_at or 0)
        figures = {"age_hours": age // HOUR} | ({"megabytes": newest.bytes >> 20} if newest else {})
        if age > OLD_BACKUP * max(DAY, round(self._settings.backup_every * HOUR)):
            return self._found(faults.OLD_BACKUP, figures=figures, days=age // DAY)
        hours = max(age // HOUR, 0)
        return well(Check.BACKUP, N_("The newest one is {hours} hours old."), figures=figures, hours=hours)

    def _found(self, fault: Fault, *, figures: dict[str, Any] | None = None, **fields: Any) -> Finding:
        places: dict[str, Any] = {"folder": self._folder, "port": self._settings.port}
        return fault.found({**places, **fields}, figures=figures)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None


def _told(used: int | None) -> int | str:
    return "?" if used is None else used
