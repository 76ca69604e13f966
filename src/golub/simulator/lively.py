"""A world that keeps writing: new chats, follow-ups, photos, calls, and answers to whatever a shop replies."""

import asyncio
from random import Random
from typing import TYPE_CHECKING

from golub.simulator.catalogue import BUYERS, SHOPS
from golub.simulator.dialogues import ANSWERS, CAPTIONS, EDITS, FOLLOW_UPS
from golub.simulator.seed import opening
from golub.simulator.world import Account, Chat, Message

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator

PATIENCE = 40  # chats of a shop among which a follow-up comes: the newest ones
LONGEST_TALK = 30  # answers of one buyer; then the talk has ended


class Lively:
    """Keeps buyers busy until cancelled. `pace` is the mean time between two messages in seconds, None a pause.

    While it runs it is the simulator's `lively`, so that the control API and the page can change its pace.
    """

    def __init__(self, sim: "Simulator", pace: float | None = 5.0) -> None:
        self.set_pace(pace)
        self._sim = sim
        self._rng = Random(f"{sim.seed}:lively")
        self._trades = {plan.user_id: plan for plan in SHOPS}
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self._sim.on_reply.append(self._heard)
        self._sim.lively = self
        try:
            while True:
                await asyncio.sleep(self._rng.uniform(0.4, 1.6) * (self.pace or 1.0))
                if self.pace is not None:
                    self.once()
        finally:
            self._sim.lively = None
            self._sim.on_reply.remove(self._heard)
            for answer in self._answers:
                answer.cancel()

    def set_pace(self, pace: float | None) -> None:
        """From the next message on. In a pause buyers still answer a shop that writes to them."""
        if pace is not None and pace <= 0:
            raise ValueError("pace must be positive")
        self.pace = pace

    def once(self) -> Message | None:
        """One thing that a buyer does. None when there is no shop to write to."""
        shops = list(self._sim.world.accounts.values())
        if not shops:
            return None
        shop = self._rng.choice(shops)
        chats = [c for c in shop.newest_first()[:PATIENCE] if c.chat_type != "a2u" and c.buyer_id not in shop.blacklist]
        dice = self._rng.random()
        if dice < 0.35 or not chats:
            return self._new_chat(shop)
        chat = self._rng.choice(chats)
        if dice < 0.40 and (changed := self._second_thought(chat)):
            return changed
        return self._goes_on(chat)

    def _new_chat(self, shop: Account) -> Message:
        plan = self._trades.get(shop.user_id)
        known = [chat.item for chat in shop.newest_first()[:PATIENCE] if chat.item]
        items = plan.items() if plan else known
        item = self._rng.choice(items) if items else None
        chat = self._sim.add_chat(shop, self._rng.choice(BUYERS), item)
        return self._sim.buyer_says(chat, opening(self._rng, plan.trade if plan else "", chat.item))

    def _goes_on(self, chat: Chat) -> Message:
        dice, says = self._rng.random(), self._sim.buyer_says
        if dice < 0.62:
            return says(chat, self._rng.choice(FOLLOW_UPS))
        if dice < 0.78:
            return says(chat, self._rng.choice(CAPTIONS), type="image")
        if dice < 0.87:
            return says(chat, type="voice")
        if dice < 0.92:
            return says(chat, type="location")
        if dice < 0.97:
            return says(chat, type="appCall")
        return says(chat, type=self._rng.choice(("video", "file", "link")))

    def _second_thought(self, chat: Chat) -> Message | None:
        """The buyer's last text is edited or taken back, if it is the newest message and still young."""
        last = chat.history[-1] if chat.history else None
        if not last or last.outgoing or last.type != "text" or last.deleted or self._sim.now() - last.created > 600:
            return None
        if self._rng.random() < 0.4:
            return self._sim.delete(last)
        before, after = self._rng.choice(EDITS)
        return self._sim.edit(last, last.text.replace(before, after) if before in last.text else last.text + " 🙂")

    def _heard(self, reply: Message) -> None:
        chat = reply.chat
        told = sum(1 for message in chat.history[-LONGEST_TALK:] if not message.outgoing)
        if chat.chat_type == "a2u" or told >= LONGEST_TALK - 1 or chat.buyer_id in chat.account.blacklist:
            return
        task = asyncio.get_running_loop().create_task(self._answer(chat))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, chat: Chat) -> None:
        await asyncio.sleep(self._rng.uniform(2.0, 6.0))
        self._sim.buyer_says(chat, self._rng.choice(ANSWERS))
