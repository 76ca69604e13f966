"""One-time links: first set-up, a new password, the demo's sign-in. Used once, or too old: then they are nothing."""

from typing import Any

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import CONSOLE, Action, By
from golub.clock import DAY, HOUR, Clock
from golub.errors import NotFound
from golub.model import OneTimeLink
from golub.operators.rights import get_author, get_operator, may_rescue
from golub.operators.secret import digest, new_secret
from golub.store import Store

LINK_LIFE = {"setup": DAY, "sign_in": DAY, "password": HOUR}

log = structlog.get_logger("golub.operators")


class Links:
    """The part of `Operators` that is about them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def make_link(self, purpose: str, operator_id: int | None = None) -> str:
        """The secret of a link that works once: `setup`, `sign_in` or `password` (the last two of an operator).
        A new set-up link replaces the earlier ones."""
        async with self._store.write() as session:
            if purpose == "setup":
                await session.execute(delete(OneTimeLink).where(OneTimeLink.purpose == "setup"))
            made = self._add_link(session, purpose, operator_id)
            if operator_id is not None:
                operator = await get_operator(session, operator_id)
                await CONSOLE.did(session, Action.LINK_MADE, operator.login, after={"for": purpose}, now=self._clock())
            return made

    async def reset(self, operator_id: int, *, by: By) -> str:
        """A link by which the operator chooses a new password; nobody else does it for him."""
        async with self._store.write() as session:
            operator = await get_operator(session, operator_id)
            may_rescue(await get_author(session, by), operator)
            secret = self._add_link(session, "password", operator.id)
            await by.did(session, Action.LINK_MADE, operator.login, after={"for": "password"}, now=self._clock())
        log.info("a password link was made", operator=operator.id)
        return secret

    async def find_link(self, purpose: str, secret: str) -> OneTimeLink:
        """Raises `NotFound` when the link never was, was used, or is too old."""
        async with self._store.read() as session:
            if link := await session.scalar(select(OneTimeLink).where(*self._usable(purpose, secret))):
                return link
        raise NotFound("This link does not work any more. Ask for a new one.", code="link")

    async def use_link(self, purpose: str, secret: str) -> OneTimeLink:
        """Uses it up: of two who try at the same moment one gets `NotFound`."""
        async with self._store.write() as session:
            return await self._take_link(session, purpose, secret)

    async def _take_link(self, session: AsyncSession, purpose: str, secret: str) -> OneTimeLink:
        statement = update(OneTimeLink).where(*self._usable(purpose, secret)).values(used_at=self._clock())
        if link := await session.scalar(statement.returning(OneTimeLink)):
            return link
        raise NotFound("This link does not work any more. Ask for a new one.", code="link")

    def _usable(self, purpose: str, secret: str) -> list[Any]:
        return [
            OneTimeLink.hash == digest(secret),
            OneTimeLink.purpose == purpose,
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > self._clock(),
        ]

    def _add_link(self, session: AsyncSession, purpose: str, operator_id: int | None) -> str:
        secret, now = new_secret(), self._clock()
        life = LINK_LIFE[purpose]
        session.add(
            OneTimeLink(
                hash=digest(secret), purpose=purpose, operator_id=operator_id, created_at=now, expires_at=now + life
            )
        )
        return secret
