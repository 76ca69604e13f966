"""What a person sees and decides of the networks that an account's deliveries come from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.allowlist.networks import has, has_all, has_range, is_closed, network_of, parse_networks
from golub.audit import Action, By
from golub.clock import DAY, Clock, Millis
from golub.errors import Conflict, Invalid
from golub.ladder import change, held_back, lock
from golub.model import Account, AllowList, AllowListMode, Cause, Delivery, SeenNetwork
from golub.store import Store

PROVED_BY = 100  # confirmed messages …
PROVED_FOR = DAY  # … from the first to the last of them, all from the list
SHOWN = 10  # networks outside the list


@dataclass(frozen=True, slots=True)
class Seen:
    """A network that confirmed messages came from; `listed`: the list has all of its addresses that did."""

    row: SeenNetwork
    listed: bool

    @property
    def is_closed(self) -> bool:
        return is_closed(self.row.network)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What came with the account's secret in the last day from outside the list, whoever sent it."""

    deliveries: int = 0
    of: int = 0  # … that came in all
    networks: tuple[tuple[str, int], ...] = ()  # the most frequent ones


@dataclass(frozen=True, slots=True)
class Standing:
    """`held_back` deliveries wait in quarantine. `seen`: the most frequent networks first."""

    row: AllowList
    seen: tuple[Seen, ...] = ()
    held_back: int = 0

    @property
    def mode(self) -> AllowListMode:
        return AllowListMode(self.row.mode)

    @property
    def is_hidden(self) -> bool:
        """All comes from addresses that nobody on the internet has: a proxy hides the senders."""
        return bool(self.seen) and all(one.is_closed for one in self.seen)

    @property
    def outside(self) -> int:
        """Confirmed messages that the list would have held back, or has."""
        return sum(one.row.confirmed for one in self.seen if not one.listed) + self.row.unplaced

    @property
    def inside(self) -> int:
        return sum(one.row.confirmed for one in self.seen if one.listed)

    @property
    def has_lasted(self) -> bool:
        """Whether there is enough of it to prove anything."""
        first = min((one.row.first_at for one in self.seen), default=0)
        last = max((one.row.last_at for one in self.seen), default=0)
        return self.inside >= PROVED_BY and last - first >= PROVED_FOR

    @property
    def is_proved(self) -> bool:
        """Whether the list may be enforced."""
        return bool(self.row.networks) and self.has_lasted and not self.outside

    @property
    def held_back_wrongly(self) -> bool:
        """Whether Avito's own messages came from outside since the list is enforced."""
        since = self.row.changed_at
        return self.mode is AllowListMode.ENFORCE and any(
            not one.listed and one.row.last_at >= since for one in self.seen
        )

    @property
    def kind(self) -> str:
        """off, enforced, waits (nothing is counted yet), hidden (a proxy hides the senders), observed, flagged, or
        proved."""
        if self.mode in (AllowListMode.OFF, AllowListMode.ENFORCE):
            return "off" if self.mode is AllowListMode.OFF else "enforced"
        if self.is_hidden:
            return "hidden"
        if self.mode is AllowListMode.FLAG:
            return "proved" if self.is_proved else "flagged"
        return "observed" if self.row.confirmed else "waits"


