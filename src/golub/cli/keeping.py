"""What carries things out of Golub and brings them back: backups, the export, a dead node's spool."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from golub.cli.console import (
    Database,
    Folder,
    complain,
    must_be_there,
    open_store,
    progress,
    run_to_end,
    say,
    settings_of,
)

MODEST = 5  # how much less the machine gives to a move than to the server
COMES_WITHIN = 60.0  # seconds from the end of a move until a running server must have come over
LOOK_EVERY = 0.2


def backup(
    to: Annotated[
        Path | None,
        typer.Argument(help="File or folder to write to; default: the folder of backups.", show_default=False),
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Put secret.key inside as well, sealed with a passphrase.")
    ] = False,
    media: Annotated[bool, typer.Option("--media", help="Put kept pictures and voices inside as well.")] = False,
    verify: Annotated[
        Path | None, typer.Option(help="Make none: restore this one into a temporary folder, check it, and end.")
    ] = None,
    data_dir: Folder = None,
) -> None:
    """Make a backup, while the server runs or while it does not: one file with everything but the key."""
    from golub.app import open_vault
    from golub.backup import Order
    from golub.backup.commands import back_up, drill
    from golub.clock import now

    if verify:
        if to:
            raise typer.BadParameter(f"one archive at a time, and none is made meanwhile: leave out {to}")
        with progress() as tell:
            manifest = run_to_end(drill(verify, clock=now, tell=tell))
        say(f"{verify} is whole: {sum(manifest.counts.values())} rows, {manifest.counts.get('messages', 0)} messages")
        return
    settings = settings_of(data_dir=data_dir)
    must_be_there(settings)
    order = Order(to=to, media=media, passphrase=_passphrase(again=True) if with_secrets else "")
    with progress() as tell:
        made = run_to_end(back_up(settings, open_vault(settings), order, clock=now, tell=tell))
    say(f"{made.path}: {made.bytes / 1e6:.1f} MB")
    if not with_secrets:
        say(
            "The key (secret.key) is not inside. Keep it apart from the backups: without it the accounts' keys, the "
            "webhooks' secrets and the operators' passwords cannot be restored."
        )


def restore(
    archive: Annotated[Path, typer.Argument(help="What `golub backup` wrote.")],
    data_dir: Folder = None,
    database_url: Annotated[
        str | None, typer.Option(help="An empty PostgreSQL database, for a backup of PostgreSQL.")
    ] = None,
    lost_key: Annotated[
        bool, typer.Option("--lost-key", help="Go on without the key that sealed the secrets: they are lost.")
    ] = False,
) -> None:
    """Bring a backup back into an empty data folder. If it is cut off, run it again."""
    from golub.backup import read_manifest
    from golub.backup import restore as bring_back
    from golub.clock import now

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    key = settings.secret_key_file or settings.data_dir / "secret.key"
    asks = read_manifest(archive).has_key and not (lost_key or settings.secret_key or key.exists())
    passphrase = _passphrase() if asks else ""
    with progress() as tell:
        restored = run_to_end(
            bring_back(archive, settings, passphrase=passphrase, lost_key=lost_key, clock=now, tell=tell)
        )
    for name in restored.removed:
        say(f"Removed {name}, left behind by an older database.")
    say(f"Restored into {settings.data_dir}: {restored.messages} messages and everything around them.")
    say("Not restored: who was signed in. Everybody signs in again.")
    if not restored.with_key:
        say(
            "The key is lost, and with it: accounts' keys (enter them again on their pages), webhooks' secrets "
            "(register each again), forwarding addresses, and passwords (`golub operator add` makes an operator, who "
            "gives the others links)."
        )
    if restored.unsure:
        say(f"{restored.unsure} replies were on their way: Golub looks for them at Avito and sends none of them twice.")
    say("What came in after the backup is fetched from Avito by the first sweep. Look at the webhooks' page once.")


def export(
    to: Annotated[Path, typer.Argument(help="A folder, or a file that ends in .jsonl or .jsonl.gz.")],
    deliveries: Annotated[bool, typer.Option("--deliveries", help="Every webhook as it came as well.")] = False,
    data_dir: Folder = None,
) -> None:
    """Write everything as JSON Lines, for those who leave; docs/export.md has the shapes. The server may run."""
    from golub.clock import now
    from golub.export import export as write

    store = open_store(settings_of(data_dir=data_dir))
    with progress() as tell:
        exported = run_to_end(write(store, to, deliveries=deliveries, clock=now, tell=tell), store)
    say(f"{to}: {', '.join(f'{number} {kind}' for kind, number in exported.counts.items())}")


def drain_spool(
    folder: Annotated[Path, typer.Argument(help="Data folder of the node that is gone, or a copy of it.")],
    data_dir: Folder = None,
    database_url: Database = None,
) -> None:
    """Empty a dead node's spool into the main database. Run it again if it is cut off: nothing counts twice."""
    from golub.app import open_vault
    from golub.clock import now
    from golub.drain import drain
    from golub.signatures import Trial

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    store = must_be_there(settings)
    trial = Trial(open_vault(settings), settings.signature_headers)
    with progress() as tell:
        drained = run_to_end(drain(folder, store, now, tell, trial), store)
    say(f"{drained.deliveries} deliveries left the spool.")
    if drained.quarantined:
        say(f"{drained.quarantined} of them are in quarantine: look at the journal.")


def migrate_to(
    url: Annotated[str, typer.Argument(help="An empty PostgreSQL database: postgresql+psycopg://user@host/name.")],
    data_dir: Folder = None,
) -> None:
    """Move from SQLite to PostgreSQL, while the server runs or while it does not. If it is cut off, run it again.

    Meanwhile webhooks are received and kept, pages can be read, and what people do there is refused with a sentence.
    """
    from golub.clock import now
    from golub.moving import has_come_over, move
    from golub.spool import owner_of

    os.nice(MODEST)  # the server has webhooks to answer
    settings = settings_of(data_dir=data_dir)
    began = now()
    with progress() as tell:
        arrived = move(settings, url, clock=now, tell=tell)
    say(f"{arrived.rows} rows, {arrived.messages} messages among them, are in PostgreSQL, each as it was.")
    say(f"Digest of all tables, the same on both sides: {arrived.digest}", markup=False)
    if arrived.mended:
        say(f"{arrived.mended} texts held signs that PostgreSQL cannot hold: a replacement sign stands there now.")
    until = time.monotonic() + COMES_WITHIN
    while owner := owner_of(settings.data_dir):
        if has_come_over(settings, url, began):
            say("Golub goes on with PostgreSQL. Search reads its texts anew, the newest first.")
            break
        if time.monotonic() > until:
            complain(f"Golub (process {owner}) has not come over yet: look at its log, and restart it.")
            raise SystemExit(1)
        time.sleep(LOOK_EVERY)
    else:
        say("Start Golub: from now on it uses PostgreSQL.")
    left, note = settings.data_dir.absolute() / "golub.db", settings.data_dir.absolute() / "golub.moved"
    say(f"Put the address that you gave into GOLUB_DATABASE_URL, where Golub is started. Until then {note} names it.")
    say(
        f"{left} stays as it was. To go back to it: stop Golub, take {note} and GOLUB_DATABASE_URL away, start Golub. "
        "What came in since the move is then only in PostgreSQL, but for what the spool still has and the sweep finds."
    )


def _passphrase(*, again: bool = False) -> str:
    given = os.environ.get("GOLUB_BACKUP_PASSPHRASE")
    return given or typer.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=again)
