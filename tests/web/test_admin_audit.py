"""P30: whoever does something to Golub stands in the audit with time, address, before and after; what the audit cannot
note does not happen; nobody but a super administrator reads it, and nobody changes it."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import delete, func, select, update
from structlog.testing import capture_logs

from golub import audit
from golub.audit import Action
from golub.clock import DAY, HOUR
from golub.model import Account, AuditEntry, Mark, OneTimeLink, Operator, Relay, Role, Session, Table, Webhook
from golub.operators import Operators
from golub.simulator.faults import Fault
from golub.store import Store
from golub.throttle import TOLD_AN_HOUR
from golub.vault import Vault
from golub.web.audited import FIELDS, GROUPS, SENTENCES
from golub.web.language import words
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import World
from tests.web.conftest import Visit, add_operator

pytestmark = pytest.mark.anyio

CRM = "https://bot.example.com/in/0123456789abcdef"
PASSWORD = "two words and more"
ADDRESS = "192.0.2.7"


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def entries(store: Store) -> list[AuditEntry]:
    async with store.read() as session:
        return list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


async def latest(store: Store) -> AuditEntry:
    return (await entries(store))[-1]


async def registered(world: World) -> str:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message", "chat"])
    return url


async def relay(world: World) -> int:
    return (await world.relays.add(world.account_id, CRM)).id


async def other(parts: Parts) -> Operator:
    return await add_operator(parts, Role.MANAGER)


# What an action is: what must be there first, the request, what it leaves behind.
Prepared = Callable[[World, Parts], Awaitable[Any]]
Request = tuple[str, dict[str, Any]]


async def nothing(_: World, __: Parts) -> int:
    return 0


async def account(world: World, _: Parts) -> int:
    return world.account_id


async def paused(world: World, _: Parts) -> int:
    await world.accounts.pause(world.account_id)
    return world.account_id


async def webhook(world: World, _: Parts) -> int:
    await registered(world)
    return world.account_id


async def forwarded(world: World, _: Parts) -> int:
    return await relay(world)


async def halted(world: World, _: Parts) -> int:
    made = await relay(world)
    await world.relays.pause(made)
    return made


async def colleague(_: World, parts: Parts) -> int:
    return (await other(parts)).id


ACTIONS: dict[Action, tuple[Prepared, Callable[[World, Any], Request], str, str]] = {
    Action.OPERATOR_ADDED: (nothing, lambda _, __: ("operators", {"login": "anna", "role": "admin"}), "anna", "admin"),
    Action.OPERATOR_CHANGED: (colleague, lambda _, one: (f"operators/{one}", {"role": "admin"}), "manager-1", "admin"),
    Action.LINK_MADE: (colleague, lambda _, one: (f"operators/{one}/link", {}), "manager-1", "password"),
    Action.ACCOUNT_RENAMED: (
        account,
        lambda _, one: (f"accounts/{one}", {"name": "Сад", "colour": "#2f9e44"}),
        "Сад",
        "#2f9e44",
    ),
    Action.KEYS_CHANGED: (
        account,
        lambda world, one: (
            f"accounts/{one}/keys",
            {"client_id": world.shop.client_id, "client_secret": world.shop.client_secret},
        ),
        "Велосипеды",
        "…",
    ),
    Action.ACCOUNT_PAUSED: (account, lambda _, one: (f"accounts/{one}/pause", {}), "Велосипеды", ""),
    Action.ACCOUNT_RESUMED: (paused, lambda _, one: (f"accounts/{one}/resume", {}), "Велосипеды", ""),
    Action.ACCOUNT_CHATS_CHANGED: (
        account,
        lambda _, one: (f"accounts/{one}/new-chats", {"in_turn": "true", "zone": "Europe/Moscow"}),
        "Велосипеды",
        "in_turn",
    ),
    Action.ACCOUNT_REMOVED: (account, lambda _, one: (f"accounts/{one}/remove", {}), "Велосипеды", ""),
    Action.WEBHOOK_REGISTERED: (
        account,
        lambda world, one: (
            f"webhooks/{one}",
            {"url": world.subscriptions.recommended_url(), "types": ["message"]},
        ),
        "Велосипеды",
        "message",
    ),
    Action.WEBHOOK_REMOVED: (webhook, lambda _, one: (f"webhooks/{one}/remove", {}), "Велосипеды", ""),
    Action.SELF_REPAIR_CHANGED: (
        webhook,
        lambda _, one: (f"accounts/{one}/self-repair", {"allowed": "true"}),
        "Велосипеды",
        "true",
    ),
    Action.RELAY_ADDED: (account, lambda _, one: (f"webhooks/{one}/relays", {"address": CRM}), "bot.example.com", ""),
    Action.RELAY_PAUSED: (forwarded, lambda _, one: (f"relays/{one}/pause", {}), "bot.example.com", ""),
    Action.RELAY_RESUMED: (halted, lambda _, one: (f"relays/{one}/resume", {}), "bot.example.com", ""),
    Action.RELAY_REMOVED: (forwarded, lambda _, one: (f"relays/{one}/remove", {}), "bot.example.com", ""),
    Action.RELAY_REPLAYED: (forwarded, lambda _, one: (f"relays/{one}/replay", {"hours": "1"}), "bot", "deliveries"),
}


# One of each part; the statements of the others are of the same kinds.
ON_BOTH = (Action.OPERATOR_CHANGED, Action.ACCOUNT_REMOVED, Action.WEBHOOK_REGISTERED, Action.RELAY_REMOVED)


async def state_of(store: Store) -> dict[str, Any]:
    """The tables that actions change, but for what any request or the preparation of one leaves there."""
    tables: tuple[type[Table], ...] = (Operator, OneTimeLink, Account, Webhook, Session)
    async with store.read() as session:
        counts = {
            table.__tablename__: await session.scalar(select(func.count()).select_from(table)) for table in tables
        }
        rows = [(one.role, one.active) for one in await session.scalars(select(Operator).order_by(Operator.id))]
        names = [
            (one.name, one.paused_at, one.in_turn_since)
            for one in await session.scalars(select(Account).order_by(Account.id))
        ]
        repair = list(await session.scalars(select(Webhook.self_repair)))
        relays = list(await session.scalars(select(Relay.state).order_by(Relay.id)))
    return {**counts, "roles": rows, "names": names, "repair": repair, "relays": relays}


@pytest.mark.promise("P30")
@pytest.mark.parametrize(
    ("database_url", "action"),
    [
        *(("sqlite", action) for action in ACTIONS),
        *(pytest.param("postgres", action, marks=pytest.mark.postgres) for action in ON_BOTH),
    ],
    indirect=["database_url"],
)
async def test_each_action_is_noted_and_fails_where_it_cannot_be(
    world: World, parts: Parts, visit: Visit, action: Action
) -> None:
    prepare, ask, subject, after = ACTIONS[action]
    owner = await visit(Role.SUPER_ADMIN)
    target = await prepare(world, parts)
    path, fields = ask(world, target)

    async def send() -> httpx2.Response:
        return await owner.client.post(f"/admin/{path}", data={"csrf": owner.csrf, **fields})

    known, before = await entries(world.store), await state_of(world.store)
    calls = world.called("postWebhookV3") + world.called("postWebhookUnsubscribe")
    async with world.store.write() as session:
        newest = (await session.get_one(Mark, audit.NEWEST)).value
        await session.execute(delete(Mark).where(Mark.name == audit.NEWEST))
    with capture_logs():  # drawing a traceback takes seconds
        assert (await send()).status_code == 500
    assert await state_of(world.store) == before
    assert world.called("postWebhookV3") + world.called("postWebhookUnsubscribe") == calls, "Avito was asked nothing"
    async with world.store.write() as session:
        session.add(Mark(name=audit.NEWEST, value=newest))

    assert (await send()).status_code in (200, 303)
    told = [entry for entry in (await entries(world.store))[len(known) :] if entry.action == action]
    assert len(told) == 1
    assert (told[0].who, told[0].operator_id) == (owner.operator.login, owner.operator.id) if owner.operator else False
    assert (told[0].address, told[0].at) == (ADDRESS, world.clock())
    assert subject in told[0].subject
    assert after in told[0].after
    assert "0123456789abcdef" not in told[0].subject, "a forwarding address is another service's secret"
    assert (await audit.verify(world.store)).broken is None


@pytest.mark.promise("P30")
async def test_signing_in_and_out_and_passwords(world: World, parts: Parts, visit: Visit) -> None:
    anna = await parts.operators.create("anna", PASSWORD)
    stranger = await visit(None)
    assert (await latest(world.store)).action == Action.OPERATOR_ADDED
    assert (await latest(world.store)).address == "console"
    await stranger.post("/sign-in", {"login": "anna", "password": "a guess of mine"})
    failed = await latest(world.store)
    assert (failed.action, failed.subject, failed.address, failed.who) == ("sign_in_failed", "anna", ADDRESS, "")
    await stranger.post("/sign-in", {"login": PASSWORD, "password": "typed into the wrong field"})
    assert (await latest(world.store)).subject == "", "what is no login may be a password"
    assert (await stranger.post("/sign-in", {"login": "anna", "password": PASSWORD})).status_code == 303
    entered = await latest(world.store)
    assert (entered.action, entered.who, entered.address) == (Action.SIGNED_IN, "anna", ADDRESS)
    leaving = await visit(Role.MANAGER)
    await leaving.post("/sign-out")
    left = await latest(world.store)
    assert (left.action, left.who, left.address) == (Action.SIGNED_OUT, "manager-1", ADDRESS)
    secret = await parts.operators.make_link("password", anna.id)
    await parts.operators.set_password(secret, "other words and more", address=ADDRESS)
    assert [entry.action for entry in (await entries(world.store))[-2:]] == [Action.LINK_MADE, Action.PASSWORD_SET]
    assert PASSWORD not in str([(e.subject, e.before, e.after) for e in await entries(world.store)])


async def test_a_session_that_cannot_be_noted_does_not_open(world: World, parts: Parts) -> None:
    anna = await parts.operators.create("anna", PASSWORD)
    async with world.store.write() as session:
        await session.execute(delete(Mark).where(Mark.name == audit.NEWEST))
    with pytest.raises(Exception, match="No row"):
        await parts.operators.open_session(anna)
    async with world.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Session)) == 0


async def test_strangers_do_not_fill_the_audit(store: Store, clock: SteppedClock) -> None:
    operators = Operators(store, clock, Vault(bytes(32)))
    throttle = operators._throttle
    anna = await operators.create("anna", PASSWORD)
    for n in range(60):
        await throttle.tell_failure(None, f"198.51.100.{n}")
        await throttle.tell_failure(anna, "203.0.113.1")
    told = [entry for entry in await entries(store) if entry.action == Action.SIGN_IN_FAILED]
    assert len(told) == TOLD_AN_HOUR + 1, "strangers' noise hides no guess at a known login"
    assert [entry.subject for entry in told].count("anna") == 1
    clock.step(HOUR + 1)
    await operators.remove_expired()
    failed = [entry for entry in await entries(store) if entry.action == Action.SIGN_IN_FAILED]
    assert sum(json.loads(entry.after or "{}").get("more", 0) for entry in failed) + TOLD_AN_HOUR + 1 == 120
    await operators.remove_expired()
    assert len(await entries(store)) == TOLD_AN_HOUR + 3
    operators.close()


@ONE_DATABASE
@pytest.mark.promise("P30")
async def test_a_secret_that_is_shown_is_noted(world: World, visit: Visit) -> None:
    url = await registered(world)
    owner = await visit(Role.SUPER_ADMIN)
    ways = (
        f"/admin/webhooks/{world.account_id}/url",
        f"/admin/webhooks?edit={world.account_id}",
        "/api/admin/webhooks",
    )
    count = len(await entries(world.store))
    for way in ways:
        async with world.store.write() as session:
            await session.execute(update(Session).values(proved_at=world.clock()))
        page = await owner.get(way)
        assert url in page.text
        noted, count = await entries(world.store), count + 1
        assert (len(noted), noted[-1].action) == (count, Action.SECRET_REVEALED), way
        assert url.rpartition("/")[2] not in noted[-1].after + noted[-1].before
        await owner.get(way)
        assert len(await entries(world.store)) == count, "once an hour"
        world.clock.step(HOUR + 1)
    assert "/webhook/avito/••••" in (await owner.get("/admin/webhooks")).text
    assert len(await entries(world.store)) == count


@ONE_DATABASE
async def test_what_avito_refuses_is_noted_too(world: World, visit: Visit) -> None:
    owner, url = await visit(Role.SUPER_ADMIN), world.subscriptions.recommended_url()
    world.avito.faults.arm(Fault("postWebhookV3", status=400, times=None))
    form = {"csrf": owner.csrf, "url": url, "types": "chat"}
    assert (await owner.client.post(f"/admin/webhooks/{world.account_id}", data=form)).status_code >= 400
    asked, refused = (await entries(world.store))[-2:]
    assert (asked.action, refused.action) == (Action.WEBHOOK_REGISTERED, Action.WEBHOOK_UNCHANGED)
    assert refused.who == asked.who == "super_admin-0"


@ONE_DATABASE
@pytest.mark.promise("P30")
@pytest.mark.parametrize("role", [None, Role.MANAGER, Role.ADMIN])
async def test_nobody_else_reads_it(world: World, visit: Visit, role: Role | None) -> None:
    browser = await visit(role)
    page = await browser.get("/admin/audit")
    assert page.status_code in ((303, 401) if role is None else (403, 404))
    assert "entry-" not in page.text


@ONE_DATABASE
async def test_nobody_at_all_changes_it(visit: Visit) -> None:
    owner = await visit(Role.SUPER_ADMIN)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await owner.client.request(method, "/admin/audit", data={"csrf": owner.csrf})
        assert answer.status_code in (403, 404, 405)


async def test_the_page_tells_filters_and_pages(world: World, parts: Parts, visit: Visit) -> None:
    owner = await visit(Role.SUPER_ADMIN)
    anna = await add_operator(parts, Role.MANAGER)
    await owner.post(f"/admin/operators/{anna.id}", {"role": "admin"})
    world.clock.step(2 * DAY)
    for number in range(60):
        async with world.store.write() as session:
            await audit.CONSOLE.did(session, Action.EXPORTED, f"<b>file {number}</b>", now=world.clock())
    page = (await owner.get("/admin/audit")).text
    assert "Data were exported: &lt;b&gt;file 59&lt;/b&gt;" in page
    assert (page.count('id="entry-'), "file 9&lt;" in page) == (50, False)
    older = re.search(r"/admin/audit(\?before=\d+)", page)
    assert older
    second = (await owner.get(f"/admin/audit{older[1]}")).text
    assert f"Operator {anna.login} was changed" in second
    assert re.search(r"role: Manager → <span class=\"audit-after\">Administrator", second)
    assert "file 9&lt;" in second

    async def shown(query: str) -> int:
        return (await owner.get(f"/admin/audit?{query}")).text.count('id="entry-')

    assert await shown(f"who={owner.operator.id if owner.operator else 0}") == 2
    assert await shown("who=console&text=file 59") == 1
    assert await shown("who=stranger") == 0
    assert await shown("what=operators") == 1
    assert await shown(f"text={ADDRESS}") == 2
    assert await shown("until=2026-09-20&since=2026-09-20") == 0
    assert await shown("since=2026-09-21&until=2026-09-21&what=sign-in") == 1
    assert await shown("who=x&what=x&since=x&until=0001-01-01&before=x") == 50


async def test_a_search_looks_back_over_a_part_at_once(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "LOOKED_AT", 10)
    owner = await visit(Role.SUPER_ADMIN)
    for number in range(25):
        async with world.store.write() as session:
            await audit.CONSOLE.did(session, Action.EXPORTED, f"file {number}", now=world.clock())
    query, found = "?text=file+3", []
    while query:
        page = (await owner.get(f"/admin/audit{query}")).text
        found.append(page.count('id="entry-'))
        assert ("looked back to" in page.lower()) == (re.search(r"before=\d+", page) is not None)
        further = re.search(r"/admin/audit(\?text=file\+3&amp;before=\d+)", page)
        query = further[1].replace("&amp;", "&") if further else ""
    assert (sum(found), found[0], len(found)) == (1, 0, 3)


def test_every_action_has_words_and_a_group() -> None:
    assert set(SENTENCES) == set(Action)
    assert sorted(action for _, actions in GROUPS.values() for action in actions) == sorted(Action)
    for text in (*SENTENCES.values(), *FIELDS.values(), *(title for title, _ in GROUPS.values())):
        assert words("ru")(text) != text or text == "client id", text
