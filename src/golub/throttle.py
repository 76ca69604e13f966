"""Slows the guessing of passwords, by login and by address, without ever locking anyone out for good.

A few tries are free, then each waits twice as long as the one before, to a limit. An attempt counts before it is
judged, so many at once are no way around. From an address where an operator has a session his tries are counted apart:
strangers who guess at his login do not slow him there.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Paced
from golub.model import Session, SignInFailure
from golub.store import Store

FREE_BY_LOGIN = 5
FREE_BY_ADDRESS = 20
LONGEST_WAIT: Millis = MINUTE
FORGOTTEN_AFTER: Millis = HOUR


@dataclass(frozen=True)
class Attempt:
    """One try to sign in, already counted."""

    login_key: str
    address_key: str


class Throttle:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def admit(self, login: str, address: str, operator_id: int | None) -> Attempt:
        """Counts the attempt, or raises `Paced` (which counts nothing) while there is still a wait."""
        async with self._store.write() as session:
            at_home = operator_id is not None and await session.scalar(
                select(Session.operator_id)
                .where(Session.operator_id == operator_id, Session.address == address)
                .limit(1)
            )
            attempt = Attempt(
                login_key=f"login:{login}@{address}" if at_home else f"login:{login}",
                address_key=f"address:{network_of(address)}",
            )
            for key in (attempt.login_key, attempt.address_key):
                await self._check(session, key)
            await self._count(session, attempt.login_key, FREE_BY_LOGIN)
            await self._count(session, attempt.address_key, FREE_BY_ADDRESS)
        return attempt

    async def forget(self, attempt: Attempt) -> None:
        """The password was right. The address keeps what it owes for other logins, without this attempt."""
        async with self._store.write() as session:
            await session.execute(delete(SignInFailure).where(SignInFailure.key == attempt.login_key))
            if row := await session.get(SignInFailure, attempt.address_key, with_for_update=True):
                row.count = max(0, row.count - 1)
                row.blocked_until = 0

    async def remove_old(self, session: AsyncSession) -> None:
        await session.execute(delete(SignInFailure).where(SignInFailure.last_at < self._clock() - FORGOTTEN_AFTER))

    async def _check(self, session: AsyncSession, key: str) -> None:
        row = await session.get(SignInFailure, key, with_for_update=True)
        if row and row.blocked_until > self._clock():
            wait = (row.blocked_until - self._clock()) / SECOND
            raise Paced("Too many attempts. Try again in {seconds} s.", retry_after=wait, seconds=max(1, round(wait)))

    async def _count(self, session: AsyncSession, key: str, free: int) -> None:
        now = self._clock()
        fresh = self._store.insert(SignInFailure).values(key=key, count=0, blocked_until=0, last_at=now)
        await session.execute(fresh.on_conflict_do_nothing())
        row = await session.get_one(SignInFailure, key, with_for_update=True)
        row.count = 1 if row.last_at < now - FORGOTTEN_AFTER else row.count + 1
        row.last_at = now
        row.blocked_until = now + min(LONGEST_WAIT, SECOND << min(row.count - free, 10)) if row.count >= free else 0
        await session.flush()


def network_of(address: str) -> str:
    """The neighbourhood that is slowed as one: an IPv6 household has a /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
