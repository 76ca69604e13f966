"""Ends snoozes whose time has come: the chat is open again, stands at the list's head, and rings.

What is due lies in the chats themselves. Several processes may find the same one due; `fold` ends a snooze once.
"""

from collections import defaultdict

from sqlalchemy import select

from golub.apply import Applier
from golub.clock import Clock, Millis
from golub.fold import Observation, Woken
from golub.model import Chat
from golub.runner import Loop
from golub.store import Store

AT_ONCE = 200


class Waking:
    def __init__(self, store: Store, applier: Applier, clock: Clock) -> None:
        self._store = store
        self._applier = applier
        self._clock = clock
        self._loop = Loop("waking", clock)

    async def run(self) -> None:
        await self._loop.run(self.run_once)

    async def run_once(self) -> Millis | None:
        soonest = (
            select(Chat.account_id, Chat.id, Chat.snoozed_until)
            .where(Chat.snoozed_until.is_not(None))
            .order_by(Chat.snoozed_until, Chat.id)
            .limit(AT_ONCE)
        )
        async with self._store.read() as session:
            found = (await session.execute(soonest)).all()
        now = self._clock()
        woken: defaultdict[int, list[Observation]] = defaultdict(list)
        for account_id, chat_id, until in found:
            if until is not None and until <= now:
                woken[account_id].append(Woken(chat_id, until))
        for account_id, observations in woken.items():
            await self._applier.submit(account_id, observations)
        return min((until for _, _, until in found if until and until > now), default=None)
