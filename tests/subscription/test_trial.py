"""The guide's step 4: what Avito would send arrives, proved by a nonce behind our own door."""

from golub.guarded import Failure
from golub.subscription import (
    find_first_since,
    read_traffic,
    walk,
)
from tests.door import FOREIGN, Answers, World


async def test_the_walk_finds_its_nonce_behind_our_own_door(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    async with world.applying() as applier:
        found = await walk(world.subscriptions, world.store, world.clock, world.account_id)
        assert found.call.address == "93.184.216.34"
        assert (found.answered, found.received, found.good) == (True, True, True)

        since = world.clock()
        assert await find_first_since(world.store, found.webhook, since) is None  # the nonce is no message
        assert (await read_traffic(world.store, found.webhook, since)).last_at is None
        world.clock.step(1000)
        world.avito.buyer_says(world.avito.add_chat(world.shop), "Ещё продаёте?")
        await world.avito.idle()
        assert applier.wait_applied(10)
        first = await find_first_since(world.store, found.webhook, since)
        assert first is not None
        assert first.received_at == world.clock()
        traffic = await read_traffic(world.store, found.webhook, world.clock())
        assert (traffic.last_at, traffic.last_day, traffic.failed_at) == (world.clock(), 1, None)
        world.avito.emit(world.shop, b"not json")
        await world.avito.idle()
        assert applier.wait_applied(10)
        assert (await read_traffic(world.store, found.webhook, world.clock())).failed_at == world.clock()


async def test_the_walk_is_not_deceived_by_a_stranger_who_answers_200(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.way.ends.append(Answers(200))
    async with world.applying():
        found = await walk(world.subscriptions, world.store, world.clock, world.account_id, wait=0.3)
    assert (found.answered, found.received, found.good) == (True, False, False)


async def test_the_walk_shows_a_stolen_subscription(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.steal_subscription(world.shop, FOREIGN)
    async with world.applying():
        found = await walk(world.subscriptions, world.store, world.clock, world.account_id)
    assert (found.received, found.good) == (True, False)
    assert found.webhook.foreign_host == "crm.example.com"


async def test_a_door_that_is_closed(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.way.ends.append(Answers(502))
    found = await walk(world.subscriptions, world.store, world.clock, world.account_id)
    assert (found.call.status, found.call.failure, found.received) == (502, Failure.NONE, False)
