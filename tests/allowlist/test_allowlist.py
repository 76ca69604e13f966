"""The allow-list: what proves it, what it holds back without losing it, and who cannot move it."""

import httpx2
import pytest
from sqlalchemy import select

from golub.alerts.kinds import AlertKind
from golub.allowlist import PROVED_BY, network_of
from golub.audit import ITSELF
from golub.clock import DAY, HOUR, Millis
from golub.errors import Conflict, Invalid, NotFound
from golub.model import Action, AllowListMode, AuditEntry, Cause, DeliveryState, SeenNetwork
from tests.allowlist.senders import AVITO, LISTED, STRANGER, Proxy, Senders
from tests.signatures.traffic import BARE

pytestmark = pytest.mark.anyio


async def test_a_list_that_has_proved_itself_is_enforced_without_loss(senders: Senders) -> None:
    account_id, lists = senders.world.account_id, senders.lists
    with pytest.raises(Conflict):
        await lists.enforce(account_id, by=ITSELF)
    await lists.keep(account_id, LISTED, by=ITSELF)
    with pytest.raises(Conflict):
        await lists.enforce(account_id, by=ITSELF)
    await _came(senders, AVITO[0], PROVED_BY)
    await lists.enforce(account_id, by=ITSELF)
    await senders.come_from(*AVITO, count=9)
    for probe in (b"{}", b""):
        assert await senders.posted_from(STRANGER, probe) == 200
    rows = await senders.journal()
    assert [row.state for row in rows if row.event_type] == [DeliveryState.APPLIED] * 9
    assert [row.state for row in rows if not row.event_type][-2:] == [DeliveryState.PROBE] * 2
    standing = await senders.noted()
    assert (standing.kind, standing.held_back, standing.held_back_wrongly) == ("enforced", 0, False)
    async with senders.world.store.read() as session:
        changed = select(AuditEntry).where(AuditEntry.action == Action.ALLOW_LIST_CHANGED)
        changes = (await session.scalars(changed.order_by(AuditEntry.id))).all()
    assert ["observe" in changes[0].before, "flag" in changes[0].after, "enforce" in changes[1].after] == [True] * 3
    assert "185.89.12.0/22" in changes[0].after


async def test_what_comes_from_elsewhere_is_kept_told_of_and_applied_once_the_list_is_right(senders: Senders) -> None:
    account_id, lists = senders.world.account_id, senders.lists
    await _enforced(senders)
    before = len(await senders.texts())
    await senders.come_from(STRANGER, count=3)  # Avito has moved
    held = [row for row in await senders.journal() if row.state == DeliveryState.QUARANTINED]
    assert [(row.cause, row.detail, row.address) for row in held] == [
        (Cause.IP_NOT_ALLOWED, "came from 8.8.8.8", STRANGER)
    ] * 3
    assert all(row.body for row in held)
    assert len(await senders.texts()) == before
    wrong = await _wrong(senders)
    assert wrong[AlertKind.IP_NOT_ALLOWED, account_id] == "3"
    assert (AlertKind.QUARANTINE_GROWS, account_id) not in wrong
    standing = await lists.get(account_id)
    assert (standing.kind, standing.held_back, standing.held_back_wrongly) == ("enforced", 3, False)

    again = await senders.applier.replay([row.id for row in held])
    assert again.states == {DeliveryState.QUARANTINED: 3}, "nothing falls back by itself"
    noted = await senders.noted()  # Avito's API bears them out: the list is wrong
    assert (noted.mode, noted.held_back_wrongly, noted.outside) == (AllowListMode.ENFORCE, True, 3)
    assert len(await senders.texts()) == before + 3, "the sweep has fetched them meanwhile"

    await lists.keep(account_id, f"{LISTED}\n{STRANGER}", by=ITSELF)
    standing = await lists.get(account_id)
    assert (standing.mode, standing.held_back_wrongly, standing.outside) == (AllowListMode.ENFORCE, False, 0)
    again = await senders.applier.replay([row.id for row in held])
    assert again.states == {DeliveryState.APPLIED: 3}
    assert len(await senders.texts()) == before + 3
    assert (AlertKind.IP_NOT_ALLOWED, account_id) not in await _wrong(senders)


