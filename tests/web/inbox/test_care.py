"""Whose a chat is and how far it is, as operators do it: who may, who is first, and what every view shows then."""

import json
from dataclasses import replace

import pytest

from golub import inbox
from golub.clock import DAY, HOUR, MINUTE
from golub.errors import Invalid
from golub.model import Chat, Operator, OperatorAccount, Role
from golub.waking import Waking
from golub.web.language import Reader, zone_named
from golub.web.parts import Parts
from golub.web.snoozing import moment_of, snooze_times
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk, add_account
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read, reply

HX = {"HX-Request": "true"}


async def chat_of(parts: Parts, chat: int) -> Chat:
    async with parts.store.read() as session:
        return await session.get_one(Chat, chat)


async def act(browser: Browser, chat: int, verb: str, status: int = 200, **fields: object) -> str:
    sent = {name: str(value) for name, value in fields.items()}
    answer = await browser.post(f"/inbox/{chat}/{verb}", sent, headers=HX)
    assert answer.status_code == status, answer.text
    return answer.text


async def shown(browser: Browser, query: str) -> tuple[list[int], dict[str, str]]:
    """Which chats a list shows, and the counts beside it."""
    page = await read(browser, f"/inbox{query}")
    (box,) = page.all("div", id="inbox")
    return [int(row["data-chat"]) for row in page.all("li") if "data-chat" in row], json.loads(box["data-counts"])


async def test_of_two_who_take_a_chat_the_second_is_told_who_has_it(parts: Parts, talk: Talk, visit: Visit) -> None:
    anna, boris = await visit(Role.MANAGER), await visit(Role.MANAGER)
    await talk.says("one", "вопрос")
    chat = talk.chats["one"]
    assert anna.operator
    assert boris.operator
    await act(anna, chat, "take")
    assert f"{anna.operator.name} has already taken this chat." in await act(boris, chat, "take", 409)
    assert (await chat_of(parts, chat)).owner_id == anna.operator.id

    await act(boris, chat, "return", 403)
    await act(boris, chat, "hand-over", 403, operator_id=boris.operator.id)
    await act(anna, chat, "hand-over", operator_id=boris.operator.id)
    assert (await chat_of(parts, chat)).owner_id == boris.operator.id
    admin = await visit(Role.ADMIN)
    await act(admin, chat, "hand-over", operator_id=anna.operator.id)
    assert (await chat_of(parts, chat)).owner_id == anna.operator.id
    await act(anna, chat, "return")
    assert (await chat_of(parts, chat)).owner_id is None
    assert (await shown(anna, "?view=unassigned"))[0] == [chat]


@ONE_DATABASE
async def test_a_chat_goes_to_nobody_who_cannot_see_it(parts: Parts, talk: Talk, visit: Visit) -> None:
    anna, boris = await visit(Role.MANAGER), await visit(Role.MANAGER)
    assert boris.operator
    other = await add_account(parts, 555)
    async with parts.store.write() as session:
        (await session.get_one(Operator, boris.operator.id)).every_account = False
        session.add(OperatorAccount(operator_id=boris.operator.id, account_id=other.account.id))
    await talk.says("one", "вопрос")
    chat = talk.chats["one"]
    await act(anna, chat, "hand-over", 400, operator_id=boris.operator.id)
    await act(anna, chat, "hand-over", 400, operator_id=4242)
    for verb in ("take", "return", "reopen"):
        await act(boris, chat, verb, 404)
    await act(boris, chat, "close", 404, version=1)
    await act(boris, chat, "snooze", 404, version=1, until="hour")
    await act(boris, chat, "labels", 404, label_id=1, on="yes")
    assert (await chat_of(parts, chat)).owner_id is None


@ONE_DATABASE
async def test_who_answers_a_chat_that_nobody_has_takes_it(parts: Parts, talk: Talk, visit: Visit) -> None:
    anna, boris = await visit(Role.MANAGER), await visit(Role.MANAGER)
    assert anna.operator
    await talk.says("one", "вопрос")
    assert (await reply(anna, talk.chats["one"], "ответ", "a")).status_code == 200
    assert (await reply(boris, talk.chats["one"], "и ещё", "b")).status_code == 200
    assert (await chat_of(parts, talk.chats["one"])).owner_id == anna.operator.id


