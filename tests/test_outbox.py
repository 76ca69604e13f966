"""The outbox: every reply ends as sent, rejected or unconfirmed, in its order, and none is ever sent twice."""

import asyncio
import base64
import random
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from golub import simulator
from golub.apply import Applier
from golub.avito.client import Avito
from golub.clock import HOUR, MINUTE, SECOND
from golub.errors import Conflict, Invalid, NotFound
from golub.fold import FetchDue
from golub.live import Live
from golub.model import Account, AccountState, Chat, Message, Operator, OutgoingMessage, OutgoingState
from golub.outbox import LEASE, LONGEST, TEXT_LIMIT, TRIES, Outbox, Pictures, queue, queue_pictures, split
from golub.simulator import Simulator
from golub.store import Store
from tests import shop
from tests.conftest import AtScale, SteppedClock
from tests.promises import Figures

PHOTO = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC")


@dataclass
class Desk:
    """An operator's desk: one shop, its chats at Avito and here, and the outbox between them."""

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
        async with self.store.write() as session:
            queued = await queue(
                session, chat=chat, operator_id=None, text=text, client_key=key or str(self.keys), now=self.clock()
            )
        return queued[0].id

    async def reply(self, outgoing_id: int) -> OutgoingMessage:
        async with self.store.read() as session:
            return await session.get_one(OutgoingMessage, outgoing_id)

    async def work(self) -> None:
        """Until nothing is due now."""
        while (due := await self.outbox.run_once()) is None or due <= self.clock():
            async with self.store.read() as session:
                if not list(
                    await session.scalars(select(OutgoingMessage.id).where(OutgoingMessage.due_at <= self.clock()))
                ):
                    return

    async def ours(self, chat: Chat) -> list[str]:
        async with self.store.read() as session:
            found = select(Message.text).where(Message.chat_id == chat.id).order_by(Message.created_at, Message.id)
            return list(await session.scalars(found))

    def died(self) -> Outbox:
        """A new process after the old one is gone."""
        self.outbox = Outbox(self.store, self.avito, self.applier, self.live, self.clock, self.outbox.pictures)
        return self.outbox


@pytest.fixture
async def desk(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Desk]:
    sim = Simulator(clock=lambda: clock.now / 1000)
    seller = sim.add_account(shop.USER_ID, "Кедр и Ко")
    account_id = await shop.connect(store, seller, clock)
    live = Live()
    network = shop.Network(sim.app)
    async with (
        shop.applier(store, clock, tmp_path, live) as (applier, _),
        shop.avito(store, clock, network, failure_gap=0.001, call_seconds=0.3) as avito,
    ):
        outbox = Outbox(store, avito, applier, live, clock, Pictures(tmp_path / "outgoing", clock))
        yield Desk(sim, seller, store, avito, applier, live, clock, account_id, outbox, network)


def sends(sim: Simulator) -> Counter[str]:
    """How often each text arrived at Avito and was taken, by its own account."""
    return Counter(message.text for chat in sim.world.chats.values() for message in chat.history if message.outgoing)


