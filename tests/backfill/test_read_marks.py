"""Avito hears that an operator has read a chat: once, also after a restart, and no longer than it listens."""

from golub import simulator
from golub.backfill import Backfill
from golub.clock import MINUTE
from golub.fold import MarkRead
from tests import shop
from tests.backfill.town import Town


async def asked(town: Town) -> simulator.Chat:
    """A new chat, with a question that nobody has read."""
    await town.connect()
    await town.work()
    town.clock.step(MINUTE)
    chat = town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "вопрос", quiet=True)
    await town.later()
    return chat


async def open_chat(town: Town, avito_id: str) -> None:
    """An operator has read all of it."""
    row = await town.chat(avito_id)
    await town.applier.submit(town.account_id, [MarkRead(row.id, row.last_message_id or 0)])


async def test_avito_hears_that_a_chat_was_read_also_after_a_restart(town: Town) -> None:
    chat = await asked(town)
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
    chat = await asked(town)
    town.sim.fault("chatRead", status=404, times=None)
    await open_chat(town, chat.id)
    for _ in range(5):
        await town.later()
    assert (await town.count())["chatRead"] == 1
    assert (await town.chat(chat.id)).read_due_at is None
