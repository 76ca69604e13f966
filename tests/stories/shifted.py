"""A Golub whose clock is set from outside while it runs: `python -m tests.stories.shifted FILE serve`.

FILE holds eight bytes: how many seconds its clock is off. Golub reads the wall clock in one place, `golub.clock`, and
all of it reads it there; the monotonic clocks go on, as they do where a real one is set. (A preloaded libfaketime,
which does it from farther out, took most of a core.) Nobody else may start it.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

SECONDS = struct.Struct("<q")


class Setting:
    """The clock of a process that `program` starts."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(SECONDS.pack(0))
        with file.open("r+b") as opened:
            self._bytes = mmap.mmap(opened.fileno(), SECONDS.size)
        self.program = (sys.executable, "-m", __name__, str(file))

    def set(self, seconds: int) -> None:
        """Off by so much from the true time, at once."""
        self._bytes[:] = SECONDS.pack(seconds)


def shift(file: Path) -> None:
    with file.open("rb") as opened:
        off = mmap.mmap(opened.fileno(), SECONDS.size, access=mmap.ACCESS_READ)
    true_time = time.time_ns
    time.time_ns = lambda: true_time() + SECONDS.unpack(off)[0] * 1_000_000_000


if __name__ == "__main__":
    from golub import cli

    shift(Path(sys.argv.pop(1)))
    cli.main()
