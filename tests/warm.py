"""`golub`, forked from a process that has read all of its code once: a start then takes a fraction of the time.

From `main` on it is the same. `make chaos`, and whatever is to run in an interpreter of its own, start the program.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

_forks = get_context("forkserver")
_forks.set_forkserver_preload(["golub.cli", "golub.app", "pytest"])  # the last, as it is our `__main__`


class Forked:
    """As much of `asyncio.subprocess.Process` as the stories use; what it prints is all on `stdout`."""

    def __init__(self, process: BaseProcess, stdout: asyncio.StreamReader) -> None:
        self.stdout = stdout
        self._process = process
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> "Forked":
        ours, theirs = _forks.Pipe(duplex=False)
        process = _forks.Process(target=_become, args=(tuple(command), dict(environment), theirs))
        await asyncio.to_thread(process.start)  # the first one waits until the code is read
        theirs.close()
        stdout = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(ours.fileno()), "rb", 0)
        ours.close()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), pipe)
        return cls(process, stdout)

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set()


def _become(command: Sequence[str], environment: Mapping[str, str], output: Connection) -> None:
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()  # or all would throw the same dice
    sys.argv = ["golub", *command]
    from golub.cli import main  # known already

    main()
