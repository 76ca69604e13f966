"""The inbox: its lists, the open chat, and replies. What messages look like is in `test_content.py`."""

import io
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import event, select

from golub import inbox
from golub.clock import HOUR, MINUTE
from golub.errors import Invalid
from golub.fold import MarkRead
from golub.inbox import Place, View
from golub.model import Account, Chat, Message, OutgoingMessage, OutgoingState, Role
from golub.simulator import Simulator, world
from golub.store import Store
from golub.web.parts import Parts
from golub.web.routes import build
from tests.conftest import SteppedClock
from tests.talk import Talk, add_account, parts_for
from tests.web.conftest import Browser, Visit

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sim(clock: SteppedClock) -> AsyncGenerator[Simulator]:
    async with Simulator(clock=lambda: clock() / 1000, base_url="http://avito.test") as sim:
        yield sim


@pytest.fixture
async def parts(database_url: str, tmp_path: Path, clock: SteppedClock, sim: Simulator) -> AsyncGenerator[Parts]:
    async with parts_for(database_url, tmp_path, clock, sim) as parts:
        yield parts


@pytest.fixture
def site(parts: Parts) -> FastAPI:
    return build(parts)


@pytest.fixture
async def talk(parts: Parts) -> Talk:
    return await add_account(parts)


@pytest.fixture
async def manager(visit: Visit) -> Browser:
    return await visit(Role.MANAGER)


