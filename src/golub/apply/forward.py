"""Queues deliveries for the relays of their account, in the transaction that journals them: what was acked is never
lost to a relay either.

Not queued: probes; what a Golub forwarded to us already (or two of them would play ball for ever); and deliveries on
the bare path of an account whose webhook has a secret, since those are not Avito's and nobody's word but a stranger's.
"""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Connection, LargeBinary, Table, Text, bindparam, literal, select

from golub.apply.verdicts import Shops, Verdict
from golub.clock import Millis
from golub.model import DeliveryState, Relay, RelayedDelivery, RelayedState, RelayState
from golub.settings import RELAYED_HEADER
from golub.spool import Received
from golub.store import Store

_OURS = f'"{RELAYED_HEADER}"'.encode()
_relays = cast(Table, Relay.__table__)
_COLUMNS = ("relay_id", "delivery_id", "chat_key", "state", "attempts", "due_at", "last_error")


def enqueue(
    connection: Connection, store: Store, judged: Sequence[tuple[Received, Verdict]], shops: Shops, now: Millis
) -> int:
    """In the order given, which is the order of arrival. Returns how many deliveries had a relay; mostly none, and then
    no statement is run."""
    wanted = [
        {"account": verdict.account_id, "delivery": one.id, "key": _chat_key(one, verdict)}
        for one, verdict in judged
        if _is_wanted(one, verdict, shops)
    ]
    if wanted:
        # The row's lock keeps a relay that is being removed now from breaking the whole batch (PostgreSQL).
        relays = (
            select(
                _relays.c.id,
                bindparam("delivery", type_=LargeBinary),
                bindparam("key", type_=Text),
                literal(RelayedState.QUEUED.value),
                literal(0),
                literal(now),
                literal(""),
            )
            .where(_relays.c.account_id == bindparam("account"), _relays.c.state != RelayState.GONE.value)
            .with_for_update(read=True, key_share=True)
        )
        connection.execute(
            store.insert(RelayedDelivery).from_select(_COLUMNS, relays).on_conflict_do_nothing(),
            wanted,
        )
    return len(wanted)


def _is_wanted(received: Received, verdict: Verdict, shops: Shops) -> bool:
    shop = shops.by_account.get(verdict.account_id or 0)
    if shop is None or not shop.relayed or verdict.state in (DeliveryState.PROBE, DeliveryState.ERASED):
        return False
    return (received.token_id is not None or shop.bare) and _OURS not in received.headers


def _chat_key(received: Received, verdict: Verdict) -> str:
    return (verdict.event.chat_avito_id if verdict.event else "") or received.id.hex()
