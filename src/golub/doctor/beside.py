"""The doctor beside the server, and without it: for the command. It takes no lock, makes no key and changes nothing but
by the one probe that it sends through the public address.

A server is told its address, who gets its alerts and where its backups go by its own environment, which a person at a
console seldom has. So it notes that in the database, and the doctor goes by it in what his own environment leaves open.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from golub.clock import now
from golub.doctor.bundle import make_bundle
from golub.doctor.examination import Doctor
from golub.doctor.finding import Finding, Verdict, Words
from golub.doctor.stored import is_there
from golub.doctor.telling import tell
from golub.errors import GolubError, NotFound, Unavailable
from golub.model import Mark
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault

NOTHING_WRONG, WRONG, NO_LOOK = 0, 1, 2  # how the command ends
SERVED_AT = "served_at"  # a mark: these settings of the server that started last
_NOTED = ("public_url", "allow_loopback_webhook", "host", "port", "backup_dir", "backup_every")
_ALERT_KINDS = "alert_kinds"  # beside them: addresses and tokens are nobody else's
_COLOURS = {Verdict.WRONG: "red", Verdict.WARNING: "yellow", Verdict.OK: "green"}


async def note_where(store: Store, settings: Settings) -> None:
    """Called by a server that starts."""
    told: dict[str, Any] = {name: getattr(settings, name) for name in _NOTED}
    told |= {"backup_dir": settings.backup_dir and str(settings.backup_dir.absolute())}
    noted = {"value": json.dumps({**told, _ALERT_KINDS: settings.alert_kinds})}
    mark = store.insert(Mark).values(name=SERVED_AT, **noted)
    async with store.write() as session:  # of several that start at once the last one stays
        await session.execute(mark.on_conflict_do_update(index_elements=["name"], set_=noted))


async def say_beside(settings: Settings, words: Words, as_json: bool, bundle: Path | None) -> int:
    """Prints what it finds, and writes the archive. Returns the command's exit code; warnings are not wrong."""
    try:
        found, packed = await examine_beside(settings, words, bundle=bundle is not None)
        if bundle is not None:
            await asyncio.to_thread(bundle.write_bytes, packed)
    except (GolubError, OSError) as error:
        typer.echo(str(error), err=True)
        return NO_LOOK
    if as_json:
        typer.echo(json.dumps([one.as_json(words) for one in found], ensure_ascii=False, indent=1))
    else:  # colours are dropped where nobody sees them
        typer.echo(tell(found, words, lambda text, verdict: typer.style(text, fg=_COLOURS.get(verdict))), nl=False)
    return WRONG if any(one.verdict is Verdict.WRONG for one in found) else NOTHING_WRONG


async def examine_beside(settings: Settings, words: Words, *, bundle: bool = False) -> tuple[list[Finding], bytes]:
    """What it finds, and the archive where one is wanted. Raises `NotFound` where there is no folder of data."""
    if not settings.data_dir.is_dir():
        raise NotFound("There is no folder {folder}.", folder=settings.data_dir.absolute())
    store = Store(settings.effective_database_url)
    try:
        settings, alert_kinds = await as_served(settings, store)
        found = await Doctor(settings, store, now, _key(settings), alert_kinds=alert_kinds).examine()
        packed = await make_bundle(settings, store, found, words, now=now()) if bundle else b""
    finally:
        await store.close()
    return found, packed


async def as_served(settings: Settings, store: Store) -> tuple[Settings, Sequence[str]]:
    """With what the server noted, where nothing else is given here, and the channels that its environment gives."""
    noted = await _noted(store)
    alert_kinds = noted.pop(_ALERT_KINDS, ())
    given = {name: value for name, value in noted.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=given), alert_kinds


async def _noted(store: Store) -> dict[str, Any]:
    """What the server noted, where that can be read."""
    if not is_there(store):
        return {}
    try:
        async with store.read() as session:
            mark = await session.get(Mark, SERVED_AT)
    except (Unavailable, SQLAlchemyError, OSError):  # the doctor says so himself
        return {}
    noted: dict[str, Any] = json.loads(mark.value) if mark else {}
    if folder := noted.get("backup_dir"):
        noted["backup_dir"] = Path(folder)
    return noted


def _key(settings: Settings) -> Vault | None:
    """None where there is none: `Vault.from_file` would make one."""
    try:
        if settings.secret_key:
            return Vault.from_phrase(settings.secret_key.get_secret_value())
        path = settings.secret_key_file or settings.data_dir / "secret.key"
        return Vault.from_file(path) if path.exists() else None
    except (ValueError, OSError):
        return None
