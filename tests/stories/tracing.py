"""Makes a running `golub`'s own system calls fail, by strace: a disk that breaks without a disk to break."""

import asyncio
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests import processes


@asynccontextmanager
async def failing(golub: processes.Golub, calls: str, error: str, log: Path) -> AsyncGenerator[None]:
    """Until the block or the process ends, whichever is first. `log` gets the calls, and every closing of a file."""
    tracer = await asyncio.create_subprocess_exec(
        "strace", "-f", "-y", "-p", str(golub.pid), "-o", log,
        "-e", f"trace=close,{calls}", "-e", f"inject={calls}:error={error}",
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert tracer.stderr
    said = (await tracer.stderr.readline()).decode()
    assert "attached" in said, said
    rest = asyncio.create_task(tracer.stderr.read())
    try:
        yield
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)  # it lets the process go
        await tracer.wait()
        await rest


def synced_again(log: Path) -> list[str]:
    """Files whose sync failed and was tried again through the same descriptor.

    Of the main database the last connection's own closing is none of them: SQLite syncs the log before it moves what
    was committed long before, and nobody is told that anything is safe."""
    failed: set[str] = set()
    again: list[str] = []
    for line in log.read_text().splitlines():
        if not (found := re.search(r"(close|fsync|fdatasync)\((\d+<[^>]*>)", line)):
            continue
        call, file = found.groups()
        if call == "close":
            failed.discard(file)
            if file.endswith("/golub.db-wal>") and again.count(file) == 1:
                again.remove(file)
        elif file in failed:
            again.append(file)
        elif "EIO" in line:
            failed.add(file)
    return again