async def test_a_list_that_only_marks_holds_nothing_back(senders: Senders) -> None:
    await senders.lists.keep(senders.world.account_id, LISTED, by=ITSELF)
    await senders.come_from(AVITO[0], STRANGER, count=4)
    rows = [row for row in await senders.journal() if row.event_type]
    assert [row.state for row in rows] == [DeliveryState.APPLIED] * 4
    assert ["not_listed" in row.detail for row in rows] == [False, True] * 2
    came = await senders.lists.elsewhere(senders.world.account_id, LISTED)
    assert (came.deliveries, came.of, came.networks) == (2, 4, (("8.8.8.0/24", 2),))
    standing = await senders.noted()
    assert (standing.kind, standing.outside, standing.is_proved) == ("flagged", 2, False)


async def test_one_message_from_elsewhere_stands_against_the_list_until_it_is_counted_anew(senders: Senders) -> None:
    account_id, lists = senders.world.account_id, senders.lists
    await lists.keep(account_id, LISTED, by=ITSELF)
    await _came(senders, AVITO[0], PROVED_BY)
    assert (await lists.get(account_id)).kind == "proved"
    await senders.come_from(STRANGER, count=1)
    standing = await senders.noted()
    assert (standing.kind, standing.inside, standing.outside) == ("flagged", PROVED_BY, 1)
    with pytest.raises(Conflict):
        await lists.enforce(account_id, by=ITSELF)
    await lists.count_anew(account_id, by=ITSELF)
    assert (await senders.noted()).row.confirmed == 0
    assert (await lists.get(account_id)).seen == ()
    await senders.come_from(*AVITO, count=2)
    assert (await senders.noted()).row.confirmed == 2


async def test_a_hundred_within_a_day_are_not_enough(senders: Senders) -> None:
    await senders.lists.keep(senders.world.account_id, LISTED, by=ITSELF)
    await _came(senders, AVITO[0], PROVED_BY + 5, over=DAY - 1)
    assert (await senders.lists.get(senders.world.account_id)).kind == "flagged"
    await _came(senders, AVITO[0], PROVED_BY + 5, over=DAY)
    assert (await senders.lists.get(senders.world.account_id)).kind == "proved"
    await _came(senders, AVITO[0], PROVED_BY - 1, over=30 * DAY)
    assert (await senders.lists.get(senders.world.account_id)).kind == "flagged"


@pytest.mark.row(31)
async def test_strangers_move_no_number(senders: Senders) -> None:
    await senders.come_from(AVITO[0], count=6)
    before = await senders.noted()
    real = [row for row in await senders.journal() if row.event_type]
    for number in range(6):
        senders.clock.step(HOUR)
        copied = bytes(real[number].body)
        assert await senders.posted_from(STRANGER, senders.forged(f"{number:032x}")) == 200  # made up
        assert await senders.posted_from(STRANGER, copied) == 200  # a real one again
        assert await senders.posted_from(STRANGER, senders.forged(real[number].message_avito_id)) == 200
        assert await senders.posted_from(STRANGER, copied, url=BARE) == 200
    senders.proxy.claims = f"{STRANGER}, 9.9.9.9"  # what a caller says of himself stands to the left
    await senders.come_from(AVITO[0], count=1)
    after = await senders.noted()
    assert [(one.row.network, one.row.confirmed) for one in after.seen] == [("185.89.12.0/24", 7)]
    assert (before.row.confirmed, after.row.confirmed, after.row.doubtful) == (6, 7, 0)


async def test_who_reads_along_and_is_faster_than_avito_gets_no_network_in(senders: Senders) -> None:
    await senders.come_from(AVITO[0], count=2)
    senders.clock.step(HOUR)
    senders.world.way.ends.append(Eavesdropper(senders.proxy))
    await senders.come_from(AVITO[0], count=5)
    standing = await senders.noted()
    assert [(one.row.network, one.row.confirmed) for one in standing.seen] == [("185.89.12.0/24", 2)]
    assert (standing.row.confirmed, standing.row.doubtful) == (2, 5)


