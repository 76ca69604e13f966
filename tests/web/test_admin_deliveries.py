"""The journal's page: what came, what became of it and why, strangers' bytes as mere text, and applying again."""

import json
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from golub import journal
from golub.apply import Applier
from golub.clock import DAY, SECOND
from golub.errors import NotFound
from golub.journal import Kind, Place, Wanted
from golub.model import Cause, Chat, Delivery, DeliveryState, Message, Role
from golub.operators import Operators
from golub.replays import Replays
from golub.store import Store
from golub.subscription import token_of
from golub.web.causes import CAUSES, STATES, oddities
from golub.web.language import words
from golub.web.parts import Parts
from golub.web.raw_body import SHOWN, read_raw
from tests import door, shapes, shop
from tests.conftest import SteppedClock
from tests.door import PUBLIC, World
from tests.guide.page import Page
from tests.hostile import HOSTILE
from tests.web.conftest import Browser, Visit

PAGE = "/admin/deliveries"
PATIENCE = 20.0
RLO = "\u202e"


class Post:
    """Avito and strangers, who post to our door, and an applier that takes what they posted."""

    def __init__(self, world: World, applier: Applier, url: str) -> None:
        self.world = world
        self.applier = applier
        self.url = url
        self._client = httpx2.AsyncClient(transport=world.way, base_url=PUBLIC)

    async def brings(self, body: bytes, *, bare: bool = False, headers: dict[bytes, bytes] | None = None) -> str:
        """One POST, applied. Returns the delivery's id as URLs write it. The clock goes on a second."""
        self.world.clock.step(SECOND)
        before = {one.id for one in await self.kept()}
        answer = await self._client.post("/webhook/avito" if bare else self.url, content=body, headers=headers)
        assert answer.status_code == 200
        assert self.applier.wait_applied(PATIENCE)
        (new,) = [one.id for one in await self.kept() if one.id not in before]
        return new.hex()

    async def kept(self) -> list[Delivery]:
        return await self._all(Delivery)

    async def messages(self) -> list[Message]:
        return await self._all(Message)

    async def chats(self) -> list[Chat]:
        return await self._all(Chat)

    async def choose(self, *types: str) -> None:
        await self.world.subscriptions.update(self.world.account_id, self.url, types, skip_probe=True)

    async def _all(self, table: type[Any]) -> list[Any]:
        async with self.world.store.read() as session:
            return list(await session.scalars(select(table)))


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    async with door.world(store, clock, tmp_path) as made:
        yield made


@pytest.fixture
async def post(world: World) -> AsyncGenerator[Post]:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message", "chat"], skip_probe=True)
    async with world.applying() as applier:
        yield Post(world, applier, url)


@pytest.fixture
def parts(world: World, post: Post) -> Parts:
    parts = world.parts(Operators(world.store, world.clock))
    parts.applier = post.applier
    parts.replays = Replays(world.store, post.applier, world.clock, world.backfill.nudge)
    return parts


@pytest.fixture
async def admin(visit: Visit) -> Browser:
    return await visit(Role.ADMIN)


def message(**changes: Any) -> bytes:
    return shapes.message(user_id=shop.USER_ID, **changes)


def event(kind: str, **value: Any) -> bytes:
    return shapes.body({}, payload={"type": kind, "value": {"user_id": shop.USER_ID, **value}})


async def opened(browser: Browser, url: str) -> Page:
    answer = await browser.get(url)
    assert answer.status_code == 200, answer.text
    return Page(answer.text, url)


def listed(page: Page) -> list[str]:
    """The ids on the page, in order."""
    return [attrs["id"].removeprefix("delivery-") for attrs in page.all("tr") if "id" in attrs]


async def test_every_delivery_is_listed_newest_first_with_what_became_of_it(post: Post, admin: Browser) -> None:
    applied = await post.brings(message())
    probe = await post.brings(b"{}")
    ignored = await post.brings(event("user", id=5))
    unknown = await post.brings(event("promotion", novelty=[1]))
    hint = await post.brings(message(id="m-2"), bare=True)
    broken = await post.brings(b"[not json")
    page = await opened(admin, PAGE)
    assert listed(page) == [broken, hint, unknown, ignored, probe, applied]
    for key, told in (
        (broken, "In quarantine The body is not JSON"),
        (hint, "without a secret Awaits confirmation Golub is asking Avito"),
        (unknown, "promotion Passed over A kind of event that Golub does not know"),
        (ignored, "User Passed over This kind of event is not chosen"),
        (probe, "Probe"),
        (applied, "Message Applied"),
    ):
        assert told in page.within(f"delivery-{key}").replace("— ", ""), key
        assert "Велосипеды" in page.within(f"delivery-{key}")
    (chat,) = await post.chats()
    links = [link["href"] for link in page.all("a") if link["href"].startswith("/inbox/")]
    assert links == [f"/inbox/{chat.id}"], "of what was applied, and nothing else"
    assert "Quarantine 1 · Awaits confirmation 1 · Applied 1 · Passed over 2 · Probes 1" in page.text


