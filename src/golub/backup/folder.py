"""The folder of backups: what is in it, what goes, and why the last one failed.

Everything is read from the folder alone, by name, so the doctor, alerts and pages can ask without a database, and what
somebody carried in or out by hand counts as well.
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from golub.clock import Millis
from golub.errors import GolubError
from golub.settings import Settings

NEWEST_KEPT = 3
UPGRADES_KEPT = 3  # backups made before an upgrade

_NAME = re.compile(r"golub-(\d{8}T\d{6}Z)-(\w+(?:-\w+)*)\.zip")
_FAILED = "failed.json"


class Reason(StrEnum):
    """Why a backup was made; part of its name."""

    SCHEDULED = "scheduled"
    BY_HAND = "by-hand"
    BEFORE_UPGRADE = "before-upgrade"


@dataclass(frozen=True, slots=True)
class Backed:
    """A finished backup."""

    path: Path
    taken_at: Millis  # when it began: what was acked before is inside
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """`text` with `fields` is a text of the catalogue."""

    at: Millis
    text: str
    fields: dict[str, Any]

    def __str__(self) -> str:
        return self.text.format(**self.fields)


def name_of(taken_at: Millis, reason: str) -> str:
    return f"golub-{datetime.fromtimestamp(taken_at / 1000, UTC):%Y%m%dT%H%M%SZ}-{reason}.zip"


def list_all(folder: Path) -> list[Backed]:
    """Newest first. An empty list where there is no folder (yet); what goes while we look is not in it."""
    found: list[Backed] = []
    with suppress(OSError):
        for path in folder.iterdir():
            if match := _NAME.fullmatch(path.name):
                taken = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                with suppress(FileNotFoundError):
                    found.append(Backed(path, int(taken.timestamp() * 1000), path.stat().st_size, match[2]))
    return sorted(found, key=lambda backed: (backed.taken_at, backed.path.name), reverse=True)


def last(settings: Settings, *, until: Millis | None = None) -> Backed | None:
    """The newest finished backup of this node, made in any way. `until`: of those that are no younger, for a clock
    that was wrong when one was made would put off all that follow."""
    found = list_all(settings.effective_backup_dir)
    return next((backed for backed in found if until is None or backed.taken_at <= until), None)


def last_failure(settings: Settings) -> Failed | None:
    """Why the newest try failed; None after one that did not."""
    try:
        found = json.loads((settings.effective_backup_dir / _FAILED).read_text())
        return Failed(int(found["at"]), str(found["text"]), dict(found["fields"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember_failure(folder: Path, at: Millis, error: GolubError) -> None:
    fields = {name: str(value) for name, value in error.fields.items()}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / _FAILED).write_text(json.dumps({"at": at, "text": error.message, "fields": fields}))


def forget_failure(folder: Path) -> None:
    (folder / _FAILED).unlink(missing_ok=True)


def rotate(folder: Path, *, days: int, weeks: int) -> list[Path]:
    """Deletes what is past its time, and says what. Kept are the newest few, the newest of each of the last `days` and
    `weeks` that have any, and the newest ones made before an upgrade."""
    found = list_all(folder)
    ordinary = [backed for backed in found if backed.reason != Reason.BEFORE_UPGRADE]
    upgrades = [backed for backed in found if backed.reason == Reason.BEFORE_UPGRADE]
    kept = {backed.path for backed in (*ordinary[:NEWEST_KEPT], *upgrades[:UPGRADES_KEPT])}
    kept |= _newest_of_each(ordinary, "%Y-%m-%d", days) | _newest_of_each(ordinary, "%G-%V", weeks)
    gone = [backed.path for backed in found if backed.path not in kept]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _newest_of_each(newest_first: Iterable[Backed], span: str, number: int) -> set[Path]:
    newest: dict[str, Path] = {}
    for backed in newest_first:
        newest.setdefault(datetime.fromtimestamp(backed.taken_at / 1000, UTC).strftime(span), backed.path)
    return set(list(newest.values())[:number])
