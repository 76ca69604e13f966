"""Notes which networks deliveries came from of which it is certain that Avito sent them: see `settled`.

A message that came from two networks within a moment counts for neither: whoever reads along and is faster than Avito
must not get his own network into the list.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.allowlist.networks import address_range, network_of
from golub.clock import MINUTE, Millis
from golub.model import AllowList, Cause, Delivery, DeliveryState, SeenNetwork
from golub.settled import Counting

NETWORKS = 256  # that are kept of one account
BESIDE = MINUTE  # within which another copy of a delivery makes it doubtful

Name = tuple[str, str]  # of a message: its chat's, and its own
Counted = list[tuple[Millis, list[str]]]  # when a message came, and from which addresses


class Watch(Counting[AllowList, Counted]):
    name = "networks"
    rules = AllowList

    def _tried(self) -> ColumnElement[bool]:
        """What was let in, and what was held back for its address alone: if Avito bears it out, the list is wrong."""
        held_back = and_(Delivery.state == DeliveryState.QUARANTINED, Delivery.cause == Cause.IP_NOT_ALLOWED)
        return and_(
            Delivery.token_id.is_not(None),
            Delivery.event_type == "message",
            or_(Delivery.state == DeliveryState.APPLIED, held_back),
        )

    async def _look(self, session: AsyncSession, account_id: int, page: Sequence[Any]) -> Counted:
        return await _each_message_once(session, account_id, page)

    def _sums(self, rule: AllowList, counted: Counted) -> Mapping[str, Any]:
        sure = _sure(counted)
        return {
            "confirmed": AllowList.confirmed + len(sure),
            "doubtful": AllowList.doubtful + len(counted) - len(sure),
            "last_at": sure[-1][0] if sure else rule.last_at,
        }

    async def _note(self, session: AsyncSession, account_id: int, counted: Counted) -> None:
        if unplaced := await _note(session, account_id, _sure(counted)):
            await session.execute(
                update(AllowList)
                .where(AllowList.account_id == account_id)
                .values(unplaced=AllowList.unplaced + unplaced)
                .execution_options(synchronize_session=False)
            )


def _sure(counted: Counted) -> Counted:
    """Those that came from one network."""
    return [one for one in counted if len({network_of(address) for address in one[1]}) == 1]


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
