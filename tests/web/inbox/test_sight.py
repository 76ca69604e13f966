"""An operator sees what he may, and what he may not is answered exactly like what is not there.

Two accounts, operators of every role, and every route that names a chat, a message, a reply or a picture: the table
below is checked against the router, so that a new route must say here what it does with another account's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import pytest
from sqlalchemy import select

from golub import inbox
from golub.audit import CONSOLE
from golub.inbox.bulk import Verb
from golub.model import (
    Account,
    Chat,
    Message,
    Note,
    Operator,
    OperatorAccount,
    OutgoingMessage,
    QuickPicture,
    QuickReply,
    Role,
)
from golub.web.access import ACCESS
from golub.web.parts import Parts
from golub.web.pictures import Addresses
from tests.conftest import ONE_DATABASE
from tests.talk import Talk, add_account
from tests.web.conftest import Browser, Visit
from tests.web.test_access import doors

SECRET = "только для своих"
MISSING = 4_000_000
PHOTO = "http://avito.test/media/64x64/photo.jpg"


@dataclass
class Ids:
    """What a request may name."""

    account: int
    chat: int
    message: int
    outgoing: int
    note: int
    quick: int
    quick_picture: int
    picture: str = ""
    voice: str = ""


# By method and path: the address and the form, made from ids. What a path says of rows, it must say here.
NAMED: dict[tuple[str, str], Callable[[Ids], tuple[str, dict[str, str]]]] = {
    ("GET", "/inbox/{chat_id}"): lambda it: (f"/inbox/{it.chat}", {}),
    ("GET", "/inbox/{chat_id}/thread"): lambda it: (f"/inbox/{it.chat}/thread", {}),
    ("GET", "/inbox/{chat_id}/messages"): lambda it: (f"/inbox/{it.chat}/messages?after=0", {}),
    ("POST", "/inbox/{chat_id}/reply"): lambda it: (f"/inbox/{it.chat}/reply", {"text": "Да", "sure": "yes"}),
    ("POST", "/inbox/{chat_id}/read"): lambda it: (f"/inbox/{it.chat}/read", {"up_to": str(it.message)}),
    ("POST", "/inbox/{chat_id}/notes"): lambda it: (f"/inbox/{it.chat}/notes", {"text": "между нами"}),
    ("POST", "/inbox/{chat_id}/buyer-note"): lambda it: (f"/inbox/{it.chat}/buyer-note", {"text": "между нами"}),
    ("POST", "/inbox/notes/{note_id}"): lambda it: (f"/inbox/notes/{it.note}", {"text": "между нами"}),
    ("POST", "/inbox/notes/{note_id}/remove"): lambda it: (f"/inbox/notes/{it.note}/remove", {}),
    ("POST", "/inbox/{chat_id}/pictures"): lambda it: (f"/inbox/{it.chat}/pictures", {}),
    ("POST", "/inbox/messages/{message_id}/delete"): lambda it: (f"/inbox/messages/{it.message}/delete", {}),
    ("POST", "/inbox/outgoing/{outgoing_id}/retry"): lambda it: (f"/inbox/outgoing/{it.outgoing}/retry", {}),
    ("POST", "/inbox/outgoing/{outgoing_id}/discard"): lambda it: (f"/inbox/outgoing/{it.outgoing}/discard", {}),
    ("POST", "/inbox/{chat_id}/take"): lambda it: (f"/inbox/{it.chat}/take", {}),
    ("POST", "/inbox/{chat_id}/hand-over"): lambda it: (f"/inbox/{it.chat}/hand-over", {"operator_id": "1"}),
    ("POST", "/inbox/{chat_id}/return"): lambda it: (f"/inbox/{it.chat}/return", {}),
    ("POST", "/inbox/{chat_id}/close"): lambda it: (f"/inbox/{it.chat}/close", {"version": "999"}),
    ("POST", "/inbox/{chat_id}/snooze"): lambda it: (f"/inbox/{it.chat}/snooze", {"version": "999", "until": "hour"}),
    ("POST", "/inbox/{chat_id}/reopen"): lambda it: (f"/inbox/{it.chat}/reopen", {}),
    ("POST", "/inbox/{chat_id}/labels"): lambda it: (f"/inbox/{it.chat}/labels", {"label_id": "1", "on": "yes"}),
    ("POST", "/inbox/{chat_id}/draft"): lambda it: (f"/inbox/{it.chat}/draft", {"text": "Да"}),
    ("POST", "/inbox/{chat_id}/draft/other"): lambda it: (f"/inbox/{it.chat}/draft/other", {"choice": "swap"}),
    ("GET", "/inbox/{chat_id}/quick-replies"): lambda it: (f"/inbox/{it.chat}/quick-replies", {}),
    ("POST", "/inbox/{chat_id}/quick-replies/{quick_id}"): lambda it: (
        f"/inbox/{it.chat}/quick-replies/{it.quick}",
        {},
    ),
    ("GET", "/quick-replies/{quick_id}"): lambda it: (f"/quick-replies/{it.quick}", {}),
    ("POST", "/quick-replies/{quick_id}"): lambda it: (f"/quick-replies/{it.quick}", {"name": "x", "text": "x"}),
    ("POST", "/quick-replies/{quick_id}/remove"): lambda it: (f"/quick-replies/{it.quick}/remove", {}),
    ("GET", "/quick-replies/pictures/{picture_id}"): lambda it: (f"/quick-replies/pictures/{it.quick_picture}", {}),
    ("GET", "/api/chats/{chat_id}/messages"): lambda it: (f"/api/chats/{it.chat}/messages", {}),
    ("POST", "/api/chats/{chat_id}/messages"): lambda it: (f"/api/chats/{it.chat}/messages", {"text": "Да"}),
    ("GET", "/media/{signature}/voice/{message_id}"): lambda it: (it.voice, {}),
    ("GET", "/media/{signature}/{kind}/{row}/{size}"): lambda it: (it.picture, {}),
}
# Pages of many chats, and those that take ids in their query: another's must not be in the answer.
LISTS: dict[str, Callable[[Ids], list[str]]] = {
    "/inbox": lambda it: ["/inbox", f"/inbox?account={it.account}"],
    "/inbox/list": lambda it: ["/inbox/list", f"/inbox/list?account={it.account}"],
    "/inbox/search": lambda it: ["/inbox/search?q=для", f"/inbox/search?q=для&account={it.account}"],
    "/quick-replies": lambda _: ["/quick-replies"],
    "/api/chats": lambda it: ["/api/chats", f"/api/chats?account={it.account}"],
    "/inbox/rows": lambda it: [f"/inbox/rows?ids={it.chat}&account={it.account}&opened={it.chat}"],
}
# What a manager may open that shows nothing of any chat; a picture's name there is known to who attached it alone, and
# `test_presence.py` is about the stream and presence.
NOTHING_OF_CHATS = {
    "/api/openapi.json",
    "/guide",
    "/inbox/pictures/{name}",
    "/presence",
    "/quick-replies/pictures",
    "/stream",
}
# An operator's own page and views, and an empty form that may be about a chat's item.
OWN = {"/inbox/views", "/inbox/views/{saved_id}/remove", "/quick-replies/new"} | {
    path for path in ACCESS if path == "/me" or path.startswith("/me/")
}
# Takes chats by their ids in its form: `test_an_act_with_several_chats_passes_over_it` is about that.
BULK = {"/inbox/bulk"}
# `test_reports.py` shows that their figures, lists and files are of the accounts in sight.
REPORTS = {"/reports", "/reports/chats", "/reports/waiting", "/reports/csv/{figure}"}


def test_every_route_of_the_inbox_is_here() -> None:
    open_to_managers = {
        (way, path) for way, path in doors() if ACCESS[path] is Role.MANAGER and path not in REPORTS | OWN
    }
    named = {door for door in open_to_managers if re.search(r"\{", door[1])} - {("GET", "/inbox/pictures/{name}")}
    assert named == set(NAMED)
    assert {path for _, path in open_to_managers - named} == set(LISTS) | NOTHING_OF_CHATS | BULK


@pytest.fixture
async def ours(parts: Parts) -> Talk:
    return await add_account(parts, 1001, "Ours")


@pytest.fixture
async def theirs(parts: Parts) -> Talk:
    return await add_account(parts, 1002, "Theirs alone")


async def fill(parts: Parts, talk: Talk, text: str) -> Ids:
    """A chat with a photo of its item, a voice message, a message of ours, and a reply that was refused."""
    await talk.says("chat", content={"voice": {"voice_id": f"v{talk.account.id}"}}, kind="voice")
    await talk.answers("chat", text)
    await talk.says("chat", text)
    await talk.facts("chat", item=text, images={"main": {"140x105": PHOTO}})
    chat_id = talk.chats["chat"]
    async with parts.store.write() as session:
        chat = await session.get_one(Chat, chat_id)
        note = Note(chat_id=chat_id, client_key="k", text=text, created_at=parts.clock(), version=0)
        refused = OutgoingMessage(
            account_id=talk.account.id, chat_id=chat_id, client_key="k", text=text, state="rejected",
            created_at=parts.clock(),
        )  # fmt: skip
        quick = QuickReply(name=text, account_id=talk.account.id, texts=[text], changed_at=parts.clock())
        session.add_all((refused, note, quick))
        await session.flush()
        shown = QuickPicture(quick_reply_id=quick.id, place=0, extension="jpg", picture=b"jpg", small=b"webp")
        session.add(shown)
        await session.flush()
        said = list(await session.scalars(select(Message.id).where(Message.chat_id == chat_id)))
        spoken = await session.get_one(Message, min(said))
    media = Addresses(parts)
    return Ids(
        talk.account.id, chat_id, sorted(said)[1], refused.id, note.id, quick.id, shown.id,
        media.item(chat), media.voice(spoken),
    )  # fmt: skip


async def narrow(parts: Parts, operator: Operator, *accounts: Account) -> None:
    async with parts.store.write() as session:
        (await session.get_one(Operator, operator.id)).every_account = False
        for account in accounts:
            session.add(OperatorAccount(operator_id=operator.id, account_id=account.id))


async def beside(parts: Parts, visit: Visit, ours: Talk, theirs: Talk) -> tuple[Browser, Ids]:
    """A manager who sees our account alone, and what there is in theirs."""
    await fill(parts, ours, "для всех")
    there = await fill(parts, theirs, SECRET)
    browser = await visit(Role.MANAGER)
    assert browser.operator
    await narrow(parts, browser.operator, ours.account)
    return browser, there


async def ask(browser: Browser, method: str, made: tuple[str, dict[str, str]]) -> httpx2.Response:
    url, form = made
    if url.startswith("/api/") and form:
        return await browser.client.post(url, json=form, headers={"Idempotency-Key": "k"})
    return await (browser.get(url) if method == "GET" else browser.post(url, form))


def plain(answer: httpx2.Response) -> tuple[int, str]:
    """The answer without what is new in each: request ids, tokens, the address it names."""
    return answer.status_code, re.sub(r"[0-9a-f]{8,}|\d+|[\w-]{40,}|/media/\S+", "…", answer.text)


@pytest.mark.row(45)
@ONE_DATABASE
async def test_what_is_out_of_sight_is_answered_like_what_is_not_there(
    parts: Parts, visit: Visit, ours: Talk, theirs: Talk
) -> None:
    narrowed, there = await beside(parts, visit, ours, theirs)
    nothing = Ids(
        MISSING, MISSING, MISSING, MISSING, MISSING, MISSING, MISSING,
        re.sub(r"/\d+/128$", f"/{MISSING}/128", there.picture),
        re.sub(r"\d+$", str(MISSING), there.voice),
    )  # fmt: skip
    for (method, path), made in NAMED.items():
        refused = await ask(narrowed, method, made(there))
        missing = await ask(narrowed, method, made(nothing))
        assert (path, *plain(refused)) == (path, *plain(missing))
        assert (path, refused.status_code) == (path, 404)
        assert SECRET not in refused.text
    async with parts.store.read() as session:
        chat = await session.get_one(Chat, there.chat)
        outgoing = await session.get_one(OutgoingMessage, there.outgoing)
    assert (chat.unread, outgoing.state) == (1, "rejected")


@pytest.mark.row(45)
@ONE_DATABASE
async def test_an_act_with_several_chats_passes_over_it(parts: Parts, visit: Visit, ours: Talk, theirs: Talk) -> None:
    narrowed, there = await beside(parts, visit, ours, theirs)
    async with parts.store.write() as session:
        label = await inbox.add_label(session, "Срочно", inbox.COLOURS[0], by=CONSOLE, now=parts.clock())
        await session.flush()
        assert narrowed.operator
        form = {"label_id": str(label.id), "operator_id": str(narrowed.operator.id), "until": "hour"}
    async with parts.store.read() as session:
        before = (await session.get_one(Chat, there.chat)).version
    for verb in Verb:
        refused, missing = [
            await narrowed.post("/inbox/bulk", form | {"verb": verb, "chats": f"{chat}.0"})
            for chat in (there.chat, MISSING)
        ]
        assert (verb, *plain(refused)) == (verb, *plain(missing))
        assert SECRET not in refused.text
    async with parts.store.read() as session:
        assert (await session.get_one(Chat, there.chat)).version == before


@ONE_DATABASE
async def test_who_may_see_it_gets_it(parts: Parts, visit: Visit, ours: Talk, theirs: Talk) -> None:
    await fill(parts, ours, "для всех")
    there = await fill(parts, theirs, SECRET)
    for role, narrow_to in ((Role.MANAGER, None), (Role.MANAGER, theirs), (Role.ADMIN, ours), (Role.SUPER_ADMIN, ours)):
        browser = await visit(role)
        assert browser.operator
        if narrow_to:  # which is nothing to an admin
            await narrow(parts, browser.operator, narrow_to.account)
        for (method, path), made in NAMED.items():
            if method == "GET":
                answer = await ask(browser, method, made(there))
                # Avito knows nothing of that voice: what it says to that is not ours.
                assert "There is no such" not in answer.text, f"{path} as {role}"
        for urls in LISTS.values():
            for url in urls(there):
                assert SECRET in (await browser.get(url)).text, f"{url} as {role}"
        assert ("для всех" in (await browser.get("/inbox")).text) is (narrow_to is not theirs)


@pytest.mark.row(45)
@ONE_DATABASE
async def test_lists_rows_and_counts_have_none_of_it(parts: Parts, visit: Visit, ours: Talk, theirs: Talk) -> None:
    narrowed, there = await beside(parts, visit, ours, theirs)
    for path, urls in LISTS.items():
        for url in urls(there):
            answer = await narrowed.get(url)
            assert answer.status_code == 200, path
            assert SECRET not in answer.text, url
            assert "Theirs alone" not in answer.text, url
    assert (await narrowed.get("/inbox")).text.count('<li class="chat-row') == 1


@pytest.mark.row(45)
async def test_a_change_counts_from_the_next_request_on(parts: Parts, visit: Visit, theirs: Talk) -> None:
    there = await fill(parts, theirs, SECRET)
    manager = await visit(Role.MANAGER)
    assert manager.operator
    assert (await manager.get(f"/inbox/{there.chat}")).status_code == 200
    await narrow(parts, manager.operator)
    assert (await manager.get(f"/inbox/{there.chat}")).status_code == 404
    assert SECRET not in (await manager.get("/inbox")).text
    async with parts.store.write() as session:
        session.add(OperatorAccount(operator_id=manager.operator.id, account_id=there.account))
    assert (await manager.get(f"/inbox/{there.chat}")).status_code == 200
