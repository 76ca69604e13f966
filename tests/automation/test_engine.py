"""The rules at work: what goes out, to whom and once, whatever comes twice, late, from ourselves or from nobody."""

import asyncio

from sqlalchemy import func, select, update

from golub.automation.engine import LOOKED_BACK
from golub.automation.rules import LATE, MOST_A_DAY
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.fold import Close
from golub.model import BlockedBuyer, Chat, Message, Note, RuleKind, RulePicture, Wait
from golub.simulator.world import Item
from tests.automation.house import House
from tests.conftest import ONE_DATABASE

ALWAYS_CLOSED = {"week": [[[0, 1]], [], [], [], [], [], []], "holidays": []}  # but for Monday's first minute
HELLO = "Здравствуйте, {buyer}! Ответим через пять минут."


async def test_a_storm_of_duplicates_and_echoes_yields_one_reply(home: House) -> None:
    """Every event comes four times, echoes before the answer to the send, and three processes look at once."""
    home.sim.policy.change(duplicates=3, echo_first=True)
    await home.rule(RuleKind.GREETING, HELLO)
    await home.rule(RuleKind.AWAY, "Мы закрыты.", hours=ALWAYS_CLOSED, account_id=home.accounts[1])
    chats = [home.sim.add_chat(home.shops[number % 2], "Ирина") for number in range(4)]
    for chat in chats:
        home.sim.buyer_says(chat, "Ещё продаёте?")
        home.sim.buyer_says(chat, "И торг есть?")
    await home.receive()
    home.clock.step(6 * SECOND)
    others = [home.another(), home.another()]
    for _ in range(3):
        await asyncio.gather(home.automation.run_once(), *(other.run_once() for other in others))
        await home.turn()
    for chat in chats:
        expected = "Здравствуйте, Ирина! Ответим через пять минут." if chat.account is home.shops[0] else "Мы закрыты."
        assert home.said_by_shop(chat) == [expected]
    assert await home.acts() == [("Ещё продаёте?", "greeting", "done")] * 2
    away = await home.acts(1)
    assert sorted(away) == [("Ещё продаёте?", "away", "done")] * 2 + [("И торг есть?", "away", "told")] * 2
    await home.wait(HOUR)
    assert len(await home.replies()) == 4


async def test_a_greeting_answers_nobody(home: House) -> None:
    """The buyer waits on in the inbox, unread, and in the reports; an operator's answer ends it."""
    home.sim.policy.change(echo_first=True)
    await home.rule(RuleKind.GREETING, HELLO)
    chat = home.sim.add_chat(home.shops[0], "Ирина")
    asked = home.clock()
    home.sim.buyer_says(chat, "Ещё продаёте?")
    await home.settle()
    assert len(home.said_by_shop(chat)) == 1
    row = await home.chat(chat)
    assert (row.waiting_since, row.unread) == (asked, 1)
    async with home.store.read() as session:
        assert (await session.scalars(select(Wait.ended_at))).all() == [None]

    home.clock.step(MINUTE)
    await home.answers(chat, "Да, приезжайте")
    row = await home.chat(chat)
    assert (row.waiting_since, row.unread) == (None, 0)
    async with home.store.read() as session:
        assert (await session.scalars(select(Wait.operator_id))).all() == [home.operator_id]


async def test_nothing_goes_out_before_avito_has_confirmed_it(home: House) -> None:
    await home.rule(RuleKind.GREETING, HELLO)
    known = home.sim.add_chat(home.shops[0], "Ирина")
    home.sim.fault("getMessagesV3", status=500, times=1000)
    home.sim.buyer_says(known, "Ещё продаёте?")
    for _ in range(3):
        await home.settle()
    assert (await home.replies(), await home.acts()) == ([], [])

    home.sim.faults.clear()
    for _ in range(8):
        await home.wait(30 * SECOND)
    assert await home.acts() == [("Ещё продаёте?", "greeting", "done")]


