"""The people who sign in: inviting, changing, letting in. Guessing is slowed by login and by address, and a stranger
can never lock an operator out of a place where he has signed in before.
"""

from collections.abc import Iterable
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import CONSOLE, Action, By
from golub.clock import DAY, Clock, Millis
from golub.errors import Conflict, Invalid, NotFound, Rejected
from golub.model import HalfSignIn, OneTimeLink, Operator, Role, Session
from golub.operators.api_keys import ApiKeys, revoke_keys
from golub.operators.links import Links
from golub.operators.rights import get_author, get_operator, lock_super_admins, may
from golub.operators.second_factor import SecondFactors
from golub.operators.sessions import Sessions, end_sessions
from golub.operators.work import Work
from golub.passwords import Passwords
from golub.runner import Loop
from golub.store import Store
from golub.store.lists import padded
from golub.throttle import Throttle
from golub.vault import Vault

TIDY_EVERY = 3600.0  # seconds
LOGIN_LONGEST = 64

log = structlog.get_logger("golub.operators")


class Operators(Sessions, SecondFactors, ApiKeys, Links, Work):
    """Made once in `app.py`."""

    def __init__(self, store: Store, clock: Clock, vault: Vault) -> None:
        throttle = Throttle(store, clock)
        Sessions.__init__(self, store, clock)
        SecondFactors.__init__(self, store, clock, vault, throttle)
        ApiKeys.__init__(self, store, clock, throttle)
        Links.__init__(self, store, clock)
        Work.__init__(self, store, clock)
        self.passwords = Passwords()

    def close(self) -> None:
        self.passwords.close()

    async def create(
        self, login: str, password: str, *, name: str = "", role: Role = Role.MANAGER, locale: str = "ru"
    ) -> Operator:
        """For the command line. Raises `Invalid` for a bad login or password, `Conflict` when the login is taken."""
        login = tidy_login(login)
        hashed = await self.passwords.hash(password, login=login)
        async with self._store.write() as session:
            operator = await self._insert(session, login, name, role, locale, hashed)
            await self._tell_added(session, CONSOLE, operator)
            return operator

    async def invite(self, login: str, *, name: str, role: Role, locale: str, by: By) -> tuple[Operator, str]:
        """A new operator who chooses the password by the one-time link whose secret is returned."""
        async with self._store.write() as session:
            may(await get_author(session, by), role)
            operator = await self._insert(session, tidy_login(login), name, role, locale, "")
            secret = self._add_link(session, "password", operator.id)
            await self._tell_added(session, by, operator)
        log.info("an operator was invited", operator=operator.id, role=role)
        return operator, secret

    async def _tell_added(self, session: AsyncSession, by: By, operator: Operator) -> None:
        await by.did(session, Action.OPERATOR_ADDED, operator.login, after={"role": operator.role}, now=self._clock())

    async def set_up(
        self, secret: str, *, login: str, name: str, password: str, locale: str, address: str = ""
    ) -> Operator:
        """Makes the first super_admin; the link is used up by it, and by nothing that failed."""
        await self.find_link("setup", secret)
        login = tidy_login(login)
        hashed = await self.passwords.hash(password, login=login)
        async with self._store.write() as session:
            await self._take_link(session, "setup", secret)
            if await session.scalar(select(func.count()).select_from(Operator)):
                raise Conflict("Golub has been set up already. Sign in.")
            operator = await self._insert(session, login, name, Role.SUPER_ADMIN, locale, hashed)
            await By(operator, address).did(session, Action.SET_UP, operator.login, now=self._clock())
            return operator

    async def needs_setup(self) -> bool:
        async with self._store.read() as session:
            return not await session.scalar(select(Operator.id).limit(1))

    async def list_all(self) -> list[Operator]:
        async with self._store.read() as session:
            return list(await session.scalars(select(Operator).order_by(Operator.active.desc(), Operator.name)))

    async def last_seen(self) -> dict[int, Millis]:
        """When each operator who has an open session was last here."""
        query = select(Session.operator_id, func.max(Session.seen_at)).group_by(Session.operator_id)
        async with self._store.read() as session:
            return dict((await session.execute(query)).all())

    async def find_names(self, operator_ids: Iterable[int]) -> dict[int, str]:
        async with self._store.read() as session:
            found = select(Operator.id, Operator.name).where(Operator.id.in_(padded(operator_ids)))
            return dict((await session.execute(found)).all())

    async def get(self, operator_id: int) -> Operator:
        async with self._store.read() as session:
            return await get_operator(session, operator_id)

    async def find(self, login: str) -> Operator | None:
        async with self._store.read() as session:
            return await session.scalar(select(Operator).where(Operator.login == login.strip().casefold()))

    async def change(
        self,
        operator_id: int,
        *,
        by: By,
        name: str | None = None,
        role: Role | None = None,
        active: bool | None = None,
    ) -> Operator:
        """Raises `Forbidden` above one's own role, `Conflict` where no super_admin would remain. A changed role or a
        deactivation ends the operator's sessions, a deactivation his API keys as well."""
        async with self._store.write() as session:
            super_admins = await lock_super_admins(session)
            author = await get_author(session, by)
            operator = await get_operator(session, operator_id, lock=True)
            may(author, Role(operator.role))
            before = _told_of(operator)
            ended: list[bytes] = []
            if name is not None:
                operator.name = name.strip()[:100] or operator.login
            if role is not None and role != operator.role:
                may(author, role)
                operator.role = role
                ended = await end_sessions(session, operator.id)
            if active is not None and active != operator.active:
                operator.active = active
                ended = await end_sessions(session, operator.id)
                if not active:
                    await revoke_keys(session, operator, by, now=self._clock())
            await session.flush()
            if super_admins and not await lock_super_admins(session):
                raise Conflict("Golub needs at least one active super administrator.")
            after = _told_of(operator)
            if changed := [key for key in after if after[key] != before[key]]:
                was, now = ({key: told[key] for key in changed} for told in (before, after))
                await by.did(session, Action.OPERATOR_CHANGED, operator.login, before=was, after=now, now=self._clock())
        log.info("an operator was changed", operator=operator.id, role=operator.role, active=operator.active)
        self._tell(ended)
        return operator

    async def free(self, login: str) -> Operator:
        """On the console: takes the second factor off, where nobody is left who could do it in the panel."""
        operator = await self.find(login)
        if operator is None:
            raise NotFound("There is no such operator.")
        await self.remove_second_factor(operator.id, by=CONSOLE)
        return operator

    async def set_locale(self, operator_id: int, locale: str) -> None:
        async with self._store.write() as session:
            await session.execute(update(Operator).where(Operator.id == operator_id).values(locale=locale))

    async def set_password(self, secret: str, password: str, *, address: str = "") -> Operator:
        """Uses a `password` link: a new password, and every session and API key of the operator ends."""
        link = await self.find_link("password", secret)
        operator = await self.get(link.operator_id or 0)
        hashed = await self.passwords.hash(password, login=operator.login)
        async with self._store.write() as session:
            await self._take_link(session, "password", secret)
            operator = await get_operator(session, operator.id, lock=True)
            by = By(operator, address)
            await revoke_keys(session, operator, by, now=self._clock())
            ended = await self._put_password(session, operator, hashed, by)
        log.info("a password was set by link", operator=operator.id)
        self._tell(ended)
        return operator

    async def change_password(
        self, opened: Session, operator: Operator, password: str, *, keys_too: bool = False, by: By
    ) -> None:
        """One's own. Every other session of the operator ends, and links to a new password are worth nothing. His
        programs go on with their API keys, unless those are to end too."""
        hashed = await self.passwords.hash(password, login=operator.login)
        async with self._store.write() as session:
            fresh = await get_operator(session, operator.id, lock=True)
            if keys_too:
                await revoke_keys(session, fresh, by, now=self._clock())
            ended = await self._put_password(session, fresh, hashed, by, but=opened.hash)
        log.info("a password was changed", operator=operator.id)
        self._tell(ended)

    async def _put_password(
        self, session: AsyncSession, operator: Operator, hashed: str, by: By, *, but: bytes = b""
    ) -> list[bytes]:
        operator.password_hash = hashed
        older = (OneTimeLink.operator_id == operator.id, OneTimeLink.purpose == "password")
        await session.execute(delete(OneTimeLink).where(*older))
        ended = await end_sessions(session, operator.id, but=but)
        await by.did(session, Action.PASSWORD_SET, operator.login, now=self._clock())
        return ended

    async def prove(self, opened: Session, operator: Operator, password: str, code: str, address: str) -> None:
        """He shows once more who he is, with the code where one is set. Raises as `authenticate` and `check_code`."""
        found = await self.authenticate(operator.login, password, address)
        if found.second_factor_at is not None:
            await self.check_code(found, code, address)
        await self._note_proof(opened.hash)

    async def authenticate(self, login: str, password: str, address: str) -> Operator:
        """The operator whose password it is; his code, where he has a second factor, is still to be asked for. Raises
        `Rejected` with code `wrong_password` whatever is wrong, and `Paced` while this login or address must wait."""
        login = login.strip().casefold()[:LOGIN_LONGEST]
        operator = await self.find(login)
        attempt = await self._throttle.admit(login, address, operator.id if operator else None)
        usable = operator is not None and operator.active and operator.password_hash != ""
        kept = operator.password_hash if operator and usable else None
        if not await self.passwords.verify(password, kept) or operator is None:
            # What was typed as the login may be a password.
            log.warning("a sign-in failed", operator=operator.id if operator else None, address=address)
            await self._throttle.tell_failure(operator, address)
            raise Rejected("Wrong login or password.", code="wrong_password")
        await self._throttle.forget(attempt)
        return operator

    async def run(self) -> None:
        """Removes what has expired, for ever. First it makes the hash that unknown logins are checked against."""
        await self.passwords.warm()
        await Loop("operators", self._clock, longest_wait=TIDY_EVERY).run(self._tidy)

    async def _tidy(self) -> None:
        await self.remove_expired()

    async def remove_expired(self) -> int:
        """Housekeeping: sessions, keys and links whose time has passed."""
        now = self._clock()
        async with self._store.write() as session:
            gone = await session.execute(delete(Session).where(Session.expires_at <= now))
            await session.execute(delete(HalfSignIn).where(HalfSignIn.expires_at <= now))
            await session.execute(delete(OneTimeLink).where(OneTimeLink.expires_at <= now - DAY))
            await self.remove_expired_keys(session)
            await self._throttle.remove_old(session)
        await self._throttle.tell_untold()
        return cast(CursorResult[Any], gone).rowcount

    async def _insert(
        self, session: AsyncSession, login: str, name: str, role: Role, locale: str, password_hash: str
    ) -> Operator:
        statement = (
            self._store.insert(Operator)
            .values(
                login=login,
                name=name.strip()[:100] or login,
                password_hash=password_hash,
                role=role,
                locale=locale,
                active=True,
                created_at=self._clock(),
            )
            .on_conflict_do_nothing()
            .returning(Operator)
        )
        if made := await session.scalar(statement):
            return cast(Operator, made)
        raise Conflict("There is an operator with the login {login} already.", login=login)


def tidy_login(login: str) -> str:
    """As it is kept: without spaces around, in small letters. An e-mail address is a fine login."""
    login = login.strip().casefold()
    if not login or len(login) > LOGIN_LONGEST or not login.isprintable() or " " in login:
        raise Invalid("A login has 1 to {longest} characters and no spaces.", field="login", longest=LOGIN_LONGEST)
    return login


def _told_of(operator: Operator) -> dict[str, Any]:
    return {"name": operator.name, "role": operator.role, "active": operator.active}
