"""Reports: small histories with exact figures, the lists behind them, the files, and who may see what."""

import csv
import io
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.fold import Named
from golub.model import AuditEntry, Mark, Operator, OperatorAccount, OutgoingMessage, Role
from golub.reports.filling import ALL, MARK
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk, add_account, parts_for
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import read

ZONE = ZoneInfo("Europe/Moscow")
NOON = int(datetime(2026, 3, 18, 12, 0, tzinfo=ZONE).timestamp()) * SECOND  # a Wednesday
HOSTILE = '=HYPERLINK("http://evil.example";"x")'
MARKUP = "<script>alert(1)</script>\u202e"


@pytest.fixture
async def parts(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Parts]:
    clock.now = NOON
    async with (
        Simulator(clock=lambda: clock() / 1000) as sim,
        parts_for(database_url, tmp_path, clock, sim) as parts,
    ):
        async with parts.store.write() as session:
            session.add(Mark(name=MARK, value=ALL))
        yield parts


@pytest.fixture
async def talk(parts: Parts) -> Talk:
    return await add_account(parts)


async def told(talk: Talk, chat: str, *moments: tuple[str, int]) -> None:
    """What was said in a chat: `<` the buyer, `>` we, `c` a call nobody took; and how long before noon."""
    for who, ago in moments:
        at = NOON - ago
        if who == "c":
            await talk.says(chat, kind="call", content={"call": {"status": "missed"}}, at=at)
        else:
            await talk.says(chat, "Да", author=talk.account.user_id if who == ">" else 777, at=at)


async def a_week(talk: Talk) -> None:
    """Five answers: 1, 2, 3, 10 and 60 minutes; two leads that were missed; one chat that waits now."""
    await told(talk, "a", ("<", 3 * HOUR), (">", 3 * HOUR - MINUTE), ("<", 2 * HOUR), (">", 2 * HOUR - 2 * MINUTE))
    await told(talk, "b", ("<", DAY + HOUR), (">", DAY + HOUR - 3 * MINUTE))
    await told(talk, "c", ("<", 2 * DAY), (">", 2 * DAY - 10 * MINUTE), ("<", 2 * DAY - 20 * MINUTE))  # «спасибо»
    await told(talk, "d", ("<", 3 * DAY), (">", 3 * DAY - HOUR))
    await told(talk, "e", ("<", 2 * DAY + HOUR))
    await told(talk, "f", ("c", 4 * DAY))
    await told(talk, "g", ("<", 20 * MINUTE))


async def table(browser: Browser, figure: str, query: str = "") -> list[list[str]]:
    answer = await browser.get(f"/reports/csv/{figure}{query}")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""), delimiter=";"))


async def test_a_small_week_has_exactly_these_figures(parts: Parts, talk: Talk, admin: Browser) -> None:
    await a_week(talk)
    text = (await read(admin, "/reports")).text
    assert "New chats 7 " in text
    assert "Half answered within 3 min" in text
    assert "Nine of ten within 1 hr" in text
    # 4 of 5 answers within a quarter of an hour, of those and the three leads that wait longer: e, f, g
    assert "Within 15 min 50%" in text
    assert "Missed 2 " in text
    assert "Waiting now 4" in text  # c, e, f and g

    hours = await table(admin, "hours")
    assert hours[0] == ["Hour", "Answers", "Median, seconds", "Nine of ten within, seconds", "Within the target, %"]
    assert hours[1:] == [
        ["09:00", "1", "60", "60", "100"],
        ["10:00", "1", "120", "120", "100"],
        ["11:00", "1", "180", "180", "33.3"],
        ["12:00", "2", "600", "3600", "33.3"],
    ]
    assert (await table(admin, "days"))[1:] == [
        ["2026-03-12", "0", "0", "0", "0", "0", "0"],
        ["2026-03-13", "0", "0", "0", "0", "0", "0"],
        ["2026-03-14", "1", "0", "1", "1", "0", "0"],
        ["2026-03-15", "1", "0", "0", "1", "1", "0"],
        ["2026-03-16", "2", "1", "0", "3", "1", "0"],
        ["2026-03-17", "1", "0", "0", "1", "1", "0"],
        ["2026-03-18", "2", "0", "0", "3", "2", "0"],
    ]
    assert (await table(admin, "waiting"))[1:] == [
        ["up to 15\N{NO-BREAK SPACE}min", "0"],
        ["15\N{NO-BREAK SPACE}min to 1\N{NO-BREAK SPACE}hr", "1"],
        ["1\N{NO-BREAK SPACE}hr to 4\N{NO-BREAK SPACE}hr", "0"],
        ["4\N{NO-BREAK SPACE}hr to 1\N{NO-BREAK SPACE}day", "0"],
        ["1\N{NO-BREAK SPACE}day to 7\N{NO-BREAK SPACE}days", "3"],
        ["longer than 7\N{NO-BREAK SPACE}days", "0"],
    ]
    assert (await table(admin, "accounts"))[1:] == [["Мебель", "5", "180", "3600", "50"]]


