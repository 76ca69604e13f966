"""A file that is of no use until the disk is full: releasing it gives the last writes room to end well.

The spool releases it first when a write finds the disk full, so that signing in, the doctor and the cleaning up still
work; it is filled again once there is plenty of room.
"""

import os
from pathlib import Path

SIZE = 64 << 20
PLENTY = 4 * SIZE  # free bytes below which a ballast would do more harm than good


class Ballast:
    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def held(self) -> bool:
        return self._path.exists()

    def fill(self) -> bool:
        """Takes the room, where there is plenty. Returns whether the ballast is there now."""
        if self.held:
            return True
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < PLENTY:
            return False
        made = self._path.with_suffix(".new")
        try:
            with made.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)
            made.rename(self._path)
        except OSError:  # the room went meanwhile, or this filesystem cannot reserve any
            made.unlink(missing_ok=True)
            return False
        return True

    def release(self) -> bool:
        """Gives the room back. Returns whether there was any to give."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
