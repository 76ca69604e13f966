"""The journal by pages that neither repeat nor leave out, and that stay cheap however long it is."""

import os

import pytest

from golub import journal
from golub.clock import DAY, SECOND
from golub.journal import Kind, Place, Wanted
from golub.model import Account, Delivery, DeliveryState
from golub.store import Store
from tests.conftest import SteppedClock


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


async def test_an_accounts_quarantine_is_looked_for_among_all_of_it(store: Store, clock: SteppedClock) -> None:
    """And not among all its deliveries, of which there may be a million."""
    account = Account(user_id=7_001, client_id="id", client_secret=b"", created_at=clock())
    async with store.write() as session:
        session.add(account)
    ours, *_ = await add(
        store, DeliveryState.QUARANTINED, *[DeliveryState.APPLIED] * 9, at=clock(), account_id=account.id
    )
    await add(store, *[DeliveryState.QUARANTINED] * 4, at=clock() + DAY)
    wanted = Wanted(state=DeliveryState.QUARANTINED, account_id=account.id)
    assert await walk(store, wanted, looked_at=2) == [[], [], [ours]]


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