async def test_filters_by_outcome_account_and_kind(world: World, post: Post, admin: Browser) -> None:
    applied = await post.brings(message())
    stranger = await post.brings(shapes.message(user_id=404), bare=True)
    chat = await post.brings(event("chat", chat_id="u2i-abc"))
    other = await post.brings(event("promotion"))
    broken = await post.brings(b"nonsense")
    account = f"account={world.account_id}"
    for query, expected in (
        ("state=applied", [chat, applied]),
        ("state=quarantined", [broken]),
        ("state=waiting", [stranger]),
        ("state=probe", []),
        ("kind=message", [stranger, applied]),
        ("kind=chat", [chat]),
        ("kind=other", [other]),
        (account, [broken, other, chat, applied]),
        (f"{account}&kind=message", [applied]),
        (f"{account}&kind=message&state=waiting", []),
        ("account=9", []),
        ("state=nonsense&kind=&account=x", [broken, other, chat, stranger, applied]),
    ):
        page = await opened(admin, f"{PAGE}?{query}")
        assert listed(page) == expected, query
    page = await opened(admin, f"{PAGE}?{account}&kind=message")
    assert f"{PAGE}?state=quarantined&{account}&kind=message" in {link["href"] for link in page.all("a")}
    (form,) = [form for form in page.forms if form.action == PAGE]
    assert [value for _, value in form.fields if value] == []


async def test_an_empty_journal_says_what_to_do(visit: Visit, admin: Browser) -> None:
    page = await opened(admin, PAGE)
    assert "Nothing has come yet" in page.text
    assert "/admin/webhooks" not in {link["href"] for link in page.all("a")}, "he may not go there"
    owner = await visit(Role.SUPER_ADMIN)
    assert "/admin/webhooks" in {link["href"] for link in (await opened(owner, PAGE)).all("a", **{"class": BUTTON})}
    for query, told in (
        ("state=quarantined", "The quarantine is empty"),
        ("state=waiting", "Nothing awaits confirmation"),
        ("kind=chat", "Nothing of this kind"),
        (f"before=1.{'0' * 32}", "Nothing older"),
    ):
        assert told in (await opened(admin, f"{PAGE}?{query}")).text


BUTTON = "button button-primary"


async def add(
    store: Store, *states: DeliveryState, at: int, account_id: int | None = None, kind: str = ""
) -> list[bytes]:
    """Rows of the journal, a second apart, oldest first."""
    rows = [
        Delivery(
            id=os.urandom(16),
            account_id=account_id,
            token_id=1,
            received_at=at + place * SECOND,
            applied_at=at,
            headers=[],
            body=b"",
            state=state,
            event_type=kind,
        )
        for place, state in enumerate(states)
    ]
    async with store.write() as session:
        session.add_all(rows)
    return [row.id for row in rows]


async def walk(store: Store, wanted: Wanted, *, limit: int = 50, looked_at: int = 20_000) -> list[list[bytes]]:
    """The ids of every page, by following `next`."""
    pages: list[list[bytes]] = []
    before: Place | None = None
    while True:
        async with store.read() as session:
            page = await journal.list_deliveries(session, wanted, before=before, limit=limit, looked_at=looked_at)
        pages.append([line.id for line in page.lines])
        if page.next is None:
            return pages
        before = Place.parse(str(page.next))


