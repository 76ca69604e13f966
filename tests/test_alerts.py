"""Alerts: found where it is true, told once, and once more when all is well, however often the channel fails."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select, update

from golub.alerts import WAYS, AlertKind, Alerts, Rules, text_of
from golub.alerts.texts import TEXTS
from golub.audit import ITSELF
from golub.clock import HOUR, MINUTE
from golub.errors import Invalid
from golub.guarded import Guarded
from golub.health import Disk, Health
from golub.model import (
    Account,
    AccountState,
    Alert,
    Cause,
    ChannelKind,
    Chat,
    Delivery,
    DeliveryState,
    OutgoingMessage,
    OutgoingState,
    SubscriptionState,
    Webhook,
)
from golub.nodes import Nodes
from golub.settings import Settings
from golub.spool import Received, Spool
from golub.store import Store
from tests import door, shop
from tests.conftest import SteppedClock
from tests.door import FOREIGN, Answers, World
from tests.postgres import OwnPostgres

ALERT_URL = "https://alerts.example.org/golub"
TOKEN = "123:bot-token"

Make = Callable[..., Awaitable[World]]


@pytest.fixture
async def make(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[Make]:
    """`await make(alert_url=…)`: a world with these settings, its webhook registered, whose alerts go to `Answers`."""
    async with AsyncExitStack() as opened:

        async def make(**settings: Any) -> World:
            world = await opened.enter_async_context(
                door.world(store, clock, tmp_path, **cast(dict[str, Any], {"backup_every": 0, **settings}))
            )
            await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
            async with world.applying() as applier:  # the registration's own probe must not look like a jam
                assert applier.wait_applied(10)
            world.way.ends.append(Answers(200))
            return world

        yield make


def channel(world: World) -> Answers:
    answers = world.way.ends[-1]
    assert isinstance(answers, Answers)
    return answers


def told(world: World) -> list[dict[str, Any]]:
    return [json.loads(request.content) for request in channel(world).requests]


async def steal(world: World) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    await world.subscriptions.check(world.account_id)


async def turns(world: World, number: int = 3) -> None:
    """A minute each: what opens in one is told in the next."""
    for _ in range(number):
        await world.alerts.run_once()
        world.clock.step(MINUTE)


async def rows(world: World) -> list[Alert]:
    async with world.store.read() as session:
        return list(await session.scalars(select(Alert).order_by(Alert.id)))


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
    for _ in range(20 * 4):  # twenty minutes
        await world.alerts.run_once()
        world.clock.step(15_000)
    assert 4 <= len(told(world)) <= 7
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


async def test_when_avito_does_not_say_an_alert_stays_as_it_is(make: Make) -> None:
    world = await make()
    await steal(world)
    await world.alerts.run_once()
    world.avito.fault("getSubscriptions", status=503)
    await world.subscriptions.check(world.account_id)
    await world.alerts.run_once()
    assert [alert.kind for alert in await world.alerts.list_open()] == [AlertKind.SUBSCRIPTION_STOLEN]


async def test_each_state_that_needs_a_person_opens_its_alert(make: Make) -> None:
    world = await make()

    async def open_kinds(**account: Any) -> set[str]:
        async with world.store.write() as session:
            await session.execute(update(Account).values(**account))
        await world.alerts.run_once()
        return {alert.kind for alert in await world.alerts.list_open()}

    assert await open_kinds(state=AccountState.WRONG_KEYS) == {"wrong_keys"}
    assert await open_kinds(state=AccountState.NO_ACCESS) == {"no_access"}
    # Unreachable: whether access is back cannot be said.
    assert await open_kinds(state=AccountState.UNREACHABLE, state_at=world.clock()) == {"no_access"}
    world.clock.step(16 * MINUTE)
    assert await open_kinds(state=AccountState.UNREACHABLE) == {"no_access", "avito_unreachable"}
    assert await open_kinds(state=AccountState.WORKING) == set()
    async with world.store.write() as session:
        await session.execute(update(Webhook).values(subscription=SubscriptionState.MISSING))
    assert await open_kinds(state=AccountState.WORKING) == {"subscription_missing"}


async def test_a_growing_quarantine(make: Make) -> None:
    world = await make()

    async def quarantine(count: int) -> set[str]:
        async with world.store.write() as session:
            for number in range(count):
                session.add(
                    Delivery(
                        id=world.clock().to_bytes(8, "big") + number.to_bytes(8, "big"),
                        account_id=world.account_id,
                        received_at=world.clock(),
                        applied_at=world.clock(),
                        headers=[],
                        body=b"?",
                        state=DeliveryState.QUARANTINED,
                        cause=Cause.NOT_JSON,
                    )
                )
        await world.alerts.run_once()
        return {alert.kind for alert in await world.alerts.list_open()}

    assert await quarantine(4) == set()
    world.clock.step(1)
    assert await quarantine(1) == {"quarantine_grows"}
    world.clock.step(HOUR + 1)
    assert await quarantine(0) == set()


async def test_a_spool_that_is_not_drained(make: Make) -> None:
    world = await make()
    await world.alerts.run_once()
    assert await world.alerts.list_open() == []
    await world.spool.put(Received(b"i" * 16, world.clock(), world.account_id, None, "", b"[]", b"{}"))
    world.clock.step(3 * MINUTE)
    await world.alerts.run_once()
    assert [alert.kind for alert in await world.alerts.list_open()] == ["spool_stuck"]
    async with world.applying() as applier:
        assert applier.wait_applied(10)
    await world.alerts.run_once()
    assert await world.alerts.list_open() == []


async def test_a_database_that_is_away_is_told_without_it(make: Make, clock: SteppedClock, tmp_path: Path) -> None:
    world = await make(alert_url=ALERT_URL)
    away = Store(f"sqlite:///{tmp_path}/no such folder/golub.db")
    health = Health(world.settings, away, world.spool, clock)
    alerts = Alerts(away, world.settings, clock, world.spool, shop.VAULT, health, world.alerts.channels._guarded)
    for _ in range(5):
        await alerts.run_once()
        clock.step(MINUTE)
    (message,) = told(world)
    assert message["kind"] == "database_away"
    (tmp_path / "no such folder").mkdir()  # it is back
    away.migrate()
    await alerts.run_once()
    await alerts.run_once()
    assert [("closed_at" in message) for message in told(world)] == [False, True]
    await away.close()


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


@pytest.mark.postgres
async def test_of_two_processes_each_answers_for_its_own_disk(
    postgres_url: str, clock: SteppedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = {"one"}
    monkeypatch.setattr("golub.health.disk_of", lambda folder: Disk(1 << (28 if folder.name in low else 40), 1 << 40))
    store, processes, spools = Store(postgres_url), [], []
    for name in ("one", "other"):
        settings = Settings.model_validate({"data_dir": tmp_path / name, "backup_every": 0})
        spools.append(spool := Spool(settings.data_dir, quota=8 << 20, clock=clock))
        await (nodes := Nodes(store, settings, clock)).beat()
        health = Health(settings, store, spool, clock)
        processes.append(Alerts(store, settings, clock, spool, shop.VAULT, health, nodes=nodes))
    one, other = processes
    for alerts in (one, other, one, other):
        await alerts.run_once()
    assert [alert.kind for alert in await one.list_open()] == [AlertKind.DISK_LOW]
    assert len(await one.list_closed()) == 0
    low.clear()
    await other.run_once()
    assert len(await one.list_open()) == 1
    await one.run_once()
    assert await one.list_open() == []
    for spool in spools:
        spool.close()
    await store.close()


async def test_a_backup_that_is_not_made(make: Make) -> None:
    world = await make(backup_every=24)
    world.clock.step(47 * HOUR)
    await world.alerts.run_once()
    assert await world.alerts.list_open() == []
    world.clock.step(2 * HOUR)
    await world.alerts.run_once()
    assert [(alert.kind, alert.detail) for alert in await world.alerts.list_open()] == [("backup_old", "49")]


async def test_a_disk_that_fills_and_a_reply_that_waits_for_a_person(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make()

    async def kinds() -> set[str]:
        await world.alerts.run_once()
        return {alert.kind for alert in await world.alerts.list_open()}

    monkeypatch.setattr("golub.health.disk_of", lambda _: Disk(free=500 << 20, size=100 << 30))
    assert await kinds() == {"disk_low"}
    monkeypatch.setattr("golub.health.disk_of", lambda _: Disk(free=3 << 20, size=100 << 30))
    assert await kinds() == {"disk_full"}
    monkeypatch.undo()
    assert await kinds() == set()
    async with world.store.write() as session:
        chat = Chat(account_id=world.account_id, avito_id="u2i-1", created_at=1, updated_at=1)
        session.add(chat)
        await session.flush()
        session.add(
            OutgoingMessage(
                account_id=world.account_id,
                chat_id=chat.id,
                client_key="k",
                text="Да",
                created_at=world.clock(),
                state=OutgoingState.UNCONFIRMED,
            )
        )
    assert await kinds() == set()
    world.clock.step(16 * MINUTE)
    assert await kinds() == {"outbox_waits"}


async def test_without_a_channel_there_is_nobody_to_test(make: Make) -> None:
    with pytest.raises(Invalid):
        await (await make()).alerts.send_test(ChannelKind.TELEGRAM)


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


@pytest.mark.parametrize("locale", ["ru", "en"])
@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_words(kind: AlertKind, locale: str) -> None:
    for closed in (False, True):
        text = text_of(kind, locale, closed=closed, account="A", detail="D")
        assert "{" not in text
        assert text or (closed and kind is AlertKind.TEST)
    assert set(TEXTS[locale]) == set(WAYS) == set(AlertKind)


async def test_of_several_processes_the_first_tells_that_the_database_is_away(
    own_postgres: OwnPostgres, clock: SteppedClock, tmp_path: Path
) -> None:
    """The others only where it stays away, for the first may be gone as well. A worker goes before."""
    store, processes = Store(own_postgres.create()), dict[str, tuple[Alerts, Answers]]()
    await asyncio.to_thread(store.migrate)
    with ExitStack() as opened:
        for name, role in (("a", "web"), ("b", "worker")):
            settings = Settings.model_validate(
                {"data_dir": tmp_path / name, "role": role, "database_url": store.url, "alert_url": ALERT_URL}
            )
            spool = opened.enter_context(closing(Spool(settings.data_dir, quota=8 << 20, clock=clock)))
            await (nodes := Nodes(store, settings, clock)).beat()
            health, answers = Health(settings, store, spool, clock), Answers(200)
            guarded = Guarded(transport=answers, resolve=door._public_address)
            alerts = Alerts(store, settings, clock, spool, shop.VAULT, health, guarded, nodes)
            processes[name] = alerts, answers

        async def turns(minutes: int) -> dict[str, int]:
            for alerts, _ in processes.values():
                await alerts.run_once()
            for _ in range(minutes):
                clock.step(MINUTE)
                for alerts, _ in processes.values():
                    await alerts.run_once()
            return {name: len(answers.requests) for name, (_, answers) in processes.items()}

        await turns(0)
        await asyncio.to_thread(own_postgres.stop)
        assert await turns(3) == {"a": 0, "b": 1}
        assert await turns(5) == {"a": 1, "b": 1}
    await store.close()
