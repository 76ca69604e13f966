"""A server of its own process, on the processor that is its, for as long as a `with` lasts."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import machine

PATIENCE = 300.0  # seconds
GOLUB = str(Path(sys.executable).with_name("golub"))
READY = r"^Golub: (http://\S+)"
_PR_SET_PDEATHSIG = 1


class Served:
    """`url` is what its output told, or was given; what it says is kept in the file `said`."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: Path) -> None:
        self.process = process
        self.said = said
        self.url = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def processor_seconds(self) -> float:
        return machine.processor_seconds(self.pid)

    def memory(self) -> float:
        return machine.memory(self.pid)

    def kill(self) -> None:
        """It and all that it started, as the kernel does: nothing is flushed."""
        for one in reversed(machine.family(self.pid)):
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def wait_for(self, find: Callable[[str], str]) -> str:
        """What `find` makes of its output, once that is something."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            text = self.said.read_text(errors="replace")
            if found := find(text):
                return found
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}:\n{text[-2000:]}")
            time.sleep(0.005)
        raise SystemExit(f"the server did not start:\n{self.said.read_text(errors='replace')[-2000:]}")


@contextmanager
def served(
    command: Sequence[str],
    said: Path,
    *,
    on: frozenset[int],
    ready: str | None = READY,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Generator[Served]:
    """Ends with SIGTERM at the end, and with SIGKILL where that is not enough. `ready`: what it prints when it serves,
    with its URL in the first group."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GOLUB_", "AVITO_"))}
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=inherited | dict(environment or {}),
            cwd=folder,
            preexec_fn=lambda: _begin(on),  # noqa: PLW1509 - nobody else runs a thread here
        )
    server = Served(process, said)
    try:
        if ready:
            server.url = server.wait_for(
                lambda text: match[1] if (match := re.search(ready, text, re.MULTILINE)) else ""
            )
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


@contextmanager
def golub(
    folder: Path, *, on: frozenset[int], environment: Mapping[str, str] | None = None, command: Sequence[str] = ()
) -> Generator[Served]:
    """`golub serve` on a free port, with its folder of data in `folder`."""
    ours = {"GOLUB_DATA_DIR": str(folder / "node"), "GOLUB_PORT": "0", "GOLUB_HOST": "127.0.0.1", **(environment or {})}
    with served([GOLUB, "serve", *command], folder / "said", on=on, environment=ours) as server:
        yield server


def _begin(processors: frozenset[int]) -> None:
    """In the new process: its processor, and an end with us, however we end."""
    os.sched_setaffinity(0, processors)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
