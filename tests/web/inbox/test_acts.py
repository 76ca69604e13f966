"""What was done with a chat stands in its thread, among messages and notes: who and when, live, and each line once."""

import pytest
from sqlalchemy import select

from golub import inbox
from golub.clock import HOUR, MINUTE
from golub.model import Act, Chat, Label, Message, Note, Operator, Role
from golub.waking import Waking
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read

HX = {"HX-Request": "true"}
EVIL = '"><script>alert(1)</script>\u202e'


@pytest.fixture
async def boris(visit: Visit, parts: Parts) -> Browser:
    browser = await visit(Role.MANAGER)
    assert browser.operator
    async with parts.store.write() as session:
        (await session.get_one(Operator, browser.operator.id)).name = EVIL
    return browser


async def act(browser: Browser, chat: int, verb: str, **fields: object) -> None:
    answer = await browser.post(f"/inbox/{chat}/{verb}", {name: str(one) for name, one in fields.items()}, headers=HX)
    assert answer.status_code == 200, answer.text


async def version_of(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        return (await session.get_one(Chat, chat)).version


def ids(page: Read) -> list[str]:
    return [row["id"] for row in page.all("li") if "message" in row.get("class", "").split() and "data-order" in row]


async def test_who_did_what_with_a_chat_is_told_among_its_messages(
    parts: Parts, talk: Talk, manager: Browser, boris: Browser, clock: SteppedClock
) -> None:
    assert manager.operator
    assert boris.operator
    anna = manager.operator.name
    async with parts.store.write() as session:
        label = Label(name=f"Срочно {EVIL}", folded="срочно", colour="#c2410c", created_at=0)
        session.add(label)
    await talk.says("one", "вопрос", at=clock() - MINUTE)
    chat = talk.chats["one"]
    steps: list[tuple[str, dict[str, object]]] = [
        ("take", {}),
        ("labels", {"label_id": label.id, "on": "yes"}),
        ("labels", {"label_id": label.id, "on": "no"}),
        ("hand-over", {"operator_id": boris.operator.id}),
    ]
    before = await version_of(parts, chat)
    for verb, fields in steps:
        clock.step(MINUTE)
        await act(manager, chat, verb, **fields)
    await act(boris, chat, "return")
    await act(boris, chat, "snooze", version=await version_of(parts, chat), until="hour")
    clock.step(HOUR)
    await Waking(parts.store, parts.applier, clock).run_once()
    await act(manager, chat, "close", version=await version_of(parts, chat))
    await act(boris, chat, "reopen")
    await act(manager, chat, "close", version=await version_of(parts, chat))
    await talk.says("one", "ещё вопрос", at=clock() - MINUTE)

    page = await read(manager, f"/inbox/{chat}")
    told = [
        f"{anna} took the chat",
        f'{anna} put the label “Срочно "><script>alert(1)</script>',
        f"{anna} took the label “Срочно",
        f'{anna} handed the chat over to "><script>alert(1)</script>',
        "returned the chat to everybody",
        "snoozed the chat until",
        "The snooze is over: the chat is open again",
        f"{anna} closed the chat",
        "reopened the chat",
        f"{anna} closed the chat",
        "The buyer has written: the chat is open again",
    ]
    place = 0
    for words in told:
        found = page.text.find(words, place)
        assert found >= 0, (words, page.text[place:])
        place = found + len(words)
    assert [script for script in page.all("script") if "src" not in script] == []
    assert "\u202e" not in page.text
    live = await read(boris, f"/inbox/{chat}/messages?after={before}")
    assert ids(live) == ids(page)[1:]


async def test_acts_notes_and_messages_are_paged_together_each_once(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    await talk.says("chat", "начало", at=clock() - HOUR)
    chat = talk.chats["chat"]
    for number in range(24):  # all of some moments at once
        clock.step(1000 if number % 3 == 0 else 0)
        await act(manager, chat, "take" if number % 2 == 0 else "return")
        if number % 3 == 1:
            await manager.post(f"/inbox/{chat}/notes", {"text": f"заметка {number}", "client_key": "k"}, headers=HX)
    start = clock() // 1000 * 1000
    await talk.says_all("chat", [f"слово-{n}." for n in range(30)], at=[start - (n % 8) * 1000 for n in range(30)])
    page = await read(manager, f"/inbox/{chat}")
    shown = ids(page)
    assert len(shown) >= inbox.MESSAGES_A_PAGE
    while older := page.all("li", id="older"):
        page = await read(manager, older[0]["hx-get"])
        shown = ids(page) + shown
    async with parts.store.read() as session:
        times = {f"note-{row.id}": row.created_at for row in await session.scalars(select(Note))}
        times |= {f"act-{row.id}": row.at for row in await session.scalars(select(Act))}
        times |= {f"message-{row.id}": row.created_at for row in await session.scalars(select(Message))}
        first = await session.scalar(select(Message.id).order_by(Message.created_at, Message.id).limit(1))
    assert len(shown) == len(set(shown)) == len(times) == 31 + 24 + 8
    assert [times[one] for one in shown] == sorted(times.values())

    later = await read(manager, f"/inbox/{chat}?at={first}")  # opened at its beginning, and read on to its end
    forth = ids(later)
    while newer := later.all("li", id="newer"):
        later = await read(manager, newer[0]["hx-get"])
        forth += ids(later)
    assert sorted(forth) == sorted(shown)
