"""Notes which networks deliveries came from of which it is certain that Avito sent them: see `settled`.

A message that came from two networks within a moment counts for neither: whoever reads along and is faster than Avito
must not get his own network into the list.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.allowlist.networks import address_range, network_of
from golub.clock import DAY, MINUTE, Clock, Millis
from golub.model import (
    SAMPLE_USER_ID,
    Account,
    AllowList,
    AllowListMode,
    Cause,
    Delivery,
    DeliveryState,
    SeenNetwork,
)
from golub.runner import Loop
from golub.settings import Settings
from golub.settled import PAGE, read_settled, settles_after
from golub.store import Store

TURN = 60.0  # seconds
PAGES = 20  # of one turn for one account
NETWORKS = 256  # that are kept of one account
BESIDE = MINUTE  # within which another copy of a delivery makes it doubtful

Name = tuple[str, str]  # of a message: its chat's, and its own
Counted = list[tuple[Millis, list[str]]]  # when a message came, and from which addresses


class Watch:
    """Runs in every process that works; two of them count nothing twice."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._settled = settles_after(settings)

    async def run(self) -> None:
        await Loop("networks", self._clock, longest_wait=TURN).run(self._turn)

    async def _turn(self) -> Millis | None:
        return self._clock() if await self.run_once() else None

    async def run_once(self) -> bool:
        """Counts what is settled. Returns whether there may be more."""
        until = self._clock() - self._settled
        more = False
        for account_id in await self._accounts():
            for _ in range(PAGES):
                if not await self._count_page(account_id, until):
                    break
            else:
                more = True
        return more

    async def _accounts(self) -> Sequence[int]:
        """Those that are not switched off; a new one gets its row."""
        async with self._store.read() as session:
            wanted = select(Account.id).where(Account.user_id != SAMPLE_USER_ID).order_by(Account.id)
            accounts = (await session.scalars(wanted)).all()
            known = await session.execute(select(AllowList.account_id, AllowList.mode))
            modes = {row[0]: row[1] for row in known}
        for account_id in [key for key in accounts if key not in modes]:
            async with self._store.write() as session:
                await session.execute(fresh_list(self._store, account_id, self._clock() - DAY))
        return [key for key in accounts if modes.get(key) != AllowListMode.OFF]

    async def _count_page(self, account_id: int, until: Millis) -> bool:
        """Whether it was a full one."""
        async with self._store.read() as session:
            found = await session.get(AllowList, account_id)
            if found is None:
                return False
            place = found.counted_to, found.counted_id
            page = await read_settled(session, account_id, place, until, _tried())
            if not page:
                return False
            counted = await _each_message_once(session, account_id, page)
        networks = [{network_of(address) for address in addresses} for _, addresses in counted]
        sure = [one for one, of in zip(counted, networks, strict=True) if len(of) == 1]
        async with self._store.write() as session:
            # Whoever moves the place counts what lies before it; another process that has read the same page does not.
            moved = await session.scalar(
                update(AllowList)
                .where(
                    AllowList.account_id == account_id,
                    AllowList.mode != AllowListMode.OFF,
                    AllowList.counted_to == place[0],
                    AllowList.counted_id == place[1],
                )
                .values(
                    counted_to=page[-1].received_at,
                    counted_id=page[-1].id,
                    confirmed=AllowList.confirmed + len(sure),
                    doubtful=AllowList.doubtful + len(counted) - len(sure),
                    last_at=sure[-1][0] if sure else found.last_at,
                )
                .returning(AllowList.account_id)
                .execution_options(synchronize_session=False)
            )
            if moved is None:
                return False
            if unplaced := await _note(session, account_id, sure):
                await session.execute(
                    update(AllowList)
                    .where(AllowList.account_id == account_id)
                    .values(unplaced=AllowList.unplaced + unplaced)
                    .execution_options(synchronize_session=False)
                )
        return len(page) == PAGE


def fresh_list(store: Store, account_id: int, counted_to: Millis) -> Any:
    """The statement that gives an account its row; harmless where it has one."""
    made = store.insert(AllowList).values(
        account_id=account_id,
        mode=AllowListMode.OBSERVE,
        networks="",
        changed_at=0,
        counted_to=counted_to,
        counted_id=b"",
        confirmed=0,
        doubtful=0,
        unplaced=0,
    )
    return made.on_conflict_do_nothing()


def _tried() -> ColumnElement[bool]:
    """What was let in, and what was held back for its address alone: if Avito bears it out, the list is wrong."""
    held_back = and_(Delivery.state == DeliveryState.QUARANTINED, Delivery.cause == Cause.IP_NOT_ALLOWED)
    return and_(
        Delivery.token_id.is_not(None),
        Delivery.event_type == "message",
        or_(Delivery.state == DeliveryState.APPLIED, held_back),
    )


async def _each_message_once(session: AsyncSession, account_id: int, page: Sequence[Any]) -> Counted:
    first: dict[Name, Millis] = {}
    for row in page:
        if row.counts:
            first.setdefault((row.chat_avito_id, row.message_avito_id), row.received_at)
    if not first:
        return []
    beside = select(Delivery.chat_avito_id, Delivery.message_avito_id, Delivery.received_at, Delivery.address).where(
        Delivery.account_id == account_id,
        Delivery.received_at.between(page[0].received_at - BESIDE, page[-1].received_at + BESIDE),
        Delivery.token_id.is_not(None),
        Delivery.event_type == "message",
    )
    addresses: dict[Name, list[str]] = {name: [] for name in first}
    for chat, message, at, address in await session.execute(beside):
        if (name := (chat, message)) in first and abs(at - first[name]) <= BESIDE:
            addresses[name].append(address)
    return [(at, addresses[name]) for name, at in first.items()]


async def _note(session: AsyncSession, account_id: int, counted: Counted) -> int:
    """Returns how many have no place: no address can be read, or there are too many networks already."""
    if not counted:
        return 0
    rows = await session.scalars(select(SeenNetwork).where(SeenNetwork.account_id == account_id).with_for_update())
    seen = {row.network: row for row in rows}
    unplaced = 0
    by_network: defaultdict[str, Counted] = defaultdict(list)
    for at, addresses in counted:
        by_network[network_of(addresses[0])].append((at, addresses))
    for network, messages in by_network.items():
        if not network or (network not in seen and len(seen) >= NETWORKS):
            unplaced += len(messages)
            continue
        times, addresses = [at for at, _ in messages], [one for _, of in messages for one in of]
        row = seen.get(network)
        if row is None:
            lowest, highest = address_range(addresses)
            row = seen[network] = SeenNetwork(
                account_id=account_id, network=network, confirmed=0, first_at=times[0], lowest=lowest, highest=highest
            )
            session.add(row)
        row.lowest, row.highest = address_range([row.lowest, row.highest, *addresses])
        row.confirmed += len(messages)
        row.last_at = times[-1]
    return unplaced
