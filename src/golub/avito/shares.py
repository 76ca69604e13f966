"""An account's requests a minute, shared by all processes on one PostgreSQL: each holds a part, and keeps within it.

Nobody asks the database before a request. A process takes a few units of the minute when it runs out of its own, and
gives back what it no longer uses. What is held at any time is at most the whole, and a process's requests of any minute
are at most what it holds; so all requests of any minute are at most the whole, and no clocks are compared. Everybody's
background work together takes at most its share, so something is always left for operators.

What a dead process held counts as used until its last request is a minute old for certain.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from golub.clock import SECOND
from golub.errors import NotFound
from golub.model import Node, PaceShare, Pacing
from golub.nodes import LEASE, Nodes
from golub.store import Store

WINDOW = 60.0  # seconds
BACKGROUND_SHARE = 0.8
CAPS = (1.0, BACKGROUND_SHARE, 0.7)  # by lane, with those after it: history leaves something to sweeps and new chats
UNDER_WAY = 15.0  # seconds that a request of a process that died may take to Avito

_COLUMNS = (PaceShare.operators, PaceShare.prompt, PaceShare.bulk)  # by lane


@dataclass(frozen=True, slots=True)
class Word:
    """Avito's own for an account: nothing leaves for `pause` seconds, and `limit` requests a minute at most."""

    pause: float
    limit: int | None


class Shares:
    """`window` and `lease` are shorter in tests alone; the latter as the node's own."""

    def __init__(
        self, store: Store, nodes: Nodes, per_minute: int, *, window: float = WINDOW, lease: float = LEASE
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._per_minute = per_minute
        self._counted_for = int((lease + window + min(UNDER_WAY, window)) * SECOND)

    @property
    def holder(self) -> str:
        """Under which name this process holds; empty: it holds nothing, and may send nothing."""
        return self._nodes.id if self._nodes.alive else ""

    async def take(self, account_id: int, lane: int, wanted: int) -> tuple[int, Word]:
        """Up to `wanted` more units of a lane for this process; and what Avito has said. Raises `Unavailable`,
        `NotFound`."""
        if not self._nodes.alive:
            await self._nodes.beat()
        try:
            async with self._store.write() as session:
                new = self._store.insert(Pacing).values(account_id=account_id)
                await session.execute(new.on_conflict_do_nothing())
                pacing = await session.get_one(Pacing, account_id, with_for_update=True)
                now = await session.scalar(select(self._store.moment)) or 0
                sums = [func.coalesce(func.sum(column), 0) for column in _COLUMNS]
                counted = (PaceShare.account_id == account_id, Node.seen_at > now - self._counted_for)
                taken = select(*sums).join(Node, Node.id == PaceShare.node_id).where(*counted)
                held = (await session.execute(taken)).one()
                limit = min(self._per_minute, pacing.per_minute or self._per_minute)
                free = min(
                    max(1, int(limit * CAPS[one])) - sum(held[one:])  # a lane and those after it together
                    for one in range(lane + 1)
                )
                granted = max(0, min(wanted, int(free)))
                if granted:
                    column = _COLUMNS[lane]
                    share = self._store.insert(PaceShare).values(
                        {"account_id": account_id, "node_id": self._nodes.id, column.key: granted}
                    )
                    more = {column.key: column + granted}
                    await session.execute(
                        share.on_conflict_do_update(index_elements=["account_id", "node_id"], set_=more)
                    )
        except IntegrityError as error:
            raise NotFound("This account is no longer connected.") from error
        return granted, Word(max(0, pacing.not_before - now) / SECOND, pacing.per_minute)

    async def keep(self, holder: str, held: Mapping[int, Sequence[int]]) -> None:
        """Of these accounts only so much any more, by lane. Raises `Unavailable`."""
        async with self._store.write() as session:
            for account_id, parts in held.items():
                mine = (PaceShare.account_id == account_id, PaceShare.node_id == holder)
                if any(parts):
                    values = {column.key: part for column, part in zip(_COLUMNS, parts, strict=True)}
                    await session.execute(update(PaceShare).where(*mine).values(values))
                else:
                    await session.execute(delete(PaceShare).where(*mine))

    async def tell(self, account_id: int, word: Word) -> None:
        """What Avito said to this process binds all. Raises `Unavailable`."""
        until = self._store.moment + math.ceil(word.pause * SECOND)
        async with self._store.write() as session:
            await session.execute(
                update(Pacing)
                .where(Pacing.account_id == account_id)
                .values(
                    not_before=func.greatest(Pacing.not_before, until) if word.pause else Pacing.not_before,
                    per_minute=word.limit or Pacing.per_minute,
                )
            )

    async def words(self, account_ids: Iterable[int]) -> dict[int, Word]:
        """What Avito has said to anybody about these accounts. Raises `Unavailable`."""
        moment = self._store.moment
        async with self._store.read() as session:
            found = await session.execute(
                select(Pacing.account_id, Pacing.not_before - moment, Pacing.per_minute).where(
                    Pacing.account_id.in_(list(account_ids))
                )
            )
            return {account: Word(max(0, pause) / SECOND, limit) for account, pause, limit in found}
