"""History comes in once, quietly, newest first, and goes on where it was cut short."""

import asyncio
import random

from golub.backfill import Backfill
from golub.clock import HOUR, MINUTE, SECOND
from tests import shop
from tests.backfill.town import Town, hint, history
from tests.conftest import ONE_DATABASE


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


@ONE_DATABASE
async def test_a_long_chat_is_read_to_what_avito_shows(town: Town) -> None:
    history(town, 1, messages=1250)
    await town.connect()
    await town.work()
    found = await town.messages()
    assert len(found) == 1100  # offsets end at 1000
    assert "вопрос 1249" in {message.text for message in found.values()}


@ONE_DATABASE
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


@ONE_DATABASE
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


@ONE_DATABASE
async def test_the_list_beyond_avitos_cap_is_the_end(town: Town) -> None:
    history(town, 1180)
    await town.connect()
    await town.backfill.run_once()
    assert (await town.account()).backfill_offset is None
    assert await town.backfill.chats_due(town.account_id) == 1100


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
