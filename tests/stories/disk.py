"""A file system of a story's own, whose power can be cut or whose room can run out. Linux, and root, are needed.

A cut takes what had reached the disk at that moment and forgets what the kernel still held in memory: the ext4 is told
to commit by itself every five minutes only, so nothing is safe that was not synced. What it cannot show is a disk that
lies about its own cache, or a sector torn in two.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests import machine

MEGABYTE = 1 << 20


class Disk:
    """An ext4 in a file, mounted at `folder`."""

    def __init__(self, place: Path, size: int) -> None:
        self.folder = place / "mounted"
        self._image, self._cut = place / "disk", place / "cut"
        self.folder.mkdir()
        with self._image.open("wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", self._image)

    def mount(self) -> None:
        _run("mount", "-o", "loop,commit=300,noatime", self._image, self.folder)

    def unmount(self) -> None:
        _run("umount", self.folder)

    def cut(self) -> None:
        """Takes what is on the disk now; whoever writes to it must stand still meanwhile."""
        _run("cp", "--sparse=always", self._image, self._cut)

    def wake(self) -> None:
        """Mounts what `cut` took, in the place of what there was. Nobody may have a file open on it."""
        self.unmount()
        self._cut.replace(self._image)
        self.mount()


@contextmanager
def disk(size: int = 512 * MEGABYTE) -> Generator[Disk]:
    """Skips aloud where none can be had. It holds no ballast: the spool wants more room than this for that."""
    machine.must_have(machine.Need.LOOP_DISK)
    place = Path(tempfile.mkdtemp(prefix="golub-disk-"))
    place.chmod(0o755)  # PostgreSQL will not run as root
    try:
        made = Disk(place, size)
        made.mount()
        try:
            yield made
        finally:
            _run("umount", "--lazy", made.folder)  # a story that failed may have left a process there
    finally:
        shutil.rmtree(place)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
