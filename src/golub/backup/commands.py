"""What the commands do: a backup that a person asks for, and the drill that shows that an archive can be restored."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from golub import audit
from golub.backup import archive, folder
from golub.backup.archive import Manifest
from golub.backup.folder import Backed
from golub.backup.making import Order, Step, Tell, make
from golub.backup.restoring import restore
from golub.clock import Clock
from golub.errors import GolubError, Rejected
from golub.model import Action
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault


async def back_up(settings: Settings, vault: Vault, order: Order, *, clock: Clock, tell: Tell) -> Backed:
    """`make`, with an entry in the audit: without one nothing is made. What is past its time goes afterwards."""
    store = Store(settings.effective_database_url, patient=True)
    try:
        if not await asyncio.to_thread(_is_older, store):
            async with store.write() as session:
                what = str(order.to or settings.effective_backup_dir)
                told = {"with_key": bool(order.passphrase), "with_media": order.media}
                await audit.CONSOLE.did(session, Action.BACKED_UP, what, after=told, now=clock())
    finally:
        await store.close()
    made = await asyncio.to_thread(make, settings, vault, order, clock=clock, tell=tell)
    if order.to is None:
        kept = {"days": settings.backup_keep_days, "weeks": settings.backup_keep_weeks}
        await asyncio.to_thread(folder.rotate, settings.effective_backup_dir, **kept)
    return made


async def drill(path: Path, *, clock: Clock, tell: Tell) -> Manifest:
    """Restores the archive into a temporary folder, without its secrets, and compares what came out with what went in.

    One of PostgreSQL is read through and its rows are counted: a server to fill is not ours to choose. Raises
    `Rejected` for an archive that would not come back as it was.
    """
    manifest = archive.read_manifest(path)
    if manifest.database == "postgresql":
        found = await asyncio.to_thread(_count_rows, path, manifest, tell)
    else:
        with tempfile.TemporaryDirectory(prefix="golub-drill-") as place:
            settings = Settings.model_validate({"data_dir": Path(place), "database_url": "", "secret_key": None})
            restored = await restore(path, settings, lost_key=True, clock=clock, tell=tell)
            found = manifest.counts | {"messages": restored.messages}
    wrong = sorted(table for table, rows in manifest.counts.items() if found.get(table) != rows)
    if wrong:
        raise Rejected("{path} is damaged: {reason}", path=path, reason=", ".join(wrong))
    return manifest


def keys_of(place: Path) -> set[str]:
    """The checks of the keys that the backups in a folder were made with; what cannot be read needs none."""
    found: set[str] = set()
    for backed in folder.list_all(place):
        with suppress(GolubError, OSError):
            found.add(archive.read_manifest(backed.path).key_check)
    return found


def _is_older(store: Store) -> bool:
    """Then there may be no audit yet; the upgrade will make it."""
    return not store.revision() or store.upgrade_is_due()


def _count_rows(path: Path, manifest: Manifest, tell: Tell) -> dict[str, int]:
    found: dict[str, int] = {}
    size, through = max(1, sum(member.bytes for member in manifest.members)), 0
    with archive.opened(path) as source:
        for member in manifest.members:
            lines = 0
            for chunk in archive.read(source, member):
                lines += chunk.count(b"\n")
                through += len(chunk)
                tell(Step.VERIFYING, through / size)
            if member.name.startswith("tables/"):
                found[member.name.removeprefix("tables/").removesuffix(".copy")] = lines
    return found
