"""The open chat: its pages, what changed in it, what counts as read; deleting our own message, and blocking a buyer.

What messages look like is in `test_content.py`.
"""

from sqlalchemy import select

from golub import inbox
from golub.clock import HOUR, MINUTE
from golub.model import Account, Chat, Message, Role
from golub.simulator import Simulator, world
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import last_row, read, unread_of


async def test_the_thread_goes_back_by_pages_and_each_message_is_there_once(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    start = talk.at
    times = [start + number // 3 * 1000 for number in range(120)]  # three in each second
    await talk.says_all("long", [f"слово-{number}." for number in range(120)], at=times)
    await talk.answers("long", "прочитано")
    chat = talk.chats["long"]
    page = await read(manager, f"/inbox/{chat}")
    shown = [row["data-message"] for row in page.all("li") if "data-message" in row]
    assert len(shown) == inbox.MESSAGES_A_PAGE
    while older := page.all("li", id="older"):
        page = await read(manager, older[0]["hx-get"])
        shown = [row["data-message"] for row in page.all("li") if "data-message" in row] + shown
    assert len(shown) == len(set(shown)) == 121
    assert "слово-0." in page.text


@ONE_DATABASE
async def test_the_unread_messages_begin_at_a_line(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "старое")
    await talk.answers("chat", "ответ")
    chat = talk.chats["chat"]
    assert not (await read(manager, f"/inbox/{chat}")).all("p", id="unread-line")
    await talk.says("chat", "первое новое", name="first")
    await talk.says_all("chat", [f"ещё {number}" for number in range(inbox.MESSAGES_A_PAGE + 5)])
    text = (await manager.get(f"/inbox/{chat}")).text
    before, _, after = text.partition('id="unread-line"')
    assert before.rpartition("<li")[2].count('id="message-') == 1
    assert "старое" in before
    assert after.index("первое новое") < after.index("ещё 0")
    await manager.post(f"/inbox/{chat}/read", {"up_to": str(await last_row(parts, chat))})
    assert "unread-line" not in (await manager.get(f"/inbox/{chat}")).text


async def test_only_what_changed_since_a_version_is_sent(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "первое", name="a")
    await talk.says("chat", "второе", name="b")
    chat = talk.chats["chat"]
    version = await version_of(parts, chat)
    first = await read(manager, f"/inbox/{chat}/messages?after={version}")
    assert [row for row in first.all("li") if "data-message" in row] == []
    await talk.says("chat", "первое, исправленное", name="a", at=talk.at - 1000)
    await talk.says("chat", "третье", name="c")
    changed = await read(manager, f"/inbox/{chat}/messages?after={version}")
    assert len([row for row in changed.all("li") if "data-message" in row]) == 2
    for words in ("первое, исправленное", "третье", "edited"):
        assert words in changed.text
    assert "второе" not in changed.text
    assert changed.all("div", id="changes", **{"data-version": str(await version_of(parts, chat))})


@ONE_DATABASE
async def test_a_chat_that_changed_too_much_is_opened_anew(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says_all("chat", [str(number) for number in range(inbox.CHANGES_AT_ONCE + 1)])
    assert (await manager.get(f"/inbox/{talk.chats['chat']}/messages?after=0")).status_code == 205


async def test_reading_marks_what_was_seen_and_no_more(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "первое")
    chat = talk.chats["chat"]
    seen = await last_row(parts, chat)
    await talk.says("chat", "второе, пока читали")
    answer = await manager.post(f"/inbox/{chat}/read", {"up_to": str(seen)})
    assert answer.status_code == 204
    assert await unread_of(parts, chat) == 1
    await manager.post(f"/inbox/{chat}/read", {"up_to": str(await last_row(parts, chat))})
    assert await unread_of(parts, chat) == 0


@ONE_DATABASE
async def test_opening_a_page_changes_nothing(parts: Parts, talk: Talk, manager: Browser) -> None:
    """A GET has no effect, so that no foreign page can cause one: the script tells what was seen."""
    await talk.says("chat", "вопрос")
    await read(manager, f"/inbox/{talk.chats['chat']}")
    assert await unread_of(parts, talk.chats["chat"]) == 1


@ONE_DATABASE
async def test_our_own_message_is_deleted_within_the_hour(
    parts: Parts, sim: Simulator, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    theirs, chat = await simulated(parts, sim, talk)
    said = [sim.shop_said(theirs, text, at=clock() // 1000) for text in ("ошибка", "верно")]
    for message in said:
        await talk.says(
            theirs.id, message.text, author=talk.account.user_id, name=message.id, at=clock() // 1000 * 1000
        )
    page = await read(manager, f"/inbox/{chat}")
    forms = [form["action"] for form in page.all("form", **{"class": "take-back"})]
    assert len(forms) == 2
    answer = await manager.post(forms[0], headers={"HX-Request": "true"})
    assert answer.status_code == 204, answer.text
    assert [message.deleted for message in said] == [True, False]
    after = await read(manager, f"/inbox/{chat}")
    assert "ошибка" not in after.text
    assert "Message deleted" in after.text
    clock.step(HOUR + MINUTE)
    assert (await manager.post(forms[1], headers={"HX-Request": "true"})).status_code == 400
    assert not said[1].deleted
    assert not (await read(manager, f"/inbox/{chat}")).all("form", **{"class": "take-back"})


@ONE_DATABASE
async def test_a_buyers_message_is_not_ours_to_delete(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    async with parts.store.read() as session:
        message = (await session.execute(select(Message))).scalar_one()
    assert (await manager.post(f"/inbox/messages/{message.id}/delete")).status_code == 404


@ONE_DATABASE
async def test_an_admin_blocks_a_buyer_and_the_chat_says_so(
    parts: Parts, sim: Simulator, talk: Talk, manager: Browser, visit: Visit
) -> None:
    theirs, chat = await simulated(parts, sim, talk)
    assert not (await read(manager, f"/inbox/{chat}")).all("dialog", id="block")
    assert (await manager.post(f"/inbox/{chat}/block", {"reason": "2"})).status_code == 403
    admin = await visit(Role.ADMIN)
    assert (await read(admin, f"/inbox/{chat}")).all("dialog", id="block")
    for _ in range(2):
        answer = await admin.post(f"/inbox/{chat}/block", {"reason": "2"}, headers={"HX-Request": "true"})
        assert answer.status_code == 204, answer.text
    assert [context["reason_id"] for context in theirs.account.blacklist.values()] == [2]
    assert "Blocked: fraud" in (await read(manager, f"/inbox/{chat}")).text
    assert (await admin.post(f"/inbox/{chat}/block", {"reason": "5"})).status_code == 422


async def simulated(parts: Parts, sim: Simulator, talk: Talk) -> tuple[world.Chat, int]:
    """A chat that is at Avito too, and its id here."""
    seller = sim.add_account(talk.account.user_id, client_id=talk.account.client_id)
    async with parts.store.write() as session:
        account = await session.get_one(Account, talk.account.id)
        account.client_secret = parts.vault.seal(seller.client_secret)
    theirs = sim.add_chat(seller, "Ирина")
    await talk.says(theirs.id, "вопрос")
    await talk.facts(theirs.id)
    return theirs, talk.chats[theirs.id]


async def version_of(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        return (await session.get_one(Chat, chat)).version
