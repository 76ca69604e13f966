"""Alerts are told once, and once more when all is well, however often the channel fails, and when a person likes."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from golub.alerts import Rules
from golub.alerts.notices import FIRST_PAUSE, GATHER
from golub.audit import ITSELF
from golub.clock import HOUR
from golub.errors import Invalid
from golub.model import Account, AccountState, ChannelKind
from tests.alerts.listener import ALERT_URL, TOKEN, Make, channel, rows, steal, told, turns
from tests.conftest import ONE_DATABASE


async def test_a_stolen_subscription_is_told_once_and_its_recovery_once(make: Make) -> None:
    world = await make(alert_url=ALERT_URL)
    await world.alerts.run_once()
    assert told(world) == []
    await steal(world)
    await turns(world)
    (opened,) = told(world)
    assert opened["kind"] == "subscription_stolen"
    assert opened["account"] == {"user_id": world.shop.user_id, "name": "Велосипеды"}
    assert "crm.example.com" in opened["text"]
    assert opened["opened_at"].endswith("+00:00")
    assert "closed_at" not in opened
    assert opened["url"] == f"https://golub.example.ru/admin/accounts/{world.account_id}"
    assert opened["type"] == "alert.opened"

    await world.subscriptions.register(
        world.account_id, world.subscriptions.recommended_url(), ["message"], replace_foreign=True, skip_probe=True
    )
    await turns(world)
    assert [message["kind"] for message in told(world)] == ["subscription_stolen"] * 2
    assert "closed_at" in told(world)[1]
    assert await world.alerts.list_open() == []


async def test_telegram_gets_what_is_due_in_one_message(make: Make) -> None:
    world = await make(telegram_token=TOKEN, telegram_chat="-100")
    other = await world.add_shop(7, "Лодки")
    async with world.store.write() as session:
        await session.execute(update(Account).where(Account.id == other).values(state=AccountState.WRONG_KEYS))
    await steal(world)
    await turns(world)
    (request,) = channel(world).requests
    assert request.headers["host"] == "api.telegram.org"
    assert request.url.path == f"/bot{TOKEN}/sendMessage"
    (message,) = told(world)
    assert message["chat_id"] == "-100"
    assert "Велосипеды" in message["text"]
    assert "Лодки" in message["text"]


async def test_a_channel_that_fails_is_tried_again_ever_more_seldom(make: Make) -> None:
    world = await make(alert_url=ALERT_URL)
    channel(world).status = 500
    await steal(world)
    await world.alerts.run_once()
    world.clock.step(GATHER)
    for tries, pause in enumerate((FIRST_PAUSE << number for number in range(6)), 1):
        await world.alerts.run_once()
        assert len(told(world)) == tries
        world.clock.step(pause - 1)
        await world.alerts.run_once()
        assert len(told(world)) == tries
        world.clock.step(1)
    channel(world).status = 204
    world.clock.step(HOUR)
    await turns(world)
    count = len(told(world))
    world.clock.step(HOUR)
    await world.alerts.run_once()
    assert len(told(world)) == count
    (alert,) = await rows(world)
    assert alert.told_at is not None


async def test_what_nobody_was_told_of_ends_in_silence(make: Make) -> None:
    world = await make(alert_url=ALERT_URL)
    channel(world).status = 500
    await steal(world)
    await turns(world)
    webhook = await world.subscriptions.get(world.account_id)
    world.shop.subscription, world.shop.stolen = await world.subscriptions.url_of(webhook), False
    await world.subscriptions.check(world.account_id)
    channel(world).status = 200
    before = len(told(world))
    for _ in range(3):
        world.clock.step(HOUR)
        await world.alerts.run_once()
    assert len(told(world)) == before
    (alert,) = await rows(world)
    assert (alert.closed_at is not None, alert.told_at) == (True, None)


@ONE_DATABASE
async def test_a_test_message(make: Make) -> None:
    world = await make(alert_url=ALERT_URL)
    assert (await world.alerts.send_test(ChannelKind.URL)).succeeded
    assert told(world)[0]["kind"] == "test"


async def test_each_channel_is_told_for_itself(make: Make) -> None:
    world = await make(alert_url=ALERT_URL, telegram_token=TOKEN, telegram_chat="-100")
    await steal(world)
    channel(world).status = 500
    await turns(world)
    hosts = [request.headers["host"] for request in channel(world).requests]
    assert set(hosts) == {"api.telegram.org", "alerts.example.org"}
    channel(world).status = 200
    world.clock.step(HOUR)
    await turns(world)
    taken = len(channel(world).requests)
    await turns(world)
    assert len(channel(world).requests) == taken  # both have it now
    states = {one.kind: one.row for one in await world.alerts.channels.list_all()}
    assert all(row and row.last_ok_at and not row.last_error for row in states.values())


@ONE_DATABASE
async def test_a_channel_that_cannot_be_used_silences_no_other(make: Make) -> None:
    world = await make(alert_url=ALERT_URL, telegram_token=TOKEN, telegram_chat="-100")
    world.alerts.channels._telegram = "https://192.168.0.1"  # what only the call itself finds out
    await steal(world)
    await turns(world)
    assert [message["kind"] for message in told(world)] == ["subscription_stolen"]
    states = {one.kind: one.row for one in await world.alerts.channels.list_all()}
    refused = states[ChannelKind.TELEGRAM]
    assert refused
    assert refused.last_error.startswith("invalid: ")


async def test_what_is_still_broken_is_called_to_mind(make: Make) -> None:
    world = await make(alert_url=ALERT_URL)
    await steal(world)
    await turns(world)
    for _ in range(2):
        world.clock.step(25 * HOUR)
        await turns(world)
    assert [message["type"] for message in told(world)] == ["alert.opened", "alert.reminder", "alert.reminder"]
    await world.alerts.change_rules(Rules(remind_hours=0), by=ITSELF)
    world.clock.step(25 * HOUR)
    await turns(world)
    assert len(told(world)) == 3


async def test_the_night_is_quiet_but_for_what_cannot_wait(make: Make) -> None:
    world = await make(alert_url=ALERT_URL)
    now = datetime.fromtimestamp(world.clock() / 1000, UTC)
    minute = now.hour * 60 + now.minute
    await world.alerts.change_rules(Rules((minute - 60) % 1440, (minute + 180) % 1440, "UTC"), by=ITSELF)
    async with world.store.write() as session:
        await session.execute(update(Account).values(state=AccountState.WRONG_KEYS))
    await turns(world)
    assert told(world) == []
    await steal(world)
    await turns(world)
    assert [message["kind"] for message in told(world)] == ["subscription_stolen"]
    async with world.store.write() as session:  # asking Avito for the subscription has shown that the keys are good
        await session.execute(update(Account).values(state=AccountState.WRONG_KEYS))
    await turns(world)
    assert len(told(world)) == 1
    world.clock.step(3 * HOUR)
    await turns(world)
    assert [message["kind"] for message in told(world)] == ["subscription_stolen", "wrong_keys"]


@ONE_DATABASE
async def test_without_a_channel_there_is_nobody_to_test(make: Make) -> None:
    with pytest.raises(Invalid):
        await (await make()).alerts.send_test(ChannelKind.TELEGRAM)


@ONE_DATABASE
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://169.254.169.254/", "https://user:pass@alerts.example.org/"]
)
async def test_a_channel_inside_our_own_network_is_not_called(make: Make, url: str) -> None:
    world = await make(alert_url=url)
    with pytest.raises(Invalid):
        await world.alerts.send_test(ChannelKind.URL)
    await steal(world)
    await turns(world)
    assert channel(world).requests == []