async def test_a_chat_goes_from_view_to_view(parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock) -> None:
    for name in ("a", "b", "c"):
        await talk.says(name, "вопрос")
    a, b, c = (talk.chats[name] for name in ("a", "b", "c"))
    await act(manager, a, "take")
    await act(manager, b, "close", version=(await chat_of(parts, b)).version)
    undo = await act(manager, c, "snooze", version=(await chat_of(parts, c)).version, until="hour")
    assert "Snoozed until" in undo
    assert f"/inbox/{c}/reopen" in undo

    expected = {"all": [a], "mine": [a], "unassigned": [], "waiting": [a], "snoozed": [c], "closed": [b]}
    for view, chats in expected.items():
        found, counts = await shown(manager, f"?view={view}")
        assert (view, found, counts[view]) == (view, chats, str(len(chats)))
    answer = await read(manager, f"/inbox/rows?view=unassigned&ids={a},{b},{c}&opened={a}")
    assert not answer.all("li")  # whoever has it opened took it himself

    clock.step(HOUR)
    waking = Waking(parts.store, parts.applier, clock)
    await waking.run_once()
    assert (await shown(manager, ""))[0] == [c, a]  # what comes back stands first
    await talk.says("b", "ещё вопрос")
    assert b in (await shown(manager, "?view=unassigned"))[0]


