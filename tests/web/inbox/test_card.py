"""What stands beside a chat: the item's and the buyer's other chats, the note about the buyer; found by indexes."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite

from golub.inbox import card
from golub.model import BuyerNote, Chat, OperatorAccount, Role
from golub.sight import ALL_ACCOUNTS
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import BUYER, Talk, add_account
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read

HTMX = {"HX-Request": "true"}


async def test_an_item_s_other_chats_are_there_and_who_waits_is_first(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    for name in ("here", "answered", "waits"):
        await talk.says(name, "вопрос")
        await talk.facts(name, name=f"Покупатель {name}")
        clock.step(1000)
    await talk.answers("answered", "да")
    await talk.says("elsewhere", "другое")
    await talk.facts("elsewhere", item="Стол", id=6)
    page = await read(manager, f"/inbox/{talk.chats['here']}")
    assert beside(page)[:2] == [talk.chats["waits"], talk.chats["answered"]]
    assert talk.chats["elsewhere"] not in beside(page)[:2]
    assert "2 more chats about it" in page.text
    assert "1 waits" in page.text


async def test_a_buyer_is_one_person_over_all_accounts_that_the_operator_sees(
    parts: Parts, talk: Talk, visit: Visit
) -> None:
    other = await add_account(parts, 1002, "Второй магазин")
    for where, item in ((talk, 5), (other, 7)):
        await where.says("chat", "вопрос")
        await where.facts("chat", item=f"Товар {item}", id=item)
    here, there = talk.chats["chat"], other.chats["chat"]
    admin, narrowed = await visit(Role.ADMIN), await visit(Role.MANAGER)
    assert narrowed.operator
    async with parts.store.write() as session:
        (await session.get_one(type(narrowed.operator), narrowed.operator.id)).every_account = False
        session.add(OperatorAccount(operator_id=narrowed.operator.id, account_id=talk.account.id))
    page = await read(admin, f"/inbox/{here}")
    assert beside(page) == [there]
    assert "Второй магазин" in page.text
    page = await read(narrowed, f"/inbox/{here}")
    assert beside(page) == []
    assert "Второй магазин" not in page.text


@pytest.mark.parametrize("buyer", [None, 0, 1])
@ONE_DATABASE
async def test_nobody_is_never_one_person(parts: Parts, talk: Talk, manager: Browser, buyer: int | None) -> None:
    for name, item in (("one", 5), ("two", 6)):
        await talk.says(name, "вопрос")
        await talk.facts(name, item=f"Товар {item}", id=item)
    async with parts.store.write() as session:
        for chat in await session.scalars(select(Chat)):
            chat.buyer_id = buyer
    chat_id = talk.chats["one"]
    page = await read(manager, f"/inbox/{chat_id}")
    assert beside(page) == []
    assert not page.all("textarea", id="buyer-note-text")
    answer = await manager.post(f"/inbox/{chat_id}/buyer-note", {"text": "кто это?"}, headers=HTMX)
    assert answer.status_code == 400
    async with parts.store.read() as session:
        assert list(await session.scalars(select(BuyerNote))) == []


async def test_a_note_about_a_buyer_is_in_all_their_chats_and_nobody_overwrites_another(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit, clock: SteppedClock
) -> None:
    for name, item in (("one", 5), ("two", 6)):
        await talk.says(name, "вопрос")
        await talk.facts(name, item=f"Товар {item}", id=item)
    one, two = talk.chats["one"], talk.chats["two"]
    colleague = await visit(Role.MANAGER)
    async with parts.live.subscribe() as rings:
        answer = await manager.post(f"/inbox/{one}/buyer-note", {"text": "Торгуется <b>", "seen": "0"}, headers=HTMX)
        assert answer.status_code == 204, answer.text
        assert {ring.chat_id for ring in await anext(rings)} == {one, two}
    page = await read(colleague, f"/inbox/{two}")
    assert "Торгуется <b>" in page.text
    seen = page.all("input", name="seen")[0]["value"]
    late = await colleague.post(f"/inbox/{two}/buyer-note", {"text": "сам по себе", "seen": "0"}, headers=HTMX)
    assert late.status_code == 409
    answer = await colleague.post(f"/inbox/{two}/buyer-note", {"text": "Платит сразу", "seen": seen}, headers=HTMX)
    assert answer.status_code == 204
    late = await manager.post(f"/inbox/{one}/buyer-note", {"text": "поздно", "seen": seen}, headers=HTMX)
    assert late.status_code == 409
    assert "Платит сразу" in (await read(manager, f"/inbox/{one}")).text
    for text_, status in (("я" * 4001, 400), ("nul \0", 400)):
        answer = await manager.post(f"/inbox/{one}/buyer-note", {"text": text_, "seen": seen}, headers=HTMX)
        assert answer.status_code == status
    async with parts.store.read() as session:
        (note,) = await session.scalars(select(BuyerNote))
    assert (note.buyer_id, note.text) == (BUYER, "Платит сразу")
    assert colleague.operator
    assert note.operator_id == colleague.operator.id


async def test_they_are_found_by_indexes(parts: Parts, talk: Talk) -> None:
    """Also where nearly every chat is about something else."""
    async with parts.store.write() as session:
        session.add_all(
            Chat(account_id=talk.account.id, avito_id=f"c{number}", buyer_id=number + 2, item_id=number + 2)
            for number in range(1000)
        )
    async with parts.store.write() as session:
        await session.execute(text("ANALYZE"))
    async with parts.store.read() as session:
        chat = (await session.scalars(select(Chat).where(Chat.buyer_id == 500))).one()
        assert (await card.find_chats_of_buyer(session, ALL_ACCOUNTS, chat)).count == 0
        plans = {
            "ix_chats_buyer_id": select(Chat.id).where(Chat.buyer_id == 500).order_by(Chat.id.desc()),
            "ix_chats_item": select(Chat.id)
            .where(Chat.account_id == talk.account.id, Chat.item_id == 500)
            .order_by(Chat.listed_at.desc(), Chat.id.desc()),
        }
        for index, statement in plans.items():
            dialect = sqlite.dialect() if parts.store.is_sqlite else postgresql.dialect()
            written = statement.limit(card.LOOKED_AT).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
            explain = "EXPLAIN QUERY PLAN" if parts.store.is_sqlite else "EXPLAIN"
            plan = "\n".join(str(row) for row in await session.execute(text(f"{explain} {written}")))
            assert index in plan, plan


def beside(page: Read) -> list[int]:
    return [int(link["href"].split("/")[2].split("?")[0]) for link in page.all("a", **{"class": "beside-chat"})]
