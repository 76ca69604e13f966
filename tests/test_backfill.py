"""Backfill: history comes in quietly, what webhooks failed to bring is found, and strangers' hints are looked up."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from golub import simulator
from golub.apply import Applier
from golub.avito.client import Avito
from golub.backfill import Backfill
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.fold import MarkRead
from golub.live import Live
from golub.model import Account, AccountState, Cause, Chat, Delivery, DeliveryState, Message
from golub.simulator import Simulator
from golub.simulator.wire import webhook_body, webhook_value
from golub.spool import Received, Spool
from golub.store import Store
from tests import shop
from tests.conftest import SteppedClock

PERIOD = int(shop.SETTINGS.sweep_period) * SECOND


@dataclass
class Town:
    """The simulated Avito, our rows, and what keeps the two in step."""

    sim: Simulator
    seller: simulator.Account
    store: Store
    avito: Avito
    applier: Applier
    spool: Spool
    live: Live
    clock: SteppedClock
    backfill: Backfill
    account_id: int = 0

    async def connect(self) -> int:
        self.account_id = await shop.connect(self.store, self.seller, self.clock)
        return self.account_id

    async def work(self) -> None:
        while await self.backfill.run_once() is not None:
            self.clock.step(1)

    async def bring_in(self) -> None:
        """As after an import that read every chat, without its thousand requests."""
        await self.connect()
        await self.backfill.run_once()
        async with self.store.write() as session:
            await session.execute(update(Chat).values(fetch_due_at=None, verified_to=Chat.updated_at))
        self.clock.step(HOUR)
        await self.work()

    async def later(self, by: int = PERIOD) -> None:
        self.clock.step(by)
        await self.work()

    async def chat(self, avito_id: str) -> Chat:
        async with self.store.read() as session:
            return (await session.execute(select(Chat).where(Chat.avito_id == avito_id))).scalar_one()

    async def account(self) -> Account:
        return await shop.account(self.store, self.account_id)

    async def messages(self) -> dict[str, Message]:
        async with self.store.read() as session:
            return {message.avito_id: message for message in await session.scalars(select(Message))}

    async def unread(self) -> int:
        async with self.store.read() as session:
            return await session.scalar(select(func.coalesce(func.sum(Chat.unread), 0))) or 0

    async def call_without_token(self, *bodies: bytes) -> list[bytes]:
        """The bare webhook path, which anybody can call. Returns the deliveries' ids."""
        ids = [random.randbytes(16) for _ in bodies]
        for delivery_id, body in zip(ids, bodies, strict=True):
            await self.spool.put(Received(delivery_id, self.clock(), None, None, "192.0.2.7", b"[]", body))
        await asyncio.to_thread(self.applier.drain)
        return ids

    async def delivery(self, delivery_id: bytes) -> Delivery:
        async with self.store.read() as session:
            return await session.get_one(Delivery, delivery_id)

    async def count(self) -> Counter[str]:
        """Requests by operation since the last count."""
        counted = Counter(call.operation for call in self.sim.calls)
        self.sim.gate.calls.clear()
        return counted


@pytest.fixture
async def town(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Town]:
    sim = Simulator(clock=lambda: clock.now / 1000)
    seller = sim.add_account(shop.USER_ID, "Кедр и Ко")
    live = Live()
    settings = shop.SETTINGS.model_copy(update={"requests_per_minute": 100_000})
    async with (
        shop.applier(store, clock, tmp_path, live) as (applier, spool),
        shop.avito(store, clock, sim, settings=settings, failure_gap=0.001, call_seconds=0.3) as avito,
    ):
        backfill = Backfill(store, avito, applier, settings, clock)
        yield Town(sim, seller, store, avito, applier, spool, live, clock, backfill)