async def test_pages_neither_repeat_nor_leave_out(store: Store, clock: SteppedClock) -> None:
    together = await add(store, *[DeliveryState.APPLIED] * 3, at=clock()) + await add(
        store, *[DeliveryState.APPLIED] * 3, at=clock()
    )
    async with store.read() as session:
        first = await journal.list_deliveries(session, Wanted(), limit=2)
    await add(store, DeliveryState.APPLIED, at=clock() + DAY)  # comes while somebody is reading
    seen = [line.id for line in first.lines]
    while first.next:
        async with store.read() as session:
            first = await journal.list_deliveries(session, Wanted(), before=first.next, limit=2)
        seen += [line.id for line in first.lines]
    assert len(seen) == 6
    assert set(seen) == set(together)
    times = {key: place % 3 for place, key in enumerate(together)}
    assert [times[key] for key in seen] == [2, 2, 1, 1, 0, 0]


async def test_a_filter_looks_back_in_portions(store: Store, clock: SteppedClock) -> None:
    rare, *_ = await add(store, DeliveryState.IGNORED, *[DeliveryState.APPLIED] * 9, at=clock())
    wanted = Wanted(state=DeliveryState.IGNORED)
    assert await walk(store, wanted, looked_at=4) == [[], [], [rare]]
    async with store.read() as session:
        page = await journal.list_deliveries(session, wanted, looked_at=4)
    assert page.looked_to == clock() + 6 * SECOND
    assert await walk(store, wanted, looked_at=4, limit=1) == [[], [], [rare]]
    assert await walk(store, Wanted(kind=Kind.CHAT), looked_at=10) == [[], []]
    assert await walk(store, Wanted(), looked_at=4) == [
        [line for page in await walk(store, Wanted(), limit=3) for line in page]
    ], "without a filter nothing is looked through"


async def test_the_quarantine_is_found_however_old_it_is(store: Store, clock: SteppedClock) -> None:
    old, *_ = await add(store, DeliveryState.QUARANTINED, *[DeliveryState.APPLIED] * 9, at=clock())
    assert await walk(store, Wanted(state=DeliveryState.QUARANTINED), looked_at=2) == [[old]]
    async with store.read() as session:
        assert await journal.count_quarantined(session) == 1


async def test_the_last_day_is_counted_by_outcome(
    store: Store, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, DeliveryState.QUARANTINED, at=clock() - DAY - SECOND)
    await add(store, *[DeliveryState.APPLIED] * 3, DeliveryState.PROBE, at=clock() - SECOND)
    async with store.read() as session:
        day = await journal.count_day(session, clock())
        assert (day.by_state, day.more) == ({DeliveryState.APPLIED: 3, DeliveryState.PROBE: 1}, False)
        monkeypatch.setattr(journal, "COUNTED", 2)
        day = await journal.count_day(session, clock())
        assert (sum(day.by_state.values()), day.more) == (3, True)


async def test_a_place_or_an_id_that_is_none_is_refused(admin: Browser) -> None:
    for text in ("", "1", "x.00", "-1.00", f"1.{'0' * 31}", f"1.{'A' * 32}", f"{2**63}.{'0' * 32}"):
        answer = await admin.get(PAGE, params={"before": text or "."})
        assert answer.status_code in (400, 404), text
        assert (await admin.get(f"{PAGE}/{text or 'x'}")).status_code == 404, text
        assert (await admin.post(f"{PAGE}/{text or 'x'}/replay")).status_code == 404, text
        with pytest.raises(NotFound):
            journal.key_of(text)


async def test_an_id_that_is_not_there_is_not_found(admin: Browser) -> None:
    assert (await admin.get(f"{PAGE}/{'0' * 32}")).status_code == 404
    assert (await admin.post(f"{PAGE}/{'0' * 32}/replay")).status_code == 404


async def test_a_delivery_is_shown_whole(post: Post, admin: Browser) -> None:
    raw = message(mood="хорошее")[:-1] + b', "later": 1.10, "n": 12345678901234567890}'
    key = await post.brings(raw, headers={b"X-Odd": f"a{RLO}b <i>".encode(), b"Cookie": b"session=hush"})
    page = await opened(admin, f"{PAGE}/{key}")
    told = page.text
    for words_ in ("Applied", "u2i-abc", "m-1", "Велосипеды", "/webhook/avito/••••••••", "x-odd", "with the account's"):
        assert words_ in told
    body = page.within("body")
    for words_ in ('"mood": "хорошее"', '"later": 1.10', '"n": 12345678901234567890', '"type": "message"'):
        assert words_ in body
    assert "hush" not in page.markup
    assert (token_of(post.url) or "?") not in page.markup
    assert RLO not in page.markup
    (chat,), (applied,) = await post.chats(), await post.messages()
    assert f"/inbox/{chat.id}#message-{applied.id}" in {link["href"] for link in page.all("a")}


