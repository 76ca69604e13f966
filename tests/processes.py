"""`golub` as a process of its own, for the stories that kill it. What it prints is kept in `lines`."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.warm import Forked

READY = re.compile(r"Golub: (http://\S+)")
PATIENCE = 180.0  # seconds until a story gives up waiting for a line or an end
PROGRAM = (str(Path(sys.executable).with_name("golub")),)


class Golub:
    """One `golub` process. Started with port 0 it takes a free port; `url` says which, and `restart` keeps it.

    `program` may be another one that serves as Golub does, or one before it that execs it. `warm`: forked instead.
    """

    process: asyncio.subprocess.Process | Forked

    def __init__(
        self,
        folder: Path,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        program: Sequence[str] = PROGRAM,
        *,
        warm: bool = False,
    ) -> None:
        self.folder = folder
        self.command = command
        self.program = program
        self.warm = warm
        self.environment = {"GOLUB_DATA_DIR": str(folder), "GOLUB_PORT": "0", **environment}
        self.lines: list[str] = []
        self.url = ""
        self._said = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it serves, which it says on its standard output."""
        if self._reader:
            await self._reader  # or the last process's end would be taken for this one's
        before = len(self.lines)
        self._ended = False
        environment = {**clean_environment(), **self.environment}
        if self.warm:
            self.process = await Forked.start(self.command, environment)
        else:
            self.process = await asyncio.create_subprocess_exec(
                *self.program,
                *self.command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        self._reader = asyncio.create_task(self._read())
        self.url = (await self.line(READY, since=before))[1]

    @property
    def pid(self) -> int:
        return self.process.pid

    async def line(self, pattern: str | re.Pattern[str], *, since: int = 0) -> re.Match[str]:
        """The first line from `since` on that the pattern is found in. Fails when the process ends without it."""
        try:
            async with asyncio.timeout(PATIENCE), self._said:
                seen = since
                while True:
                    for line in self.lines[seen:]:
                        if match := re.search(pattern, line):
                            return match
                    seen = len(self.lines)
                    if self._ended:
                        break
                    await self._said.wait()
        except TimeoutError:
            pass
        raise AssertionError(f"golub did not print, or ended without, {pattern!r}:\n" + "\n".join(self.lines))

    async def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is flushed, nobody is told."""
        await self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It does nothing more until it is killed, or gets SIGCONT."""
        self.process.send_signal(signal.SIGSTOP)

    async def stop(self) -> int:
        """As an operator does; returns the exit status."""
        return await self._end(signal.SIGTERM)

    async def restart(self) -> None:
        """After `kill` or `stop`: the same folder, and the same port, since Avito knows the address."""
        self.environment["GOLUB_PORT"] = self.url.rstrip("/").rpartition(":")[2]
        await self.start()

    async def _end(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
            if self._reader:
                await self._reader
        return status

    async def _read(self) -> None:
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            async with self._said:
                self.lines.append(line.decode(errors="replace").rstrip())
                self._said.notify_all()
        async with self._said:
            self._ended = True
            self._said.notify_all()


def clean_environment() -> dict[str, str]:
    """What the machine needs, and no setting of ours that the developer's shell happens to have."""
    ours = re.compile("GOLUB_|AVITO_|SYNC_INTERVAL$|SECRET_KEY$|SESSION_COOKIE_SECURE$")
    return {name: value for name, value in os.environ.items() if not ours.match(name)}