async def test_each_figure_leads_to_its_chats(parts: Parts, talk: Talk, admin: Browser) -> None:
    await a_week(talk)

    async def listed(query: str) -> int:
        page = await read(admin, f"/reports/chats{query}")
        return len([one for one in page.all("a") if one.get("href", "").removeprefix("/inbox/").isdigit()])

    assert await listed("") == 9  # c and a have two waits each
    assert await listed("?only=new") == 7
    assert await listed("?only=answered") == 5
    assert await listed("?only=late") == 4  # an hour, and three leads without an answer
    assert await listed("?only=missed") == 2
    assert await listed("?hour=12") == 4
    assert await listed("?period=own&from=2026-03-16&to=2026-03-16") == 3
    assert await listed("?by=avito") == 5
    assert len((await read(admin, "/reports/waiting?step=4")).all("tr")) == 1 + 3


async def test_today_is_told_by_the_hour_and_beside_the_same_hours_of_yesterday(talk: Talk, admin: Browser) -> None:
    await told(talk, "a", ("<", 3 * HOUR), (">", 3 * HOUR - MINUTE))
    await told(talk, "b", ("<", DAY + 2 * HOUR), (">", DAY + HOUR))
    await told(talk, "c", ("<", DAY - HOUR))  # yesterday, an hour later than it is now
    text = (await read(admin, "/reports?period=today")).text
    assert "New chats 1 before: 1" in text
    days = await table(admin, "days", "?period=today")
    assert len(days) == 25
    assert [row[:2] for row in days if row[1] == "1"] == [["09:00", "1"]]


async def test_who_answered_is_told_to_admins_and_to_himself(parts: Parts, talk: Talk, visit: Visit) -> None:
    admin, anna, boris = [await visit(role) for role in (Role.ADMIN, Role.MANAGER, Role.MANAGER)]
    await told(talk, "a", ("<", 3 * HOUR), (">", 3 * HOUR - MINUTE))
    await told(talk, "b", ("<", 3 * HOUR), (">", 3 * HOUR - 2 * MINUTE))
    await told(talk, "c", ("<", 3 * HOUR), (">", 3 * HOUR - 3 * MINUTE))
    assert anna.operator
    assert boris.operator
    for chat, name, operator in (("a", "m2", anna.operator), ("b", "m4", boris.operator)):
        async with parts.store.write() as session:
            await session.execute(
                insert(OutgoingMessage).values(
                    account_id=talk.account.id, chat_id=talk.chats[chat], operator_id=operator.id, client_key=name,
                    text="Да", state="sent", created_at=NOON - 2 * HOUR, finished_at=NOON - 2 * HOUR,
                    message_avito_id=name,
                )
            )  # fmt: skip
        await parts.applier.submit(talk.account.id, [Named(chat, name)])
    everybody = [[anna.operator.name, "1", "60"], [boris.operator.name, "1", "120"], ["At Avito itself", "1", "180"]]
    assert sorted(row[:3] for row in (await table(admin, "operators"))[1:]) == sorted(everybody)
    assert [row[:3] for row in (await table(anna, "operators"))[1:]] == [[anna.operator.name, "1", "60"]]
    page = await read(anna, "/reports")
    assert boris.operator.name not in page.text
    assert "New chats 3" in page.text, "everybody's together"
    # Another's own figures are not for her: the filter is not taken.
    assert "New chats 3" in (await read(anna, f"/reports?operator={boris.operator.id}")).text
    assert "New chats 1" in (await read(anna, f"/reports?operator={anna.operator.id}")).text
    days = await table(admin, "days", f"?operator={boris.operator.id}")
    assert days[-1] == ["2026-03-18", "1", "0", "0", "0", "1", "0"]


