"""The page of alerts: channels set up by a person, tests that say what went wrong, quiet hours, what was and is."""

from typing import Any

import pytest
from sqlalchemy import select

from golub.model import AlertChannel, AuditEntry, ChannelKind, Role
from golub.web.parts import Parts
from tests.door import FOREIGN, Answers, World
from tests.web.conftest import Browser, Visit

PAGE = "/admin/alerts"
HOOK = "https://alerts.example.org/golub"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The page is the same on either."""
    return sqlite_url


@pytest.fixture
def parts(world: World, world_parts: Parts) -> Parts:
    world.way.ends.append(Answers(204))
    return world_parts


async def set_up(owner: Browser, kind: str = "url", **given: str) -> Any:
    return await owner.post(f"{PAGE}/channels/{kind}", given or {"url": HOOK})


async def test_a_channel_is_set_up_tried_changed_and_removed(world: World, owner: Browser) -> None:
    assert "Nobody will be told" in (await owner.get(PAGE)).text
    saved = await set_up(owner, secret="whsec_" + "QUJD" * 8, url=HOOK)
    assert saved.headers["location"] == f"{PAGE}?done=saved&kind=url#channel-url"
    page = (await owner.get(PAGE)).text
    assert HOOK in page
    assert "QUJD" not in page
    assert "Sent. Look whether it has come." in (await owner.post(f"{PAGE}/channels/url/test")).text
    answers = world.way.ends[-1]
    assert isinstance(answers, Answers)
    assert answers.requests[0].headers["webhook-signature"].startswith("v1,")
    await set_up(owner, url=HOOK + "/2")  # the secret stays
    await owner.post(f"{PAGE}/channels/url/test")
    assert "webhook-signature" in answers.requests[1].headers
    await owner.post(f"{PAGE}/channels/url/remove")
    assert HOOK not in (await owner.get(PAGE)).text
    assert (await owner.post(f"{PAGE}/channels/url/test")).status_code == 400


async def test_secrets_lie_sealed_and_what_was_done_is_in_the_audit(world: World, owner: Browser) -> None:
    await set_up(owner, "telegram", token="123:bot-token", chat="-100")
    async with world.store.read() as session:
        row = await session.get_one(AlertChannel, ChannelKind.TELEGRAM)
        entries = (await session.scalars(select(AuditEntry))).all()
    assert row.options
    assert b"bot-token" not in row.options
    told = [entry for entry in entries if entry.subject == "alerts: telegram"]
    assert [entry.action for entry in told] == ["settings_changed"]
    await set_up(owner, url=HOOK + "/T0ken?key=k3y")  # many such addresses are secrets as a whole
    async with world.store.read() as session:
        entries = (await session.scalars(select(AuditEntry))).all()
    assert "alerts.example.org" in entries[-1].after
    told_all = repr([vars(entry) for entry in entries])
    assert not [secret for secret in ("bot-token", "T0ken", "k3y") if secret in told_all]


async def test_a_kept_password_goes_to_no_other_server(owner: Browser) -> None:
    mine = {"host": "smtp.example.ru", "to": "a@example.ru", "user": "golub", "password": "s3cret"}
    assert (await set_up(owner, "email", **mine)).status_code == 303
    assert (await set_up(owner, "email", **mine | {"to": "b@example.ru", "password": ""})).status_code == 303
    for other in ({"host": "smtp.example.org"}, {"port": "2525"}, {"security": "starttls"}, {"user": "thief"}):
        refused = await set_up(owner, "email", **mine | {"password": ""} | other)
        assert (refused.status_code, 'id="f-password-note"' in refused.text) == (400, True), other
    assert (await set_up(owner, "email", **mine | {"host": "smtp.example.org"})).status_code == 303


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("url", {"url": "http://127.0.0.1/"}, "url"),
        ("url", {"url": HOOK, "secret": "short"}, "secret"),
        ("telegram", {"token": "", "chat": "1"}, "token"),
        ("telegram", {"token": "123:a/../b c", "chat": "1"}, "token"),
        ("email", {"host": "smtp.example.ru", "to": "a@example.ru", "user": "a@b.ru\r\nBcc: x@b.ru"}, "user"),
        ("email", {"host": "smtp.example.ru", "to": "nobody"}, "to"),
        ("email", {"host": "smtp.example.ru", "to": "a@example.ru", "port": "70000"}, "port"),
        ("email", {"host": "smtp.example.ru", "to": "a@example.ru", "port": "²"}, "port"),
        ("email", {"host": "http://smtp.example.ru", "to": "a@example.ru"}, "host"),
        ("email", {"host": "smtp.example.ru", "to": "a@example.ru\r\nBcc: x@example.ru"}, "to"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(owner: Browser, kind: str, given: dict[str, str], field: str) -> None:
    refused = await set_up(owner, kind, **given)
    assert refused.status_code == 400
    assert f'id="f-{field}-note"' in refused.text
    assert "Nobody will be told" in (await owner.get(PAGE)).text


async def test_a_test_says_what_the_other_side_said(world: World, owner: Browser) -> None:
    await set_up(owner)
    world.way.ends.append(Answers(500))
    assert "It was refused. (500)" in (await owner.post(f"{PAGE}/channels/url/test")).text
    page = (await owner.get(PAGE)).text
    assert "The last try failed" in page
    assert "refused: 500" in page


async def test_the_environment_wins(owner: Browser, parts: Parts, world: World) -> None:
    world.alerts.channels._by_environment[ChannelKind.URL] = {"url": HOOK, "secret": ""}
    page = (await owner.get(PAGE)).text
    assert "GOLUB_ALERT_URL" in page
    assert (await set_up(owner, url=HOOK + "/other")).status_code == 409


async def test_quiet_hours_are_those_of_whoever_sets_them(owner: Browser, parts: Parts) -> None:
    owner.client.cookies.set("tz", "Asia/Vladivostok", domain="localhost.local")
    saved = await owner.post(f"{PAGE}/rules", {"quiet_from": "22:00", "quiet_to": "08:30", "remind_hours": "12"})
    assert saved.status_code == 303
    rules = await parts.alerts.rules()
    assert (rules.quiet_from, rules.quiet_to, rules.remind_hours) == (22 * 60, 8 * 60 + 30, 12)
    wrong = await owner.post(f"{PAGE}/rules", {"quiet_from": "22:00", "quiet_to": "", "remind_hours": "12"})
    assert (wrong.status_code, "Give both ends" in wrong.text) == (400, True)


async def test_what_is_wrong_and_what_was_stand_there_in_words(world: World, owner: Browser) -> None:
    await world.subscriptions.register(
        world.account_id, world.subscriptions.recommended_url(), ["message"], skip_probe=True
    )
    world.avito.steal_subscription(world.shop, FOREIGN)
    await world.subscriptions.check(world.account_id)
    await world.alerts.run_once()
    page = (await owner.get(PAGE)).text
    assert "another service, crm.example.com, now gets the messages" in page
    assert f'href="/admin/accounts/{world.account_id}"' in page
    webhook = await world.subscriptions.get(world.account_id)
    world.shop.subscription, world.shop.stolen = await world.subscriptions.url_of(webhook), False
    await world.subscriptions.check(world.account_id)
    await world.alerts.run_once()
    assert "it was over before you were told" in (await owner.get(PAGE)).text


async def test_only_super_administrators_come_here(visit: Visit) -> None:
    for role in (Role.MANAGER, Role.ADMIN):
        browser = await visit(role)
        assert (await browser.get(PAGE)).status_code == 403
        for path in ("channels/url", "channels/url/remove", "channels/url/test", "rules"):
            assert (await browser.post(f"{PAGE}/{path}")).status_code == 403