async def test_a_reply_is_sent_once_and_is_a_message_at_once(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    first = await desk.write(ours, "  Да, ещё продаётся\r\nприезжайте ", key="click")
    assert await desk.write(ours, "Да, ещё продаётся\nприезжайте", key="click") == first
    await desk.work()
    reply = await desk.reply(first)
    assert (reply.state, reply.due_at, reply.message_avito_id) == (OutgoingState.SENT, None, theirs.history[0].id)
    assert await desk.ours(ours) == ["Да, ещё продаётся\nприезжайте"]
    assert sends(desk.sim) == {"Да, ещё продаётся\nприезжайте": 1}


async def test_two_clicks_at_once_queue_one(desk: Desk) -> None:
    _, ours = await desk.chat()
    ids = await asyncio.gather(*(desk.write(ours, "привет", key="click") for _ in range(5)))
    assert len(set(ids)) == 1


async def test_one_key_for_two_texts_is_a_conflict(desk: Desk) -> None:
    _, ours = await desk.chat()
    await desk.write(ours, "да", key="click")
    with pytest.raises(Conflict):
        await desk.write(ours, "нет", key="click")


@pytest.mark.parametrize(
    "text", ["", " \n ", "я" * (LONGEST + 1), "a\0b", "a\ud800"], ids=["none", "blank", "long", "null", "half"]
)
async def test_what_avito_would_refuse_is_not_queued(desk: Desk, text: str) -> None:
    _, ours = await desk.chat()
    with pytest.raises(Invalid):
        await desk.write(ours, text)


async def test_a_thousand_emoji_are_a_thousand_characters(desk: Desk) -> None:
    _, ours = await desk.chat()
    outgoing_id = await desk.write(ours, "🕊" * TEXT_LIMIT)
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT


LONG = "\n\n".join(f"Абзац {number}. " + "слово " * 130 for number in range(3))


async def test_a_long_reply_goes_out_in_its_parts_in_order_and_once(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    first = await desk.write(ours, LONG, key="click")
    assert await desk.write(ours, LONG, key="click") == first
    with pytest.raises(Conflict):
        await desk.write(ours, LONG[:-40], key="click")
    await desk.work()
    assert [message.text for message in theirs.history] == split(LONG, TEXT_LIMIT)
    assert len(theirs.history) == 3
    async with desk.store.read() as session:
        rows = list(await session.scalars(select(OutgoingMessage).order_by(OutgoingMessage.id)))
    assert [(row.client_key, row.part, row.parts, row.state) for row in rows] == [
        ("click", 1, 3, OutgoingState.SENT),
        ("click/2", 2, 3, OutgoingState.SENT),
        ("click/3", 3, 3, OutgoingState.SENT),
    ]


@pytest.mark.parametrize("status", [400, 500])
async def test_after_a_part_that_failed_no_other_goes_out_alone(desk: Desk, status: int) -> None:
    theirs, ours = await desk.chat()
    await desk.write(ours, "Здравствуйте")
    await desk.work()
    first = await desk.write(ours, LONG)
    desk.sim.fault("postSendMessage", status=status)
    other = await desk.write(ours, "А это другой ответ")
    for _ in range(8):
        await desk.work()
        desk.clock.step(HOUR)
    states = [(await desk.reply(first + number)).state for number in range(3)]
    failed = OutgoingState.REJECTED if status == 400 else OutgoingState.UNCONFIRMED
    assert states == [failed, OutgoingState.REJECTED, OutgoingState.REJECTED]
    assert (await desk.reply(first + 1)).error_code == "earlier_part"
    assert (await desk.reply(other)).state == OutgoingState.SENT
    for number in range(3):  # a person sends them again, one by one
        await desk.outbox.retry(first + number, await operator(desk))
        await desk.work()
    assert [message.text for message in theirs.history][2:] == split(LONG, TEXT_LIMIT)


async def test_avitos_own_chat_takes_no_replies(desk: Desk) -> None:
    _, ours = await desk.chat("a2u")
    with pytest.raises(Invalid):
        await desk.write(ours, "привет")


async def test_replies_of_a_chat_keep_their_order(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    texts = [f"сообщение {number}" for number in range(6)]
    for text in texts:
        await desk.write(ours, text)
    desk.sim.fault("postSendMessage", status=429, headers={"retry-after": "1"}, times=2)
    for _ in range(20):
        await desk.work()
        desk.clock.step(MINUTE)
    assert [message.text for message in theirs.history] == texts


async def test_a_hanging_chat_holds_up_no_other(desk: Desk) -> None:
    (_, slow), (_, quick) = await desk.chat(), await desk.chat()
    desk.sim.fault("postSendMessage", hang=True)
    slow_id, quick_id = await desk.write(slow, "раз"), await desk.write(quick, "два")
    rings: list[int] = []
    async with desk.live.subscribe() as batches:
        running = asyncio.create_task(desk.outbox.run())
        async for batch in batches:
            rings += [ring.chat_id for ring in batch]
            sent = OutgoingState.SENT in {(await desk.reply(one)).state for one in (slow_id, quick_id)}
            if sent and {slow.id, quick.id} == set(rings):
                break
    states = {(await desk.reply(one)).state for one in (slow_id, quick_id)}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert states == {OutgoingState.SENDING, OutgoingState.SENT}


async def test_a_refusal_says_why_and_may_be_tried_again(desk: Desk) -> None:
    _, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=400, body={"error": {"code": 400, "message": "user is blocked"}})
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.error, reply.error_code) == (OutgoingState.REJECTED, "user is blocked", "rejected")
    await desk.outbox.retry(outgoing_id, await operator(desk))
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT


@pytest.mark.parametrize(("paid", "revoked", "code"), [(False, False, "not_paid"), (True, True, "wrong_keys")])
async def test_a_closed_account_rejects_in_words(desk: Desk, paid: bool, revoked: bool, code: str) -> None:
    _, ours = await desk.chat()
    desk.seller.paid, desk.seller.revoked = paid, revoked
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.error_code, bool(reply.error)) == (OutgoingState.REJECTED, code, True)


