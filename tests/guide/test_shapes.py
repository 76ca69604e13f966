"""Every shape that Avito is known to send is accepted, applied and shown; whatever else is sent hurts nobody."""

from typing import Any

import pytest

from golub.model import Cause, DeliveryState
from golub.simulator import Account, Item
from golub.simulator import wire as avito
from tests import shapes
from tests.conftest import ONE_DATABASE
from tests.guide.page import Page
from tests.guide.town import Browser, Town, eventually

SHOWN = {
    "image": "фото",
    "voice": "На Авито",
    "link": "О примере",
    "location": "Невский, 60",
    "item": "Самокат",
    "call": "Пропущенный звонок",
    "system": "Скидка включена",
    "video": "Видео",
    "file": "Файл",
    "appCall": "Покупатель звонил",
    "deleted": "Сообщение удалено",
    "deleted as text": "Сообщение удалено",
    "system without text": "",
    "our own, without type and envelope": "Да, продаём",
    "without payload type, with an author object": "Добрый день, ещё продаёте?",
}


def in_chat(shape: dict[str, Any], number: int) -> dict[str, Any]:
    """The same event in a chat of its own."""
    value = shape["payload"]["value"] or shapes.value()
    kind = value.get("chat_type", "u2i")
    return {**shape, "payload": {**shape["payload"], "value": {**value, "chat_id": f"{kind}-shape-{number}"}}}


async def test_all_shapes_are_accepted_applied_and_shown(town: Town, boss: Browser, shop: Account) -> None:
    assert shop.user_id == shapes.USER_ID
    bodies = {name: avito.encoded(in_chat(shape, number)) for number, (name, shape) in enumerate(shapes.SHAPES.items())}
    for body in [*bodies.values(), *bodies.values()]:  # each twice: a repetition changes nothing
        assert town.sim.emit(shop, body).fate.state == "pending"
    await town.applied()
    journal = [one for one in await town.journal() if one.state != DeliveryState.PROBE]
    assert [(one.state, one.cause) for one in journal] == [(DeliveryState.APPLIED, Cause.NONE)] * 2 * len(bodies)
    assert {bytes(one.body) for one in journal} == set(bodies.values())

    chats = await all_chats(boss)
    assert len(chats) == len(bodies)
    shown = [await read_chat(boss, chat) for chat in chats]
    threads = [page.within("messages") for page in shown]
    assert all(len(page.ids("message-")) == 1 for page in shown)
    for name in shapes.SHAPES:
        words = SHOWN.get(name, "Добрый день, ещё продаёте?")
        assert any(words.lower() in thread.lower().replace("\xa0", " ") for thread in threads), name
    plain = [name for name in shapes.SHAPES if name not in SHOWN]
    count = sum("Добрый день, ещё продаёте?" in thread for thread in threads)
    assert count == len(plain) + 1


async def all_chats(boss: Browser) -> list[str]:
    return [row.removeprefix("chat-") for row in (await boss.open("/inbox")).ids("chat-")]


async def read_chat(boss: Browser, chat: str) -> Page:
    page = await boss.open(f"/inbox/{chat}")
    assert page.status == 200
    return page


@ONE_DATABASE
async def test_a_message_without_an_id_is_one_message_however_often_it_comes(
    town: Town, boss: Browser, shop: Account
) -> None:
    body = avito.encoded(shapes.SHAPES["without message id"])
    for _ in range(3):
        town.sim.emit(shop, body)
    await town.applied()
    page = await read_chat(boss, (await all_chats(boss))[0])
    assert len(page.ids("message-")) == 1


@ONE_DATABASE
async def test_a_message_with_an_author_0_comes_with_the_history(town: Town, boss: Browser) -> None:
    shop = town.sim.add_account(7_003, "Запчасти")
    chat = town.sim.add_chat(shop, "Сергей", Item("Фара", 3_000))
    town.sim.buyer_says(chat, "Старое сообщение", quiet=True, at=town.sim.now() - 90_000)
    words = shapes.HISTORY_RECORD["content"]["text"]
    town.sim.system(chat, words, author=shapes.HISTORY_RECORD["author_id"], quiet=True, at=town.sim.now() - 86_400)
    await town.connect(boss, shop)
    page = await eventually(lambda: town.chat_page(boss, "Сергей"), lambda page: words in page.text)
    assert len(page.ids("message-")) == 2
    assert not (await boss.open("/inbox")).title.startswith("(")