@ONE_DATABASE
async def test_closing_what_the_buyer_has_just_gone_on_with_is_refused(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("one", "вопрос")
    chat = talk.chats["one"]
    seen = (await chat_of(parts, chat)).version
    await talk.says("one", "и ещё один")
    assert "has written meanwhile" in await act(manager, chat, "close", 409, version=seen)
    assert "has written meanwhile" in await act(manager, chat, "snooze", 409, version=seen, until="hour")
    for odd in ("", "yesterday", "9999-99-99T00:00", "0001-01-01T00:00", "2001-01-01T00:00", "9999-12-31T23:59"):
        await act(manager, chat, "snooze", 400, version=seen + 1, at=odd)
    await act(manager, chat, "close", 422, version=-1)
    assert (await chat_of(parts, chat)).state == "waiting"


@ONE_DATABASE
async def test_waking_finds_what_is_due_and_says_what_is_next(
    parts: Parts, talk: Talk, manager: Browser, clock: SteppedClock
) -> None:
    for name in ("a", "b"):
        await talk.says(name, "вопрос")
    await act(manager, talk.chats["a"], "snooze", version=9, until="hour")
    local = "2030-01-01T00:00"
    await act(manager, talk.chats["b"], "snooze", 400, version=9, at=local)  # more than a year
    waking = Waking(parts.store, parts.applier, clock)
    assert await waking.run_once() == clock() + HOUR
    clock.step(HOUR)
    assert await waking.run_once() is None
    assert (await chat_of(parts, talk.chats["a"])).state == "waiting"


@pytest.mark.parametrize("zone", ["Europe/Moscow", "Asia/Vladivostok"])
def test_the_times_that_are_offered_are_the_reader_s_own(zone: str) -> None:
    sunday_noon = moment_of("2026-11-22T12:00", Reader("en", zone_named(zone), 0))
    reader = Reader("en", zone_named(zone), sunday_noon)
    assert {name: ends - sunday_noon for name, _, ends in snooze_times(reader)} == {
        "hour": HOUR,
        "evening": 6 * HOUR,
        "morning": 21 * HOUR,
        "monday": 21 * HOUR,
    }
    late = replace(reader, now=sunday_noon + 5 * HOUR + MINUTE)
    assert "evening" not in {name for name, _, _ in snooze_times(late)}
    monday = replace(reader, now=sunday_noon + DAY)
    assert {name: ends - monday.now for name, _, ends in snooze_times(monday)}["monday"] == 7 * DAY - 3 * HOUR
    with pytest.raises(Invalid):
        moment_of("soon", reader)


async def test_labels_narrow_every_view_and_its_counts(
    parts: Parts, talk: Talk, manager: Browser, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await admin.post("/admin/labels", {"name": "  Срочно ", "colour": "#CC3300"})).status_code == 303
    again = await admin.post("/admin/labels", {"name": "срочно", "colour": "#cc3300"})
    assert (again.status_code, "There is one of this name already." in again.text) == (422, True)
    async with parts.store.read() as session:
        (label,) = await inbox.list_labels(session)
    for name in ("a", "b", "c"):
        await talk.says(name, "вопрос")
    a, b = talk.chats["a"], talk.chats["b"]
    for chat in (a, b):
        assert "Срочно" in await act(manager, chat, "labels", label_id=label.id, on="yes")
    await act(manager, b, "close", version=99)
    for few in (2000, 1):  # where the database begins
        monkeypatch.setattr("golub.inbox.listing.FEW", few)
        assert (await shown(manager, f"?label={label.id}"))[0] == [a]
        found, counts = await shown(manager, f"?view=closed&label={label.id}")
        assert (found, counts["all"], counts["closed"], counts["waiting"]) == ([b], "1", "1", "1")
    assert "Срочно" in (await read(manager, f"/inbox/rows?ids={a}")).text

    await act(manager, a, "labels", label_id=label.id, on="no")
    assert (await shown(manager, f"?label={label.id}"))[0] == []
    await act(manager, a, "labels", 404, label_id=4242, on="yes")
    await admin.post(f"/admin/labels/{label.id}/remove")
    assert "A label that is gone" in (await read(manager, f"/inbox?label={label.id}")).text


@pytest.mark.row(2)
@ONE_DATABASE
async def test_hostile_names_are_refused_or_shown_as_text(
    parts: Parts, talk: Talk, manager: Browser, admin: Browser
) -> None:
    for name in ("", " ", "x" * 41, "a\u202eb", "a\0b"):
        assert (await admin.post("/admin/labels", {"name": name, "colour": "#cc3300"})).status_code == 422, name
    for colour in ("", "red", "#12345g", "#123;x"):
        assert (await admin.post("/admin/labels", {"name": "x", "colour": colour})).status_code == 422, colour
    evil = "<script>alert(1)</script>"
    await admin.post("/admin/labels", {"name": evil, "colour": "#cc3300"})
    await talk.says("a", "вопрос")
    answer = await act(manager, talk.chats["a"], "labels", label_id=1, on="yes")
    await manager.post("/inbox/views?label=1", {"name": evil})
    for text in (answer, (await manager.get("/inbox")).text, (await admin.get("/admin/labels")).text):
        assert "<script>alert" not in text
        assert "alert(1)" in Read(text).text


@ONE_DATABASE
async def test_a_named_view_is_its_operator_s_alone(parts: Parts, talk: Talk, visit: Visit) -> None:
    anna, boris = await visit(Role.MANAGER), await visit(Role.MANAGER)
    await talk.says("a", "вопрос")
    await talk.facts("a")
    saved = await anna.post(f"/inbox/views?view=waiting&account={talk.account.id}&item=5", {"name": "Ждут дивана"})
    assert saved.status_code == 303
    assert (await anna.post("/inbox/views?view=mine", {"name": "Ждут дивана"})).status_code == 409
    assert (await anna.post("/inbox/views?account=4242", {"name": "Чужое"})).status_code == 404
    page = await read(anna, "/inbox?view=closed")
    assert page.all("a", href=f"/inbox?view=waiting&account={talk.account.id}&item=5")
    assert (await shown(anna, "?view=closed"))[1]["saved-1"] == "1"
    assert "Ждут дивана" not in (await read(boris, "/inbox")).text
    await boris.post("/inbox/views/1/remove")
    assert "Ждут дивана" in (await read(anna, "/inbox")).text
    await anna.post("/inbox/views/1/remove")
    assert "Ждут дивана" not in (await read(anna, "/inbox")).text
