"""The lists of chats: their views and order, what a row says, what they cost, and odd addresses."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from golub import inbox
from golub.clock import MINUTE
from golub.errors import Invalid
from golub.fold import MarkRead
from golub.inbox import Place, View, Wanted, listing
from golub.model import ChatLabel, Label, Role
from golub.sight import ALL_ACCOUNTS
from golub.store import Store
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk, add_account
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import last_row, read, unread_of


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
            page = await inbox.list_chats(session, ALL_ACCOUNTS, Wanted(0, view, **narrowed), before=place, limit=3)
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
        lists = [Wanted(0, view, shop) for shop in (None, talk.account.id) for view in (View.WAITING, View.UNREAD)]
        waiting, unread, waiting_here, unread_here = await inbox.count_chats(session, ALL_ACCOUNTS, lists)
    assert (str(waiting), str(waiting_here)) == ("2", "1")
    assert unread.number - unread_here.number == 1


@pytest.mark.parametrize(("few", "of_all", "of_one"), [(8, "3", "3"), (2, "1+", "1+")])
async def test_counts_end_where_nobody_reads_on_and_labels_are_counted_either_way(
    parts: Parts, talk: Talk, monkeypatch: pytest.MonkeyPatch, few: int, of_all: str, of_one: str
) -> None:
    monkeypatch.setattr(listing, "COUNT_LIMIT", 4)
    monkeypatch.setattr(listing, "LABELLED_LIMIT", 2)
    monkeypatch.setattr(listing, "FEW_TO_COUNT", few)
    monkeypatch.setattr(listing, "FEW_FOR_ONE", few)
    listing._counting.cache_clear()
    for number in range(5):
        await talk.says(f"chat-{number}", "вопрос")
    async with parts.store.write() as session:
        label = Label(name="Опт", folded="опт", colour=1, created_at=0)
        session.add(label)
        await session.flush()
        of_three = [talk.chats[f"chat-{number}"] for number in range(3)]
        session.add_all(ChatLabel(chat_id=chat_id, label_id=label.id, put_at=0) for chat_id in of_three)
    async with parts.store.read() as session:
        labelled = [Wanted(0, view, label_id=label.id) for view in View]
        plain, *each = await inbox.count_chats(session, ALL_ACCOUNTS, [Wanted(0), *labelled])
        (alone,) = await inbox.count_chats(session, ALL_ACCOUNTS, [Wanted(0, View.WAITING, label_id=label.id)])
    listing._counting.cache_clear()
    assert str(plain) == "3+"
    told = dict(zip(View, map(str, each), strict=True))
    assert (told[View.ALL], told[View.UNASSIGNED], told[View.CLOSED]) == (of_all, of_all, "0")
    assert str(alone) == of_one


@ONE_DATABASE
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
    (shown,) = answer.all("ol")
    assert (json.loads(shown["data-counts"])["unread"], shown["data-everywhere"]) == ("1", "1")
    answer = await read(manager, f"/inbox/rows?view=unread&ids={one}&opened={one}")
    assert [row["data-chat"] for row in answer.all("li")] == [str(one)]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("role", "words"),
    [(Role.MANAGER, "No account is open to you yet"), (Role.ADMIN, "Connect an Avito account")],
)
async def test_without_an_account_the_page_says_what_to_do(visit: Visit, role: Role, words: str) -> None:
    page = await read(await visit(role), "/inbox")
    assert words in page.text
    assert bool(page.all("a", href="/admin/start")) is (role is Role.ADMIN)


@ONE_DATABASE
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


@pytest.mark.row(48)
@ONE_DATABASE
async def test_odd_addresses_are_refused_plainly(talk: Talk, manager: Browser) -> None:
    for url, status in ODD:
        assert (await manager.get(url)).status_code == status, url


def test_a_place_is_read_back_as_it_was_written() -> None:
    assert Place.parse(str(Place(1_790_000_000_000, 17))) == Place(1_790_000_000_000, 17)
    with pytest.raises(Invalid):
        Place.parse("-1.5")
