"""Several chats at once: each by the rules of one, a count, one Undo, and the reason for each that was left out."""

import re

from sqlalchemy import select

from golub.inbox.bulk import MOST
from golub.model import Chat, ChatLabel, Label, Operator, OperatorAccount, Role
from golub.web.parts import Parts
from tests.talk import Talk, add_account
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read


async def bulk(browser: Browser, verb: str, chats: str, status: int = 200, **fields: object) -> Read:
    sent = {"verb": verb, "chats": chats} | {name: str(value) for name, value in fields.items()}
    answer = await browser.post("/inbox/bulk", sent, headers={"HX-Request": "true"})
    assert answer.status_code == status, answer.text
    return Read(answer.text)


async def undo(browser: Browser, toasts: Read) -> Read:
    fields = {row["name"]: row["value"] for row in toasts.all("input", type="hidden")}
    if "label_id" in fields:
        return await bulk(browser, fields["verb"], fields["chats"], label_id=fields["label_id"])
    return await bulk(browser, fields["verb"], fields["chats"])


async def chats_of(parts: Parts, talk: Talk) -> dict[str, Chat]:
    names = {chat_id: name for name, chat_id in talk.chats.items()}
    async with parts.store.read() as session:
        found = await session.scalars(select(Chat).where(Chat.id.in_(names)).order_by(Chat.id))
        return {names[chat.id]: chat for chat in found}


async def pairs(parts: Parts, talk: Talk) -> str:
    return ",".join(f"{chat.id}.{chat.version}" for chat in (await chats_of(parts, talk)).values())


async def test_what_is_done_with_many_is_counted_and_undone_at_once(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit
) -> None:
    boris = await visit(Role.MANAGER)
    assert manager.operator
    assert boris.operator
    for name in ("a", "b", "c"):
        await talk.says(name, "вопрос")
    async with parts.store.write() as session:
        label = Label(name="Срочно", folded="срочно", colour="#c2410c", created_at=0)
        session.add(label)

    async def owners() -> list[int | None]:
        return [chat.owner_id for chat in (await chats_of(parts, talk)).values()]

    async def labelled() -> int:
        async with parts.store.read() as session:
            return len((await session.scalars(select(ChatLabel.chat_id))).all())

    told = await bulk(manager, "take", await pairs(parts, talk))
    assert "3 chats are yours now." in told.text
    assert await owners() == [manager.operator.id] * 3
    assert "as they were" in (await undo(manager, told)).text
    assert await owners() == [None] * 3

    await bulk(manager, "take", f"{talk.chats['a']}.0")
    told = await bulk(manager, "hand-over", await pairs(parts, talk), operator_id=boris.operator.id)
    assert await owners() == [boris.operator.id] * 3
    await undo(manager, told)  # though they are another's now: he has just given them
    assert await owners() == [manager.operator.id, None, None]
    assert "cannot be undone any more" in (await undo(manager, told)).text

    await bulk(manager, "label", f"{talk.chats['a']}.0", label_id=label.id)
    told = await bulk(manager, "label", await pairs(parts, talk), label_id=label.id)
    assert ("3 chats have the label." in told.text, await labelled()) == (True, 3)
    await undo(manager, told)
    assert await labelled() == 1  # what had it before has it still

    told = await bulk(manager, "snooze", await pairs(parts, talk), until="hour")
    assert all(chat.state == "snoozed" for chat in (await chats_of(parts, talk)).values())
    await undo(manager, told)
    told = await bulk(manager, "close", await pairs(parts, talk))
    assert all(chat.state == "closed" for chat in (await chats_of(parts, talk)).values())
    await undo(manager, told)
    assert all(chat.state == "waiting" for chat in (await chats_of(parts, talk)).values())
    await bulk(manager, "read", await pairs(parts, talk))
    assert [chat.unread for chat in (await chats_of(parts, talk)).values()] == [0, 0, 0]


async def test_each_that_is_left_out_is_named_with_its_reason(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit
) -> None:
    boris = await visit(Role.MANAGER)
    assert boris.operator
    evil = '"><script>alert(1)</script>\u202e'
    await talk.says("mine", "вопрос")
    await talk.says("his", "вопрос", name=evil)
    far = await add_account(parts, 555)
    await far.says("far", "вопрос")
    async with parts.store.write() as session:
        assert manager.operator
        (await session.get_one(Operator, manager.operator.id)).every_account = False
        session.add(OperatorAccount(operator_id=manager.operator.id, account_id=talk.account.id))
    await bulk(boris, "take", f"{talk.chats['his']}.0")
    seen = await pairs(parts, talk)
    told = await bulk(manager, "take", f"{seen},{far.chats['far']}.1,4242.1")
    assert "1 chat is yours now." in told.text
    assert "3 chats were left as they are:" in told.text
    assert f"{boris.operator.name} has already taken this chat." in told.text
    assert told.text.count("There is no such chat.") == 2
    assert not told.all("script")
    await talk.says("mine", "и ещё")
    told = await bulk(manager, "close", seen)
    assert "1 chat is closed." in told.text
    assert "has written meanwhile" in told.text
    assert (await chats_of(parts, talk))["mine"].closed_at is None
    async with parts.store.read() as session:
        assert (await session.get_one(Chat, far.chats["far"])).owner_id is None

    too_many = ",".join(f"{number}.1" for number in range(1, MOST + 2))
    for chats in ("", "1", "1.x", "-1.2", "1.2;3.4", f"{2**64}.1", too_many):
        await bulk(manager, "close", chats, 400)
    await bulk(manager, "burn", seen, 422)
    await bulk(manager, "hand-over", seen, 400)
    await bulk(manager, "label", seen, 400)
    await bulk(manager, "snooze", seen, 400, at="yesterday")
    page = await read(manager, "/inbox")
    assert page.all("form", id="bulk")
    assert re.search(r"\bdata-most\b", (await manager.get("/inbox")).text)
