"""Notes in a chat: among its messages, live, their author's own, and never anything that a buyer could get."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from golub import inbox
from golub.inbox.notes import NOTE_LIMIT
from golub.model import Chat, Message, Note, OutgoingMessage, Role
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read

EVIL = '"><script>alert(1)</script> https://evil.example/ \u202egpj'


async def test_a_note_stands_among_the_messages_and_goes_nowhere(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    await talk.says("chat", "вопрос", at=clock())
    clock.step(5000)
    chat = talk.chats["chat"]
    before = await version_of(parts, chat)
    assert (await noted(manager, chat, EVIL)).status_code == 204
    assert await version_of(parts, chat) == before + 1  # so it rings, as whatever makes a version does
    clock.step(5000)
    await talk.says("chat", "позже", at=clock())
    page = await read(manager, f"/inbox/{chat}")
    assert order(page) == ["message", "note", "message"]
    assert EVIL.split(maxsplit=1)[0] in page.text
    assert [script for script in page.all("script") if "src" not in script] == []
    assert next(link for link in page.all("a") if "evil" in link["href"])["rel"] == "noopener noreferrer nofollow"
    async with parts.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(OutgoingMessage)) == 0
        row = await session.get_one(Chat, chat)
        assert (row.unread, row.waiting_since) == (2, clock() - 10_000)
    assert "позже" in (rows := (await read(manager, "/inbox")).text)
    assert "alert" not in rows
    changed = await read(manager, f"/inbox/{chat}/messages?after={before}")
    assert order(changed) == ["note", "message"]


async def test_only_its_author_changes_a_note_and_an_admin_may_remove_it(
    parts: Parts, talk: Talk, manager: Browser, visit: Visit
) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await noted(manager, chat, "перезвонить")
    note = await only_note(parts)
    colleague, admin = await visit(Role.MANAGER), await visit(Role.ADMIN)
    htmx = {"HX-Request": "true"}
    for path in (f"/inbox/notes/{note.id}", f"/inbox/notes/{note.id}/remove"):
        assert path not in (await colleague.get(f"/inbox/{chat}")).text.replace(f"{path}/", "")
        assert (await colleague.post(path, {"text": "чужое"}, headers=htmx)).status_code == 403
    assert (await admin.post(f"/inbox/notes/{note.id}", {"text": "чужое"}, headers=htmx)).status_code == 403

    version = await version_of(parts, chat)
    assert (await manager.post(f"/inbox/notes/{note.id}", {"text": "уже"}, headers=htmx)).status_code == 204
    changed = await read(colleague, f"/inbox/{chat}/messages?after={version}")
    assert order(changed) == ["note"]
    assert "уже" in changed.text
    assert "edited" in changed.text

    version = await version_of(parts, chat)
    assert version == (await only_note(parts)).version
    assert (await admin.post(f"/inbox/notes/{note.id}/remove", headers=htmx)).status_code == 204
    gone = await read(colleague, f"/inbox/{chat}/messages?after={version}")
    assert "data-gone" in gone.all("li", id=f"note-{note.id}")[0]
    assert "уже" not in (await colleague.get(f"/inbox/{chat}")).text
    assert (await only_note(parts)).text == ""
    for path in (f"/inbox/notes/{note.id}", f"/inbox/notes/{note.id}/remove", "/inbox/notes/4242"):
        assert (await manager.post(path, {"text": "снова"}, headers=htmx)).status_code == 404


async def test_notes_and_messages_are_paged_together_each_once(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    times: list[int] = []
    for number in range(45):  # some of them at one moment with a message
        clock.step(1000 if number % 3 else 0)
        times.append(clock() // 1000 * 1000)
        if number % 3 == 1:
            await noted(manager, talk.chats.get("chat") or await began(talk, clock), f"заметка-{number}.")
    await talk.says_all("chat", [f"слово-{number}." for number in range(45)], at=times)
    clock.step(1000)
    await talk.says("chat", "ответ", author=talk.account.user_id, at=clock())
    page = await read(manager, f"/inbox/{talk.chats['chat']}")
    shown = ids(page)
    assert len(shown) == inbox.MESSAGES_A_PAGE
    while older := page.all("li", id="older"):
        page = await read(manager, older[0]["hx-get"])
        shown = ids(page) + shown
    assert len(shown) == len(set(shown)) == 45 + 15 + 2
    async with parts.store.read() as session:
        times_of = {f"note-{note.id}": note.created_at for note in await session.scalars(select(Note))}
        times_of |= {f"message-{row.id}": row.created_at for row in await session.scalars(select(Message))}
    assert [times_of[one] for one in shown] == sorted(times_of.values())


@ONE_DATABASE
async def test_the_same_words_of_one_form_are_kept_once(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    for text in ("скидка 5 %", "скидка 5 %", "скидка 7 %"):
        assert (await noted(manager, chat, text)).status_code == 204
    await noted(manager, chat, "скидка 5 %", key="another form")
    async with parts.store.read() as session:
        texts = list(await session.scalars(select(Note.text).order_by(Note.id)))
    assert texts == ["скидка 5 %", "скидка 7 %", "скидка 5 %"]


@ONE_DATABASE
@pytest.mark.parametrize("text", ["", "  \r\n ", "я" * (NOTE_LIMIT + 1), "nul \0 inside"])
async def test_what_cannot_be_kept_is_refused(parts: Parts, talk: Talk, manager: Browser, text: str) -> None:
    await talk.says("chat", "вопрос")
    assert (await noted(manager, talk.chats["chat"], text)).status_code == 400
    assert (await noted(manager, 4242, "нет такого")).status_code == 404
    async with parts.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Note)) == 0


@ONE_DATABASE
async def test_without_scripts_a_note_is_a_page(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    answer = await manager.post(f"/inbox/{chat}/notes", {"text": "просто так"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/{chat}")
    page = await read(manager, f"/inbox/{chat}")
    assert "просто так" in page.text
    assert page.all("form", id="note-form")[0]["action"] == f"/inbox/{chat}/notes"
    assert page.all("input", id="write-reply", checked="")


async def noted(browser: Browser, chat: int, text: str, key: str = "key") -> httpx2.Response:
    return await browser.post(f"/inbox/{chat}/notes", {"text": text, "client_key": key}, headers={"HX-Request": "true"})


async def began(talk: Talk, clock: SteppedClock) -> int:
    await talk.says("chat", "начало", at=clock() - 60_000)
    return talk.chats["chat"]


def entries(page: Read) -> list[dict[str, Any]]:
    return [row for row in page.all("li") if "message" in row.get("class", "").split() and "data-order" in row]


def order(page: Read) -> list[str]:
    return ["note" if "note" in row["class"].split() else "message" for row in entries(page)]


def ids(page: Read) -> list[str]:
    return [row["id"] for row in entries(page)]


async def only_note(parts: Parts) -> Note:
    async with parts.store.read() as session:
        return (await session.scalars(select(Note))).one()


async def version_of(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        return (await session.get_one(Chat, chat)).version
