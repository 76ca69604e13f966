"""The key that seals secrets: changed, and old ones removed."""

import os
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from golub.cli.console import Database, Folder, complain, open_store, progress, run_to_end, say, settings_of
from golub.settings import Settings

if TYPE_CHECKING:
    from golub.reseal import Resealed
    from golub.store import Store


def rotate(data_dir: Folder = None, database_url: Database = None) -> None:
    """Make a new secret.key and seal everything anew. Stop Golub first; if this is cut off, run it again."""
    from golub.clock import now
    from golub.reseal import rotate as seal_anew

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    path, store = _path(settings), open_store(settings)

    async def work() -> "Resealed":
        async with _alone(settings, store) as needed:
            with progress() as tell:
                return await seal_anew(store, path, needed, clock=now, tell=tell)

    done = run_to_end(work(), store)
    say(f"{done.sealed} secrets are sealed with the new key in {path}. Copy that file to every node, and keep a copy.")
    if done.lost:
        say(f"{done.lost} could not be opened, as before: enter them anew.")
    _tell_kept(done.kept)


def tidy(data_dir: Folder = None, database_url: Database = None) -> None:
    """Remove from secret.key the older keys that neither a secret nor a backup needs any more. Stop Golub first."""
    from golub.reseal import tidy as remove_old

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    path, store = _path(settings), open_store(settings)

    async def work() -> tuple[int, int]:
        async with _alone(settings, store) as needed:
            return await remove_old(store, path, needed)

    removed, kept = run_to_end(work(), store)
    say(f"{removed} older keys were removed from {path}.")
    _tell_kept(kept)


@asynccontextmanager
async def _alone(settings: Settings, store: "Store") -> AsyncGenerator[Collection[str]]:
    """The folder is ours meanwhile. Gives the checks of the keys that its backups were made with."""
    from golub.backup.commands import keys_of
    from golub.doctor import as_served
    from golub.spool import own

    owned = own(settings.data_dir)
    try:
        served, _ = await as_served(settings, store)
        yield keys_of(served.effective_backup_dir)
    finally:
        os.close(owned)


def _path(settings: Settings) -> Path:
    from golub.backup.key import key_path

    if path := key_path(settings):
        return path
    complain(
        "The key is given in GOLUB_SECRET_KEY and cannot be changed there: docs/operations.md says how to move it."
    )
    raise SystemExit(1)


def _tell_kept(kept: int) -> None:
    if kept:
        say(
            f"{kept} older keys stay in the file as long as backups need them: run `golub secrets tidy` once those are "
            "gone."
        )
    say("A backup that lies elsewhere needs the key that it was made with: keep the old secret.key beside it.")