async def test_what_never_left_waits_and_is_sent_later(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("token", status=500, times=2)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.started_at, reply.error_code) == (OutgoingState.QUEUED, None, "unavailable")
    for _ in range(3):
        desk.clock.step(MINUTE)
        await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.error_code) == (OutgoingState.SENT, "")
    assert len(theirs.history) == 1


async def test_after_an_hour_of_silence_nothing_is_sent_unasked(desk: Desk) -> None:
    _, ours = await desk.chat()
    desk.sim.fault("token", status=500, times=None)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    async with desk.store.write() as session:
        (await session.get_one(OutgoingMessage, outgoing_id)).attempts = TRIES - 1
    for expected in (OutgoingState.QUEUED, OutgoingState.REJECTED):
        desk.clock.step(HOUR)
        await desk.work()
        assert (await desk.reply(outgoing_id)).state == expected
    assert sends(desk.sim) == {}


@pytest.mark.parametrize("fault", [{"hang": True, "after": True}, {"status": 500, "after": True}])
async def test_a_lost_answer_is_looked_up_and_found(desk: Desk, fault: dict[str, Any]) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendMessage", **fault)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.message_avito_id) == (OutgoingState.SENT, theirs.history[0].id)
    assert sends(desk.sim) == {"привет": 1}


async def test_a_lost_send_stays_unconfirmed_until_the_operator_decides(desk: Desk) -> None:
    _, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=500)
    outgoing_id = await desk.write(ours, "привет")
    for _ in range(8):
        await desk.work()
        desk.clock.step(HOUR)
    reply = await desk.reply(outgoing_id)
    assert (reply.state, reply.due_at, reply.error_code) == (OutgoingState.UNCONFIRMED, None, "ambiguous")
    assert sends(desk.sim) == {}
    await desk.outbox.retry(outgoing_id, await operator(desk))
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT
    assert sends(desk.sim) == {"привет": 1}


