"""What the pages are given to work with: the parts that `app` built, kept on `app.state.parts`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Path, Request

from golub.clock import Clock
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault

LARGEST_ID = 2**63 - 1  # what both databases can be asked for
RowId = Annotated[int, Path(ge=0, le=LARGEST_ID)]


def parse_id(text: str) -> int | None:
    """A row's id as a form or a query names it; None where it is no such number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


if TYPE_CHECKING:  # the pages only hold them: importing a page must not import every stage
    from golub.accounts import Accounts
    from golub.alerts import Alerts
    from golub.apply import Applier
    from golub.avito.client import Avito
    from golub.backfill import Backfill
    from golub.backup import Backups
    from golub.buyers import Erasures
    from golub.doctor import Doctor
    from golub.health import Health
    from golub.ingest import Ingest
    from golub.live import Live
    from golub.meter import Meter
    from golub.nodes import Nodes
    from golub.operators import Operators
    from golub.outbox import Outbox
    from golub.relay import Relays
    from golub.replays import Replays
    from golub.spool import Spool
    from golub.subscription import Subscriptions
    from golub.web.media import Media


@dataclass
class Parts:
    """Made once in `app.py`; tests build it the same way."""

    settings: Settings
    clock: Clock
    store: Store
    vault: Vault
    spool: "Spool"
    ingest: "Ingest"
    applier: "Applier"
    live: "Live"
    nodes: "Nodes"
    avito: "Avito"
    outbox: "Outbox"
    backfill: "Backfill"
    operators: "Operators"
    accounts: "Accounts"
    subscriptions: "Subscriptions"
    relays: "Relays"
    replays: "Replays"
    alerts: "Alerts"
    media: "Media"
    health: "Health"
    meter: "Meter"
    doctor: "Doctor"
    backups: "Backups"
    erasures: "Erasures"

    @property
    def halted(self) -> str:
        """Why we only receive; an English text of the catalogue."""
        return self.health.halted


def parts_of(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


# Whatever a handler asks for is asynchronous, here and elsewhere: FastAPI sends the rest to another thread and back,
# for each request anew.
async def _given(request: Request) -> Parts:
    return parts_of(request)


Given = Annotated[Parts, Depends(_given)]