def history(town: Town, chats: int, messages: int = 1) -> list[simulator.Chat]:
    """Chats of the last days, the newest last."""
    made: list[simulator.Chat] = []
    start = town.clock.now // 1000 - chats * 60 - DAY // 1000
    for number in range(chats):
        chat = town.sim.add_chat(town.seller, f"Покупатель {number}", created=start + number * 60)
        for place in range(messages):
            town.sim.buyer_says(chat, f"вопрос {place}", quiet=True, at=start + number * 60 + place // 4)
        made.append(chat)
    return made


def hint(message: simulator.Message) -> bytes:
    return webhook_body("00000000-0000-0000-0000-000000000000", message.created, webhook_value(message))


async def test_history_comes_in_quietly_with_names_and_items(town: Town) -> None:
    chats = history(town, 3, messages=2)
    town.sim.shop_said(chats[0], "Здравствуйте", at=town.clock.now // 1000 - 60)
    await town.connect()
    await town.work()
    assert set(await town.messages()) == {message.id for message in town.sim.world.walk()}
    assert await town.unread() == 0
    row = await town.chat(chats[0].id)
    assert (row.buyer_name, row.item_title, row.waiting_since) == ("Покупатель 0", "Объявление без затей", None)
    account = await town.account()
    assert (account.backfill_offset, account.backfilled_at > 0, account.swept_at > 0) == (None, True, True)
    assert await town.backfill.chats_due(town.account_id) == 0


async def test_a_long_chat_is_read_to_what_avito_shows(town: Town) -> None:
    history(town, 1, messages=1250)
    await town.connect()
    await town.work()
    found = await town.messages()
    assert len(found) == 1100  # offsets end at 1000
    assert "вопрос 1249" in {message.text for message in found.values()}


async def test_an_import_goes_on_where_it_was_cut_short(town: Town) -> None:
    chats = history(town, 220)
    await town.connect()
    town.sim.fault("getChatsV2", delay=0)  # the first page
    town.sim.fault("getChatsV2", status=500, times=None)
    town.sim.fault("getMessagesV3", status=500, times=None)
    await town.work()
    assert (await town.account()).backfill_offset == 100
    assert await town.backfill.chats_due(town.account_id) == 100
    town.sim.faults.clear()
    await town.count()
    for _ in range(6):
        await town.later(MINUTE)
    assert (await town.account()).backfill_offset is None
    assert len(await town.messages()) == len(chats)
    assert (await town.count())["getMessagesV3"] == len(chats)  # one request a chat, none twice


async def test_the_newest_chats_come_first_and_a_new_one_before_all_history(town: Town) -> None:
    chats = history(town, 250)
    await town.connect()
    await town.backfill.run_once()  # the list
    fresh = town.sim.add_chat(town.seller, "Новый покупатель")
    message = town.sim.buyer_says(fresh, "Здравствуйте!", quiet=True)
    await town.call_without_token(hint(message))
    await town.backfill.run_once()
    assert (await town.chat(fresh.id)).buyer_name == "Новый покупатель"
    read = [call.path.split("/")[6] for call in town.sim.calls if call.operation == "getMessagesV3"]
    assert fresh.id in read
    assert set(read) - {fresh.id} <= {chat.id for chat in chats[-8:]}


async def test_the_list_beyond_avitos_cap_is_the_end(town: Town) -> None:
    history(town, 1180)
    await town.connect()
    await town.backfill.run_once()
    assert (await town.account()).backfill_offset is None
    assert await town.backfill.chats_due(town.account_id) == 1100


async def test_what_no_webhook_brought_is_found_and_unread(town: Town) -> None:
    chats = history(town, 5)
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    town.sim.buyer_says(chats[1], "Ещё продаёте?", quiet=True)
    newcomer = town.sim.add_chat(town.seller, "Новый")
    town.sim.buyer_says(newcomer, "Торг?", quiet=True)
    await town.later()
    assert set(await town.messages()) == {message.id for message in town.sim.world.walk()}
    assert await town.unread() == 2
    assert (await town.chat(chats[1].id)).unread == 1
    assert (await town.chat(newcomer.id)).buyer_name == "Новый"


async def test_an_old_chat_that_wakes_up_brings_its_history_quietly(town: Town) -> None:
    """A chat that the import never saw, because it was past the cap or moved while the list was read."""
    await town.connect()
    await town.work()
    old = history(town, 1, messages=30)[0]
    town.clock.step(MINUTE)
    town.sim.buyer_says(old, "Вы ещё здесь?", quiet=True)
    await town.later()
    assert len(await town.messages()) == 31
    assert await town.unread() == 1


async def test_of_thirty_percent_dropped_none_is_missing_after_two_periods(town: Town) -> None:
    chats = history(town, 20)
    await town.connect()
    await town.work()
    dice = random.Random(7)
    for _ in range(100):
        town.clock.step(dice.randrange(5) * SECOND)
        message = town.sim.buyer_says(dice.choice(chats), "вопрос", quiet=True)
        if dice.random() < 0.7:
            await town.call_without_token(hint(message))
        if dice.random() < 0.05:
            await town.work()
    await town.later()
    await town.later()
    found = await town.messages()
    assert set(found) == {message.id for message in town.sim.world.walk()}
    assert await town.unread() == 100


async def test_a_sweep_of_a_thousand_chats_costs_by_what_changed(town: Town) -> None:
    chats = history(town, 1000)
    await town.bring_in()
    await town.count()
    await town.later()
    assert await town.count() == {"getChatsV2": 1}
    town.clock.step(MINUTE)
    for chat in chats[3:900:400]:
        town.sim.buyer_says(chat, "вопрос", quiet=True)
    await town.later()
    asked = await town.count()
    assert sum(asked.values()) <= 10, asked
    assert await town.unread() == 3
    await town.later()
    await town.later()
    assert (await town.count()).keys() == {"getChatsV2"}


async def test_a_message_lost_before_one_that_came_is_found(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    town.sim.buyer_says(chat, "потеряно", quiet=True)
    town.clock.step(MINUTE)
    came = town.sim.buyer_says(chat, "дошло", quiet=True)
    await town.call_without_token(hint(came))
    await town.later()
    assert {message.text for message in (await town.messages()).values()} == {"вопрос 0", "потеряно", "дошло"}


async def test_two_messages_of_one_second_are_both_found(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    town.sim.buyer_says(chat, "раз", quiet=True)
    await town.later(0)
    async with town.store.write() as session:
        await session.execute(update(Account).values(sweep_due_at=0))
    await town.work()  # in the very second
    town.sim.buyer_says(chat, "два", quiet=True)
    await town.later()
    assert await town.unread() == 2


async def test_a_sweep_that_was_cut_short_hides_nothing(town: Town) -> None:
    chats = history(town, 250)
    await town.bring_in()
    town.clock.step(MINUTE)
    for chat in chats:
        town.sim.buyer_says(chat, "вопрос", quiet=True)
    town.sim.fault("getChatsV2", delay=0, times=2)
    town.sim.fault("getChatsV2", status=500)
    await town.later()
    assert await town.backfill.chats_due(town.account_id) == 0
    town.clock.step(PERIOD)
    await town.backfill.run_once()
    assert await town.backfill.chats_due(town.account_id) == 250


async def test_an_empty_or_endless_answer_deletes_nothing_and_ends(town: Town) -> None:
    chats = history(town, 3)
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    town.sim.buyer_says(chats[0], "вопрос", quiet=True)
    town.sim.fault("getMessagesV3", body={"messages": []})
    await town.later()
    assert len(await town.messages()) == 3
    await town.later()  # an empty page proved nothing
    assert len(await town.messages()) == 4
    page = {"messages": [{"id": f"m{n}", "author_id": 1_000, "created": 1_700_000_000 + n, "type": "text",
                          "content": {"text": "x"}} for n in range(100)]}  # fmt: skip
    town.sim.fault("getMessagesV3", body=page, times=None)
    town.clock.step(MINUTE)
    newcomer = town.sim.add_chat(town.seller)
    town.sim.buyer_says(newcomer, "вопрос", quiet=True)
    await town.count()
    await town.later()
    assert (await town.count())["getMessagesV3"] == 2
    assert len(await town.messages()) == 104


@pytest.mark.parametrize("body", [{"chats": "x"}, [], {"chats": [None, 7, {"id": 5}, {}]}, "x", None, {"chats": [[]]}])
async def test_a_list_of_nonsense_is_survived(town: Town, body: object) -> None:
    chats = history(town, 2)
    await town.connect()
    town.sim.fault("getChatsV2", body=json.dumps(body))
    await town.work()
    await town.later()
    await town.later()
    assert len(await town.messages()) == len(chats)
    assert (await town.account()).state == AccountState.WORKING


async def test_one_bad_chat_stops_no_other(town: Town) -> None:
    chats = history(town, 6)
    await town.connect()
    for status in (404, 403, 400):
        town.sim.fault("getMessagesV3", status=status, times=1 if status != 403 else 2)
    await town.work()
    assert len(await town.messages()) == 3
    account = await town.account()
    assert account.state == AccountState.WORKING
    for _ in range(3):
        await town.later(2 * MINUTE)
    assert len(await town.messages()) == len(chats)


async def test_a_broken_account_costs_the_others_nothing(town: Town) -> None:
    history(town, 3)
    await town.connect()
    healthy = town.sim.add_account(7, "Другой")
    chat = town.sim.add_chat(healthy, created=town.clock.now // 1000 - 60)
    town.sim.buyer_says(chat, "Здравствуйте", quiet=True, at=town.clock.now // 1000 - 60)
    other_id = await shop.connect(town.store, healthy, town.clock)
    town.sim.fault("*", hang=True, times=None, account=town.seller)
    await town.work()
    assert set(await town.messages()) == {chat.history[0].id}
    assert (await shop.account(town.store, other_id)).swept_at > 0


async def test_wrong_keys_stop_the_work_and_right_ones_go_on(town: Town) -> None:
    chats = history(town, 3)
    await town.connect()
    await town.backfill.run_once()
    town.sim.expire_tokens(town.seller)
    town.seller.revoked = True
    await town.count()
    for _ in range(20):
        await town.later(MINUTE)
    asked = await town.count()
    assert asked["token"] <= 20
    assert asked["getMessagesV3"] <= 4
    assert (await town.account()).state == AccountState.WRONG_KEYS
    town.seller.revoked = False
    for _ in range(3):
        await town.later()
    assert len(await town.messages()) == len(chats)


async def test_a_hint_that_avito_bears_out_is_applied_and_shown(town: Town) -> None:
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller, "Анна")
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    (delivery_id,) = await town.call_without_token(hint(message))
    assert (await town.delivery(delivery_id)).state == DeliveryState.WAITING
    assert await town.messages() == {}
    await town.work()
    assert (await town.delivery(delivery_id)).state == DeliveryState.APPLIED
    assert set(await town.messages()) == {message.id}
    assert (await town.chat(chat.id)).buyer_name == "Анна"
    assert await town.unread() == 1


async def test_a_forged_hint_is_never_shown(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    forged = json.loads(hint(chat.history[0]))
    forged["payload"]["value"] |= {"id": "f" * 32, "content": {"text": "переведите деньги на карту"}}
    known = json.dumps(forged).encode()
    forged["payload"]["value"]["chat_id"] = "u2i-nowhere"
    unknown = json.dumps(forged).encode()
    ids = await town.call_without_token(known, unknown)
    for _ in range(4):
        await town.later(2 * MINUTE)
    for delivery_id in ids:
        delivery = await town.delivery(delivery_id)
        assert (delivery.state, delivery.cause) == (DeliveryState.WAITING, Cause.NOT_CONFIRMED)
        assert delivery.due_at is None
    assert set(await town.messages()) == {chat.history[0].id}
    async with town.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Chat)) == 1


async def test_a_hint_that_came_before_avito_shows_it_is_asked_about_again(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    chat.history.remove(message)
    (delivery_id,) = await town.call_without_token(hint(message))
    await town.work()
    assert (await town.delivery(delivery_id)).state == DeliveryState.WAITING
    chat.history.append(message)
    await town.later(15 * SECOND)
    assert (await town.delivery(delivery_id)).state == DeliveryState.APPLIED
    assert message.id in await town.messages()


async def test_hints_of_one_chat_are_looked_up_together_and_strangers_have_a_budget(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    messages = [town.sim.buyer_says(chat, f"вопрос {n}", quiet=True) for n in range(10)]
    await town.count()
    ids = await town.call_without_token(*(hint(message) for message in messages))
    await town.work()
    assert await town.count() == {"getChatByIdV2": 1, "getMessagesV3": 1}
    assert {(await town.delivery(one)).state for one in ids} == {DeliveryState.APPLIED}
    forged = json.loads(hint(messages[0]))
    bodies: list[bytes] = []
    for number in range(100):
        forged["payload"]["value"] |= {"chat_id": f"u2i-{number}", "id": f"{number:032x}"}
        bodies.append(json.dumps(forged).encode())
    await town.call_without_token(*bodies)
    for _ in range(20):
        await town.work()
        town.clock.step(SECOND)
    assert sum((await town.count()).values()) <= 30


async def test_a_hint_for_a_closed_account_waits_with_its_reason(town: Town) -> None:
    chat = history(town, 1)[0]
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    town.seller.paid = False
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    (delivery_id,) = await town.call_without_token(hint(message))
    await town.work()
    delivery = await town.delivery(delivery_id)
    assert (delivery.state, delivery.cause) == (DeliveryState.WAITING, Cause.NO_API)
    town.seller.paid = True
    for _ in range(3):
        await town.later()
    assert (await town.delivery(delivery_id)).state == DeliveryState.APPLIED


async def test_a_nudge_brings_an_unknown_chats_name_at_once(town: Town) -> None:
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller, "Анна")
    message = town.sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    async with town.live.subscribe() as batches:
        running = asyncio.create_task(town.backfill.run())
        await town.call_without_token(hint(message))
        town.backfill.nudge()
        async with asyncio.timeout(5):
            async for _ in batches:
                async with town.store.read() as session:
                    if await session.scalar(select(Chat.buyer_name).where(Chat.avito_id == chat.id)):
                        break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await town.chat(chat.id)).buyer_name == "Анна"


async def open_chat(town: Town, avito_id: str) -> None:
    """An operator has read all of it."""
    row = await town.chat(avito_id)
    await town.applier.submit(town.account_id, [MarkRead(row.id, row.last_message_id or 0)])


async def test_avito_hears_that_a_chat_was_read_also_after_a_restart(town: Town) -> None:
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "вопрос", quiet=True)
    await town.later()
    assert chat.unread
    await open_chat(town, chat.id)
    await open_chat(town, chat.id)
    town.backfill = Backfill(town.store, town.avito, town.applier, shop.SETTINGS, town.clock)
    town.sim.fault("chatRead", status=500)
    await town.work()
    assert chat.unread
    for _ in range(3):
        await town.later()
    assert not chat.unread
    assert (await town.count())["chatRead"] == 2
    row = await town.chat(chat.id)
    assert (row.read_due_at, row.read_sent_at > 0) == (None, True)


async def test_a_refusal_to_hear_that_a_chat_was_read_is_no_loop(town: Town) -> None:
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "вопрос", quiet=True)
    await town.later()
    town.sim.fault("chatRead", status=404, times=None)
    await open_chat(town, chat.id)
    for _ in range(5):
        await town.later()
    assert (await town.count())["chatRead"] == 1
    assert (await town.chat(chat.id)).read_due_at is None


async def test_two_processes_read_each_chat_once(town: Town) -> None:
    chats = history(town, 40)
    await town.connect()
    other = Backfill(town.store, town.avito, town.applier, shop.SETTINGS, town.clock)
    for _ in range(8):
        await asyncio.gather(town.backfill.run_once(), other.run_once())
        town.clock.step(SECOND)
    assert (await town.count())["getMessagesV3"] == len(chats)


async def test_whoever_dies_in_the_middle_leaves_nothing_undone(town: Town) -> None:
    chats = history(town, 30)
    await town.connect()
    await town.backfill.run_once()
    town.sim.fault("getMessagesV3", hang=True, times=None)
    dying = asyncio.create_task(town.backfill.run_once())
    for _ in range(random.randrange(400)):
        await asyncio.sleep(0)  # the loop takes one step
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    town.sim.faults.clear()
    town.backfill = Backfill(town.store, town.avito, town.applier, shop.SETTINGS, town.clock)
    for _ in range(3):
        await town.later(HOUR)
    assert len(await town.messages()) == len(chats)