@ONE_DATABASE
async def test_who_gets_no_reply(home: House) -> None:
    """History, Avito's own words, calls, the blocked, our own other shop, what was answered, taken back or old."""
    await home.rule(RuleKind.GREETING, HELLO)
    shop = home.shops[0]
    old = home.sim.add_chat(shop, "Старый")
    home.sim.buyer_says(old, "Год назад", quiet=True)
    avitos = home.sim.add_chat(shop, "Авито", chat_type="a2u")
    home.sim.system(avitos, "Скидки!")
    home.sim.buyer_says(avitos, "Акция")
    system = home.sim.add_chat(shop, "Никто")
    home.sim.system(system, "Покупатель оформил заказ", author=0)
    home.sim.call(home.sim.add_chat(shop, "Звонит"))
    await home.settle()
    assert await home.acts() == []

    ours = home.sim.add_chat(shop, "Сад", buyer_id=home.shops[1].user_id)
    home.sim.buyer_says(ours, "от своих")
    blocked = home.sim.add_chat(shop, "Плохой", buyer_id=666)
    async with home.store.write() as session:
        session.add(BlockedBuyer(account_id=home.accounts[0], buyer_id=666, reason=1, blocked_at=home.clock()))
    home.sim.buyer_says(blocked, "от заблокированного")
    answered = home.sim.add_chat(shop, "Быстрый")
    home.sim.buyer_says(answered, "отвеченное")
    await home.receive()
    home.clock.step(SECOND)
    await home.answers(answered, "Да")
    deleted = home.sim.add_chat(shop, "Передумал")
    gone = home.sim.buyer_says(deleted, "удалённое")
    await home.receive()
    home.clock.step(SECOND)
    home.sim.delete(gone)
    await home.settle()
    assert sorted((text, outcome) for text, _, outcome in await home.acts()) == [
        ("от заблокированного", "blocked"),
        ("от своих", "ours"),
        ("отвеченное", "answered"),
        ("удалённое", "deleted"),
    ]
    assert await home.replies() == []

    late = home.sim.add_chat(shop, "Опоздал")
    home.sim.buyer_says(late, "позднее")
    await home.receive()
    home.clock.step(LATE + SECOND)  # no worker ran meanwhile, or the clock has jumped
    await home.turn()
    assert (await home.acts())[-1] == ("позднее", "greeting", "late")
    older = home.sim.add_chat(shop, "Совсем опоздал")
    home.sim.buyer_says(older, "совсем позднее")
    await home.receive()
    home.clock.step(LOOKED_BACK + MINUTE)
    await home.turn()
    assert (await home.acts())[-1] == ("позднее", "greeting", "late")
    assert await home.replies() == []


@ONE_DATABASE
async def test_the_nearest_rule_with_its_photos_and_no_more_than_a_few_a_day(home: House) -> None:
    shop = home.shops[0]
    await home.rule(RuleKind.GREETING, "Всем")
    await home.rule(RuleKind.GREETING, "Аккаунту", account_id=home.accounts[0])
    rule = await home.rule(RuleKind.GREETING, "{item}", "стоит {price}", item_id=77)
    async with home.store.write() as session:
        session.add(RulePicture(rule_id=rule, place=0, extension="png", picture=PIXEL, small=b"small"))
    about = home.sim.add_chat(shop, "Ирина", Item("Диван", 12_500, id=77))
    home.sim.buyer_says(about, "Ещё продаёте?")
    home.sim.buyer_says(home.sim.add_chat(shop, "Олег", Item("Стул", 900)), "Торг?")
    home.sim.buyer_says(home.sim.add_chat(home.shops[1], "Вера", Item("Лопата", 300)), "Есть?")
    await home.settle()
    await home.wait(6 * SECOND)
    assert [one.type for one in about.history if one.outgoing] == ["image", "text", "text"]
    assert sorted(await home.replies()) == ["", "Аккаунту", "Всем", "Диван", "стоит 12 500 ₽"]

    # Blocks with gaps let the away rule speak after each of them, but not all day long.
    minutes = [[minute, minute + 1] for minute in range(0, 1440, 240)]
    await home.rule(RuleKind.AWAY, "Закрыто", hours={"week": [minutes] * 7, "holidays": []})
    for number in range(6):
        home.sim.buyer_says(about, f"и ещё {number}")
        await home.settle()
        await home.wait(4 * HOUR)
    outcomes = [outcome for text, _, outcome in await home.acts() if text.startswith("и ещё")]
    assert outcomes.count("done") == MOST_A_DAY - 1
    assert set(outcomes) == {"told", "done", "capped"}  # told: by the greeting, after the last block had ended


