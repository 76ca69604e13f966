"""What a command erases with: apply's own statements, beside a server that runs or does not.

It rings no bell: an open page of a running server sees what is gone at its next look.
"""

import asyncio
from collections.abc import Sequence

from golub.clock import Clock
from golub.fold import Observation, fold
from golub.fold.forgetting import FilesOf, Part, forget
from golub.live import Ring
from golub.store import Store


class Beside:
    """As `erasing.Forgets` says."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def forget(self, chat_id: int, *, since: int, files_of: FilesOf, limit: int) -> Part:
        def change() -> Part:
            with self._store.writing() as connection:
                return forget(
                    connection, self._store, chat_id, self._clock(), since=since, files_of=files_of, limit=limit
                )

        return await asyncio.to_thread(change)

    async def submit(self, account_id: int, observations: Sequence[Observation]) -> list[Ring]:
        def change() -> list[Ring]:
            with self._store.writing() as connection:
                return fold(connection, self._store, account_id, observations, self._clock())

        return await asyncio.to_thread(change)