async def test_behind_a_proxy_that_names_nobody_no_list_can_be_enforced(senders: Senders) -> None:
    account_id, lists = senders.world.account_id, senders.lists
    await senders.come_from("", count=3)
    standing = await senders.noted()
    assert (standing.kind, [one.row.network for one in standing.seen]) == ("hidden", ["127.0.0.0/24"])
    for private in ("127.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0"):
        with pytest.raises(Invalid):
            await lists.keep(account_id, private, by=ITSELF)
    await lists.keep(account_id, LISTED, by=ITSELF)
    await _came(senders, "127.0.0.1", PROVED_BY)
    assert (await lists.get(account_id)).kind == "hidden"
    with pytest.raises(Conflict):
        await lists.enforce(account_id, by=ITSELF)


async def test_an_enforced_list_may_grow_and_shrinks_only_to_what_is_proved(senders: Senders) -> None:
    account_id, lists = senders.world.account_id, senders.lists
    await _enforced(senders)
    with pytest.raises(Conflict):
        await lists.keep(account_id, "87.245.204.32/28", by=ITSELF)
    await lists.keep(account_id, f"{LISTED}\n87.245.204.32/28", by=ITSELF)
    await lists.keep(account_id, LISTED, by=ITSELF)
    assert (await lists.get(account_id)).row.networks == "146.158.48.0/21\n185.89.12.0/22"
    assert (await lists.get(account_id)).mode is AllowListMode.ENFORCE


async def test_switched_off_nothing_is_noted_and_switched_on_it_begins_anew(senders: Senders) -> None:
    account_id, lists = senders.world.account_id, senders.lists
    await _enforced(senders)
    await lists.choose(account_id, AllowListMode.OFF, by=ITSELF)
    await senders.come_from(STRANGER, count=3)
    assert [one.row.network for one in (await senders.noted()).seen] == ["185.89.12.0/24"]
    assert {row.state for row in await senders.journal() if row.event_type} == {DeliveryState.APPLIED}
    await lists.choose(account_id, AllowListMode.OBSERVE, by=ITSELF)
    await senders.come_from(AVITO[1], count=2)
    standing = await senders.noted()
    assert (standing.kind, standing.row.confirmed, standing.row.networks != "") == ("observed", 2, True)
    with pytest.raises(Invalid):
        await lists.choose(account_id, AllowListMode.ENFORCE, by=ITSELF)
    with pytest.raises(NotFound):
        await lists.keep(999, LISTED, by=ITSELF)


class Eavesdropper(httpx2.AsyncBaseTransport):
    """Sends a copy of whatever passes, from his own network, before it arrives: he knows the secret address."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        copy = httpx2.Request("POST", request.url, content=await request.aread())
        copy.headers["x-forwarded-for"] = STRANGER
        assert (await self.proxy.behind.handle_async_request(copy)).status_code == 200
        return await self.proxy.handle_async_request(request)


async def _came(senders: Senders, address: str, messages: int, over: Millis = DAY) -> None:
    """As if so many had been noted."""
    now = senders.clock()
    times = {"first_at": now - over, "last_at": now}
    network = {"network": network_of(address), "lowest": address, "highest": address}
    async with senders.world.store.write() as session:
        row = SeenNetwork(account_id=senders.world.account_id, confirmed=messages, **network, **times)
        await session.merge(row)


async def _enforced(senders: Senders) -> None:
    account_id = senders.world.account_id
    await senders.lists.keep(account_id, LISTED, by=ITSELF)
    await _came(senders, AVITO[0], PROVED_BY)
    await senders.lists.enforce(account_id, by=ITSELF)


async def _wrong(senders: Senders) -> dict[tuple[AlertKind, int], str]:
    return (await senders.world.alerts.find()).wrong
