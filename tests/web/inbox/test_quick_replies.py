"""Quick replies: who writes them, where they fit, how they are filled in, and that none is sent with a gap."""

from typing import Any

import pytest
from sqlalchemy import select

from golub.composing.filling import fill, find_places, find_unknown
from golub.model import OutgoingMessage, QuickReply, Role
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.talk import Talk, add_account
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read
from tests.web.inbox.test_photos import photo

SCRIPT = {"HX-Request": "true"}


async def write(browser: Browser, name: str, *texts: str, status: int = 303, to: str = "", **more: Any) -> Read:
    form = {"csrf": browser.csrf, "name": name, "text": list(texts), "own": "no", **more}
    answer = await browser.client.post(f"/quick-replies{to}", data=form)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


async def offered(browser: Browser, chat: int) -> dict[str, int]:
    """By name: what the picker shows in that chat."""
    page = await read(browser, f"/inbox/{chat}/quick-replies", headers=SCRIPT)
    return {one["data-search"].split()[0]: int(one["data-quick"]) for one in page.all("div", role="option")}


async def take(browser: Browser, chat: int, quick_id: int, **more: Any) -> Read:
    answer = await browser.post(f"/inbox/{chat}/quick-replies/{quick_id}", headers=SCRIPT, **more)
    assert answer.status_code == 200, answer.text
    return Read(answer.text)


async def queued(parts: Parts) -> list[tuple[str, str]]:
    async with parts.store.read() as session:
        rows = await session.scalars(select(OutgoingMessage).order_by(OutgoingMessage.id))
        return [(row.kind, row.text) for row in rows]


async def test_one_text_is_filled_in_for_the_composer(talk: Talk, visit: Visit) -> None:
    admin = await visit(Role.ADMIN)
    await talk.says("chat", "Сколько?")
    await talk.facts("chat", name="Ирина {price} <b>", item="Диван")
    chat = talk.chats["chat"]
    await write(admin, "цена", "Здравствуйте, {покупатель}! {item} — { Price }. {operator}, {account}")
    filled = (await take(admin, chat, (await offered(admin, chat))["цена"])).all("div", id="quick-filled")[0]
    assert admin.operator
    assert filled["data-text"] == (f"Здравствуйте, Ирина (price) <b>! Диван — 12 500 ₽. {admin.operator.name}, Мебель")
    assert filled["data-missing"] == ""
    assert "used 1 time" in (await read(admin, "/quick-replies")).text


async def test_what_a_chat_does_not_tell_is_said_and_never_sent(parts: Parts, talk: Talk, visit: Visit) -> None:
    admin = await visit(Role.ADMIN)
    await talk.says("chat", "Сколько?")
    chat = talk.chats["chat"]
    await write(admin, "цена", "Стоит {цена}, {price}", "Жду, {buyer}")
    shown = await take(admin, chat, (await offered(admin, chat))["цена"])
    assert "This chat does not tell: {цена}, {price}, {buyer}" in shown.text
    assert [one["name"] for one in shown.all("textarea")] == ["text", "text"]
    for text in ("Стоит {цена}", "{ BUYER }", "Стоит 5\n{товар}"):
        answer = await admin.post(f"/inbox/{chat}/reply", {"text": text, "client_key": text}, headers=SCRIPT)
        assert answer.status_code == 400
        assert "Fill in {" in Read(answer.text).text
    assert await queued(parts) == []


async def test_several_messages_and_photos_go_out_in_order_each_once(parts: Parts, talk: Talk, visit: Visit) -> None:
    admin = await visit(Role.ADMIN)
    await talk.says("chat", "Доставка?")
    chat = talk.chats["chat"]
    headers = {**SCRIPT, "X-CSRF-Token": admin.csrf, "Content-Type": "application/octet-stream"}
    attached = await admin.client.post("/quick-replies/pictures", content=photo(), headers=headers)
    name = Read(attached.text).all("input", name="picture")[0]["value"]
    await write(admin, "доставка", "Первое", " ", "Второе", picture=name)
    listed = await read(admin, "/quick-replies")
    (source,) = (one["src"] for one in listed.all("img") if one["src"].startswith("/quick-replies/pictures/"))
    assert (await admin.get(source)).content[8:12] == b"WEBP"
    shown = await take(admin, chat, (await offered(admin, chat))["доставка"])
    (pictures,) = (one["value"] for one in shown.all("input", name="pictures"))
    assert pictures != name  # one of its own for each reply
    assert await queued(parts) == []
    form = {"csrf": admin.csrf, "client_key": "k", "pictures": pictures, "text": ["Первое", "Второе, изменённое"]}
    for _ in range(2):
        assert (await admin.client.post(f"/inbox/{chat}/reply", data=form, headers=SCRIPT)).status_code == 200
    assert await queued(parts) == [("image", ""), ("text", "Первое"), ("text", "Второе, изменённое")]


