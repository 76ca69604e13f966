"""A clock that is set back stalls nothing: what was due in an hour stays due in an hour.

Times that lie ahead are kept in rows (`…due_at`, `…_until`). The latest time that was seen from each node's folder is
kept as well, in a mark: where the clock shows less, it was set back, while we ran or between two runs, and whatever
lies ahead is moved back with it. Moved too far, as by two nodes on one host, it would only be done early, once. No node
looks at another's mark: clocks of two hosts may differ for ever, and nothing jumped. A clock that is set forward needs
nothing: all that is due then is done in its turn, within Avito's limit.
"""

from collections.abc import Iterator
from typing import Any

import structlog
from sqlalchemy import Column, case, update

from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.model import Mark, Table
from golub.runner import Loop
from golub.store import Store

TOLERATED: Millis = 2 * MINUTE  # a clock is put right by seconds, often
NOTED_EVERY: Millis = MINUTE

log = structlog.get_logger(__name__)


class Jumps:
    """`folder` is the node's own, the same over all its runs."""

    def __init__(self, store: Store, clock: Clock, folder: str) -> None:
        self.mark = f"latest_time {folder}"
        self._store = store
        self._clock = clock
        self._latest: Millis = 0  # that this process has seen
        self._compared_at: Millis | None = None

    async def run(self) -> None:
        await Loop("jumps", self._clock).run(self.run_once)

    async def run_once(self) -> None:
        now = self._clock()
        if self._compared_at is None or not 0 <= now - self._compared_at < NOTED_EVERY:
            await self._compare(now)
            self._compared_at = self._latest = now
        self._latest = max(now, self._latest)

    async def _compare(self, now: Millis) -> None:
        """With what is noted, and with what this process has seen since."""
        async with self._store.write() as session:
            await session.execute(self._store.insert(Mark).values(name=self.mark, value="0").on_conflict_do_nothing())
            mark = await session.get_one(Mark, self.mark, with_for_update=True)
            noted = int(mark.value)
            if noted <= now + TOLERATED:
                mark.value = str(max(now, noted))
                return
            back = max(noted, self._latest) - now
            for column in _ahead():
                nearer = case((column - back > now, column - back), else_=now)
                await session.execute(update(column.table).where(column > now).values({column.name: nearer}))
            mark.value = str(now)
        log.warning("the clock was set back; what is due moves with it", seconds=back // SECOND)


def _ahead() -> Iterator[Column[Any]]:
    """Every column that holds times to come."""
    for table in Table.metadata.tables.values():
        yield from (column for column in table.columns if column.name.endswith(("due_at", "_until")))
