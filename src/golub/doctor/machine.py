"""What this machine says of itself: the disk, memory, load, open files, modes, and who owns the data folder.

Linux' /proc is read where there is one; what it does not say is None, and the doctor says so.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from golub.health import Disk, disk_of

# Where SQLite's locks and syncing cannot be relied on.
NETWORK_DISKS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.glusterfs", "glusterfs", "ceph", "fuse.rclone",
     "fuse.s3fs", "afs", "davfs", "fuse.davfs2"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    limit: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Memory:
    free: int
    total: int


class Machine:
    """Tests give a `proc` of their own in the place of Linux', and a `disk` in the place of the real one."""

    def __init__(self, *, proc: Path = Path("/proc"), disk: Callable[[Path], Disk] = disk_of) -> None:
        self._proc = proc
        self.disk = disk

    def owner_of(self, folder: Path) -> int | None:
        """The process that has the folder's lock, as the kernel tells it; None where nobody has it. Taking the lock to
        find out could stop a server that starts at this very moment."""
        try:
            inode = (folder / "spool.lock").stat().st_ino
        except OSError:
            return None
        for line in self._lines("locks"):
            parts = line.split()
            if "FLOCK" in parts and any(part.endswith(f":{inode}") for part in parts):
                with suppress(ValueError, IndexError):
                    return int(parts[parts.index("FLOCK") + 3])
        return None

    def files(self, pid: int) -> Files | None:
        for line in self._lines(f"{pid}/limits"):
            if line.startswith("Max open files"):
                limit = line.split()[3]
                used = None
                with suppress(OSError):
                    used = sum(1 for _ in (self._proc / str(pid) / "fd").iterdir())
                return Files(int(limit) if limit.isdigit() else 1 << 20, used)
        return None

    def memory(self) -> Memory | None:
        told = dict(line.split(":", 1) for line in self._lines("meminfo") if ":" in line)
        try:
            free, total = (int(told[name].split()[0]) << 10 for name in ("MemAvailable", "MemTotal"))
        except (KeyError, ValueError, IndexError):
            return None
        return Memory(free, total)

    def load(self) -> float | None:
        """The average of five minutes."""
        for line in self._lines("loadavg"):
            with suppress(ValueError, IndexError):
                return float(line.split()[1])
        return None

    def processors(self) -> int:
        return os.cpu_count() or 1

    def disk_kind(self, folder: Path) -> str:
        """The file system's name; empty where it is not told."""
        here, best, kind = str(folder.resolve()), "", ""
        for line in self._lines("mounts"):
            parts = line.split()
            if len(parts) < 3:
                continue
            at = parts[1].replace("\\040", " ")
            inside = at in ("/", here) or here.startswith(at + "/")
            if inside and len(at) >= len(best):
                best, kind = at, parts[2]
        return kind

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._proc / name).read_text(errors="replace").splitlines()
        except OSError:
            return []
