"""Works out who waited in chats that are older than the waits: once, chat by chat, through apply.

It may be cut off anywhere and goes on from its mark. Several processes may do it at once: each chat comes out the same.
"""

from collections import defaultdict

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.apply import Applier
from golub.clock import Clock, Millis
from golub.fold import CountWaits, Observation
from golub.model import Chat, Mark
from golub.runner import Loop
from golub.store import Store

MARK = "waits_counted"  # the id of the last chat that is done, or …
ALL = "all"
CHATS = 20  # at once: normal batches wait meanwhile
PAUSE: Millis = 20
LOOK_EVERY = 60.0  # seconds, once all is done


class Filling:
    def __init__(self, store: Store, applier: Applier, clock: Clock) -> None:
        self._store = store
        self._applier = applier
        self._clock = clock
        self._done = False

    async def run(self) -> None:
        await Loop("waits", self._clock, longest_wait=LOOK_EVERY).run(self.run_once)

    async def run_once(self) -> Millis | None:
        """The next few chats. Returns when to go on; None: all are done."""
        if self._done:
            return None
        async with self._store.read() as session:
            mark = await session.get(Mark, MARK)
            place = mark.value if mark else "0"
            self._done = place == ALL
            if self._done:
                return None
            following = select(Chat.id, Chat.account_id).where(Chat.id > int(place)).order_by(Chat.id).limit(CHATS)
            chats = (await session.execute(following)).all()
        by_account: defaultdict[int, list[Observation]] = defaultdict(list)
        for chat_id, account_id in chats:
            by_account[account_id].append(CountWaits(chat_id))
        for account_id, observations in by_account.items():
            await self._applier.submit(account_id, observations)
        await self._note(str(chats[-1].id) if chats else ALL)
        return self._clock() + PAUSE

    async def _note(self, place: str) -> None:
        async with self._store.write() as session:
            fresh = self._store.insert(Mark).values(name=MARK, value=place)
            await session.execute(
                fresh.on_conflict_do_update(index_elements=["name"], set_={"value": fresh.excluded.value})
            )


async def find_progress(session: AsyncSession) -> float | None:
    """How much of the chats is done, 0 to 1. None: all."""
    mark = await session.get(Mark, MARK)
    if mark and mark.value == ALL:
        return None
    newest = await session.scalar(select(func.max(Chat.id)))
    if not newest:
        return None
    return min(int(mark.value) / newest, 1.0) if mark else 0.0
