"""Keys by which an operator's own programs call the API: made, found again by their hash, revoked.

A key acts for its operator and never does more than he may at that moment: his role, his accounts and whether he is let
in are looked at with each request. Deactivating him ends his keys, and so does a password that is set by a link, since
somebody may have had the old one. A changed role ends none: what it no longer covers, the key no longer does. Changing
one's own password ends them where one asks for that.
"""

import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import DAY, MINUTE, Clock, Millis
from golub.errors import Conflict, Invalid, NotFound, Unavailable
from golub.model import ApiKey, Operator, Role, Scope
from golub.operators.rights import get_author, get_operator, may
from golub.operators.secret import digest
from golub.store import Store
from golub.throttle import Throttle

PREFIX = "golub_"  # whoever finds one, or looks for leaked ones, knows whose it is
KEYS_MOST = 20  # of one operator
NAME_LONGEST = 100
LIVES = (30, 90, 365)  # days among which one chooses; or none
_SHAPE = re.compile(rf"{PREFIX}[0-9a-f]{{64}}")
_ENDING = 4
_TOUCH_EVERY = MINUTE  # how exact `used_at` is
_SHOWN_EXPIRED = 30 * DAY

log = structlog.get_logger("golub.operators")


class ApiKeys:
    """The part of `Operators` that is about them."""

    def __init__(self, store: Store, clock: Clock, throttle: Throttle) -> None:
        self._store = store
        self._clock = clock
        self._throttle = throttle

    async def make_key(
        self, operator: Operator, name: str, scopes: Collection[str], *, days: int | None, by: By
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can show again. Raises `Invalid` for a name, a scope or a life that
        cannot be, `Conflict` where there are too many."""
        name = name.strip()[:NAME_LONGEST]
        if not name:
            raise Invalid("Give the key a name: what will use it.", field="name")
        if days is not None and days not in LIVES:
            raise Invalid("Choose how long the key works.", field="days")
        secret, now = PREFIX + secrets.token_hex(32), self._clock()
        async with self._store.write() as session:
            fresh = await get_operator(session, operator.id, lock=True)
            chosen = [scope for scope in scopes_for(fresh) if scope in scopes]
            if not chosen:
                raise Invalid("Choose at least one thing that the key may do.", field="scopes")
            counted = select(func.count()).select_from(ApiKey).where(ApiKey.operator_id == operator.id)
            if (await session.scalar(counted) or 0) >= KEYS_MOST:
                raise Conflict("You have {count} keys: revoke one that nothing uses first.", count=KEYS_MOST)
            made = ApiKey(
                hash=digest(secret),
                operator_id=fresh.id,
                name=name,
                ending=secret[-_ENDING:],
                scopes=" ".join(chosen),
                created_at=now,
                expires_at=None if days is None else now + days * DAY,
            )
            session.add(made)
            await session.flush()
            told = {"name": name, "scopes": chosen, **({} if days is None else {"days": days})}
            await by.did(session, Action.API_KEY_MADE, fresh.login, after=told, now=now)
        log.info("an API key was made", operator=operator.id, key=made.id, scopes=made.scopes)
        return made, secret

    async def find_key(self, secret: str, address: str) -> tuple[ApiKey, Operator] | None:
        """The key that works, and whose it is; he is let in. A wrong one is counted: `Paced` where there were many.
        None is all that anybody learns of one that is unknown, expired or revoked."""
        found = None
        if _SHAPE.fullmatch(secret):
            usable = ApiKey.hash == digest(secret), _is_fresh(self._clock()), Operator.active
            query = select(ApiKey, Operator).join(Operator, Operator.id == ApiKey.operator_id).where(*usable)
            async with self._store.read() as session:
                found = (await session.execute(query)).first()
        if found is None:
            await self._throttle.admit_wrong_key(address)
            log.warning("an API key was wrong", address=address)
            return None
        key, operator = found
        if key.used_at is None or key.used_at <= self._clock() - _TOUCH_EVERY:
            await self._note_use(key.id, address)
        return key, operator

    async def _note_use(self, key_id: int, address: str) -> None:
        values = {"used_at": self._clock(), "used_from": address}
        try:
            async with self._store.write() as session:
                await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(values))
        except Unavailable:
            return  # the answer can be given all the same; the next request tells it

    async def list_keys(self, operator_id: int) -> list[ApiKey]:
        """The operator's own, the newest first; expired ones for a while too."""
        query = select(ApiKey).where(ApiKey.operator_id == operator_id).order_by(ApiKey.id.desc())
        async with self._store.read() as session:
            return list(await session.scalars(query))

    async def list_all_keys(self) -> list[tuple[ApiKey, Operator]]:
        """Everybody's, those first that were used last."""
        query = select(ApiKey, Operator).join(Operator, Operator.id == ApiKey.operator_id)
        used = func.coalesce(ApiKey.used_at, 0).desc()
        async with self._store.read() as session:
            return [(key, whose) for key, whose in await session.execute(query.order_by(used, ApiKey.id.desc()))]

    async def revoke_key(self, key_id: int, *, by: By) -> None:
        """One's own, or anybody's by a super_admin. From the next request on it opens nothing. Raises `NotFound` for
        one that is not there, or is not his to revoke."""
        async with self._store.write() as session:
            author = await get_author(session, by)
            key = await session.get(ApiKey, key_id, with_for_update=True)
            if key is None or (key.operator_id != author.id and author.role != Role.SUPER_ADMIN):
                raise NotFound("This key was revoked already.")
            whose = await get_operator(session, key.operator_id)
            may(author, Role(whose.role))
            await _revoke(session, whose, [key], by, self._clock())
        log.info("an API key was revoked", operator=whose.id, key=key_id)

    async def remove_expired_keys(self, session: AsyncSession) -> int:
        """Housekeeping: those that have been listed as expired for long enough."""
        old = ApiKey.expires_at <= self._clock() - _SHOWN_EXPIRED
        return cast(CursorResult[Any], await session.execute(delete(ApiKey).where(old))).rowcount


def scopes_for(operator: Operator) -> list[Scope]:
    """Those that mean something for his role."""
    return [scope for scope in Scope if Role(operator.role).covers(scope.role)]


async def revoke_keys(session: AsyncSession, operator: Operator, by: By, *, now: Millis) -> int:
    """All of an operator's, in the caller's transaction; returns how many."""
    query = select(ApiKey).where(ApiKey.operator_id == operator.id).order_by(ApiKey.id).with_for_update()
    keys = list(await session.scalars(query))
    await _revoke(session, operator, keys, by, now)
    return len(keys)


async def _revoke(session: AsyncSession, operator: Operator, keys: Sequence[ApiKey], by: By, now: Millis) -> None:
    for key in keys:
        await session.delete(key)
        await by.did(session, Action.API_KEY_REVOKED, operator.login, before={"name": key.name}, now=now)


def _is_fresh(now: Millis) -> Any:
    return or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
