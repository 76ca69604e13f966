"""The meter: answer times over all nodes and restarts, and gauges that show what the database knows."""

from pathlib import Path

from prometheus_client import generate_latest

from golub import metrics
from golub.clock import HOUR, MINUTE
from golub.meter import KEPT, REFUSED, SLOWER, Acks, Meter
from golub.model import (
    Account,
    AccountState,
    AllowList,
    Cause,
    Delivery,
    DeliveryState,
    SeenNetwork,
    SignatureLab,
    SignatureTally,
)
from golub.settings import Settings
from golub.store import Store
from tests.conftest import SteppedClock


async def test_answers_are_summed_over_nodes_and_restarts(store: Store, clock: SteppedClock, tmp_path: Path) -> None:
    one, other = Meter(store, Settings(data_dir=tmp_path), clock), Meter(store, Settings(data_dir=tmp_path), clock)
    metrics.webhook_seconds.observe(0.004)
    metrics.webhook_seconds.observe(0.3)
    assert (await one.acks(clock() - HOUR)).counts == {5: 1, 500: 1}  # before anything is written
    await one.run_once()
    metrics.webhook_seconds.observe(1.999)
    metrics.webhook_seconds.observe(7)
    metrics.webhook_answers.labels("token", "503").inc()
    await one.run_once()
    await other.run_once()  # the same process here, so it counted the same: two nodes add up
    again = Meter(store, Settings(data_dir=tmp_path), clock)
    acks = await again.acks(clock() - HOUR)
    assert acks.counts == {5: 2, 500: 2, 2000: 2, SLOWER: 2, REFUSED: 2}
    assert (acks.answered, acks.refused, acks.late) == (8, 2, 2)
    clock.step(2 * HOUR)
    assert (await again.acks(clock() - HOUR)).counts == {}
    clock.step(KEPT)
    metrics.webhook_seconds.observe(0.001)
    await again.run_once()  # whoever writes removes what is old
    assert (await again.acks(0)).counts == {1: 1}


def test_what_a_share_of_the_answers_kept_to() -> None:
    acks = Acks({2: 98, 100: 1, SLOWER: 1, REFUSED: 50})
    assert (acks.within(0.5), acks.within(0.99), acks.within(1)) == (2, 100, SLOWER)
    assert Acks({REFUSED: 1}).within(0.99) is None


async def test_gauges_show_what_the_database_knows(store: Store, clock: SteppedClock, tmp_path: Path) -> None:
    async with store.write() as session:
        for number, state in enumerate((AccountState.WORKING, AccountState.WRONG_KEYS)):
            session.add(Account(user_id=number, client_id="c", client_secret=b"", created_at=clock(), state=state))
    clock.step(MINUTE)
    await Meter(store, Settings(data_dir=tmp_path), clock).run_once()
    shown = generate_latest(metrics.REGISTRY).decode()
    assert 'golub_account_state{account="1",state="wrong_keys"} 1.0' in shown
    assert 'golub_account_state{account="1",state="working"} 0.0' in shown
    assert 'golub_outgoing{state="unconfirmed"} 0.0' in shown
    assert "golub_quarantined 0.0" in shown
    assert "process_resident_memory_bytes" in shown


async def test_what_is_demanded_of_deliveries_and_counted_for_it_is_shown_without_addresses_and_keys(
    store: Store, clock: SteppedClock, tmp_path: Path
) -> None:
    account = Account(user_id=77, client_id="c", client_secret=b"", created_at=clock(), state=AccountState.WORKING)
    other = Account(user_id=78, client_id="c", client_secret=b"", created_at=clock(), state=AccountState.WORKING)
    async with store.write() as session:
        session.add_all([account, other])
        await session.flush()
        key = account.id
        scheme, times = "x-signature:client_secret:body:hmac:hex", {"first_at": clock(), "last_at": clock()}
        session.add(SignatureLab(account_id=key, mode="enforce", scheme=scheme, confirmed=120, signed=119))
        session.add(SignatureTally(account_id=key, scheme=scheme, fits=118, run=110))
        session.add(AllowList(account_id=key, mode="flag", networks="185.89.12.0/22", confirmed=12, doubtful=2))
        for place, (network, address, number) in enumerate(
            [("185.89.12.0/24", "185.89.12.7", 9), ("8.8.8.0/24", "8.8.8.8", 3)]
        ):
            bounds = {"lowest": address, "highest": address}
            session.add(SeenNetwork(account_id=key, network=network, confirmed=number, **bounds, **times))
            held = {"state": DeliveryState.QUARANTINED, "cause": Cause.IP_NOT_ALLOWED, "headers": [], "body": b""}
            session.add(Delivery(id=bytes([place]), account_id=key, received_at=1, applied_at=1, token_id=1, **held))
    await Meter(store, Settings(data_dir=tmp_path), clock).run_once()
    shown = generate_latest(metrics.REGISTRY).decode()
    for line in (
        'golub_signature_mode{account="77",mode="enforce"} 1.0',
        'golub_signature_mode{account="77",mode="observe"} 0.0',
        'golub_signature_mode{account="78",mode="observe"} 1.0',
        'golub_signature_messages{account="77",kind="signed"} 119.0',
        f'golub_signature_run{{account="77",scheme="{scheme}"}} 110.0',
        'golub_networks_mode{account="77",mode="flag"} 1.0',
        'golub_networks_messages{account="77",kind="confirmed"} 12.0',
        'golub_networks_messages{account="77",kind="outside"} 3.0',
        'golub_networks_messages{account="77",kind="doubtful"} 2.0',
        'golub_held_back{account="77",cause="ip_not_allowed"} 2.0',
        'golub_held_back{account="78",cause="bad_signature"} 0.0',
    ):
        assert line in shown
    assert "185.89" not in shown
    assert "8.8.8" not in shown