async def test_what_cannot_be_applied_says_why(post: Post, admin: Browser) -> None:
    for name, (raw, cause) in HOSTILE.items():
        key = await post.brings(raw)
        page = await opened(admin, f"{PAGE}/{key}")
        for told in (CAUSES[cause].title, CAUSES[cause].help, "In detail:"):
            assert told in page.text, name
        row = (await opened(admin, f"{PAGE}?state=quarantined")).within(f"delivery-{key}")
        assert row.endswith(CAUSES[cause].title), name


async def test_strangers_bytes_never_become_markup_or_turn_the_page_around(post: Post, admin: Browser) -> None:
    hostile = f"<script>alert(1)</script></pre><img src=x onerror=alert(1)>{RLO}evil\x1b[31m\u2066\x00"
    keys = [
        await post.brings(hostile.encode()),
        await post.brings(event(f"<b>{RLO}kind", text=hostile)),
        await post.brings(message(chat_id=f"<b>{RLO}chat", id="<i>id", content={"text": hostile})),
        await post.brings(b"<b>\xff\xfe" + hostile.encode(), headers={b"X-Odd": b"<b>bold</b>"}),
    ]
    for url in (PAGE, *(f"{PAGE}/{key}" for key in keys)):
        page = await opened(admin, url)
        content = page.markup.partition("<main")[2]
        for markup in ("<b>", "<i>", "<img src=x", "<script>"):
            assert markup not in content
        assert not [attrs for _, attrs in page.elements if "onerror" in attrs]
        assert all("src" in attrs for attrs in page.all("script")), "ours, from files"
        assert not {RLO, "\u2066", "\x1b", "\x00"} & set(page.markup)
    for key in keys:
        body = (await opened(admin, f"{PAGE}/{key}")).within("body")
        assert "<script>alert(1)</script>" in body
        assert "‹U+202E›" in body


def test_json_is_laid_out_without_changing_a_value() -> None:
    raw = '{"a":{},"b":[],"c":[1,{"d":"x\\"y,{"}],"a":1.50,"e":"\\u0414\\u0430\\n\\ud800","f":"_"}'.replace(
        "_", RLO
    ).encode()
    shown = read_raw(raw)
    assert shown.is_json
    assert not shown.is_cut
    assert shown.text == (
        '{\n  "a": {},\n  "b": [],\n  "c": [\n    1,\n    {\n      "d": "x\\"y,{"\n    }\n  ],\n  "a": 1.50,\n'
        '  "e": "Да\\n‹U+D800›",\n  "f": "‹U+202E›"\n}'
    )
    assert read_raw(b"\xef\xbb\xbf[1]").text == "[\n  1\n]"


def test_long_bodies_are_cut_and_cost_little() -> None:
    for raw in (b"x" * (SHOWN + 1), json.dumps("я" * SHOWN).encode(), b"[" + b"[[[[[1]]]]]," * 20_000 + b"1]"):
        shown = read_raw(raw)
        assert shown.is_cut
        assert len(shown.text) <= SHOWN + 2
        assert shown.size == len(raw)
    assert not read_raw(b"x" * SHOWN).is_cut
    assert read_raw(b"a\xff").has_replaced
    assert read_raw(b"a\xff").text == "a\ufffd"
    assert read_raw(b"").text == ""


def test_every_state_and_cause_has_words() -> None:
    assert set(STATES) == set(DeliveryState)
    assert set(CAUSES) == set(Cause) - {Cause.NONE}
    for told in (*STATES.values(), *CAUSES.values()):
        for text in (told.title, told.help):
            assert words("ru")(text) != text
    titles = [told.title for told in (*STATES.values(), *CAUSES.values())]
    assert len(set(titles)) == len(titles)


def test_oddities_are_told_in_words() -> None:
    told = oddities("byte_order_mark, item_id_dropped, timestamp_clamped, nothing_known")
    assert [fields for _, fields in told] == [{}, {"field": "item_id"}, {"field": "timestamp"}]


async def replayed(browser: Browser, key: str) -> Page:
    """Presses the button on the delivery's page."""
    page = await opened(browser, f"{PAGE}/{key}")
    assert "Apply again" in page.buttons
    answer = await browser.post(f"{PAGE}/{key}/replay")
    assert answer.status_code == 303
    return await opened(browser, answer.headers["location"])


