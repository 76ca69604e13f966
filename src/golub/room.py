"""The room on a disk that deliveries need more than anything else: backups, exports, kept pictures and photos that wait
to be sent stop before they take it, so that what Avito posts can be written down to the last."""

import shutil
from pathlib import Path

ROOM_LEFT = 2 << 30  # bytes free, or a tenth of a smaller disk


def has_room(folder: Path, needed: int = 0) -> bool:
    """Whether there is room in the folder's disk for `needed` bytes more. Raises `OSError`."""
    disk = shutil.disk_usage(folder)
    return disk.free - needed >= min(disk.total // 10, ROOM_LEFT)
