"""One buyer's data: show, export, erase."""

from pathlib import Path
from typing import Annotated

import typer

from golub.cli.console import Database, Folder, open_store, progress, run_to_end, say, settings_of

Who = Annotated[str, typer.Argument(help="Number at Avito, a chat's id or its address in the inbox, or the name.")]


def show(who: Who, data_dir: Folder = None, database_url: Database = None) -> None:
    """What is kept of a buyer, and which backups hold them."""
    from golub.buyers.commands import find, hold
    from golub.doctor import as_served

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    store = open_store(settings)

    async def look() -> list[str]:
        served, _ = await as_served(settings, store)
        return await hold(store, served, await find(store, who))

    for line in run_to_end(look(), store):
        say(line, markup=False)


def export(
    who: Who,
    to: Annotated[Path, typer.Argument(help="The archive to write: a .zip that is not there yet.")],
    data_dir: Folder = None,
    database_url: Database = None,
) -> None:
    """Write all that is kept of a buyer into one archive, to be given to them."""
    from golub.buyers.commands import find, give
    from golub.clock import now
    from golub.web.keeping import files_of

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    store, whole = open_store(settings), to.resolve()

    async def write() -> dict[str, int]:
        with progress() as tell:
            return await give(store, settings, await find(store, who), whole, files_of, now, tell)

    counts = run_to_end(write(), store)
    say(f"{to}: {', '.join(f'{number} {kind}' for kind, number in counts.items())}", markup=False)


def erase(
    who: Who,
    confirm: Annotated[
        str, typer.Option(help="The buyer's number, as `show` prints it; without it you are asked.")
    ] = "",
    data_dir: Folder = None,
    database_url: Database = None,
) -> None:
    """Erase all that is kept of a buyer, for good. The server may run."""
    from golub.buyers.commands import erase as erase_all
    from golub.buyers.commands import find, hold
    from golub.clock import now
    from golub.doctor import as_served
    from golub.model import Erasure, ErasureState
    from golub.web.keeping import files_of

    settings = settings_of(data_dir=data_dir, database_url=database_url)
    store = open_store(settings)

    async def run() -> Erasure:
        buyer = await find(store, who)
        served, _ = await as_served(settings, store)
        for line in await hold(store, served, buyer):
            say(line, markup=False)
        typed = confirm or typer.prompt(f"It cannot be taken back. To erase, type {buyer.confirmation}")
        with progress() as tell:
            return await erase_all(store, settings, buyer, typed, files_of, now, tell)

    erasure = run_to_end(run(), store)
    gone = ", ".join(f"{number} {kind}" for kind, number in sorted(erasure.counts.items()))
    if erasure.state == ErasureState.FINISHED:
        say(f"Erasure {erasure.id}: {gone}. Note its number beside the buyer's request.", markup=False)
    else:
        say(f"Erasure {erasure.id} was stopped on its page: {gone} so far.", markup=False)
