"""Slows the guessing of passwords, codes and keys, by login and by address, without ever locking anyone out for good.

A few tries are free, then each waits twice as long as the one before, to a limit. An attempt counts before it is
judged, so many at once are no way around. From an address where an operator has a session his tries are counted apart:
strangers who guess at his login do not slow him there.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import ITSELF, Action, By
from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.errors import Paced
from golub.model import AuditEntry, Mark, Operator, Session, SignInFailure
from golub.store import Store

FREE_BY_LOGIN = 5
FREE_BY_ADDRESS = 20
LONGEST_WAIT: Millis = MINUTE
FORGOTTEN_AFTER: Millis = HOUR
TOLD_AN_HOUR = 20  # failures in the audit, of known logins; and as many of unknown ones

_UNTOLD = "sign_in_failures_untold"


@dataclass(frozen=True)
class Attempt:
    """One try to sign in, already counted."""

    login_key: str
    address_key: str


class Throttle:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def admit(self, login: str, address: str, operator_id: int | None, *, kind: str = "login") -> Attempt:
        """Counts the attempt, or raises `Paced` (which counts nothing) while there is still a wait. Each `kind` of
        guess at a login is counted apart: who has the password must not clear with it what his codes have cost."""
        async with self._store.write() as session:
            at_home = operator_id is not None and await session.scalar(
                select(Session.operator_id)
                .where(Session.operator_id == operator_id, Session.address == address)
                .limit(1)
            )
            attempt = Attempt(
                login_key=f"{kind}:{login}@{address}" if at_home else f"{kind}:{login}",
                address_key=f"address:{network_of(address)}",
            )
            by_address = await self._row(session, attempt.address_key)
            by_login = await self._row(session, attempt.login_key)
            self._count(by_address, FREE_BY_ADDRESS)
            self._count(by_login, FREE_BY_LOGIN)
        return attempt

    async def admit_wrong_key(self, address: str) -> None:
        """An API key was wrong: counts it, or raises `Paced` while this address must wait. A right one is never asked
        here, since 256 bits cannot be guessed. Counted apart from passwords: a program that was forgotten with a
        revoked key must not keep the people at its address from signing in."""
        key = f"key:{network_of(address)}"
        async with self._store.read() as session:  # a flood of wrong keys writes nothing
            if row := await session.get(SignInFailure, key):
                self._must_not_wait(row)
        async with self._store.write() as session:
            self._count(await self._row(session, key), FREE_BY_ADDRESS)

    async def forget(self, attempt: Attempt) -> None:
        """The password was right. The address keeps what it owes for other logins, without this attempt."""
        async with self._store.write() as session:  # the address first, as `admit` does: the two never lock crosswise
            if row := await session.get(SignInFailure, attempt.address_key, with_for_update=True):
                row.count = max(0, row.count - 1)
                row.blocked_until = 0
            await session.execute(delete(SignInFailure).where(SignInFailure.key == attempt.login_key))

    async def tell_failure(self, operator: Operator | None, address: str) -> None:
        """Into the audit: the first of an hour at one login from one address, and few in all, so that no stranger fills
        the disk. The others are counted, and the number goes into the next entry. What was typed as an unknown login
        may be a password, and stays out."""
        now, subject = self._clock(), operator.login if operator else ""
        latest = (
            select(AuditEntry.subject, AuditEntry.address)
            .where(AuditEntry.action == Action.SIGN_IN_FAILED, AuditEntry.at > now - HOUR)
            .order_by(AuditEntry.id.desc())
            .limit(3 * TOLD_AN_HOUR)
        )
        async with self._store.write() as session:
            untold = await self._untold(session)
            told = [(about, where) for about, where in await session.execute(latest)]
            if (subject, address) in told or sum(bool(about) == bool(subject) for about, _ in told) >= TOLD_AN_HOUR:
                untold.value = str(int(untold.value) + 1)
                return
            after = {"more": int(untold.value)} if untold.value != "0" else None
            untold.value = "0"
            await By(None, address).did(session, Action.SIGN_IN_FAILED, subject, after=after, now=now)

    async def tell_untold(self) -> None:
        """Hourly: what was only counted becomes an entry of its own."""
        async with self._store.write() as session:
            untold = await self._untold(session)
            if untold.value != "0":
                after, untold.value = {"more": int(untold.value)}, "0"
                await ITSELF.did(session, Action.SIGN_IN_FAILED, "", after=after, now=self._clock())

    async def _untold(self, session: AsyncSession) -> Mark:
        await session.execute(self._store.insert(Mark).values(name=_UNTOLD, value="0").on_conflict_do_nothing())
        return await session.get_one(Mark, _UNTOLD, with_for_update=True)

    async def remove_old(self, session: AsyncSession) -> None:
        old = select(SignInFailure.key).where(SignInFailure.last_at < self._clock() - FORGOTTEN_AFTER)
        unused = old.with_for_update(skip_locked=True)  # whoever tries just now keeps his row
        await session.execute(delete(SignInFailure).where(SignInFailure.key.in_(unused)))

    async def _row(self, session: AsyncSession, key: str) -> SignInFailure:
        """Locked until the attempt is counted: who tries at the same moment waits, and then sees this attempt. Made and
        locked in one statement, since a right password may delete the row between two."""
        fresh = self._store.insert(SignInFailure).values(key=key, count=0, blocked_until=0, last_at=self._clock())
        locked = fresh.on_conflict_do_update(index_elements=["key"], set_={"key": fresh.excluded.key})
        rows = await session.scalars(locked.returning(SignInFailure), execution_options={"populate_existing": True})
        return rows.one()

    def _must_not_wait(self, row: SignInFailure) -> None:
        wait = (row.blocked_until - self._clock()) / SECOND
        if wait > 0:
            raise Paced("Too many attempts. Try again in {seconds} s.", retry_after=wait, seconds=max(1, round(wait)))

    def _count(self, row: SignInFailure, free: int) -> None:
        self._must_not_wait(row)
        now = self._clock()
        row.count = 1 if row.last_at < now - FORGOTTEN_AFTER else row.count + 1
        row.last_at = now
        if row.count >= free:
            row.blocked_until = now + min(LONGEST_WAIT, SECOND << min(row.count - free, 10))


def network_of(address: str) -> str:
    """The neighbourhood that is slowed as one: an IPv6 household has a /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
