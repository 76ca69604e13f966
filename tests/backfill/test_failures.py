"""Whatever Avito answers, nothing is deleted, nothing goes round in circles, and nobody else has to wait."""

import json

import pytest

from golub.clock import MINUTE
from golub.model import AccountState
from tests import shop
from tests.backfill.town import Town, history
from tests.conftest import ONE_DATABASE


@pytest.mark.row(56)
@ONE_DATABASE
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


@pytest.mark.row(56)
@ONE_DATABASE
async def test_a_list_of_nonsense_is_survived(town: Town) -> None:
    chats = history(town, 2)
    await town.connect()
    for body in ({"chats": "x"}, [], {"chats": [None, 7, {"id": 5}, {}]}, "x", None, {"chats": [[]]}):
        fault = town.sim.fault("getChatsV2", body=json.dumps(body))
        await town.later()
        assert fault.hits == 1, body
        await town.later()
        assert (await town.account()).state == AccountState.WORKING, body
    assert len(await town.messages()) == len(chats)


@ONE_DATABASE
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


@ONE_DATABASE
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
