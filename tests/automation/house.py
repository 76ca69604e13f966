"""Avito with two shops and everything of ours that a rule has to do with, on one stepped clock, turned by hand."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select

from golub import outbox, simulator
from golub.apply import Applier
from golub.automation import Automation
from golub.automation.reading import list_active
from golub.automation.rules import Rule
from golub.avito.client import Avito
from golub.backfill import Backfill
from golub.clock import MINUTE, SECOND, Millis
from golub.guarded import Guarded
from golub.ingest import Ingest
from golub.live import Live
from golub.model import AutomaticAct, AutomaticRule, Chat, Message, Operator, OutgoingMessage, Role, RuleKind
from golub.outbox import Outbox, Pictures
from golub.settings import Settings
from golub.simulator import Simulator
from golub.spool import Spool
from golub.store import Store
from golub.subscription import Subscriptions
from golub.web.webhook import Webhook
from tests import shop
from tests.conftest import SteppedClock

Acts = Sequence[tuple[str, str, str]]  # of each: the message's text, the rule's kind, the outcome


@dataclass
class House:
    sim: Simulator
    shops: list[simulator.Account]
    accounts: list[int]
    store: Store
    avito: Avito
    applier: Applier
    live: Live
    backfill: Backfill
    outbox: Outbox
    automation: Automation
    clock: SteppedClock
    operator_id: int

    def another(self) -> Automation:
        """What another process has."""
        return Automation(self.store, self.applier, self.outbox, lambda: None, self.clock)

    async def rule(self, kind: RuleKind, *texts: str, active: bool = True, **more: Any) -> int:
        row: dict[str, Any] = {"texts": list(texts), "hours": {}, "minutes": 0, "changed_at": self.clock()}
        since = self.clock() if active else None
        async with self.store.write() as session:
            rule = AutomaticRule(kind=kind, active_since=since, **(row | more))
            session.add(rule)
        return rule.id

    async def rules(self) -> Sequence[Rule]:
        async with self.store.read() as session:
            return await list_active(session)

    async def receive(self) -> None:
        """What Avito sends has come in, and is read back from its API where that is due."""
        await self.sim.idle()
        assert await asyncio.to_thread(self.applier.wait_applied, 30)
        while await self.backfill.run_once() is not None:
            pass

    async def turn(self) -> None:
        """Everything that is due now, until nothing is."""
        for _ in range(2):
            await self.receive()
            await self.automation.run_once()
        for _ in range(4):  # the messages of one chat follow each other
            await self.outbox.run_once()
        await self.receive()

    async def wait(self, by: Millis) -> None:
        self.clock.step(by)
        await self.turn()

    async def settle(self) -> None:
        """A message has come: time for its reply."""
        await self.turn()
        await self.wait(6 * SECOND)

    async def answers(self, chat: simulator.Chat, text: str) -> None:
        """An operator, through Golub."""
        async with self.store.write() as session:
            row = (await session.scalars(select(Chat).where(Chat.avito_id == chat.id))).one()
            await outbox.hold(session, row.id)
            key = f"click-{self.clock()}-{chat.id}"
            await outbox.queue(
                session, chat=row, operator_id=self.operator_id, text=text, client_key=key, now=self.clock()
            )
        await self.outbox.run_once()
        await self.receive()

    async def acts(self, account: int = 0) -> Acts:
        found = (
            select(Message.text, AutomaticAct.kind, AutomaticAct.outcome)
            .join(AutomaticAct, AutomaticAct.message_id == Message.id)
            .where(AutomaticAct.account_id == self.accounts[account])
            .order_by(AutomaticAct.id)
        )
        async with self.store.read() as session:
            return [(row.text, row.kind, row.outcome) for row in await session.execute(found)]

    async def replies(self) -> list[str]:
        """What was queued unasked."""
        found = select(OutgoingMessage.text).where(OutgoingMessage.operator_id.is_(None)).order_by(OutgoingMessage.id)
        async with self.store.read() as session:
            return list(await session.scalars(found))

    async def chat(self, chat: simulator.Chat) -> Chat:
        async with self.store.read() as session:
            return (await session.scalars(select(Chat).where(Chat.avito_id == chat.id))).one()

    def said_by_shop(self, chat: simulator.Chat) -> list[str]:
        """What has arrived at Avito."""
        return [str(one.content.get("text", one.type)) for one in chat.history if one.outgoing]


@asynccontextmanager
async def house(store: Store, clock: SteppedClock, folder: Path) -> AsyncGenerator[House]:
    settings = Settings.model_validate(
        {"public_url": "https://golub.example.ru", "avito_url": "http://avito.test", "data_dir": folder}
    )
    spool = Spool(folder, quota=64 << 20, clock=clock)
    spool.start()
    way = httpx2.ASGITransport(Webhook(Ingest(spool, store, settings, clock), _nowhere))
    live = Live()
    applier = Applier(spool, store, live, clock)
    async with (
        Simulator(folder / "oracle.jsonl", deliver=way, clock=lambda: clock.now / 1000) as sim,
        shop.avito(store, clock, sim) as avito,
    ):
        shops = [sim.add_account(shop.USER_ID, "Мебель"), sim.add_account(shop.USER_ID + 1, "Сад")]
        accounts = [await shop.connect(store, one, clock) for one in shops]
        guarded = Guarded(transport=way, resolve=_public_address)
        subscriptions = Subscriptions(store, avito, spool, shop.VAULT, settings, clock, guarded)
        for account_id in accounts:
            await subscriptions.register(account_id, subscriptions.recommended_url(), ["message"])
        async with store.write() as session:
            row = {"password_hash": "", "locale": "ru", "active": True, "created_at": clock()}
            anna = Operator(login="anna", name="Анна", role=Role.MANAGER, **row)
            session.add(anna)
        backfill = Backfill(store, avito, applier, settings, clock)
        pictures = Pictures(folder / "outgoing", clock)
        queue = Outbox(store, avito, applier, live, clock, pictures)
        automation = Automation(store, applier, queue, backfill.nudge, clock)
        applier.start()
        made = House(sim, shops, accounts, store, avito, applier, live, backfill, queue, automation, clock, anna.id)
        await made.receive()  # the empty history
        clock.step(MINUTE)
        yield made
        await asyncio.to_thread(applier.stop)
    await asyncio.to_thread(spool.close)


async def _nowhere(scope: object, receive: object, send: object) -> None:
    raise AssertionError("only webhooks come here")


async def _public_address(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]