HOSTILE: dict[str, tuple[bytes, Cause]] = {
    "not JSON": (b"hello", Cause.NOT_JSON),
    "a form": (b"a=1&b=2", Cause.NOT_JSON),
    "not UTF-8": (b'{"payload": "\xff"}', Cause.NOT_UTF8),
    "an array": (b"[]", Cause.NOT_AN_OBJECT),
    "a string": (b'"str"', Cause.NOT_AN_OBJECT),
    "null": (b"null", Cause.NOT_AN_OBJECT),
    "true": (b"true", Cause.NOT_AN_OBJECT),
    "brackets": (b"[" * 100_000, Cause.TOO_DEEP),
    "objects": (b'{"a":' * 40_000, Cause.TOO_DEEP),
    "a raw NUL": (b'{"payload": "\x00"}', Cause.NOT_JSON),
    "raw lone surrogates": (b'{"payload": "\xed\xa0\x80"}', Cause.NOT_UTF8),
    "id 2^64": (shapes.message(id=2**64), Cause.BAD_VALUE),
    "user 2^64": (shapes.message(user_id=2**64), Cause.BAD_VALUE),
    "author 2^64": (shapes.message(author_id=2**64), Cause.BAD_VALUE),
    "chat is a list": (shapes.message(chat_id=["u2i-abc"]), Cause.BAD_VALUE),
    "content is a list": (shapes.message(content=[1]), Cause.BAD_VALUE),
    "another account's": (shapes.message(user_id=shapes.USER_ID + 1), Cause.WRONG_ACCOUNT),
    "256 KiB": (b"x" * (256 << 10), Cause.NOT_JSON),
}


async def test_hostile_bodies_are_in_quarantine_and_the_next_good_one_is_applied(
    town: Town, boss: Browser, shop: Account
) -> None:
    avito_itself = await town.client()
    assert shop.subscription
    for name, (body, _) in HOSTILE.items():
        answer = await avito_itself.post(shop.subscription, content=body)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"}), name
    before = len(HOSTILE)
    for body in (b"x" * 300_000, b"x" * ((256 << 10) + 1)):
        assert (await avito_itself.post(shop.subscription, content=body)).status_code == 413

    town.sim.buyer_says(town.sim.add_chat(shop, "Вера"), "Добрая весть")
    await town.applied()
    assert "Добрая весть" in (await boss.open("/inbox")).text
    kept = {bytes(one.body): one for one in await town.journal() if one.state == DeliveryState.QUARANTINED}
    assert len(kept) == before
    for name, (body, cause) in HOSTILE.items():
        assert kept[body].cause == cause, name
        assert kept[body].detail, name


ODD = ("a\ud800b\udfff", "a\x00b", "\ufeff\u202eзалом", "ё" + "\u0301" * 2_000, "\N{FAMILY}" * 200)


@pytest.mark.row(25)
async def test_odd_characters_are_applied_and_shown(town: Town, boss: Browser, shop: Account) -> None:
    """Escaped, they are proper JSON: shown with U+FFFD and ␀ where no database could keep them; the bytes stay."""
    bodies = [
        avito.encoded(shapes.envelope(shapes.value(id=f"odd-{number}", content={"text": text})))
        for number, text in enumerate(ODD)
    ]
    assert b"\\ud800" in bodies[0]
    assert b"\\u0000" in bodies[1]
    for body in bodies:
        town.sim.emit(shop, body)
    await town.applied()
    journal = (await town.journal())[-len(ODD) :]
    assert {one.state for one in journal} == {DeliveryState.APPLIED}
    assert {bytes(one.body) for one in journal} == set(bodies)
    page = await read_chat(boss, (await all_chats(boss))[0])
    assert len(page.ids("message-")) == len(ODD)
    for words in ("a\ufffdb\ufffd", "a\u2400b", "залом", "ё\u0301"):
        assert words in page.within("messages")
