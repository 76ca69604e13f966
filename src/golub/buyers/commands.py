"""The buyer's commands: `golub buyer show | export | erase`, each of them beside a server that may run."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from golub.audit import CONSOLE
from golub.buyers.beside import Beside
from golub.buyers.erasing import BREATH, Erasures
from golub.buyers.exporting import Place, export_buyer
from golub.buyers.finding import Buyer, Kept, find_buyers, get_buyer, holdings_of, list_backups
from golub.clock import SECOND, Clock
from golub.errors import Conflict, NotFound
from golub.export import time
from golub.fold.forgetting import FilesOf
from golub.model import Erasure, ErasureState
from golub.outbox import open_pictures
from golub.settings import Settings
from golub.store import Store

Tell = Callable[[str, float], None]


async def find(store: Store, who: str) -> Buyer:
    """Raises `NotFound`, and `Conflict` where several answer to that."""
    async with store.read() as session:
        found = await find_buyers(session, who)
    if not found:
        raise NotFound("Nobody is found. Give the address of a chat with them, out of the inbox.")
    if len(found) > 1:
        told = "; ".join(f"{one.name or '-'}: {_found_by(one)}" for one in found)
        raise Conflict("Several are called so. Give what stands behind one of them: {found}", found=told)
    async with store.read() as session:
        return await get_buyer(session, found[0].chats[0].id)


async def hold(store: Store, settings: Settings, buyer: Buyer) -> list[str]:
    """What is kept of him, and the backups in which he is, in lines to read."""
    async with store.read() as session:
        held = await holdings_of(session, buyer)
    more = " among the newest" if held.deliveries_are_more else ""
    return [
        f"{buyer.name or 'Without a name'}, number {buyer.confirmation}",
        f"{len(buyer.chats)} chats, {held.messages} messages, {held.outgoing} replies sent from here",
        f"{held.drafts} drafts, {held.notes + held.buyer_notes} notes, {held.blocks} blocks",
        f"{held.deliveries} deliveries in the journal{more}",
        *(_told(kept) for kept in list_backups(settings, held.since)),
    ]


async def give(
    store: Store, settings: Settings, buyer: Buyer, to: Path, files_of: FilesOf, clock: Clock, tell: Tell
) -> dict[str, int]:
    """The archive, with the journal's copies."""
    place = Place(to, settings.data_dir / "media")
    return await export_buyer(store, buyer, place, CONSOLE, deliveries=True, files_of=files_of, clock=clock, tell=tell)


async def erase(
    store: Store, settings: Settings, buyer: Buyer, confirmation: str, files_of: FilesOf, clock: Clock, tell: Tell
) -> Erasure:
    """To its end, or until somebody stops it on its page. If this is cut off, a running server goes on."""
    pictures = open_pictures(store, settings.data_dir / "outgoing", clock)
    erasures = Erasures(store, Beside(store, clock), clock, pictures, files_of, settings.data_dir / "media")
    erasure_id = await erasures.start(buyer.chats[0].id, confirmation, CONSOLE)
    while True:
        await erasures.run_once()
        erasure = await erasures.get(erasure_id)
        tell(erasure.step, min(1.0, erasure.done / max(1, erasure.total)))
        if erasure.state != ErasureState.RUNNING:
            return erasure
        await asyncio.sleep(BREATH / SECOND)


def _found_by(buyer: Buyer) -> str:
    return str(buyer.avito_id) if buyer.avito_id is not None else f"/inbox/{buyer.chats[0].id}"


def _told(kept: Kept) -> str:
    goes = f"gone by {time(kept.until)}" if kept.until else "goes after three further upgrades"
    return f"in the backup {kept.backed.path.name}: {goes}"
