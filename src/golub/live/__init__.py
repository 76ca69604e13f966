"""Live rings a doorbell: "chat 17 is now at version 42". Push is a hint, refetching by version is the truth.

The inbox's event streams subscribe, apply rings after its commit. Nothing that rings may ever wait for a listener.
`open_live` chooses: one process on SQLite, any number on PostgreSQL.
"""

from golub.live.memory import EVERYTHING, Heard, Live, Ring
from golub.live.presence import Beat, Here
from golub.store import Store

__all__ = ["EVERYTHING", "Beat", "Heard", "Here", "Live", "Ring", "open_live"]


def open_live(store: Store) -> Live:
    if store.is_sqlite:
        return Live()
    from golub.live.postgres import LiveOverPostgres  # late: most shops never need its driver

    return LiveOverPostgres(store)
