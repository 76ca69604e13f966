"""The seeded world: the same by seed, large and varied enough, and alive."""

from random import Random

from golub.simulator import Lively, Message, Simulator, seed_demo
from golub.simulator.catalogue import SHOPS
from golub.simulator.dialogues import ANSWERS, FOLLOW_UPS, OPENINGS, TALKS, TRADE_OPENINGS
from golub.simulator.drawing import THINGS
from golub.simulator.seed import opening
from tests.simulator.conftest import Clock, Receiver


def snapshot(sim: Simulator) -> list[tuple[object, ...]]:
    return [(*m.key, m.author_id, m.created, m.type, str(m.content), m.is_read) for m in sim.world.walk()]


def test_the_same_seed_gives_the_same_world(time: Clock) -> None:
    worlds: list[list[tuple[object, ...]]] = []
    for seed in (5, 5, 6):
        sim = Simulator(seed=seed, clock=time)
        seed_demo(sim)
        worlds.append(snapshot(sim))
    assert worlds[0] == worlds[1]
    assert worlds[0] != worlds[2]


async def test_seeding_a_running_simulator_gives_that_world_too(time: Clock) -> None:
    still = Simulator(seed=5, clock=time)
    seed_demo(still)
    async with Simulator(seed=5, clock=time) as running:
        running.buyer_says(running.add_chat(running.add_account(1)), "я был раньше")
        seed_demo(running)
        assert snapshot(running)[1:] == snapshot(still)


def test_three_shops_with_history(time: Clock) -> None:
    sim = Simulator(clock=time)
    shops = seed_demo(sim)
    assert [len(shop.chats) for shop in shops] == [15, 15, 15]
    for shop in shops:
        chats = shop.newest_first()
        assert {chat.chat_type for chat in chats} == {"u2i", "u2u", "a2u"}
        assert [chat.updated for chat in chats] == sorted((chat.updated for chat in chats), reverse=True)
        assert any(chat.unread for chat in chats)
        assert not all(chat.unread for chat in chats)
    assert all(message.created <= time.now for message in sim.world.walk())
    assert {"text", "image", "voice", "system"} <= {message.type for message in sim.world.walk()}
    assert not sim.deliveries.backlog


def test_the_catalogue_is_wide_enough() -> None:
    goods = [item for plan in SHOPS for item in plan.items()]
    assert len(goods) >= 40
    assert len({item.title for item in goods}) == len({item.id for item in goods}) == len(goods)
    assert {item.picture for item in goods} <= set(THINGS)
    lines = {*OPENINGS, *FOLLOW_UPS, *ANSWERS}.union(
        *TRADE_OPENINGS.values(), [text for talk in TALKS for _, text in talk]
    )
    assert len(lines) >= 60
    assert all(len(line) <= 1000 for line in lines)
    assert "{" not in opening(Random(1), "parts", goods[0])


async def test_lively_buyers_do_everything(sim: Simulator, receiver: Receiver, time: Clock) -> None:
    for shop in seed_demo(sim):
        shop.subscription = "http://golub.test/hook"
    lively = Lively(sim)
    before = len(sim.world.chats)
    for _ in range(300):
        time.now += 5
        lively.once()
        await sim.idle()
    assert len(receiver.bodies) == 300
    assert len(sim.world.chats) > before + 50
    kinds = {value["type"] for value in receiver.values}
    assert {"text", "image", "voice", "location", "appCall"} <= kinds
    messages = list(sim.world.walk())
    assert any(message.edited for message in messages)
    assert any(message.deleted for message in messages)
    assert not any(chat.unread for chat in sim.world.chats.values() if chat.chat_type == "a2u" and not chat.history)


async def test_a_reply_is_heard(sim: Simulator) -> None:
    heard: list[Message] = []
    sim.on_reply.append(heard.append)
    chat = sim.add_chat(sim.add_account(1))
    reply = await sim.shop_says(chat, "Да, в наличии")
    assert heard == [reply]
    assert reply.read is None
    sim.buyer_says(chat, "Отлично")
    assert reply.read == sim.now()