async def test_they_fit_an_account_or_an_item_and_one_s_own_are_nobody_else_s(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit
) -> None:
    admin = await visit(Role.ADMIN)
    other = await add_account(parts, 4242, "Вторая")
    await talk.says("chat", "вопрос")
    await talk.facts("chat")  # about item 5
    await other.says("there", "вопрос")
    await write(admin, "всем", "Да")
    await write(admin, "магазину", "Да", account=str(other.account.id))
    await write(admin, "дивану", "Да", item="https://www.avito.ru/moskva/mebel/divan_5?context=1")
    await write(manager, "моё", "Да", own="yes")
    assert set(await offered(manager, talk.chats["chat"])) == {"всем", "дивану", "моё"}
    assert set(await offered(admin, other.chats["there"])) == {"всем", "магазину"}
    theirs = (await offered(manager, talk.chats["chat"]))["моё"]
    assert (await admin.get(f"/quick-replies/{theirs}")).status_code == 404
    await write(admin, "чужое", "Да", to=f"/{theirs}", status=404)
    shared = (await offered(manager, talk.chats["chat"]))["всем"]
    for to in (f"/{shared}", f"/{shared}/remove"):
        await write(manager, "моё", "Нет", own="yes", to=to, status=403)
    await write(manager, "всем", "Нет", status=403)
    await write(admin, "всем-всем", "Нет", to=f"/{shared}")
    asked = (await admin.get("/quick-replies")).text
    assert f'id="remove-{shared}"' in asked  # the dialog that asks first; a manager has none
    assert f'id="remove-{shared}"' not in (await manager.get("/quick-replies")).text
    await write(admin, "", to=f"/{shared}/remove")
    assert set(await offered(manager, talk.chats["chat"])) == {"дивану", "моё"}


@ONE_DATABASE
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": " "}, "Give it a short name."),
        ({"name": "я" * 61}, "at most 60 characters"),
        ({"text": [" "]}, "Write something first."),
        ({"text": ["я" * 1001]}, "at most 1000 characters"),
        ({"text": ["раз"] * 6}, "at most 5 messages"),
        ({"text": ["{скидка} вам"]}, "There is no variable {скидка}."),
        ({"item": "диван"}, "Give the item's number"),
        ({"picture": "../golub.db"}, "There is no such file."),
        ({"picture": f"{'0' * 32}.png"}, "The photo is not on this server any more."),
        ({"account": "4242"}, "There is no such account."),
        ({"text": ["a\0b"]}, "characters that Avito cannot take"),
    ],
)
async def test_what_could_not_be_sent_is_told_in_the_form(
    parts: Parts, visit: Visit, changed: dict[str, Any], words: str
) -> None:
    admin = await visit(Role.ADMIN)
    form = {"name": "имя", "text": ["Да"], "own": "no", "csrf": admin.csrf, **changed}
    answer = await admin.client.post("/quick-replies", data=form)
    assert answer.status_code == 422
    assert words in Read(answer.text).text
    async with parts.store.read() as session:
        assert list(await session.scalars(select(QuickReply))) == []


@ONE_DATABASE
async def test_without_script_there_are_pages(talk: Talk, manager: Browser, parts: Parts) -> None:
    empty = await read(manager, "/quick-replies")
    example = next(one["href"] for one in empty.all("a") if "example=" in one.get("href", ""))
    assert "{buyer}" in (await read(manager, example)).words
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await write(manager, "<i>да", "Да, <b>", own="yes")
    page = await read(manager, f"/inbox/{chat}/quick-replies?seen_message=0&seen_outgoing=0")
    (action,) = (one["action"] for one in page.all("form") if "/quick-replies/" in one.get("action", ""))
    shown = Read((await manager.post(action, {"seen_message": "0", "seen_outgoing": "0"})).text)
    assert "Да, <b>" in shown.words
    asked = await manager.post(f"/inbox/{chat}/reply", {"text": "Да", "seen_message": "0", "seen_outgoing": "0"})
    assert "There is something new in this chat" in Read(asked.text).text
    assert await queued(parts) == []


def test_variables_are_found_as_people_write_them() -> None:
    values = {"buyer": "Ирина", "item": "", "price": "5 ₽", "link": "", "operator": "О", "account": "А"}
    filled = fill("{Buyer}, {{price}} {цена} {item} {} {x\ny} {неизвестно}", values)
    assert filled.text == "Ирина, {5 ₽} 5 ₽ {item} {} {x\ny} {неизвестно}"
    assert filled.missing == ("{item}",)
    assert find_places("{x} { ITEM } {товар}") == ["{ ITEM }", "{товар}"]
    assert find_unknown("{item} {x} {}") == ["{x}"]
