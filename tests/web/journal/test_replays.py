"""Many deliveries at once, as an administrator meets them: filters in the URL, the count, the dry run, then the press;
the quarantine by cause; and a page that stays open."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import delete, text

from golub import journal
from golub.clock import DAY, HOUR, MINUTE
from golub.errors import Unavailable
from golub.journal import Wanted
from golub.model import Cause, Delivery, DeliveryState, Message, Role
from golub.store import Store
from golub.web.causes import CAUSES
from golub.web.parts import Parts
from tests import shapes
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import World
from tests.guide.page import Page
from tests.web.conftest import Browser, Visit
from tests.web.journal.post import PAGE, Post, listed, message, opened

REPLAYS = "/admin/replays"


async def press(browser: Browser, parts: Parts, url: str, **given: str) -> Page:
    """Sends the form, lets it come to its end, and opens the page that it leads to."""
    answer = await browser.post(url, data=given)
    assert answer.status_code == 303, answer.text
    while await parts.replays.run_once() is not None:
        pass
    return await opened(browser, answer.headers["location"])


async def test_every_filter_stands_in_the_url_and_finds_what_it_says(world: World, post: Post, admin: Browser) -> None:
    old = await post.brings(message(id="m-old", content={"text": "Продаёте Самокат?"}))
    world.clock.step(2 * HOUR)
    bare = await post.brings(message(id="m-2", content={"text": "100%_ literally"}), bare=True)
    escaped = await post.brings(rb'{"payload": {"type": "promo", "value": {"t": "\u0421\u0410\u041c\u041e\u041aat"}}}')
    broken = await post.brings(b"[ \xff self")
    zone = "Asia/Vladivostok"  # ten hours ahead of UTC
    admin.client.cookies.set("tz", zone, domain="localhost.local")
    noon = world.clock() - HOUR
    local = journal_moment(noon, 10)
    for query, expected in (
        ("text=САМОК", [escaped, old]),
        ("text=самокат?", [old]),
        ("text=%25_%20lit", [bare]),
        ("text=.*", []),
        ("text=self&state=quarantined", [broken]),
        ("trust=bare", [bare]),
        ("trust=token", [broken, escaped, old]),
        ("cause=not_utf8", [broken]),
        ("state=quarantined&cause=not_utf8", [broken]),
        ("state=quarantined&cause=not_json", []),
        (f"from={local}", [broken, escaped, bare]),
        (f"to={local}", [old]),
        (f"from={local}&to={local}", []),
        ("from=nonsense&to=2026-99-99T00:00&trust=x&cause=x", [broken, escaped, bare, old]),
        ("address=127.0.", [broken, escaped, bare, old]),
        ("address=10.", []),
        ("address=%25", []),
    ):
        page = await opened(admin, f"{PAGE}?{query}")
        assert listed(page) == expected, query
    page = await opened(admin, f"{PAGE}?text=%22%3Cb%3E&trust=bare&address=10.")
    links = {link["href"] for link in page.all("a") if link["href"].startswith(REPLAYS)}
    assert [parse_qs(urlsplit(link).query) for link in links] == [
        {"text": ['"<b>'], "trust": ["bare"], "address": ["10."]}
    ]


def journal_moment(at: int, hours: int) -> str:
    """As a browser's field for a moment writes it, so many hours ahead of UTC."""
    return (datetime.fromtimestamp(at / 1000, UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")


async def test_a_look_for_a_text_costs_no_more_on_a_larger_journal(store: Store, clock: SteppedClock) -> None:
    async with store.write() as session:
        for number in range(40):
            body = b"x" * 5000 + (b"rare" if number == 0 else b"")
            session.add(
                Delivery(
                    id=number.to_bytes(16), received_at=clock() + number, applied_at=0, token_id=1, headers=[],
                    body=body, state=DeliveryState.APPLIED,
                )
            )  # fmt: skip
    wanted = Wanted(text="RARE")
    async with store.read() as session:
        stingy = journal.Budget(body_bytes=50_000)
        found = await journal.look(session, wanted, before=None, limit=5, budget=stingy)
        assert (found.places, found.stopped_at is not None) == ([], True)
        places, looks = list(found.places), 1
        while found.stopped_at:
            found = await journal.look(session, wanted, before=found.stopped_at, limit=5, budget=stingy)
            places, looks = [*places, *found.places], looks + 1
        assert [place.at for place in places] == [clock()]
        assert looks == 5, "four of ten bodies each, and a last one that finds the end"
        hasty = await journal.look(session, wanted, before=None, limit=5, budget=journal.Budget(seconds=0))
        assert hasty.stopped_at


@pytest.mark.row(48)
async def test_no_question_holds_the_database_for_long(store: Store) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(Unavailable):
        async with store.read(within=0.2) as session:
            await session.execute(text(endless))
    async with store.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_the_count_then_the_dry_run_then_the_press(
    world: World, post: Post, parts: Parts, admin: Browser
) -> None:
    await post.brings(message(id="m-1"))
    key = await post.brings(message(id="m-2"))
    await post.brings(b"[")
    page = await opened(admin, f"{REPLAYS}?kind=message")
    assert "2 deliveries" in page.text
    page = await press(admin, parts, REPLAYS, kind="try", query="?kind=message")
    assert "Nothing would change" in page.text
    assert "2 deliveries were taken up." in page.text
    page = await press(admin, parts, REPLAYS, kind="try")
    assert "Would stay in quarantine: 1." in page.text
    assert "All that these deliveries tell" not in page.text

    async with world.store.write() as session:
        await session.execute(delete(Message).where(Message.avito_id == "m-2"))
    page = await press(admin, parts, REPLAYS, kind="try", query="?kind=message")
    for told in ("1 delivery would change something", "New message", "Apply 2 deliveries again", "Finished"):
        assert told in page.text
    assert f"{PAGE}/{key}" in {link["href"] for link in page.all("a")}
    assert len(await post.messages()) == 1
    (form,) = [form for form in page.forms if form.action == REPLAYS]
    page = await press(admin, parts, REPLAYS, **{name: value for name, value in form.filled() if name != "csrf"})
    assert "1 delivery changed something" in page.text
    assert len(await post.messages()) == 2
    assert "Applying again: 1 delivery changes something" in (await opened(admin, REPLAYS)).text


@ONE_DATABASE
async def test_a_replay_shows_how_far_it_is_and_can_be_stopped(post: Post, parts: Parts, admin: Browser) -> None:
    await post.brings(message())
    answer = await admin.post(REPLAYS, data={"kind": "apply", "query": ""})
    url = answer.headers["location"]
    page = await opened(admin, url)
    assert "0 of 1" in page.text
    assert page.all("div", id="progress")[0]["hx-get"] == url
    refused = await admin.post(REPLAYS, data={"kind": "try", "query": ""})
    assert refused.status_code == 409
    assert "Another replay is running" in refused.text
    await admin.post(f"{url}/stop")
    page = await opened(admin, url)
    assert "Stopped" in page.text
    assert "hx-get" not in page.all("div", id="progress")[0]
    assert "1 delivery was taken up." in (await press(admin, parts, f"{url}/resume")).text
    assert (await admin.get(f"{REPLAYS}/99")).status_code == 404


async def test_the_quarantine_is_a_list_of_work(post: Post, parts: Parts, admin: Browser) -> None:
    keys = [await post.brings(body) for body in (b"[", b"[[", b"\xff")]
    page = await opened(admin, f"{PAGE}?state=quarantined")
    work = page.within("quarantine")
    for told in ("The body is not JSON 2 deliveries", "The bytes are not text 1 delivery", CAUSES[Cause.NOT_JSON].help):
        assert told in work
    assert f"{PAGE}?state=quarantined&cause=not_json" in {link["href"] for link in page.all("a")}
    query = "?state=quarantined&cause=not_json"
    assert "Discard 2 deliveries" in (await opened(admin, REPLAYS + query)).text
    refused = await admin.post(REPLAYS, data={"kind": "discard", "query": query, "reason": " "})
    assert (refused.status_code, "Say why" in refused.text) == (400, True)
    page = await press(admin, parts, REPLAYS, kind="discard", query=query, reason="<b>чужой</b> сервис")
    assert "2 deliveries were discarded" in page.text
    assert listed(await opened(admin, f"{PAGE}?state=quarantined")) == [keys[2]]
    page = await opened(admin, f"{PAGE}/{keys[0]}")
    assert "Discarded by admin-0" in page.text
    assert "<b>чужой" in page.text
    assert "<b>чужой" not in page.markup
    refused = await admin.post(f"{PAGE}/{keys[2]}/discard", data={"reason": ""})
    assert refused.status_code == 400
    await admin.post(f"{PAGE}/{keys[2]}/discard", data={"reason": "не от Авито"})
    assert "The quarantine is empty" in (await opened(admin, f"{PAGE}?state=quarantined")).text
    assert sorted(listed(await opened(admin, f"{PAGE}?state=discarded"))) == sorted(keys)


@ONE_DATABASE
async def test_an_open_page_is_told_what_came_since(post: Post, admin: Browser, world: World) -> None:
    first = await post.brings(message(id="m-0"))
    world.clock.step(MINUTE)
    page = await opened(admin, f"{PAGE}?kind=message")
    (live,) = page.all("div", id="journal-live")
    newer = f"{PAGE}/newer?kind=message&after={live['data-newest']}"
    assert (await opened(admin, newer)).all("table", id="newer")[0]["data-number"] == "0"
    later = [await post.brings(message(id=f"m-{number}")) for number in range(1, 3)]
    await post.brings(b"[")
    part = await opened(admin, newer)
    (table,) = part.all("table", id="newer")
    assert table["data-number"] == "2"
    assert listed(part) == [*later[::-1], first], "what a browser has already it leaves out"
    assert "<html" not in part.markup
    part = await opened(admin, f"{PAGE}/newer?kind=message&after={table['data-newest']}")
    assert part.all("table", id="newer")[0]["data-number"] == "0"
    for number in range(21):
        await post.brings(message(id=f"flood-{number}"))
    part = await opened(admin, newer)
    assert (part.all("table", id="newer")[0]["data-number"], listed(part)) == ("23", [])
    assert first not in part.markup
    assert not (await opened(admin, f"{PAGE}?before={world.clock() + DAY}.{'0' * 32}")).all("div", id="journal-live")


@ONE_DATABASE
async def test_the_answer_s_time_and_the_whole_body_are_shown(post: Post, admin: Browser) -> None:
    key = await post.brings(message(content={"text": "я" * 90_000 + "конец"}))
    (kept,) = await post.kept()
    assert kept.ack_ms is not None
    page = await opened(admin, f"{PAGE}/{key}")
    assert f"Answered in{kept.ack_ms} ms" in page.text
    assert "конец" not in page.within("body")
    assert "конец" in (await opened(admin, f"{PAGE}/{key}?whole=true")).within("body")
    assert f"{kept.ack_ms} ms" in (await opened(admin, PAGE)).within(f"delivery-{key}")


@ONE_DATABASE
async def test_only_administrators_take_many_up(visit: Visit, post: Post) -> None:
    await post.brings(shapes.message())
    for role, status in ((None, 303), (Role.MANAGER, 403), (Role.ADMIN, 200)):
        browser = await visit(role)
        for url in (REPLAYS, f"{PAGE}/newer?after=1.{'0' * 32}"):
            assert (await browser.get(url)).status_code == status, (role, url)
        answer = await browser.post(REPLAYS, data={"kind": "try", "query": ""})
        assert answer.status_code == (403 if status == 403 else 303)
