"""The doctor beside the server, and without it: for the command. It takes no lock, makes no key and changes nothing but
by the one probe that it sends through the public address."""

import asyncio
import json
from pathlib import Path

import typer

from golub.clock import now
from golub.doctor.bundle import make_bundle
from golub.doctor.examination import Doctor
from golub.doctor.finding import Finding, Verdict, Words
from golub.doctor.telling import tell
from golub.errors import GolubError, NotFound
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault

NOTHING_WRONG, WRONG, NO_LOOK = 0, 1, 2  # how the command ends
_COLOURS = {Verdict.WRONG: "red", Verdict.WARNING: "yellow", Verdict.OK: "green"}


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
        found = await Doctor(settings, store, now, _key(settings)).examine()
        packed = await make_bundle(settings, store, found, words, now=now()) if bundle else b""
    finally:
        await store.close()
    return found, packed


def _key(settings: Settings) -> Vault | None:
    """None where there is none: `Vault.from_file` would make one."""
    try:
        if settings.secret_key:
            return Vault.from_phrase(settings.secret_key.get_secret_value())
        path = settings.secret_key_file or settings.data_dir / "secret.key"
        return Vault.from_file(path) if path.exists() else None
    except (ValueError, OSError):
        return None
