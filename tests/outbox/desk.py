"""An operator's desk: one shop, its chats at Avito and here, and the outbox between them."""

import asyncio
import base64
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select

from golub import simulator
from golub.apply import Applier
from golub.avito.client import Avito
from golub.fold import FetchDue
from golub.live import Live
from golub.model import Chat, Message, Operator, OutgoingMessage
from golub.outbox import LEASE, Outbox, queue, queue_pictures
from golub.simulator import Simulator
from golub.store import Store
from tests import shop
from tests.conftest import SteppedClock

PHOTO = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC")
LONG = "\n\n".join(f"Абзац {number}. " + "слово " * 130 for number in range(3))


@dataclass
class Desk:
    sim: Simulator
    seller: simulator.Account
    store: Store
    avito: Avito
    applier: Applier
    live: Live
    clock: SteppedClock
    account_id: int
    outbox: Outbox
    network: shop.Network
    keys: int = 0

    async def chat(self, chat_type: str = "u2i") -> tuple[simulator.Chat, Chat]:
        theirs = self.sim.add_chat(self.seller, chat_type=chat_type)
        await self.applier.submit(self.account_id, [FetchDue(theirs.id, self.clock())])
        async with self.store.write() as session:
            ours = (await session.execute(select(Chat).where(Chat.avito_id == theirs.id))).scalar_one()
            ours.chat_type = chat_type
        return theirs, ours

    async def write(self, chat: Chat, text: str, key: str = "") -> int:
        self.keys += 1
        writer = (await self.operator()).id
        async with self.store.write() as session:
            queued = await queue(
                session, chat=chat, operator_id=writer, text=text, client_key=key or str(self.keys), now=self.clock()
            )
        return queued[0].id

    async def attach(self, chat: Chat, picture: str = "") -> int:
        """`picture` is kept already; without it one is laid there as if it had been drawn, which no child has to do."""
        self.keys += 1
        if not picture:
            picture = f"{self.keys:032x}.png"
            await self.outbox.pictures._keep(picture, PHOTO, PHOTO)
        writer, key = (await self.operator()).id, f"p{self.keys}"
        async with self.store.write() as session:
            (queued,) = await queue_pictures(
                session, chat=chat, operator_id=writer, pictures=[picture], client_key=key, now=self.clock()
            )
        return queued.id

    async def reply(self, outgoing_id: int) -> OutgoingMessage:
        async with self.store.read() as session:
            return await session.get_one(OutgoingMessage, outgoing_id)

    async def retry(self, outgoing_id: int) -> None:
        """A person wants it sent again, and what is due then is done."""
        await self.outbox.retry(outgoing_id, await self.operator())
        await self.work()

    async def operator(self) -> Operator:
        """The one there is, also for those who ask at once."""
        anna = {"login": "anna", "name": "Анна", "password_hash": "", "role": "manager", "created_at": 0}
        async with self.store.write() as session:
            await session.execute(self.store.insert(Operator).values(anna).on_conflict_do_nothing())
            return (await session.scalars(select(Operator).where(Operator.login == "anna"))).one()

    async def work(self) -> None:
        """Until nothing is due now."""
        due_now = select(OutgoingMessage.id).where(OutgoingMessage.due_at <= self.clock()).limit(1)
        while (due := await self.outbox.run_once()) is None or due <= self.clock():
            async with self.store.read() as session:
                if await session.scalar(due_now) is None:
                    return

    async def work_until_done(self, outgoing_id: int) -> OutgoingMessage:
        """However long that takes; a reply that nothing ends is a failure."""
        for _ in range(8):
            await self.work()
            if (reply := await self.reply(outgoing_id)).due_at is None:
                return reply
            self.clock.step(LEASE)
        raise AssertionError("it never ended")

    async def die_and_go_on(self, outgoing_id: int, *, on_arrival: bool, steps: int) -> OutgoingMessage:
        """The process is killed so many steps of its loop after it began, or after Avito had the message; another
        one takes over and ends it."""
        self.network.arrived.clear()
        dying = asyncio.create_task(self.outbox.run())
        if on_arrival:
            await self.network.arrived.wait()
        for _ in range(steps):
            await asyncio.sleep(0)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        self.sim.faults.clear()
        self.outbox = self.process()
        await self.outbox.take_over()
        self.clock.step(LEASE)
        return await self.work_until_done(outgoing_id)

    def process(self) -> Outbox:
        """Another process's outbox, on the same database."""
        return Outbox(self.store, self.avito, self.applier, self.live, self.clock, self.outbox.pictures)

    async def ours(self, chat: Chat) -> list[str]:
        async with self.store.read() as session:
            found = select(Message.text).where(Message.chat_id == chat.id).order_by(Message.created_at, Message.id)
            return list(await session.scalars(found))

    def sends(self) -> Counter[str]:
        """How often each text arrived at Avito and was taken, by its own account."""
        chats = self.sim.world.chats.values()
        return Counter(message.text for chat in chats for message in chat.history if message.outgoing)


def photos(chat: simulator.Chat) -> int:
    return sum(message.type == "image" for message in chat.history)
