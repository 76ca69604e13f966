"""The second factor: a code of six digits that an app makes anew every thirty seconds, and ten recovery codes for the
day on which the phone is lost. Signing in and showing who one is rely on it.

A code works once, and so does each recovery code. Guessing is slowed as it is with passwords, but counted apart: a
right password forgives no wrong code.
"""

import secrets
from typing import Any, cast

import structlog
from pyotp import random_base32
from pyotp.exceptions import OTPVerificationError
from pyotp.totp import TOTP
from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import CONSOLE, Action, By
from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import Conflict, NotFound, Rejected
from golub.model import HalfSignIn, Operator, RecoveryCode, SecondFactor
from golub.operators.rights import get_author, get_operator, may_rescue
from golub.operators.secret import digest, new_secret
from golub.store import Store
from golub.throttle import Throttle
from golub.vault import Vault

ISSUER = "Golub"  # as the app shows it
RECOVERY_CODES = 10
HALF_LIFE: Millis = 5 * MINUTE  # to find the phone
_WINDOW = 1  # steps that a phone's clock may be off, either way
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, none of which looks like another
_GROUPS, _GROUP = 4, 4  # 80 bits, so their bare hash tells nothing

log = structlog.get_logger("golub.operators")


class SecondFactors:
    """The part of `Operators` that is about it."""

    def __init__(self, store: Store, clock: Clock, vault: Vault, throttle: Throttle) -> None:
        self._store = store
        self._clock = clock
        self._vault = vault
        self._throttle = throttle

    async def begin_second_factor(self, operator_id: int) -> None:
        """A new seed, which counts for nothing until `confirm_second_factor`. One that counts stays as it is."""
        async with self._store.write() as session:
            await _get_without(session, operator_id)
            await session.execute(delete(SecondFactor).where(SecondFactor.operator_id == operator_id))
            session.add(SecondFactor(operator_id=operator_id, seed=self._vault.seal(random_base32()), step=0))

    async def find_new_seed(self, operator_id: int) -> str | None:
        """The one that waits for its first code, in base32. A seed that counts is never shown again."""
        query = select(SecondFactor).join(Operator, Operator.id == SecondFactor.operator_id)
        async with self._store.read() as session:
            found = await session.scalar(query.where(Operator.id == operator_id, Operator.second_factor_at.is_(None)))
        return self._vault.open(found.seed) if found else None

    async def confirm_second_factor(self, operator: Operator, code: str, *, by: By) -> list[str]:
        """From now on it counts. Returns the recovery codes, which nobody can show again. Raises `Rejected` with code
        `wrong_code`, and `Paced`."""
        attempt = await self._throttle.admit(operator.login, by.address, operator.id, kind="code")
        async with self._store.write() as session:
            fresh = await _get_without(session, operator.id)
            if not await self._take_step(session, operator.id, code):
                raise _wrong_code()
            fresh.second_factor_at = self._clock()
            made = await _replace_codes(session, operator.id)
            await by.did(session, Action.SECOND_FACTOR_ON, operator.login, now=self._clock())
        await self._throttle.forget(attempt)
        log.info("a second factor was set up", operator=operator.id)
        return made

    async def make_recovery_codes(self, operator_id: int, *, by: By) -> list[str]:
        """Ten new ones; those from before stop working."""
        async with self._store.write() as session:
            operator = await get_operator(session, operator_id, lock=True)
            if operator.second_factor_at is None:
                raise Conflict("There is no second factor yet. Set it up first.")
            made = await _replace_codes(session, operator_id)
            await by.did(session, Action.RECOVERY_CODES_MADE, operator.login, now=self._clock())
        return made

    async def count_recovery_codes(self, operator_id: int) -> int:
        async with self._store.read() as session:
            return await _count_codes(session, operator_id)

    async def remove_second_factor(self, operator_id: int, *, by: By) -> None:
        """One's own; or that of somebody who lost the phone: a manager's by an admin, anybody's by a super_admin or on
        the console. Raises `Forbidden`."""
        async with self._store.write() as session:
            operator = await get_operator(session, operator_id, lock=True)
            if by != CONSOLE:
                may_rescue(await get_author(session, by), operator)
            had = operator.second_factor_at is not None
            operator.second_factor_at = None
            for table in (SecondFactor, RecoveryCode, HalfSignIn):
                await session.execute(delete(table).where(table.operator_id == operator_id))
            if had:
                await by.did(session, Action.SECOND_FACTOR_OFF, operator.login, now=self._clock())

    async def check_code(self, operator: Operator, code: str, address: str) -> None:
        """Uses up a code of the app, or a recovery code. Raises `Rejected` with code `wrong_code`, and `Paced`."""
        attempt = await self._throttle.admit(operator.login, address, operator.id, kind="code")
        if not await self._use_code(operator.id, code, address):
            log.warning("a code was wrong", operator=operator.id, address=address)
            await self._throttle.tell_failure(operator, address)
            raise _wrong_code()
        await self._throttle.forget(attempt)

    async def open_half(self, operator: Operator) -> str:
        """The password was right: the secret by which this browser, and no other, may go on to the code."""
        secret = new_secret()
        async with self._store.write() as session:
            session.add(HalfSignIn(hash=digest(secret), operator_id=operator.id, expires_at=self._clock() + HALF_LIFE))
        return secret

    async def find_half(self, secret: str) -> Operator | None:
        query = select(Operator).join(HalfSignIn, HalfSignIn.operator_id == Operator.id)
        async with self._store.read() as session:
            return await session.scalar(query.where(*self._usable_half(secret), Operator.active))

    async def finish_half(self, secret: str, code: str, address: str) -> Operator:
        """The operator who may sign in. Raises what `check_code` raises, and `NotFound` where it took too long."""
        operator = await self.find_half(secret)
        if operator is None:
            raise too_late()
        await self.check_code(operator, code, address)
        async with self._store.write() as session:
            taken = delete(HalfSignIn).where(*self._usable_half(secret)).returning(HalfSignIn.operator_id)
            if await session.scalar(taken) is None:
                raise too_late()
            return await get_operator(session, operator.id)

    def _usable_half(self, secret: str) -> tuple[Any, ...]:
        return HalfSignIn.hash == digest(secret), HalfSignIn.expires_at > self._clock()

    async def _use_code(self, operator_id: int, code: str, address: str) -> bool:
        async with self._store.write() as session:
            operator = await get_operator(session, operator_id, lock=True)
            if operator.second_factor_at is None:
                return False
            if await self._take_step(session, operator_id, code):
                return True
            typed = digest(_tidy(code))
            found = delete(RecoveryCode).where(RecoveryCode.hash == typed, RecoveryCode.operator_id == operator_id)
            if cast(CursorResult[Any], await session.execute(found)).rowcount != 1:
                return False
            left = {"left": await _count_codes(session, operator_id)}
            by = By(operator, address)
            await by.did(session, Action.RECOVERY_CODE_USED, operator.login, after=left, now=self._clock())
            return True

    async def _take_step(self, session: AsyncSession, operator_id: int, code: str) -> bool:
        """Whether it is a code of the app's that was not used yet. The row is locked, so of two alike one counts."""
        factor = await session.get(SecondFactor, operator_id, with_for_update=True)
        typed = "".join(code.split())
        if factor is None or not (typed.isascii() and typed.isdigit()):
            return False
        app = TOTP(self._vault.open(factor.seed))
        try:
            step = app.verify_and_get_timecode(typed, for_time=self._clock() // SECOND, valid_window=_WINDOW)
        except OTPVerificationError:
            return False
        if step <= factor.step:
            return False
        factor.step = step
        return True


def uri_of(seed: str, login: str) -> str:
    """What the QR code says."""
    return TOTP(seed).provisioning_uri(name=login, issuer_name=ISSUER)


def too_late() -> NotFound:
    return NotFound("Too much time has passed since the password. Sign in once more.", code="half")


def _wrong_code() -> Rejected:
    return Rejected("This code is wrong or was used before. Wait until the app shows the next one.", code="wrong_code")


async def _get_without(session: AsyncSession, operator_id: int) -> Operator:
    operator = await get_operator(session, operator_id, lock=True)
    if operator.second_factor_at is not None:
        raise Conflict("The second factor is on already. Turn it off before you set it up for another phone.")
    return operator


async def _replace_codes(session: AsyncSession, operator_id: int) -> list[str]:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.operator_id == operator_id))
    made = ["-".join(_group() for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(hash=digest(_tidy(code)), operator_id=operator_id) for code in made)
    return made


def _group() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_GROUP))


def _tidy(code: str) -> str:
    """Without what people put between the groups, or type in capitals."""
    return "".join(sign for sign in code.casefold() if sign.isalnum())


async def _count_codes(session: AsyncSession, operator_id: int) -> int:
    counted = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.operator_id == operator_id)
    return await session.scalar(counted) or 0
