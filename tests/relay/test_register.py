"""The addresses: kept sealed and once, paused, sent to again, removed; and what is long done goes."""

import pytest
from sqlalchemy import delete, func, select, update

from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.errors import Conflict, Invalid, NotFound
from golub.model import Account, Delivery, RelayedDelivery, RelayedState, Webhook
from golub.relay.register import RELAYS_MOST, mask
from tests.relay.post import CRM, Post, said


async def test_an_address_is_kept_sealed_and_once(post: Post) -> None:
    relay = await post.relays.add(post.account_id, f"{CRM}/k3y-1234567890?token=s3cret")
    assert b"s3cret" not in relay.url
    (standing,) = (await post.relays.list_all())[post.account_id]
    assert standing.url == "crm.example.com/hooks/avito/••••?••••"
    with pytest.raises(Conflict):
        await post.relays.add(post.account_id, f"{CRM}/k3y-1234567890?token=s3cret")
    with pytest.raises(NotFound):
        await post.relays.add(post.account_id + 77, CRM)
    for number in range(1, RELAYS_MOST):
        await post.relays.add(post.account_id, f"{CRM}/{number}")
    with pytest.raises(Conflict):
        await post.relays.add(post.account_id, CRM)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://crm.example.com/", "crm.example.com"),
        ("https://crm.example.com/hooks/avito", "crm.example.com/hooks/avito"),
        ("https://crm.example.com/in/a1b2c3d4e5", "crm.example.com/in/••••"),
        ("https://crm.example.com/x?key=1", "crm.example.com/x?••••"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert mask(url) == shown


async def test_addresses_that_we_must_not_call_are_refused(post: Post) -> None:
    for url in (
        "http://crm.example.com/hook",
        "https://127.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://router.local/hook",
        "https://golub.example.ru/webhook/avito/" + "s" * 43,
        "",
    ):
        with pytest.raises(Invalid):
            await post.relays.add(post.account_id, url)
    assert await post.relays.list_all() == {}


async def test_a_pause_keeps_what_comes(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.relays.pause(relay.id)
    await post.arrive(said(1), said(2))
    post.clock.step(DAY)
    await post.send()
    assert post.receiver.got == []
    (standing,) = (await post.relays.list_all())[post.account_id]
    assert standing.waiting == 2
    await post.relays.resume(relay.id)
    await post.send()
    assert post.receiver.bodies == [said(1), said(2)]


async def test_a_replay_sends_everything_since_then_in_order(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send()
    since = post.clock.step(HOUR)
    for number in (2, 3):
        await post.arrive(said(number))
        post.clock.step(SECOND)
        await post.send()
    await post.arrive(b"{}")
    await post.arrive(said(4))
    post.receiver.got.clear()
    assert await post.relays.replay(relay.id, since) == 3
    await post.send()
    assert post.receiver.bodies == [said(number) for number in (2, 3, 4)]
    assert await post.count() == 4


async def test_one_of_those_given_up_is_sent_again(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1, "u2i-a"), said(1, "u2i-b"))
    async with post.store.write() as session:
        values = {"state": RelayedState.GIVEN_UP, "due_at": None, "finished_at": post.clock()}
        await session.execute(update(RelayedDelivery).values(values))
    first = (await post.rows())[0]
    assert await post.relays.send_again(relay.id, first.id) == 1
    assert await post.relays.send_again(relay.id + 1, first.id + 1) == 0  # of another relay
    await post.send()
    assert post.receiver.bodies == [said(1, "u2i-a")]
    assert await post.states() == [RelayedState.SENT, RelayedState.GIVEN_UP]


async def test_a_relay_goes_with_its_account_and_with_a_click(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.relays.remove(relay.id)
    await post.relays.remove(relay.id)
    assert await post.rows() == []
    with pytest.raises(NotFound):
        await post.relays.get(relay.id)
    await post.relays.add(post.account_id, CRM)
    async with post.store.write() as session:
        await session.execute(delete(Webhook))
        await session.execute(delete(Account).where(Account.id == post.account_id))
    assert await post.relays.list_all() == {}
    async with post.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Delivery)) == 1


async def test_sent_rows_are_removed_after_three_days(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send()
    post.clock.step(3 * DAY - 1)
    await post.send()
    assert await post.count() == 1
    post.clock.step(2 * MINUTE)
    await post.send()
    assert await post.count() == 0


async def test_a_clock_that_is_set_back_keeps_sent_rows_no_longer(post: Post) -> None:
    await post.send()
    post.clock.step(-365 * DAY)
    await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send()
    post.clock.step(3 * DAY + MINUTE)
    await post.send()
    assert await post.count() == 0
