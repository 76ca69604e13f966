"""Troubles: each is found where it is true, opens its alert, closes it when it is over, and has words."""

from typing import Any

import pytest
from sqlalchemy import update

from golub.alerts import WAYS, AlertKind, text_of
from golub.alerts.texts import TEXTS
from golub.clock import HOUR, MINUTE
from golub.health import Disk
from golub.model import (
    Account,
    AccountState,
    Cause,
    Chat,
    Delivery,
    DeliveryState,
    OutgoingMessage,
    OutgoingState,
    SubscriptionState,
    Webhook,
)
from golub.spool import Received
from tests.alerts.listener import Make, steal
from tests.conftest import ONE_DATABASE


@ONE_DATABASE
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


@ONE_DATABASE
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


@ONE_DATABASE
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


@pytest.mark.parametrize("locale", ["ru", "en"])
@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_words(kind: AlertKind, locale: str) -> None:
    for closed in (False, True):
        text = text_of(kind, locale, closed=closed, account="A", detail="D")
        assert "{" not in text
        assert text or (closed and kind is AlertKind.TEST)
    assert set(TEXTS[locale]) == set(WAYS) == set(AlertKind)