async def test_figures_lists_and_files_are_of_the_accounts_in_sight(parts: Parts, talk: Talk, visit: Visit) -> None:
    hidden = await add_account(parts, 1002, "Чужой магазин")
    await told(talk, "a", ("<", 3 * HOUR))
    await told(hidden, "b", ("<", 3 * HOUR), (">", 2 * HOUR))
    await told(hidden, "c", ("<", 2 * HOUR))
    await hidden.facts("b", name="Тайна", item="Секрет")
    manager = await visit(Role.MANAGER)
    assert manager.operator
    async with parts.store.write() as session:
        (await session.get_one(Operator, manager.operator.id)).every_account = False
        session.add(OperatorAccount(operator_id=manager.operator.id, account_id=talk.account.id))
    for query in ("", f"?account={hidden.account.id}", "?item=5"):
        for page in ("/reports", "/reports/chats", "/reports/waiting"):
            answer = await manager.get(page + query)
            assert answer.status_code == 200
            for secret in ("Чужой", "Тайна", "Секрет"):
                assert secret not in answer.text, page + query
    assert "New chats 1 " in (await read(manager, "/reports")).text
    assert (await table(manager, "accounts"))[1:] == [["Мебель", "0", "", "", "0"]]
    assert [row for row in (await table(manager, "days"))[1:] if row[4] != "0"] == [
        ["2026-03-18", "1", "0", "0", "1", "0", "0"]
    ]
    assert "New chats 3 " in (await read(await visit(Role.ADMIN), "/reports")).text


@pytest.mark.row(1, 2, 49)
@ONE_DATABASE
async def test_names_that_strangers_chose_stay_text(parts: Parts, visit: Visit, admin: Browser) -> None:
    """In the pages, and in what a spreadsheet makes of the files."""
    shop = await add_account(parts, 1003, HOSTILE)
    await told(shop, "a", ("<", 3 * HOUR), (">", 2 * HOUR))
    await told(shop, "b", ("<", 3 * HOUR))
    await shop.facts("a", name=MARKUP, item=MARKUP)
    await shop.facts("b", name="+7", item=MARKUP)
    for page in ("/reports", "/reports/chats", "/reports/waiting", f"/reports?account={shop.account.id}&item=5"):
        answer = await admin.get(page)
        assert "<script>alert" not in answer.text
        assert "\u202e" not in answer.text
    accounts = (await admin.get("/reports/csv/accounts")).content.decode("utf-8-sig")
    assert accounts.splitlines()[1].startswith("\"'=HYPERLINK(")
    items = await table(admin, "items")
    assert items[1][0].startswith("<script>alert(1)</script>‹U+202E›")


@pytest.mark.row(47)
@ONE_DATABASE
@pytest.mark.parametrize(
    "query",
    [
        {"account": "x'--"}, {"account": "9" * 40}, {"operator": "-1"}, {"item": "%00"},
        {"period": "own", "from": "0000"},
        {"period": "own", "from": "9999-12-31", "to": "1000-01-01"}, {"period": "own", "from": "2026-99-99"},
        {"period": "ever"}, {"period": "own", "from": "2001-01-01", "to": "2026-03-18"}, {"item": "9" * 18},
    ],
)  # fmt: skip
async def test_what_makes_no_sense_narrows_nothing(talk: Talk, admin: Browser, query: dict[str, str]) -> None:
    for page in ("/reports", "/reports/chats", "/reports/waiting", "/reports/csv/days"):
        assert (await admin.get(f"{page}?{urlencode(query)}")).status_code == 200, page


@pytest.mark.row(48)
@ONE_DATABASE
@pytest.mark.parametrize("query", ["before=x", "before=1", "before=" + "9" * 30 + ".1", "only=everything", "hour=24"])
async def test_a_list_that_cannot_be_is_refused(talk: Talk, admin: Browser, query: str) -> None:
    assert (await admin.get(f"/reports/chats?{query}")).status_code in (400, 422)


@ONE_DATABASE
async def test_a_long_list_comes_in_pages_without_gaps_or_repetitions(talk: Talk, admin: Browser) -> None:
    for number in range(120):  # many in one second
        await told(talk, f"u2i-{number}", ("<", HOUR + number // 40 * SECOND))
    found: list[str] = []
    url = "/reports/chats?only=new"
    while url:
        page = await read(admin, url)
        links = [one["href"] for one in page.all("a") if "href" in one]
        found += [link for link in links if link.removeprefix("/inbox/").isdigit()]
        url = next((link for link in links if "before=" in link), "")
    assert len(found) == len(set(found)) == 120


@ONE_DATABASE
async def test_the_target_is_the_super_administrators(parts: Parts, talk: Talk, visit: Visit) -> None:
    await a_week(talk)
    owner = await visit(Role.SUPER_ADMIN)
    for role in (Role.MANAGER, Role.ADMIN):
        assert (await (await visit(role)).post("/reports/target", {"minutes": "5"})).status_code == 403
    for wrong in ("", "0", "1441", "5.5", "１５", "9" * 30):
        answer = await owner.post("/reports/target", {"minutes": wrong})
        assert answer.status_code == 400, wrong
        assert "Choose from 1 minute to 24 hours." in answer.text
    answer = await owner.post("/reports/target", {"minutes": "2", "back": "?period=30"})
    assert answer.headers["location"] == "/reports?period=30&done=target#target"
    assert "Within 2 min 25%" in (await read(owner, "/reports")).text
    async with parts.store.read() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.subject == "answer target"))).one()
    assert (entry.before, entry.after) == ('{"minutes":15}', '{"minutes":2}')


