"""The sweep finds what webhooks failed to bring, and costs requests by what changed."""

import random

from sqlalchemy import update

from golub.clock import MINUTE, SECOND
from golub.model import Account
from tests.backfill.town import PERIOD, Town, hint, history
from tests.conftest import ONE_DATABASE


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


@ONE_DATABASE
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


@ONE_DATABASE
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


@ONE_DATABASE
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
