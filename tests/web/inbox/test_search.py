"""The search page: what it shows of what was found, to whom, and in which state it says what."""

import html
import json

import pytest
from sqlalchemy import delete, insert, select, update

from golub.clock import DAY
from golub.index import statements
from golub.index.analyser import VERSION
from golub.model import Account, Mark, Message, Operator, OperatorAccount
from golub.search import catching_up
from golub.search.catching_up import CatchingUp
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk, add_account
from tests.web.conftest import Browser
from tests.web.inbox.reading import Read, read

SEARCH = "/inbox/search"


@pytest.fixture(autouse=True)
async def caught_up(parts: Parts, clock: SteppedClock) -> None:
    await CatchingUp(parts.store, clock).run_once()


def hits(page: Read) -> list[str]:
    return [link["href"] for link in page.all("a", **{"class": "search-hit"})]


def chats(page: Read) -> list[str]:
    return [link["href"] for link in page.all("a", **{"class": "search-hit search-chat"})]


async def test_messages_and_chats_are_found_and_lead_to_their_places(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("one", "Добрый день, доставка есть?")
    await talk.facts("one", name="Ирина Петрова", item="Диван «Берген»")
    await talk.answers("one", "Доставки нет, самовывоз")
    await talk.says("two", "Диваны ещё остались?")
    one, two = talk.chats["one"], talk.chats["two"]
    page = await read(manager, f"{SEARCH}?q=доставкой")
    assert [link.partition("?")[0] for link in hits(page)] == [f"/inbox/{one}"] * 2
    assert len(page.all("mark")) == 2
    page = await read(manager, f"{SEARCH}?q=диван")
    assert (chats(page), len(hits(page))) == ([f"/inbox/{one}"], 1)
    assert hits(page)[0].startswith(f"/inbox/{two}?at=")
    opened = await read(manager, hits(page)[0])
    assert f"message-{hits(page)[0].partition('=')[2]}" in [item.get("id") for item in opened.all("li")]
    part = await manager.get(f"{SEARCH}?q=петрова", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert chats(Read(part.text)) == [f"/inbox/{one}"]


async def test_filters_narrow_it(parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock) -> None:
    other = await add_account(parts, 555, "Запчасти")
    await talk.says("one", "Диван один")
    await talk.facts("one", item="Диван «Берген»", id=77)
    await talk.answers("one", "Диван ваш")
    await talk.says("one", "Диван на фото", kind="image", content={"image": {"sizes": {}}, "text": "Диван на фото"})
    await other.says("three", "Диван не у нас")
    await talk.says("old", "Диван старый", at=clock() - 40 * DAY)

    async def count(more: str) -> int:
        return len(hits(await read(manager, f"{SEARCH}?q=диван&{more}")))

    assert await count("") == 5
    assert await count(f"account={other.account.id}") == 1
    assert [await count(f"who={who}") for who in ("in", "out", "system", "nobody")] == [4, 1, 0, 5]
    assert await count("photo=1") == 1
    assert await count(f"chat={talk.chats['one']}") == 3
    assert await count("item=77") == 3
    assert await count("item=78") == 0
    assert (await count("from=2026-09-20"), await count("to=2026-09-01")) == (4, 1)
    assert await count("from=yesterday&to=0000-99-99") == 5
    assert len(hits(await read(manager, f"{SEARCH}?photo=1"))) == 1
    assert (await read(manager, f"{SEARCH}?q=диван&item=77")).all("input", name="item", value="77")


async def test_pages_follow_each_other_and_lose_nothing(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says_all("one", [f"Диван {number}" for number in range(95)])
    page = await read(manager, f"{SEARCH}?q=диван")
    seen = hits(page)
    while more := [item["hx-get"] for item in page.all("li") if "hx-get" in item]:
        page = await read(manager, html.unescape(more[0]))
        seen += hits(page)
    assert (len(seen), len(set(seen))) == (95, 95)


async def test_each_sees_only_the_accounts_that_are_for_him(
    parts: Parts, talk: Talk, manager: Browser, admin: Browser
) -> None:
    other = await add_account(parts, 555, "Запчасти")
    await talk.says("mine", "Диван мой")
    await other.says("theirs", "Диван чужой")
    await talk.facts("mine", name="Анна", item="Шкаф", id=7)
    await other.facts("theirs", name="Анна", item="Шкаф чужой", id=8)
    assert manager.operator is not None
    async with parts.store.write() as session:
        await session.execute(update(Operator).where(Operator.id == manager.operator.id).values(every_account=False))
        await session.execute(
            insert(OperatorAccount).values(operator_id=manager.operator.id, account_id=talk.account.id)
        )
    page = await read(manager, f"{SEARCH}?q=диван")
    assert [link.partition("?")[0] for link in hits(page)] == [f"/inbox/{talk.chats['mine']}"]
    assert chats(await read(manager, f"{SEARCH}?q=анна")) == [f"/inbox/{talk.chats['mine']}"]
    for hidden in (
        f"q=диван&account={other.account.id}",
        f"q=диван&chat={other.chats['theirs']}",
        "q=чужой",
        "item=8",
    ):
        page = await read(manager, f"{SEARCH}?{hidden}")
        assert hits(page) == chats(page) == []
        assert "Шкаф чужой" not in page.text
    assert len(hits(await read(admin, f"{SEARCH}?q=диван"))) == 2
    async with parts.store.write() as session:
        await session.execute(delete(OperatorAccount))
    assert hits(await read(manager, f"{SEARCH}?q=диван")) == []


async def test_nothing_stale_is_found(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("one", "Диван", name="m-gone")
    await talk.says("one", "Диван ещё один")
    async with parts.store.write() as session:  # as a restore of an older file beside a newer index would leave it
        await session.execute(update(Message).where(Message.avito_id == "m-gone").values(deleted_at=1))
    assert len(hits(await read(manager, f"{SEARCH}?q=диван"))) == 1
    async with parts.store.write() as session:
        account = (await session.scalars(select(Account))).one()
        await session.delete(account)
    assert hits(await read(manager, f"{SEARCH}?q=диван")) == []


@pytest.mark.row(1)
@ONE_DATABASE
async def test_strangers_words_stay_words(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says("one", "<script>alert(1)</script> диван <mark>свой</mark> \u202eзадом")
    await talk.facts("one", name="<img src=x onerror=alert(1)> диван", item="{{7*7}} диван")
    page = await read(manager, f"{SEARCH}?q=диван")
    assert len(page.all("mark")) == 3
    assert not page.all("img", src="x")
    assert "<script>alert(1)</script>" in page.text
    assert "‹U+202E›" in page.text
    page = await read(manager, f"{SEARCH}?q=<script>alert(1)</script>")
    assert page.all("input", id="search-text")[0]["value"] == "<script>alert(1)</script>"


@ONE_DATABASE
async def test_each_state_says_what_to_do(
    parts: Parts, talk: Talk, manager: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Search all chats" in (await read(manager, SEARCH)).text
    await talk.says("one", "Диван")
    page = await read(manager, f"{SEARCH}?q=рояль&who=in")
    assert "Nothing found" in page.text
    assert page.all("a", href=f"{SEARCH}?q=%D1%80%D0%BE%D1%8F%D0%BB%D1%8C")
    for asked, words in (("я", "One letter"), ("!!!", "letters or digits"), ("ы" * 201, "200 characters")):
        assert words in (await read(manager, SEARCH, 400, params={"q": asked})).text
    for odd in ("before=0", "before=-1", "before=x", f"before={2**63}"):
        assert (await manager.get(f"{SEARCH}?q=диван&{odd}")).status_code == 422, odd
    for odd in ("account=x&chat=-1&item=999999999999999999999", "before=1", "q=%00", "who=%27&from=%27"):
        assert (await manager.get(f"{SEARCH}?{odd}")).status_code == 200, odd
    monkeypatch.setattr(catching_up, "VERSION", 99)
    page = await read(manager, f"{SEARCH}?q=диван")
    assert "0 % are done" in page.text
    assert len(hits(page)) == 1


@ONE_DATABASE
async def test_a_chat_opens_around_a_message_and_goes_on_both_ways(parts: Parts, talk: Talk, manager: Browser) -> None:
    await talk.says_all("one", [f"сообщение {number}" for number in range(200)])
    chat = talk.chats["one"]

    def rows(page: Read) -> list[int]:
        return [int(item["data-message"]) for item in page.all("li") if "data-message" in item]

    async with parts.store.read() as session:
        ids = list(await session.scalars(select(Message.id).where(Message.chat_id == chat).order_by(Message.id)))
    page = await read(manager, f"/inbox/{chat}?at={ids[90]}")
    shown = rows(page)
    assert ids[90] in shown
    assert shown == ids[ids.index(shown[0]) : ids.index(shown[-1]) + 1]
    (newer,) = page.all("li", id="newer")
    (older,) = page.all("li", id="older")
    earlier = rows(await read(manager, older["hx-get"]))
    assert ids[ids.index(shown[0]) - 1] == earlier[-1]
    while newer:
        page = await read(manager, newer["hx-get"])
        assert rows(page)[0] == ids[ids.index(shown[-1]) + 1]
        shown += rows(page)
        newer = next(iter(page.all("li", id="newer")), None)
    assert shown[-1] == ids[-1]
    for odd in (ids[-1] + 1000, ids[-1]):
        page = await read(manager, f"/inbox/{chat}?at={odd}")
        assert rows(page)[-1] == ids[-1]
        assert not page.all("li", id="newer")


async def test_notes_are_found_as_notes_by_those_who_may_see_the_chat(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    assert manager.operator
    await talk.says("one", "Здравствуйте")
    other = await add_account(parts, 555, "Запчасти")
    await other.says("two", "Здравствуйте")
    htmx = {"HX-Request": "true"}
    for chat in (talk.chats["one"], other.chats["two"]):
        note = {"text": "Обещали самовывоз <script>x</script>", "client_key": str(chat)}
        assert (await manager.post(f"/inbox/{chat}/notes", note, headers=htmx)).status_code == 204
    async with parts.store.write() as session:
        (await session.get_one(Operator, manager.operator.id)).every_account = False
        session.add(OperatorAccount(operator_id=manager.operator.id, account_id=talk.account.id))

    async def found(query: str) -> list[str]:
        page = await read(manager, f"{SEARCH}?{query}")
        assert not [script for script in page.all("script") if "src" not in script]
        return [link["href"] for link in page.all("a", **{"class": "search-hit search-note"})]

    (hit,) = await found("q=самовывозом")
    assert hit.startswith(f"/inbox/{talk.chats['one']}?note=")
    opened = await read(manager, hit)
    assert f"note-{hit.partition('=')[2]}" in [item.get("id") for item in opened.all("li")]
    assert await found("q=самовывоз&who=note") == [hit]
    assert await found("q=самовывоз&who=in") == []
    assert await found("q=самовывоз&item=77") == []
    await talk.facts("one", item="Диван", id=77)
    assert await found("q=самовывоз&item=77") == [hit]
    note = hit.partition("=")[2]
    await manager.post(f"/inbox/notes/{note}", {"text": "Отправим почтой"}, headers=htmx)
    assert (await found("q=самовывоз"), await found("q=почта")) == ([], [hit])

    async with parts.store.write() as session:  # as a release left it that put no notes into the index
        await (await session.connection()).run_sync(statements.remove_all)
        mark = await session.get_one(Mark, catching_up.MARK)
        mark.value = json.dumps({"version": VERSION, "chats": 0, "messages": 0, "of": 0})
    assert await found("q=почта") == []
    while await CatchingUp(parts.store, clock).read_some():
        pass
    assert await found("q=почта") == [hit]
    await manager.post(f"/inbox/notes/{note}/remove", headers=htmx)
    assert await found("q=почта") == []


@ONE_DATABASE
async def test_the_wrong_keyboard_layout_is_forgiven_and_said(talk: Talk, manager: Browser) -> None:
    await talk.says("one", "Доставка есть?")
    await talk.says("two", "Продам iphone")
    for typed, meant in (("ljcnfdrf", "доставка"), ("шзрщту", "iphone")):
        page = await read(manager, f"{SEARCH}?q={typed}")
        assert (len(hits(page)), len(page.all("mark"))) == (1, 1)
        assert f"Nothing was found for “{typed}”" in page.text
        assert meant in page.text
    assert hits(await read(manager, f"{SEARCH}?q=ljcnfdrf&who=out")) == []
    for typed in ("zzzzqqq", "[[;;", "qй"):
        page = await read(manager, f"{SEARCH}?q={typed}", status=400 if typed == "[[;;" else 200)
        assert "Nothing was found for" not in page.text