async def test_a_message_that_shows_up_late_is_found_and_not_sent_again(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendMessage", status=500)
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.UNCONFIRMED
    desk.sim.shop_said(theirs, "привет", at=desk.clock() // 1000)  # Avito was slow, and did it after all
    await desk.outbox.retry(outgoing_id, await operator(desk))
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT
    assert sends(desk.sim) == {"привет": 1}


async def test_a_message_is_never_taken_for_another_with_the_same_words(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    first = await desk.write(ours, "Да")
    await desk.work()
    desk.clock.step(2 * SECOND)
    desk.sim.fault("postSendMessage", status=500)
    second = await desk.write(ours, "Да")
    await desk.work()
    assert (await desk.reply(first)).message_avito_id == theirs.history[0].id
    assert (await desk.reply(second)).state == OutgoingState.UNCONFIRMED


async def test_what_was_there_before_is_not_what_was_sent(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.shop_said(theirs, "Да", at=desk.clock() // 1000 - 60)
    desk.sim.fault("postSendMessage", status=500)
    outgoing_id = await desk.write(ours, "Да")
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.UNCONFIRMED


async def test_an_operator_gives_up_what_is_not_on_its_way(desk: Desk) -> None:
    _, ours = await desk.chat()
    outgoing_id = await desk.write(ours, "привет")
    await desk.outbox.discard(outgoing_id)
    await desk.work()
    assert sends(desk.sim) == {}
    with pytest.raises(Conflict):
        await desk.outbox.retry(outgoing_id, await operator(desk))
    with pytest.raises(NotFound):
        await desk.outbox.discard(outgoing_id + 1)


async def test_the_state_of_the_account_does_not_decide(desk: Desk) -> None:
    _, ours = await desk.chat()
    async with desk.store.write() as session:
        (await session.get_one(Account, desk.account_id)).state = AccountState.UNREACHABLE
    outgoing_id = await desk.write(ours, "привет")
    await desk.work()
    assert (await desk.reply(outgoing_id)).state == OutgoingState.SENT


@pytest.mark.promise("P7")
async def test_whoever_dies_between_sending_and_recording_sends_nothing_twice(
    desk: Desk, at_scale: AtScale, figures: Figures, seed: int
) -> None:
    """Killed at a random moment around the request: the next process looks it up, and never sends it blindly."""
    dice = random.Random(seed)
    theirs, ours = await desk.chat()
    ended: Counter[str] = Counter()
    for trial in range(at_scale(24, 100)):
        outgoing_id = await desk.write(ours, f"ответ {trial}")
        desk.network.arrived.clear()
        arrived = trial % 4 != 0
        desk.sim.fault("postSendMessage", hang=True, after=arrived)
        dying = asyncio.create_task(desk.outbox.run())
        if trial % 5:
            await desk.network.arrived.wait()
        for _ in range(dice.choice([0, 1, 2, 5, 20])):
            await asyncio.sleep(0)  # the loop takes one step
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        desk.sim.faults.clear()
        desk.died()
        await desk.outbox.take_over()
        for _ in range(6):
            desk.clock.step(LEASE)
            await desk.work()
        reply = await desk.reply(outgoing_id)
        ended[reply.state] += 1
        assert reply.due_at is None
        assert sends(desk.sim)[reply.text] == (reply.state == OutgoingState.SENT)
    figures(trials=sum(ended.values()), double_sends=sum(number > 1 for number in sends(desk.sim).values()), **ended)
    assert max(sends(desk.sim).values()) == 1
    assert ended.keys() == {OutgoingState.SENT, OutgoingState.UNCONFIRMED}
    assert len(theirs.history) == ended[OutgoingState.SENT]


async def test_two_processes_send_each_reply_once(desk: Desk) -> None:
    chats = [(await desk.chat())[1] for _ in range(10)]
    for chat in chats:
        await desk.write(chat, f"раз в {chat.id}")
        await desk.write(chat, f"два в {chat.id}")
    other = Outbox(desk.store, desk.avito, desk.applier, desk.live, desk.clock, desk.outbox.pictures)
    for _ in range(4):
        await asyncio.gather(desk.outbox.run_once(), other.run_once())
    assert sum(sends(desk.sim).values()) == 20
    assert set(sends(desk.sim).values()) == {1}


def photos(chat: simulator.Chat) -> int:
    return sum(message.type == "image" for message in chat.history)


async def attach(desk: Desk, chat: Chat, key: str = "") -> int:
    name = await desk.outbox.pictures.add(PHOTO)
    desk.keys += 1
    async with desk.store.write() as session:
        (queued,) = await queue_pictures(
            session, chat=chat, operator_id=None, pictures=[name], client_key=key or f"p{desk.keys}", now=desk.clock()
        )
    return queued.id


async def test_a_photo_is_uploaded_sent_once_and_forgotten_here(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    photo, words = await attach(desk, ours), await desk.write(ours, "вот он")
    name = (await desk.reply(photo)).picture
    await desk.work()
    assert [message.type for message in theirs.history] == ["image", "text"]
    assert (await desk.reply(photo)).message_avito_id == theirs.history[0].id
    assert (await desk.reply(words)).state == OutgoingState.SENT
    assert not desk.outbox.pictures.has(name)


async def test_a_lost_upload_is_done_again(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("uploadImages", status=500, after=True, times=2)
    photo = await attach(desk, ours)
    for _ in range(4):
        await desk.work()
        desk.clock.step(MINUTE)
    assert (await desk.reply(photo)).state == OutgoingState.SENT
    assert photos(theirs) == 1


async def test_a_photo_whose_answer_was_lost_is_found_by_its_name(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendImageMessage", status=500, after=True, times=2)
    first, second = await attach(desk, ours), await attach(desk, ours)
    await desk.work()
    found = [await desk.reply(one) for one in (first, second)]
    assert [one.state for one in found] == [OutgoingState.SENT] * 2
    assert [one.message_avito_id for one in found] == [message.id for message in theirs.history]


@pytest.mark.parametrize("named", ["another", "{id}0", ""])
async def test_a_photo_of_the_right_time_is_never_taken_for_another(desk: Desk, named: str) -> None:
    """Where no address names the picture nobody can know whose it is: a person decides."""
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendImageMessage", status=500)
    photo = await attach(desk, ours)
    await desk.work()
    lost = await desk.reply(photo)
    shown = named.format(id=lost.image_avito_id)
    content = {"image": {"sizes": {"640x480": f"https://img.avito.example/640x480/{shown}.jpg"} if shown else {}}}
    await desk.sim.shop_says(theirs, "", "image", content)  # a colleague, in Avito's own application
    for _ in range(6):
        desk.clock.step(MINUTE)
        await desk.work()
    assert (await desk.reply(photo)).state == OutgoingState.UNCONFIRMED
    assert len(await desk.ours(ours)) == 1


async def test_a_photo_that_is_nowhere_to_be_found_waits_for_a_person(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    desk.sim.fault("postSendImageMessage", status=500)
    photo = await attach(desk, ours)
    for _ in range(6):
        await desk.work()
        desk.clock.step(HOUR)
    assert ((await desk.reply(photo)).state, photos(theirs)) == (OutgoingState.UNCONFIRMED, 0)
    await desk.outbox.retry(photo, await operator(desk))
    await desk.work()
    assert ((await desk.reply(photo)).state, photos(theirs)) == (OutgoingState.SENT, 1)


async def test_a_refused_photo_says_why_and_is_uploaded_anew(desk: Desk) -> None:
    theirs, ours = await desk.chat()
    refused = {"error": {"code": 400, "message": "bad picture"}}
    desk.sim.fault("uploadImages", status=400, body=refused)
    desk.sim.fault("postSendImageMessage", status=400, body=refused)
    photo = await attach(desk, ours)
    for _ in range(2):
        await desk.work()
        reply = await desk.reply(photo)
        assert (reply.state, reply.error, reply.image_avito_id) == (OutgoingState.REJECTED, "bad picture", "")
        await desk.outbox.retry(photo, await operator(desk))
    await desk.work()
    assert ((await desk.reply(photo)).state, photos(theirs)) == (OutgoingState.SENT, 1)


async def test_a_photo_that_was_given_up_leaves_the_disk(desk: Desk) -> None:
    _, ours = await desk.chat()
    photo = await attach(desk, ours)
    name = (await desk.reply(photo)).picture
    await desk.outbox.discard(photo)
    assert not desk.outbox.pictures.has(name)


@pytest.mark.promise("P7")
async def test_whoever_dies_around_a_photo_sends_it_once_or_says_so(
    desk: Desk, at_scale: AtScale, figures: Figures, seed: int
) -> None:
    dice = random.Random(seed)
    theirs, ours = await desk.chat()
    ended: Counter[str] = Counter()
    for trial in range(at_scale(8, 100)):
        photo = await attach(desk, ours)
        desk.network.arrived.clear()
        at_upload = trial % 5 == 0
        desk.sim.fault("uploadImages" if at_upload else "postSendImageMessage", hang=True, after=trial % 4 != 0)
        dying = asyncio.create_task(desk.outbox.run())
        if not at_upload and trial % 3:
            await desk.network.arrived.wait()
        for _ in range(dice.choice([0, 1, 5, 20, 60])):
            await asyncio.sleep(0)  # the loop takes one step
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        desk.sim.faults.clear()
        desk.died()
        await desk.outbox.take_over()
        before = photos(theirs)
        for _ in range(6):
            desk.clock.step(LEASE)
            await desk.work()
        reply = await desk.reply(photo)
        ended[reply.state] += 1
        assert reply.due_at is None
        assert photos(theirs) == ended[OutgoingState.SENT], before
        if reply.state == OutgoingState.UNCONFIRMED:
            await desk.outbox.discard(photo)  # the person looked at Avito: it is not there
    figures(trials=sum(ended.values()), double_sends=photos(theirs) - ended[OutgoingState.SENT], **ended)
    assert ended.keys() <= {OutgoingState.SENT, OutgoingState.UNCONFIRMED}
    assert ended[OutgoingState.SENT] > 0


async def operator(desk: Desk) -> Operator:
    async with desk.store.write() as session:
        found = await session.scalar(select(Operator))
        if found is None:
            found = Operator(login="anna", name="Анна", password_hash="", role="manager", created_at=0)
            session.add(found)
    return found