class Register:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def get(self, account_id: int) -> Standing:
        return (await self.list([account_id]))[account_id]

    async def list(self, account_ids: Sequence[int]) -> dict[int, Standing]:
        """Of each of these accounts; one that has no row yet is observed."""
        async with self._store.read() as session:
            return await _standings(session, account_ids)

    async def elsewhere(self, account_id: int, networks: str) -> Elsewhere:
        """Read from the journal's index alone."""
        came: Counter[str] = Counter()
        by_address = (
            select(Delivery.address, func.count())
            .where(
                Delivery.account_id == account_id,
                Delivery.received_at >= self._clock() - DAY,
                Delivery.token_id.is_not(None),
                Delivery.event_type != "",
            )
            .group_by(Delivery.address)
        )
        of = 0
        async with self._store.read() as session:
            for address, count in await session.execute(by_address):
                of += count
                if not has(networks, address):
                    came[network_of(address)] += count
        return Elsewhere(came.total(), of, tuple(came.most_common(SHOWN)))

    async def keep(self, account_id: int, text: str, *, by: By) -> None:
        """Keeps this list, and marks from now on what comes from elsewhere. One that is enforced stays so: it may grow,
        and shrink to what proves itself. Raises `Invalid`, `Conflict`."""
        networks = parse_networks(text)
        async with self._store.write() as session:
            account, row = await self._lock(session, account_id)
            mode = AllowListMode.FLAG
            if row.mode == AllowListMode.ENFORCE:
                mode = AllowListMode.ENFORCE
                if not has_all(networks, row.networks) and not (await _judged(session, row, networks)).is_proved:
                    raise _not_proved()
            await self._change(session, account, row, mode, networks, by)

    async def enforce(self, account_id: int, *, by: By) -> None:
        """From now on what comes from elsewhere goes to quarantine. Raises `Conflict` for a list that is not proved."""
        async with self._store.write() as session:
            account, row = await self._lock(session, account_id)
            if row.mode == AllowListMode.ENFORCE:
                return
            if row.mode != AllowListMode.FLAG or not (await _judged(session, row, row.networks)).is_proved:
                raise _not_proved()
            await self._change(session, account, row, AllowListMode.ENFORCE, row.networks, by)

    async def choose(self, account_id: int, mode: AllowListMode, *, by: By) -> None:
        """`OFF` or `OBSERVE`. The list is kept for later; what was switched off proves itself anew."""
        if mode not in (AllowListMode.OFF, AllowListMode.OBSERVE):
            raise Invalid("Choose a list first.", field="mode")
        async with self._store.write() as session:
            account, row = await self._lock(session, account_id)
            if row.mode == AllowListMode.OFF and mode is AllowListMode.OBSERVE:
                await _count_anew(session, row, self._clock())
            await self._change(session, account, row, mode, row.networks, by)

    async def count_anew(self, account_id: int, *, by: By) -> None:
        """Forgets the networks that were seen: for a proxy that hid them, or networks that Avito has left."""
        async with self._store.write() as session:
            account, row = await self._lock(session, account_id)
            before = {"messages": row.confirmed}
            await _count_anew(session, row, self._clock())
            await by.did(session, Action.ALLOW_LIST_COUNTED_ANEW, account.name, before=before, now=self._clock())

    async def _lock(self, session: AsyncSession, account_id: int) -> tuple[Account, AllowList]:
        return await lock(self._store, session, AllowList, account_id, self._clock())

    async def _change(
        self, session: AsyncSession, account: Account, row: AllowList, mode: AllowListMode, networks: str, by: By
    ) -> None:
        after = {"mode": mode.value, "networks": networks}
        await change(session, account, row, after, Action.ALLOW_LIST_CHANGED, by=by, now=self._clock())


async def _standings(session: AsyncSession, account_ids: Sequence[int]) -> dict[int, Standing]:
    rows = {
        row.account_id: row
        for row in await session.scalars(select(AllowList).where(AllowList.account_id.in_(account_ids)))
    }
    seen: dict[int, list[Seen]] = {}
    networks = select(SeenNetwork).where(SeenNetwork.account_id.in_(account_ids))
    for one in await session.scalars(networks.order_by(SeenNetwork.confirmed.desc(), SeenNetwork.network)):
        listed = one.account_id in rows and has_range(rows[one.account_id].networks, one.lowest, one.highest)
        seen.setdefault(one.account_id, []).append(Seen(one, listed))
    waiting = await held_back(session, [Cause.IP_NOT_ALLOWED])
    return {
        key: Standing(
            rows.get(key) or _unwritten(key), tuple(seen.get(key, ())), waiting.get((key, Cause.IP_NOT_ALLOWED), 0)
        )
        for key in account_ids
    }


async def _judged(session: AsyncSession, row: AllowList, networks: str) -> Standing:
    """The account's standing if it had this list."""
    found = await session.scalars(select(SeenNetwork).where(SeenNetwork.account_id == row.account_id))
    seen = tuple(Seen(one, has_range(networks, one.lowest, one.highest)) for one in found)
    as_if = AllowList(account_id=row.account_id, mode=row.mode, networks=networks, changed_at=0, unplaced=row.unplaced)
    return Standing(as_if, seen)


async def _count_anew(session: AsyncSession, row: AllowList, now: Millis) -> None:
    row.counted_to, row.counted_id = now, b""
    row.confirmed = row.doubtful = row.unplaced = 0
    row.last_at = None
    await session.execute(delete(SeenNetwork).where(SeenNetwork.account_id == row.account_id))


def _unwritten(account_id: int) -> AllowList:
    return AllowList(
        account_id=account_id,
        mode=AllowListMode.OBSERVE,
        networks="",
        changed_at=0,
        confirmed=0,
        doubtful=0,
        unplaced=0,
    )


def _not_proved() -> Conflict:
    return Conflict(
        "This list has not proved itself yet: {count} confirmed messages, over a day or longer, must all have come "
        "from it. The table shows what came from elsewhere.",
        count=PROVED_BY,
    )