async def test_a_type_that_was_not_chosen_is_applied_once_it_is(post: Post, admin: Browser) -> None:
    await post.choose("chat")
    key = await post.brings(message())
    page = await replayed(admin, key)
    assert "Nothing has changed" in page.text
    assert await post.messages() == []

    await post.choose("chat", "message")
    page = await replayed(admin, key)
    assert "Now it is applied" in page.text
    (chat,) = await post.chats()
    assert f"/inbox/{chat.id}" in {link["href"] for link in page.all("a")}
    for _ in range(2):
        page = await replayed(admin, key)
        assert "It was applied before, and all that it tells was there already." in page.text
    assert [(one.id, one.version, one.unread) for one in await post.chats()] == [(chat.id, chat.version, chat.unread)]
    assert len(await post.messages()) == 1
    assert len(await post.kept()) == 1


async def test_what_is_in_quarantine_stays_there_with_its_cause_and_its_bytes(post: Post, admin: Browser) -> None:
    key = await post.brings(b"[not json")
    for _ in range(2):
        page = await replayed(admin, key)
        assert "It was tried again and ended as before" in page.text
        assert CAUSES[Cause.NOT_JSON].title in page.text
    (kept,) = await post.kept()
    assert (kept.state, kept.cause, bytes(kept.body)) == (DeliveryState.QUARANTINED, Cause.NOT_JSON, b"[not json")


async def test_a_hint_is_asked_about_again_and_what_is_settled_is_left_alone(
    world: World, post: Post, admin: Browser
) -> None:
    key = await post.brings(message(), bare=True)
    await post.applier.confirm(world.account_id, "u2i-abc")
    page = await opened(admin, f"{PAGE}/{key}")
    assert CAUSES[Cause.NOT_CONFIRMED].title in page.text
    page = await replayed(admin, key)
    assert "It still awaits confirmation." in page.text
    assert CAUSES[Cause.UNCONFIRMED].title in page.text
    assert world.backfill.times == 1
    (kept,) = await post.kept()
    assert kept.due_at == world.clock()

    async with world.store.write() as session:
        (await session.get_one(Delivery, kept.id)).state = DeliveryState.APPLIED
    probe = await post.brings(b"")
    for settled in (key, probe):
        assert "Apply again" not in (await opened(admin, f"{PAGE}/{settled}")).buttons
        was = [(one.state, one.applied_at) for one in await post.kept()]
        world.clock.step(SECOND)
        assert (await admin.post(f"{PAGE}/{settled}/replay")).status_code == 303
        assert [(one.state, one.applied_at) for one in await post.kept()] == was


async def test_only_administrators_see_it_and_apply_again(post: Post, visit: Visit) -> None:
    key = await post.brings(b"[")
    urls: Sequence[str] = (PAGE, f"{PAGE}/{key}", f"{PAGE}/quarantined")
    for role, status in ((None, 303), (Role.MANAGER, 403), (Role.ADMIN, 200), (Role.SUPER_ADMIN, 200)):
        browser = await visit(role)
        assert [(await browser.get(url)).status_code for url in urls] == [status] * 3, role
        answer = await browser.post(f"{PAGE}/{key}/replay")
        assert answer.status_code == (403 if status == 403 else 303)
        assert answer.headers.get("location", PAGE).startswith(PAGE) or role is None
    without_token = await (await visit(Role.ADMIN)).client.post(f"{PAGE}/{key}/replay")
    assert without_token.status_code == 403


async def test_the_navigation_has_the_journal_and_counts_its_quarantine(post: Post, visit: Visit) -> None:
    admin, manager = await visit(Role.ADMIN), await visit(Role.MANAGER)
    page = await opened(admin, "/guide")
    assert PAGE in {link["href"] for link in page.all("a")}
    assert page.all("span", id="rail-count-deliveries")[0]["hx-get"] == f"{PAGE}/quarantined"
    page = await opened(manager, "/guide")
    assert PAGE not in {link["href"] for link in page.all("a")}
    assert not page.all("span", id="rail-count-deliveries")

    count = await opened(admin, f"{PAGE}/quarantined")
    assert "hidden" in count.all("span", id="rail-count-deliveries")[0]
    for _ in range(2):
        await post.brings(b"[")
    count = await opened(admin, f"{PAGE}/quarantined")
    assert count.text == "In quarantine: 2"
    assert "hidden" not in count.all("span", id="rail-count-deliveries")[0]