class Read(HTMLParser):
    """What a browser would make of a page: its elements, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, **having: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag and having.items() <= attrs.items()]

    @property
    def text(self) -> str:
        return " ".join(self.words.split())


async def read(browser: Browser, url: str, status: int = 200, **more: Any) -> Read:
    answer = await browser.get(url, **more)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


@contextmanager
def statements(store: Store) -> Generator[list[str]]:
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    engine = store._read.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def walk(parts: Parts, view: View, **narrowed: Any) -> list[int]:
    """The whole list, by small pages."""
    found: list[int] = []
    place: Place | None = None
    while True:
        async with parts.store.read() as session:
            page = await inbox.list_chats(session, view, before=place, limit=3, **narrowed)
        found += [line.chat.id for line in page.lines]
        if page.next is None:
            return found
        place = Place.parse(str(page.next))


async def test_each_view_in_its_order_by_pages_that_lose_nothing(parts: Parts, talk: Talk) -> None:
    other = await add_account(parts, 555, "Запчасти")
    start = talk.at
    for number in range(8):
        await talk.says(f"tie-{number}", "в одну секунду", at=start)
    for number in range(4):
        await other.says(f"mine-{number}", "вопрос", at=start + MINUTE * (number + 1))
    await other.says("mine-1", "ответ", author=555, at=start + 9 * MINUTE)
    await parts.applier.submit(other.account.id, [MarkRead(other.chats["mine-0"], 2**62)])

    ties = [talk.chats[f"tie-{number}"] for number in range(8)]
    first, answered, second, third = (other.chats[f"mine-{number}"] for number in range(4))
    assert await walk(parts, View.ALL) == [answered, third, second, first, *reversed(ties)]
    assert await walk(parts, View.ALL, account_id=other.account.id) == [answered, third, second, first]
    assert await walk(parts, View.WAITING) == [*ties, first, second, third]
    assert await walk(parts, View.WAITING, account_id=other.account.id) == [first, second, third]
    unread = [chat for chat in await walk(parts, View.ALL) if await unread_of(parts, chat)]
    assert await walk(parts, View.UNREAD) == unread
    assert first not in unread
    assert third in unread


async def test_counts_are_of_chats_and_of_one_account_where_one_is_chosen(parts: Parts, talk: Talk) -> None:
    other = await add_account(parts, 555)
    for _ in range(3):
        await talk.says("one", "вопрос")
    await talk.says("two", "вопрос")
    await other.says("three", "вопрос")
    await talk.answers("two", "ответ")
    async with parts.store.read() as session:
        everywhere = await inbox.count_chats(session)
        here = await inbox.count_chats(session, account_id=talk.account.id)
    assert (everywhere.waiting, here.waiting) == (2, 1)
    assert everywhere.unread - here.unread == 1


async def test_a_row_says_who_about_what_for_how_much_and_since_when(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    await talk.says("u2i-1", "Ещё продаёте?", at=clock() - 14 * MINUTE)
    await talk.facts("u2i-1", name="Ирина Петрова", item="Диван «Берген»")
    page = await read(manager, "/inbox")
    assert "(1) Golub" in page.text
    for words in ("Ирина Петрова", "Диван «Берген»", "12 500 ₽", "Ещё продаёте?", "14 min"):
        assert words in page.text.replace("\xa0", " ")
    (link,) = page.all("a", **{"class": "chat-link"})
    assert link["href"] == f"/inbox/{talk.chats['u2i-1']}"
    assert page.all("span", **{"class": "count", "aria-label": "1 unread message"})


async def test_the_list_costs_the_same_for_few_chats_and_many(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("first", "вопрос")
    with statements(parts.store) as few:
        await read(manager, "/inbox")
    for number in range(12):
        await talk.says(f"chat-{number}", "вопрос")
    with statements(parts.store) as many:
        page = await read(manager, "/inbox")
    assert len(page.all("a", **{"class": "chat-link"})) == 13
    assert len(many) == len(few)

    with statements(parts.store) as few:
        await read(manager, f"/inbox/{talk.chats['first']}/thread")
    await talk.says_all("first", [f"ещё {number}" for number in range(40)])
    with statements(parts.store) as many:
        await read(manager, f"/inbox/{talk.chats['first']}/thread")
    assert len(many) == len(few)


async def test_rows_that_left_the_view_are_not_in_the_answer_and_the_open_one_stays(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("one", "вопрос")
    await talk.says("two", "вопрос")
    one, two = talk.chats["one"], talk.chats["two"]
    await manager.post(f"/inbox/{one}/read", {"up_to": str(await last_row(parts, one))})
    answer = await read(manager, f"/inbox/rows?view=unread&ids={one},{two},0")
    assert [row["data-chat"] for row in answer.all("li")] == [str(two)]
    assert answer.all("ol", **{"data-unread": "1", "data-everywhere": "1"})
    answer = await read(manager, f"/inbox/rows?view=unread&ids={one}&opened={one}")
    assert [row["data-chat"] for row in answer.all("li")] == [str(one)]


@pytest.mark.parametrize(
    ("role", "words"),
    [(Role.MANAGER, "An administrator of Golub can do this."), (Role.ADMIN, "Connect an account")],
)
async def test_without_an_account_the_page_says_what_to_do(visit: Visit, role: Role, words: str) -> None:
    page = await read(await visit(role), "/inbox")
    assert "Connect an Avito account" in page.text
    assert words in page.text


async def test_empty_views_say_why(talk: Talk, manager: Browser) -> None:
    assert "No chats yet" in (await read(manager, "/inbox")).text
    assert "Everything is read" in (await read(manager, "/inbox?view=unread")).text
    assert "Nobody is waiting" in (await read(manager, "/inbox?view=waiting")).text


ODD = (
    ("/inbox/424242", 404),
    ("/inbox/424242/thread", 404),
    ("/inbox/424242/messages?after=0", 404),
    (f"/inbox/{2**63}", 422),
    ("/inbox/0", 422),
    ("/inbox?view=secret", 422),
    ("/inbox?account=-1", 422),
    ("/inbox/list?before=1", 400),
    ("/inbox/list?before=1.2.3", 400),
    ("/inbox/list?before=9.99999999999999999999", 400),
    ("/inbox/list?before=%D9%A1.%D9%A2", 400),  # digits, and no numbers of ours
    (f"/inbox/rows?ids={','.join(map(str, range(101)))}", 400),
    ("/inbox/rows?ids='%20OR%201=1", 200),  # nobody's ids
    (f"/inbox/rows?ids={2**63}", 200),
)


async def test_odd_addresses_are_refused_plainly(talk: Talk, manager: Browser) -> None:
    for url, status in ODD:
        assert (await manager.get(url)).status_code == status, url


def test_a_place_is_read_back_as_it_was_written() -> None:
    assert Place.parse(str(Place(1_790_000_000_000, 17))) == Place(1_790_000_000_000, 17)
    with pytest.raises(Invalid):
        Place.parse("-1.5")


async def test_the_thread_goes_back_by_pages_and_each_message_is_there_once(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    start = talk.at
    times = [start + number // 3 * 1000 for number in range(120)]  # three in each second
    await talk.says_all("long", [f"слово-{number}." for number in range(120)], at=times)
    chat = talk.chats["long"]
    page = await read(manager, f"/inbox/{chat}")
    shown = [row["data-message"] for row in page.all("li") if "data-message" in row]
    assert len(shown) == inbox.MESSAGES_A_PAGE
    while older := page.all("li", id="older"):
        page = await read(manager, older[0]["hx-get"])
        shown = [row["data-message"] for row in page.all("li") if "data-message" in row] + shown
    assert len(shown) == len(set(shown)) == 120
    assert "слово-0." in page.text


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


async def test_opening_a_page_changes_nothing(parts: Parts, talk: Talk, manager: Browser) -> None:
    """A GET has no effect, so that no foreign page can cause one: the script tells what was seen."""
    await talk.says("chat", "вопрос")
    await read(manager, f"/inbox/{talk.chats['chat']}")
    assert await unread_of(parts, talk.chats["chat"]) == 1


async def test_a_reply_is_shown_at_once_and_queued_once(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    for _ in range(2):
        answer = await reply(manager, chat, "Да, в наличии!\r\nПриезжайте", key="one-click")
        assert answer.status_code == 200
        shown = Read(answer.text)
        assert len(shown.all("li")) == 1
        assert "Да, в наличии!" in shown.words
        assert "in the queue" in shown.text
        assert manager.operator
        assert manager.operator.name in shown.text
    assert "Да, в наличии!" in (await read(manager, f"/inbox/{chat}")).words


async def test_a_reply_without_script_leads_back_to_the_chat(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    answer = await manager.post(f"/inbox/{chat}/reply", {"text": "Да", "client_key": "k"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/{chat}")


@pytest.mark.parametrize("text", ["", "  \n ", "ы" * 10_001, "a\0b"], ids=["none", "blank", "long", "null"])
async def test_what_avito_would_not_take_is_refused_before(
    parts: Parts, talk: Talk, manager: Browser, text: str
) -> None:
    await talk.says("chat", "вопрос")
    answer = await reply(manager, talk.chats["chat"], text)
    assert answer.status_code == 400
    assert answer.headers["hx-retarget"] == "#toasts"
    async with parts.store.read() as session:
        assert list(await session.scalars(select(OutgoingMessage))) == []


async def test_a_thousand_characters_are_counted_as_people_count(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    answer = await reply(manager, talk.chats["chat"], "🛋" * 1000)
    assert answer.status_code == 200


async def test_avito_s_own_chat_has_no_box_to_write_in(talk: Talk, manager: Browser) -> None:
    await talk.says("a2u-1", "[Системное сообщение]", kind="system", author=1)
    await talk.facts("a2u-1", name="Авито")
    page = await read(manager, f"/inbox/{talk.chats['a2u-1']}")
    assert page.all("textarea") == []
    assert (await reply(manager, talk.chats["a2u-1"], "привет")).status_code == 400


async def queued(parts: Parts) -> list[str]:
    async with parts.store.read() as session:
        return list(await session.scalars(select(OutgoingMessage.text).order_by(OutgoingMessage.id)))


async def test_a_long_reply_is_shown_in_its_parts_before_it_is_queued(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("chat", "Расскажите")
    chat = talk.chats["chat"]
    long = "Слово <b>за</b> словом. " * 90
    answer = await reply(manager, chat, long)
    shown = Read(answer.text)
    assert shown.all("dialog")
    assert len(shown.all("li")) == 3
    assert "We will send it in 3 messages" in shown.text
    assert "Слово <b>за</b> словом." in shown.text
    assert await queued(parts) == []
    page = await manager.post(f"/inbox/{chat}/reply", {"text": long, "client_key": "key"})
    assert Read(page.text).all("input", name="sure")  # without script it is a page
    sure = {"text": long, "client_key": "key", "sure": "yes"}
    for _ in range(2):
        answer = await manager.post(f"/inbox/{chat}/reply", sure, headers={"HX-Request": "true"})
        assert "part 2 of 3" in Read(answer.text).text
    assert len(await queued(parts)) == 3


async def test_the_same_words_again_are_a_question_to_a_person(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    await talk.says("chat", "Ещё есть?")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Да", key="one")
    assert not Read((await reply(manager, chat, "Да", key="one")).text).all("dialog")  # the same click: no question
    asked = Read((await reply(manager, chat, " Да\n", key="two")).text)
    assert "You have just sent the same message." in asked.text
    assert await queued(parts) == ["Да"]
    await manager.post(
        f"/inbox/{chat}/reply", {"text": "Да", "client_key": "two", "sure": "yes"}, headers={"HX-Request": "true"}
    )
    assert await queued(parts) == ["Да", "Да"]
    clock.step(11 * MINUTE)
    assert not Read((await reply(manager, chat, "Да", key="three")).text).all("dialog")


def photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(out, "PNG")
    return out.getvalue()


async def attach(browser: Browser, chat: int, raw: bytes) -> httpx2.Response:
    headers = {"HX-Request": "true", "X-CSRF-Token": browser.csrf, "Content-Type": "application/octet-stream"}
    return await browser.client.post(f"/inbox/{chat}/pictures", content=raw, headers=headers)


async def test_photos_are_attached_shown_and_sent_before_their_words(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("chat", "Есть фото?")
    chat = talk.chats["chat"]
    names = [
        Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"],
        Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"],
    ]
    small = await manager.get(f"/inbox/pictures/{names[0]}")
    assert (small.headers["content-type"], small.content[8:12]) == ("image/webp", b"WEBP")
    form = {"text": "Вот они", "client_key": "k", "pictures": ",".join(names)}
    await manager.post(f"/inbox/{chat}/reply", form, headers={"HX-Request": "true"})
    again = await manager.post(f"/inbox/{chat}/reply", form, headers={"HX-Request": "true"})  # the same click twice
    shown = Read(again.text)
    assert [image["src"] for image in shown.all("img")] == [f"/inbox/pictures/{name}" for name in names]
    assert shown.words.index("Вот они") > 0
    async with parts.store.read() as session:
        rows = list(await session.scalars(select(OutgoingMessage).order_by(OutgoingMessage.id)))
    assert [(row.kind, row.picture, row.text) for row in rows] == [
        ("image", names[0], ""),
        ("image", names[1], ""),
        ("text", "", "Вот они"),
    ]


async def test_what_is_no_photo_or_too_large_is_refused_in_words(talk: Talk, manager: Browser, visit: Visit) -> None:
    await talk.says("chat", "Есть фото?")
    chat = talk.chats["chat"]
    svg = await attach(manager, chat, b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert (svg.status_code, "JPEG, PNG, GIF, BMP or HEIC" in Read(svg.text).text) == (400, True)
    large = await attach(manager, chat, b"\x89PNG\r\n\x1a\n" + bytes((24 << 20) + 2000))
    assert large.status_code in (400, 413)
    assert (await attach(manager, 999, photo())).status_code == 404
    assert (await manager.get("/inbox/pictures/..%2Fsecret.key")).status_code == 404
    name = Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"]
    assert (await (await visit(None)).get(f"/inbox/pictures/{name}")).status_code in (303, 401)


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


async def test_a_buyers_message_is_not_ours_to_delete(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    async with parts.store.read() as session:
        message = (await session.execute(select(Message))).scalar_one()
    assert (await manager.post(f"/inbox/messages/{message.id}/delete")).status_code == 404


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


async def test_a_sent_reply_is_shown_once_with_its_writer(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Отправляем сегодня")
    await set_outgoing(parts, chat, OutgoingState.SENT, message_avito_id="echo")
    assert (await read(manager, f"/inbox/{chat}")).words.count("Отправляем сегодня") == 1
    await talk.says("chat", "Отправляем сегодня", name="echo", author=talk.account.user_id)
    page = await read(manager, f"/inbox/{chat}/thread")
    assert page.words.count("Отправляем сегодня") == 1
    assert manager.operator
    assert manager.operator.name in page.text


@pytest.mark.parametrize(
    ("state", "words", "verbs"),
    [
        (OutgoingState.UNCONFIRMED, "It may have arrived.", {"discard", "retry"}),
        (OutgoingState.REJECTED, "message too long <b>", {"discard", "retry"}),
        (OutgoingState.SENDING, "being sent", set[str]()),
    ],
)
async def test_each_state_of_a_reply_says_what_is_and_what_can_be_done(
    parts: Parts, talk: Talk, manager: Browser, state: OutgoingState, words: str, verbs: set[str]
) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Да")
    number = await set_outgoing(parts, chat, state, error="message too long <b>", due_at=None)
    page = await read(manager, f"/inbox/{chat}")
    assert words in page.text
    actions = {form["action"] for form in page.all("form") if "/outgoing/" in form["action"]}
    assert actions == {f"/inbox/outgoing/{number}/{verb}" for verb in verbs}


async def test_a_rejected_reply_is_sent_again_or_removed(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    await reply(manager, chat, "Да")
    number = await set_outgoing(parts, chat, OutgoingState.REJECTED, due_at=None)
    answer = await manager.post(f"/inbox/outgoing/{number}/retry", headers={"HX-Request": "true"})
    assert "in the queue" in Read(answer.text).text
    await set_outgoing(parts, chat, OutgoingState.REJECTED, due_at=None)
    answer = await manager.post(f"/inbox/outgoing/{number}/discard", headers={"HX-Request": "true"})
    assert Read(answer.text).all("li") == []
    assert (await manager.post("/inbox/outgoing/4242/retry")).status_code == 404


async def test_every_unsafe_request_needs_the_page_s_token(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "вопрос")
    chat = talk.chats["chat"]
    for url in (f"/inbox/{chat}/reply", f"/inbox/{chat}/read", "/inbox/outgoing/1/retry", "/inbox/outgoing/1/discard"):
        answer = await manager.client.post(url, data={"text": "x", "up_to": "1"})
        assert answer.status_code == 403


async def reply(browser: Browser, chat: int, text: str, key: str = "key") -> httpx2.Response:
    return await browser.post(f"/inbox/{chat}/reply", {"text": text, "client_key": key}, headers={"HX-Request": "true"})


async def set_outgoing(parts: Parts, chat: int, state: OutgoingState, **values: Any) -> int:
    async with parts.store.write() as session:
        outgoing = (await session.scalars(select(OutgoingMessage).where(OutgoingMessage.chat_id == chat))).one()
        outgoing.state = state
        for name, value in values.items():
            setattr(outgoing, name, value)
    return outgoing.id


async def unread_of(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        return (await session.get_one(Chat, chat)).unread


async def version_of(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        return (await session.get_one(Chat, chat)).version


async def last_row(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        found = await session.scalars(select(Message.id).where(Message.chat_id == chat).order_by(Message.id.desc()))
        return found.first() or 0