@ONE_DATABASE
async def test_what_a_chat_does_not_tell_is_not_sent_and_an_outage_makes_no_late_greeting(home: House) -> None:
    await home.rule(RuleKind.GREETING, "Ссылка: {link}")
    nothing = home.sim.add_chat(home.shops[0], "Ирина", chat_type="u2u")
    home.sim.buyer_says(nothing, "без объявления")
    await home.settle()
    assert await home.acts() == [("без объявления", "greeting", "unfilled")]

    await home.rule(RuleKind.GREETING, "Здравствуйте", account_id=home.accounts[0])
    home.sim.fault("postSendMessage", status=503, times=1000)
    chat = home.sim.add_chat(home.shops[0], "Олег")
    home.sim.buyer_says(chat, "Во время аварии")
    await home.settle()
    assert (await home.acts())[-1] == ("Во время аварии", "greeting", "done")
    await home.wait(LATE + MINUTE)
    home.sim.faults.clear()
    for _ in range(3):
        await home.wait(MINUTE)
    assert home.said_by_shop(chat) == []


async def test_a_nudge_is_a_note_that_rings_once_for_each_wait(home: House) -> None:
    await home.rule(RuleKind.GREETING, HELLO)
    await home.rule(RuleKind.NUDGE, "Ждёт {minutes} минут", minutes=15)
    waits = home.sim.add_chat(home.shops[0], "Ирина")
    home.sim.buyer_says(waits, "Ещё продаёте?")
    answered = home.sim.add_chat(home.shops[0], "Олег")
    home.sim.buyer_says(answered, "Торг?")
    closed = home.sim.add_chat(home.shops[0], "Вера")
    home.sim.buyer_says(closed, "Спам")
    await home.settle()
    await home.answers(answered, "Нет")
    row = await home.chat(closed)
    await home.applier.submit(row.account_id, [Close(row.id, row.version, home.clock())])
    async with home.live.subscribe() as batches:
        home.clock.step(14 * MINUTE)
        await home.automation.run_once()
        assert await notes(home) == []
        home.clock.step(MINUTE)
        nodes = [home.automation, home.another(), home.another()]
        await asyncio.gather(*(node.run_once() for node in nodes))
        await asyncio.gather(*(node.run_once() for node in nodes))
        rung = [(ring.chat_id, ring.nudge) for ring in await anext(batches) if ring.nudge]
    row = await home.chat(waits)
    assert rung == [(row.id, True)]
    assert await notes(home) == [(row.id, "Ждёт 15 минут")]
    assert [act for act in await home.acts() if act[1] == "nudge"] == [("Ещё продаёте?", "nudge", "done")]

    home.sim.buyer_says(waits, "Ау!")  # the same wait
    await home.wait(20 * MINUTE)
    assert len(await notes(home)) == 1
    await home.answers(waits, "Да")
    home.clock.step(MINUTE)
    home.sim.buyer_says(waits, "А доставка?")
    await home.turn()
    await home.wait(16 * MINUTE)
    assert len(await notes(home)) == 2


@ONE_DATABASE
async def test_a_rule_that_is_switched_on_begins_with_what_comes_then(home: House) -> None:
    chat = home.sim.add_chat(home.shops[0], "Ирина")
    home.sim.buyer_says(chat, "Раньше")
    await home.settle()
    await home.rule(RuleKind.GREETING, HELLO)
    await home.rule(RuleKind.NUDGE, "Ждёт", minutes=1)
    await home.rule(RuleKind.AWAY, "Закрыто", hours=ALWAYS_CLOSED, active=False)
    home.clock.step(-DAY)  # and a clock that is set back answers nobody twice
    await home.turn()
    home.clock.step(DAY)
    await home.settle()
    assert await home.replies() == []
    async with home.store.write() as session:
        await session.execute(update(Message).values(seen=True))
        assert await session.scalar(select(func.count()).select_from(Chat)) == 1


async def notes(home: House) -> list[tuple[int, str]]:
    async with home.store.read() as session:
        found = await session.execute(select(Note.chat_id, Note.text, Note.operator_id).order_by(Note.id))
        return [(row.chat_id, row.text) for row in found if row.operator_id is None]


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645"
    "400000000049454e44ae426082"
)
