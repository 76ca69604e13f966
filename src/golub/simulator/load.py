"""A bounded stream of events: so many a second, so many in all, then over. What throughput proofs run on."""

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from golub.simulator.dialogues import ANSWERS, FOLLOW_UPS, OPENINGS, spoken
from golub.simulator.world import Account, Chat, Item

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator

MOST_EVENTS = 1_000_000
MOST_RATE = 2_000.0
MOST_BACKLOG = 5_000  # deliveries under way; the stream waits rather than fill the memory


@dataclass(slots=True)
class Load:
    """One stream and how far it is. `late` is how many events it waited for the backlog."""

    sim: "Simulator"
    rate: float
    count: int
    chats: int
    accounts: list[Account]
    quiet: bool = False
    made: int = 0
    waited: float = 0.0
    started: float = 0.0
    ended: float | None = None
    failed: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.rate <= MOST_RATE or not 0 < self.count <= MOST_EVENTS or self.chats < 1:
            raise ValueError(f"rate up to {MOST_RATE:.0f}, count up to {MOST_EVENTS}, at least one chat")
        if not self.accounts:
            raise ValueError("there is no account to send to")

    def start(self) -> None:
        self.task = asyncio.create_task(self.run(), name="load")

    def stop(self) -> None:
        if self.task:
            self.task.cancel()

    async def run(self) -> None:
        """Makes the events, on time as far as the backlog allows, and returns when all have their final answer."""
        rng = Random(f"{self.sim.seed}:load")
        chats = [self._chat(number) for number in range(self.chats)]
        self.started = time.monotonic()
        try:
            while self.made < self.count:
                due = int((time.monotonic() - self.started - self.waited) * self.rate) + 1
                for _ in range(min(due, self.count) - self.made):
                    line = rng.choice(FOLLOW_UPS + ANSWERS + OPENINGS)
                    chat = chats[self.made % len(chats)]
                    title = spoken(chat.item.title) if chat.item else ""
                    self.sim.buyer_says(chat, f"{line.format(title=title)} № {self.made + 1}", quiet=self.quiet)
                    self.made += 1
                await asyncio.sleep(min(0.02, 1 / self.rate))
                while self.sim.deliveries.backlog > MOST_BACKLOG:
                    await asyncio.sleep(0.05)
                    self.waited += 0.05
            await self.sim.idle()
        except Exception as problem:
            self.failed = repr(problem)
            raise
        finally:
            self.ended = time.monotonic()

    def as_json(self) -> dict[str, Any]:
        seconds = (self.ended or time.monotonic()) - self.started if self.started else 0.0
        return {
            "rate": self.rate,
            "count": self.count,
            "chats": self.chats,
            "made": self.made,
            "backlog": self.sim.deliveries.backlog,
            "waited": round(self.waited, 2),
            "seconds": round(seconds, 3),
            "per_second": round(self.made / seconds, 1) if seconds else 0.0,
            "running": self.ended is None,
            "failed": self.failed,
        }

    def _chat(self, number: int) -> Chat:
        account = self.accounts[number % len(self.accounts)]
        return self.sim.add_chat(account, f"Покупатель {number + 1}", Item(f"Товар {number + 1}, новый", 500 + number))