@ONE_DATABASE
async def test_an_empty_report_says_what_to_do_and_an_unfinished_one_that_it_is(
    parts: Parts, admin: Browser, visit: Visit
) -> None:
    assert "Connect an account" in (await read(admin, "/reports")).text
    talk = await add_account(parts)
    assert "Nothing in this time" in (await read(admin, "/reports")).text
    await told(talk, "a", ("<", 3 * HOUR))
    await told(talk, "b", ("<", 3 * HOUR))
    assert "still counting" not in (await read(admin, "/reports")).text
    async with parts.store.write() as session:
        (await session.get_one(Mark, MARK)).value = str(talk.chats["a"])
    assert "50% of the chats from before" in (await read(admin, "/reports")).text


@ONE_DATABASE
async def test_russian_figures_are_written_as_russian_does(parts: Parts, talk: Talk, visit: Visit) -> None:
    await told(talk, "a", ("<", 30 * HOUR), (">", 30 * HOUR - 65 * MINUTE))
    await told(talk, "b", ("<", 3 * HOUR), (">", 3 * HOUR - MINUTE))
    await told(talk, "c", ("<", 3 * HOUR), (">", 3 * HOUR - MINUTE))
    browser = await visit(Role.ADMIN)
    async with parts.store.write() as session:
        assert browser.operator
        (await session.get_one(Operator, browser.operator.id)).locale = "ru"
    text = (await read(browser, "/reports")).text
    assert "Девять из десяти за 1 ч 5 мин" in text
    assert "66,7 %" in text
    assert "7 дней" in text
    assert (await table(browser, "accounts"))[1][-1] == "66,7"


async def test_a_zone_that_moves_its_clock_keeps_its_hours(parts: Parts, talk: Talk, admin: Browser) -> None:
    """Berlin: on 29 March 2026 two o'clock became three; ten in the morning stays ten on both sides."""
    berlin = ZoneInfo("Europe/Berlin")
    parts.clock.now = int(datetime(2026, 3, 30, 12, tzinfo=berlin).timestamp()) * SECOND  # type: ignore[attr-defined]
    for number, day in enumerate((28, 29, 30)):
        await talk.says(f"chat-{number}", at=int(datetime(2026, 3, day, 10, 30, tzinfo=berlin).timestamp()) * SECOND)
    admin.client.cookies.set("tz", "Europe/Berlin", domain="localhost.local")
    page = await read(admin, "/reports/chats?hour=10")
    assert len([one for one in page.all("a") if one.get("href", "").removeprefix("/inbox/").isdigit()]) == 3
    assert [row[1] for row in (await table(admin, "days"))[1:]] == ["0", "0", "0", "0", "1", "1", "1"]


async def test_who_closes_a_chat_has_not_answered_it_and_nobody_is_missed(
    parts: Parts, talk: Talk, admin: Browser
) -> None:
    await told(talk, "a", ("<", 3 * DAY), (">", 3 * DAY - MINUTE), ("<", 3 * DAY - 2 * MINUTE))  # «спасибо»
    await told(talk, "b", ("<", 2 * DAY))
    await told(talk, "c", ("<", 2 * DAY))
    for name in ("a", "b"):
        answer = await admin.post(f"/inbox/{talk.chats[name]}/close", {"version": "9"}, headers={"HX-Request": "true"})
        assert answer.status_code == 200, answer.text
    text = (await read(admin, "/reports")).text
    assert "Closed without an answer 2 " in text
    assert "Missed 1 " in text
    assert (await table(admin, "operators"))[1:] == [["At Avito itself", "1", "60", "60", "100"]]
    assert [row[-1] for row in (await table(admin, "days"))[1:] if row[-1] != "0"] == ["1", "1"]  # when they began
    closed = (await read(admin, "/reports/chats?only=closed")).text
    assert closed.count("closed without an answer") == 2
    assert admin.operator
    assert closed.count(admin.operator.name) >= 2
    assert "closed without an answer" not in (await read(admin, "/reports/chats?only=answered")).text
    await admin.post(f"/inbox/{talk.chats['b']}/reopen", headers={"HX-Request": "true"})
    text = (await read(admin, "/reports")).text
    assert "Closed without an answer 1 " in text
    assert "Missed 2 " in text
